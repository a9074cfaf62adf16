//! What is written for which record: types, envelopes, keys, what was not sent.

use std::sync::Arc;

use connect::contract::Tolerance;
use connect::{Schema, SchemaBuilder, Value, logical};
use pg_sink::Flavour;

use crate::feed::{Draft, Feed, properties};
use crate::postgres::{Database, cluster};
use crate::rows::{Topic, int, text};

async fn start(database: &Database, flavour: Flavour, more: &[(&str, &str)]) -> Feed {
    let mut options = vec![("connection.url", &*database.url), ("topics", "t")];
    options.extend(match flavour {
        Flavour::Confluent | Flavour::Aiven => [("connection.user", "postgres"), ("pk.mode", "record_key")],
        Flavour::Debezium => [("connection.username", "postgres"), ("primary.key.mode", "record_key")],
    });
    options.extend([("insert.mode", "upsert"), ("delete.enabled", "true")]);
    options.extend(more);
    Feed::start(flavour, &properties(&options), Tolerance::None).await.unwrap()
}

fn named(builder: SchemaBuilder, name: &str) -> Schema {
    builder.name(name).optional().build()
}

/// One value of a schema into a column of a type, and back as text.
async fn check(column: &str, schema: Schema, value: Value, expected: &str) {
    let database = cluster().database().await;
    database.run("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(5)").await;
    database.run(&format!("CREATE TABLE t(id int PRIMARY KEY, c {column})")).await;
    let mut feed = start(&database, Flavour::Confluent, &[]).await;
    let topic = Topic::new("t", &[("id", int()), ("c", schema)]);
    feed.put(vec![topic.upsert(vec![1.into(), value])]).await.unwrap();
    let found = match feed.flush().await {
        Ok(()) if feed.rejected.is_empty() => database.rows("t").await[0][1].clone().unwrap_or_default(),
        Ok(()) => format!("rejected: {}", feed.rejected[0].error),
        Err(error) => format!("failed: {error}"),
    };
    assert!(
        found == expected || !expected.is_empty() && found.contains(expected) && found.starts_with("rej"),
        "{column}: {found}"
    );
    feed.stop().await;
}

#[tokio::test]
async fn numbers_and_texts() {
    let int64 = || SchemaBuilder::int64().optional().build();
    let float64 = || SchemaBuilder::float64().optional().build();
    check("int", int64(), Value::Int64(7), "7").await;
    check("int", int64(), Value::Int64(1 << 40), "needs more than 4 bytes").await;
    check("numeric(5,2)", int64(), Value::Int64(7), "7.00").await;
    check("text", int64(), Value::Int64(7), "7").await;
    check("real", float64(), Value::Float64(1.5), "1.5").await;
    check("numeric", float64(), Value::Float64(0.1), "0.1").await;
    check("int", float64(), Value::Float64(3.0), "3").await;
    check("int", float64(), Value::Float64(3.5), "22P02").await;
    check("int", logical::decimal(2).optional().build(), Value::Bytes(vec![0x01, 0xf4].into()), "5").await;
    check("boolean", SchemaBuilder::boolean().optional().build(), Value::Boolean(true), "true").await;
    check("bit(1)", SchemaBuilder::boolean().optional().build(), Value::Boolean(true), "1").await;
    check("varchar(3)", text(), Value::text("long"), "22001").await;
    check("short", text(), Value::text("longer"), "22001").await;
    check("char(4)", text(), Value::text("ab"), "ab").await;
    check("mood", text(), Value::text("ok"), "ok").await;
    check("mood", text(), Value::text("bored"), "22P02").await;
    check(
        "mood[]",
        SchemaBuilder::array(text()).optional().build(),
        Value::Array([Value::text("sad"), Value::Null].into()),
        "{sad,NULL}",
    )
    .await;
    check("inet", text(), Value::text("10.0.0.1/8"), "10.0.0.1/8").await;
    check("bytea", text(), Value::text("\\xff"), "\\xff").await;
    check("xml", named(SchemaBuilder::string(), "io.debezium.data.Xml"), Value::text("<a/>"), "<a/>").await;
    check("money", text(), Value::text("1.50"), "$1.50").await;
    check("jsonb", text(), Value::text("{\"b\":1, \"a\":2}"), "{\"a\": 2, \"b\": 1}").await;
    check("jsonb", text(), Value::text("{"), "22P02").await;
}

#[tokio::test]
async fn times() {
    let micros = || named(SchemaBuilder::int64(), "io.debezium.time.MicroTimestamp");
    let zoned = || named(SchemaBuilder::string(), "io.debezium.time.ZonedTimestamp");
    check("timestamp", micros(), Value::Int64(1_700_000_000_123_456), "2023-11-14 22:13:20.123456").await;
    check("timestamptz", micros(), Value::Int64(1_700_000_000_123_456), "2023-11-14 22:13:20.123456+00")
        .await;
    check("timestamp", micros(), Value::Int64(9_223_372_036_825_200_000), "infinity").await;
    check("bigint", micros(), Value::Int64(1), "1").await;
    check("text", micros(), Value::Int64(-1), "1969-12-31 23:59:59.999999").await;
    check("date", micros(), Value::Int64(0), "1970-01-01").await;
    check("timestamp(0)", micros(), Value::Int64(1_700_000_000_600_000), "2023-11-14 22:13:21").await;
    check("timestamptz", zoned(), Value::text("2020-01-02T03:04:05+05:30"), "2020-01-01 21:34:05+00").await;
    check("timestamp", zoned(), Value::text("2020-01-02T03:04:05Z"), "2020-01-02 03:04:05").await;
    check("timestamptz", text(), Value::text("January 8 1999 UTC"), "1999-01-08 00:00:00+00").await;
    check("date", logical::date().optional().build(), Value::Int32(-1), "1969-12-31").await;
    check(
        "timetz",
        named(SchemaBuilder::string(), "io.debezium.time.ZonedTime"),
        Value::text("03:04:05+02:00"),
        "03:04:05+02",
    )
    .await;
    check(
        "interval",
        named(SchemaBuilder::string(), "io.debezium.time.Interval"),
        Value::text("P1Y2M3DT4H5M6.789S"),
        "1 year 2 mons 3 days 04:05:06.789",
    )
    .await;
    check(
        "interval",
        named(SchemaBuilder::int64(), "io.debezium.time.MicroDuration"),
        Value::Int64(1_500_000),
        "00:00:01.5",
    )
    .await;
    let array = SchemaBuilder::array(micros()).optional().build();
    check("timestamptz[]", array, Value::Array([Value::Int64(0)].into()), "{\"1970-01-01 00:00:00+00\"}")
        .await;
}

#[tokio::test]
async fn containers_into_json() {
    let inner = SchemaBuilder::structure().field("a", int()).field("b", text()).optional().build();
    let value = || Value::Struct([Value::Int32(1), Value::text("x\"y")].into());
    check("jsonb", inner.clone(), value(), "{\"a\": 1, \"b\": \"x\\\"y\"}").await;
    check(
        "json",
        SchemaBuilder::array(inner.clone()).optional().build(),
        Value::Array([value()].into()),
        "[{\"a\":1,\"b\":\"x\\\"y\"}]",
    )
    .await;
    check("int", inner, value(), "cannot be written to column").await;
}

fn event(op: &str, id: i32, before: Option<&str>, after: Option<&str>) -> Draft {
    let row = SchemaBuilder::structure().field("id", int()).field("v", text()).optional().build();
    let key = SchemaBuilder::structure().field("id", int()).build();
    let source = SchemaBuilder::structure().field("table", text()).build();
    let schema = SchemaBuilder::structure()
        .name("p.public.t.Envelope")
        .field("before", row.clone())
        .field("after", row)
        .field("source", source)
        .field("op", SchemaBuilder::string().build())
        .build();
    let image =
        |v: Option<&str>| v.map_or(Value::Null, |v| Value::Struct([id.into(), Value::text(v)].into()));
    let value = [image(before), image(after), Value::Struct([Value::text("t")].into()), Value::text(op)];
    Draft {
        topic: Arc::from("t"),
        partition: 0,
        key: (Some(key), Value::Struct([id.into()].into())),
        value: (Some(schema), Value::Struct(value.into())),
        headers: vec![],
    }
}

#[tokio::test]
async fn change_events_on_all_sinks() {
    for flavour in Flavour::ALL {
        let database = cluster().database().await;
        database.run("CREATE TABLE t(id int PRIMARY KEY, v text)").await;
        let mut feed = start(&database, flavour, &[]).await;
        let tombstone = Draft { value: (None, Value::Null), ..event("c", 2, None, None) };
        let events = vec![
            event("r", 1, None, Some("a")),
            event("c", 2, None, Some("b")),
            event("c", 3, None, Some("c")),
            event("u", 1, Some("a"), Some("d")),
            event("d", 2, Some("b"), None),
            tombstone,
        ];
        for one in &events {
            feed.write(vec![one.clone()]).await;
        }
        assert_eq!(database.rows("t").await.len(), 2, "{flavour:?}");
        feed.write(events).await;
        let rows = database.rows("t").await;
        assert_eq!(rows.iter().map(|row| row[1].as_deref().unwrap()).collect::<Vec<_>>(), ["d", "c"]);
    }
}

#[tokio::test]
async fn what_was_not_sent_stays() {
    const PLACEHOLDER: &str = "__debezium_unavailable_value";
    let database = cluster().database().await;
    database.run("CREATE TABLE t(id int PRIMARY KEY, n int, body text NOT NULL, j jsonb)").await;
    let topic = Topic::new("t", &[("id", int()), ("n", int()), ("body", text()), ("j", text())]);
    let row = |id: i32, n: i32, body: &str, j: &str| {
        topic.upsert(vec![id.into(), n.into(), Value::text(body), Value::text(j)])
    };
    let mut feed = start(&database, Flavour::Confluent, &[]).await;
    feed.write(vec![row(1, 1, "long", "{}"), row(2, 1, "two", "[]")]).await;
    // In a batch of its own, together with the insert, and twice in one batch.
    feed.write(vec![row(1, 2, PLACEHOLDER, PLACEHOLDER), row(2, 2, PLACEHOLDER, "[1]")]).await;
    feed.write(vec![
        row(3, 1, "three", "{}"),
        row(3, 2, PLACEHOLDER, PLACEHOLDER),
        row(1, 3, PLACEHOLDER, "{\"x\":1}"),
        row(1, 4, PLACEHOLDER, PLACEHOLDER),
    ])
    .await;
    let rows = database.rows("t").await;
    let rows: Vec<Vec<&str>> =
        rows.iter().map(|row| row.iter().map(|value| value.as_deref().unwrap()).collect()).collect();
    assert_eq!(
        rows,
        [["1", "4", "long", "{\"x\": 1}"], ["2", "2", "two", "[1]"], ["3", "2", "three", "{}"],]
    );
}

#[tokio::test]
async fn generated_and_identity_columns() {
    let database = cluster().database().await;
    database
        .run(
            "CREATE TABLE t(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, \
             twice text GENERATED ALWAYS AS (v || v) STORED)",
        )
        .await;
    let topic = Topic::new("t", &[("id", int()), ("v", text()), ("twice", text())]);
    let mut feed = start(&database, Flavour::Confluent, &[]).await;
    feed.write(vec![topic.upsert(vec![5.into(), Value::text("a"), Value::text("?")])]).await;
    feed.write(vec![topic.upsert(vec![5.into(), Value::text("b"), Value::text("?")])]).await;
    assert_eq!(database.rows("t").await, [["5", "b", "bb"].map(|text| Some(text.to_owned()))]);
}

/// `char(n)` compares without the blanks at its end.
#[tokio::test]
async fn keys_with_blanks_at_their_end() {
    let database = cluster().database().await;
    database.run("CREATE TABLE t(id char(6) PRIMARY KEY, v text)").await;
    let topic = Topic::new("t", &[("id", text()), ("v", text())]);
    let mut feed = start(&database, Flavour::Confluent, &[]).await;
    let row = |id: &str, v: &str| topic.upsert(vec![Value::text(id), Value::text(v)]);
    feed.write(vec![row("a     ", "1"), row("b     ", "1"), row("c     ", "1")]).await;
    feed.write(vec![row("b     ", "2"), row("c", "2"), topic.delete("a     ")]).await;
    let rows = database.rows("t").await;
    assert_eq!(rows, [["b", "2"], ["c", "2"]].map(|row| row.map(|text| Some(text.to_owned()))));
}

/// The row is not there when the statement looks for it, and is there when it inserts.
#[tokio::test]
async fn a_key_that_another_session_inserts_meanwhile() {
    let database = cluster().database().await;
    database.run("CREATE TABLE t(id int PRIMARY KEY, v text); INSERT INTO t VALUES (0, 'old')").await;
    let topic = Topic::new("t", &[("id", int()), ("v", text())]);
    let mut feed = start(&database, Flavour::Confluent, &[]).await;
    database.run("BEGIN; INSERT INTO t VALUES (3, 'theirs')").await;
    feed.put((0..9).map(|id| topic.upsert(vec![id.into(), Value::text("ours")])).collect()).await.unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while database.client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
    database.run("COMMIT").await;
    feed.flush().await.unwrap();
    assert!(feed.rejected.is_empty());
    let rows = database.rows("t").await;
    assert_eq!(rows.iter().filter(|row| row[1].as_deref() == Some("ours")).count(), 9);
}

/// A user's trigger sees each upserted row as inserted first, as with the reference.
#[tokio::test]
async fn triggers_see_inserts() {
    let database = cluster().database().await;
    database
        .run(
            "CREATE TABLE t(id int PRIMARY KEY, v text, seen text); \
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 NEW.seen = coalesce(NEW.seen, '') || lower(TG_OP); RETURN NEW; END $$; \
             CREATE TRIGGER see BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION see()",
        )
        .await;
    let topic = Topic::new("t", &[("id", int()), ("v", text()), ("seen", text())]);
    let mut feed = start(&database, Flavour::Confluent, &[]).await;
    for v in ["a", "b"] {
        feed.write(vec![topic.upsert(vec![1.into(), Value::text(v), Value::text(v)])]).await;
    }
    assert_eq!(database.rows("t").await, [["1", "b", "binsert"].map(|text| Some(text.to_owned()))]);
}

#[tokio::test]
async fn partitioned_tables_and_views() {
    let database = cluster().database().await;
    database
        .run(
            "CREATE TABLE p(id int PRIMARY KEY, v text) PARTITION BY RANGE (id); \
             CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); \
             CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); CREATE VIEW t AS SELECT * FROM p",
        )
        .await;
    let topic = Topic::new("t", &[("id", int()), ("v", text())]);
    let mut feed = start(&database, Flavour::Confluent, &[]).await;
    feed.write((0..20).map(|id| topic.upsert(vec![id.into(), Value::text("a")])).collect()).await;
    feed.write((5..15).map(|id| topic.delete(id)).collect()).await;
    feed.write(vec![topic.upsert(vec![1.into(), Value::text("b")])]).await;
    assert_eq!(database.count("p").await, 10);
}

#[tokio::test]
async fn the_table_is_created_as_confluents_sink_does() {
    let database = cluster().database().await;
    let mut feed =
        start(&database, Flavour::Confluent, &[("auto.create", "true"), ("auto.evolve", "true")]).await;
    let timestamp = logical::timestamp().optional().build();
    let micros = named(SchemaBuilder::int64(), "io.debezium.time.MicroTimestamp");
    let topic = Topic::new("t", &[("id", int()), ("at", timestamp), ("us", micros), ("name", text())]);
    feed.write(vec![topic.upsert(vec![1.into(), Value::Int64(0), Value::Int64(5), Value::text("x")])]).await;
    let wide = SchemaBuilder::int32().default(3).build();
    let wider = Topic::new("t", &[("id", int()), ("More", text()), ("n", wide)]);
    feed.write(vec![wider.upsert(vec![2.into(), Value::text("m"), Value::Int32(4)])]).await;
    let rows = database.rows("t").await;
    assert_eq!(
        rows[0],
        ["1", "1970-01-01 00:00:00", "5", "x", "", "3"]
            .map(|text| (!text.is_empty()).then(|| text.to_owned()))
    );
    assert_eq!(rows[1][4..], ["m", "4"].map(|text| Some(text.to_owned())));
}

#[tokio::test]
async fn a_batch_larger_than_a_statement() {
    let database = cluster().database().await;
    database.run("CREATE TABLE t(id int PRIMARY KEY, v text)").await;
    let topic = Topic::new("t", &[("id", int()), ("v", text())]);
    let mut feed = start(&database, Flavour::Confluent, &[("batch.size", "1")]).await;
    for round in 0..3 {
        let rows: Vec<Draft> =
            (0..30_000).map(|id| topic.upsert(vec![id.into(), Value::from(format!("r{round}"))])).collect();
        for part in rows.chunks(1000) {
            feed.put(part.to_vec()).await.unwrap();
        }
    }
    feed.flush().await.unwrap();
    let row =
        database.client.query_one("SELECT count(*), count(DISTINCT v), min(v) FROM t", &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, String>(2)),
        (30_000, 1, "r2".to_owned())
    );
    assert_eq!(feed.committed("t"), Some(90_000));
}

#[tokio::test]
async fn truncated_parents_wait_for_their_children() {
    let database = cluster().database().await;
    database
        .run("CREATE TABLE t(id int PRIMARY KEY, v text); CREATE TABLE c(id int PRIMARY KEY, t int REFERENCES t)")
        .await;
    let mut feed =
        start(&database, Flavour::Debezium, &[("topics", "t,c"), ("truncate.enabled", "true")]).await;
    let children = Topic::new("c", &[("id", int()), ("t", int())]);
    feed.write(vec![event("c", 1, None, Some("a")), event("c", 2, None, Some("b"))]).await;
    feed.write(vec![children.upsert(vec![1.into(), 2.into()])]).await;
    let truncate = Draft { key: (None, Value::Null), ..event("t", 0, None, None) };
    feed.write(vec![truncate, event("c", 3, None, Some("c"))]).await;
    assert_eq!(database.count("t").await, 2, "one row is still referred to, one came after");
    assert_eq!(feed.committed("t"), Some(2));
    feed.write(vec![children.delete(1)]).await;
    let rows = database.rows("t").await;
    assert_eq!(rows, [["3", "c"].map(|text| Some(text.to_owned()))]);
    assert_eq!(feed.committed("t"), Some(4));
}

#[tokio::test]
async fn keys_from_kafka_values_and_primitives() {
    let database = cluster().database().await;
    let text_value = |topic: &str, text: &str| Draft {
        topic: topic.into(),
        partition: 0,
        key: (Some(SchemaBuilder::int64().build()), Value::Int64(7)),
        value: (Some(SchemaBuilder::string().build()), Value::text(text)),
        headers: vec![],
    };
    let create = ("auto.create", "true");
    let mut feed =
        start(&database, Flavour::Confluent, &[create, ("pk.mode", "kafka"), ("delete.enabled", "false")])
            .await;
    feed.write(vec![text_value("t", "a"), text_value("t", "b")]).await;
    let rows = database.rows("t").await;
    assert_eq!(rows[1], ["t", "0", "1", "b"].map(|text| Some(text.to_owned())));
    let mut feed =
        start(&database, Flavour::Confluent, &[create, ("pk.fields", "k"), ("table.name.format", "s")]).await;
    feed.write(vec![text_value("t", "a"), text_value("t", "b")]).await;
    assert_eq!(database.rows("s").await, [["7", "b"].map(|text| Some(text.to_owned()))]);
    let options = [
        create,
        ("pk.mode", "record_value"),
        ("pk.fields", "b,a"),
        ("delete.enabled", "false"),
        ("table.name.format", "v"),
    ];
    let mut feed = start(&database, Flavour::Confluent, &options).await;
    let topic = Topic::new("t", &[("a", int()), ("b", int()), ("v", text())]);
    let row = |a: i32, b: i32, v: &str| topic.upsert(vec![a.into(), b.into(), Value::text(v)]);
    feed.write(vec![row(1, 2, "x"), row(1, 2, "y"), row(2, 1, "z")]).await;
    assert_eq!(database.count("v").await, 2);
}

#[tokio::test]
async fn inserts_stay_inserts() {
    let database = cluster().database().await;
    database.run("CREATE TABLE t(id int PRIMARY KEY, v text)").await;
    let mut feed = start(&database, Flavour::Confluent, &[("insert.mode", "insert")]).await;
    let topic = Topic::new("t", &[("id", int()), ("v", text())]);
    let row = |id: i32, v: &str| topic.upsert(vec![id.into(), Value::text(v)]);
    feed.write(vec![row(1, "a"), topic.delete(1), row(1, "b"), row(2, "c")]).await;
    feed.write(vec![topic.delete(2), row(2, "d"), topic.delete(1)]).await;
    assert_eq!(database.rows("t").await, [["2", "d"].map(|text| Some(text.to_owned()))]);
    feed.put(vec![row(3, "e"), row(2, "again")]).await.unwrap();
    feed.flush().await.unwrap();
    assert!(feed.rejected[0].error.to_string().contains("23505"));
}

#[tokio::test]
async fn zones_of_confluents_sink() {
    let database = cluster().database().await;
    database.run("CREATE TABLE t(id int PRIMARY KEY, a timestamp, b timestamptz, c date, d time)").await;
    let mut feed = start(&database, Flavour::Confluent, &[("db.timezone", "Asia/Tokyo")]).await;
    let schemas = [logical::timestamp(), logical::timestamp(), logical::date(), logical::time()];
    let [a, b, c, d] = schemas.map(|schema| schema.optional().build());
    let topic = Topic::new("t", &[("id", int()), ("a", a), ("b", b), ("c", c), ("d", d)]);
    feed.write(vec![topic.upsert(vec![
        1.into(),
        Value::Int64(0),
        Value::Int64(0),
        Value::Int32(0),
        Value::Int32(0),
    ])])
    .await;
    let expected = ["1", "1970-01-01 09:00:00", "1970-01-01 00:00:00+00", "1970-01-01", "09:00:00"];
    assert_eq!(database.rows("t").await, [expected.map(|text| Some(text.to_owned()))]);
}
