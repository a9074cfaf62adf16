//! Empty tables are loaded by COPY, until a row is there already.

use connect::contract::Tolerance;
use connect::{SchemaBuilder, Value, logical};
use pg_sink::Flavour;

use crate::feed::{Draft, Feed, properties};
use crate::postgres::{Database, cluster};
use crate::rows::{Topic, int, text};

/// Notes which kind of statement wrote into `t`.
const NOTES: &str = "CREATE TABLE notes(n serial, word text); \
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO notes(word) VALUES (split_part(current_query(), ' ', 1)); RETURN NULL; END $$; \
     CREATE TRIGGER note AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION note()";

async fn start(database: &Database, tolerance: Tolerance) -> Feed {
    Feed::upserting(&database.url, tolerance).await
}

async fn notes(database: &Database) -> Vec<String> {
    database.rows("notes").await.into_iter().map(|row| row[1].clone().unwrap_or_default()).collect()
}

fn rows(ids: std::ops::Range<i32>, name: &str) -> Vec<Draft> {
    let topic = Topic::new("t", &[("id", int()), ("name", text())]);
    ids.map(|id| topic.upsert(vec![id.into(), Value::text(name)])).collect()
}

#[tokio::test]
async fn until_a_key_exists() {
    let database = cluster().database().await;
    database.run(&format!("CREATE TABLE t(id int PRIMARY KEY, name varchar(6)); {NOTES}")).await;
    let mut feed = start(&database, Tolerance::None).await;
    feed.write(rows(0..300, "first")).await;
    feed.write(rows(300..305, "few")).await;
    assert_eq!(notes(&database).await, ["COPY", "INSERT"]);
    // Half of them are there: written all the same, and from now on by INSERT.
    feed.write(rows(200..500, "second")).await;
    feed.write(rows(600..800, "third")).await;
    assert_eq!(notes(&database).await, ["COPY", "INSERT", "INSERT", "INSERT"]);
    for (name, ids) in [("first", 0..200), ("second", 200..500), ("third", 600..800)] {
        let found = database.rows("t").await.into_iter().filter(|row| row[1].as_deref() == Some(name));
        let mut found: Vec<usize> = found.map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, ids.collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(database.count("t").await, 700);
    assert!(feed.all_committed());
    feed.stop().await;
    // The next start finds the table filled.
    let mut feed = start(&database, Tolerance::None).await;
    feed.write(rows(1000..1300, "fourth")).await;
    assert_eq!(notes(&database).await.last().unwrap(), "INSERT");
    feed.stop().await;
}

#[tokio::test]
async fn bad_rows_go_alone() {
    let database = cluster().database().await;
    database.run(&format!("CREATE TABLE t(id int PRIMARY KEY, name varchar(6)); {NOTES}")).await;
    let mut feed = start(&database, Tolerance::All).await;
    let mut all = rows(0..300, "good");
    all[77] = rows(77..78, "much too long").remove(0);
    feed.put(all).await.unwrap();
    feed.flush().await.unwrap();
    assert_eq!(feed.rejected.len(), 1);
    assert!(feed.rejected[0].error.to_string().contains("22001"), "{}", feed.rejected[0].error);
    assert_eq!(database.count("t").await, 299);
    feed.stop().await;
}

#[tokio::test]
async fn values_are_those_that_a_statement_writes() {
    let database = cluster().database().await;
    database
        .run(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> 'no'); \
             CREATE TABLE t(id int PRIMARY KEY, b bool, i2 int2, i8 int8, f8 float8, n numeric(6,1), v varchar(9), \
                 c char(5), s short, ts timestamp(3), d date, tm time, u uuid, j json, jb jsonb, by bytea, \
                 g int GENERATED ALWAYS AS (id + 1) STORED, a int DEFAULT 7); \
             CREATE TABLE k(LIKE t INCLUDING ALL); INSERT INTO k(id) VALUES (-1)",
        )
        .await;
    let optional = |builder: SchemaBuilder| builder.optional().build();
    let columns = [
        ("id", int()),
        ("b", optional(SchemaBuilder::boolean())),
        ("i2", optional(SchemaBuilder::int16())),
        ("i8", optional(SchemaBuilder::int64())),
        ("f8", optional(SchemaBuilder::float64())),
        ("n", optional(logical::decimal(2))),
        ("v", text()),
        ("c", text()),
        ("s", text()),
        ("ts", optional(SchemaBuilder::int64().name("io.debezium.time.MicroTimestamp"))),
        ("d", optional(SchemaBuilder::int32().name("io.debezium.time.Date"))),
        ("tm", optional(SchemaBuilder::int64().name("io.debezium.time.MicroTime"))),
        ("u", optional(SchemaBuilder::string().name("io.debezium.data.Uuid"))),
        ("j", optional(SchemaBuilder::string().name("io.debezium.data.Json"))),
        ("jb", optional(SchemaBuilder::string().name("io.debezium.data.Json"))),
        ("by", optional(SchemaBuilder::bytes())),
    ];
    let options = [("connection.url", &*database.url), ("connection.user", "postgres"), ("topics", "t,k")];
    let more = [("insert.mode", "upsert"), ("pk.mode", "record_key")];
    let options: Vec<_> = options.into_iter().chain(more).collect();
    let mut feed = Feed::start(Flavour::Confluent, &properties(&options), Tolerance::None).await.unwrap();
    for name in ["t", "k"] {
        let topic = Topic::new(name, &columns);
        let row = |id: i32| {
            let mut values = vec![
                id.into(),
                Value::Boolean(id % 2 == 0),
                Value::Int16(-5),
                Value::Int64(1 << 40),
                Value::Float64(0.1 * f64::from(id)),
                Value::Bytes(vec![0x01, 0xf4 + (id % 9) as u8].into()),
                Value::text("v    "),
                Value::text("c"),
                Value::text("été"),
                Value::Int64(1_700_000_000_123_456),
                Value::Int32(-3),
                Value::Int64(86_399_999_999),
                Value::text("0ff1ce00-0000-4000-8000-00000000000a"),
                Value::text("{\"a\": [1, null]}"),
                Value::text("{\"b\":  2.50}"),
                Value::Bytes(vec![0, 255].into()),
            ];
            let nulls = id as usize % values.len();
            values[1..].iter_mut().take(nulls).for_each(|value| *value = Value::Null);
            topic.upsert(values)
        };
        feed.write((0..200).map(row).collect()).await;
    }
    database.run("DELETE FROM k WHERE id = -1").await;
    let copied = database.rows("t").await;
    assert_eq!(copied.len(), 200);
    assert_eq!(copied, database.rows("k").await);
    feed.stop().await;
}
