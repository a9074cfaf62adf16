//! All types that the source can send, in all its handling modes, from one table to one with the same definition:
//! rows end equal, written as text by the server.
//!
//! Each case is a source and a sink connector of its own; they read one table and write databases of their own, all on
//! one worker. What a mode loses by its nature is compared as what is left of it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::eventually::eventually;
use e2e::postgres::{PASSWORD, USER};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::setup::{Kind, Parts, Rig, bootstrap, on_both_brokers};

on_both_brokers!(every_type_in_every_mode);

const EQUAL_WITHIN: Duration = Duration::from_secs(120);

const TYPES: &str = "
    CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS ltree;
    CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE DOMAIN price AS numeric(8, 2);
    CREATE DOMAIN feeling AS mood;";

/// A column: name, type, and a value for each of the rows 1 to 3 (ordinary, extreme, small).
type Column = (&'static str, &'static str, [&'static str; 3]);

const COLUMNS: &[Column] = &[
    ("c_int2", "smallint", ["1", "-32768", "32767"]),
    ("c_int4", "int", ["70000", "-2147483648", "2147483647"]),
    ("c_int8", "bigint", ["5000000000", "-9223372036854775808", "9223372036854775807"]),
    ("c_oid", "oid", ["17", "4294967295", "0"]),
    ("c_float4", "real", ["1.5", "'-Infinity'", "1.17549435e-38"]),
    ("c_float8", "double precision", ["0.1", "'NaN'", "-1.7976931348623157e308"]),
    ("c_numeric", "numeric(20, 4)", ["12345.6789", "-99999999999.9999", "0.0001"]),
    ("c_numeric_any", "numeric", ["3.140", "12345678901234567890.123456789012345678", "1e-20"]),
    ("c_money", "money", ["12.34", "-0.05", "-922337203685.07"]),
    ("c_bool", "boolean", ["true", "false", "true"]),
    ("c_char", "char(6)", ["'ab'", "'äöüß'", "''"]),
    ("c_varchar", "varchar(20)", ["'hello'", "'ü \" \\ '''", "''"]),
    ("c_text", "text", ["'plain'", "E'line\\nbreak\\ttab \\u2603 \\U0001F600'", "''"]),
    ("c_name", "name", ["'a_name'", "'x'", "''"]),
    ("c_citext", "citext", ["'MiXed'", "'É'", "''"]),
    ("c_bytea", "bytea", ["'\\x0102ff'", "'\\x00'", "''"]),
    ("c_bit1", "bit", ["B'1'", "B'0'", "B'1'"]),
    ("c_bit", "bit(11)", ["B'10000000011'", "B'00000000000'", "B'11111111111'"]),
    ("c_varbit", "varbit(12)", ["B'101'", "B''", "B'000000000001'"]),
    ("c_date", "date", ["'2024-02-29'", "'0044-03-15 BC'", "'infinity'"]),
    ("c_time", "time", ["'12:34:56.789012'", "'24:00:00'", "'00:00:00'"]),
    ("c_time3", "time(3)", ["'12:34:56.789'", "'23:59:59.999'", "'00:00:00.001'"]),
    ("c_timetz", "timetz", ["'12:34:56.789012+00'", "'23:59:59+00'", "'00:00:00+00'"]),
    ("c_ts", "timestamp", ["'2024-02-29 12:34:56.789012'", "'0001-01-01 00:00:00.000001'", "'infinity'"]),
    ("c_ts3", "timestamp(3)", ["'2024-02-29 12:34:56.789'", "'1582-10-14 23:59:59.999'", "'1970-01-01'"]),
    ("c_ts0", "timestamp(0)", ["'2024-02-29 12:34:56'", "'1969-12-31 23:59:59'", "'9999-12-31 23:59:59'"]),
    (
        "c_tstz",
        "timestamptz",
        ["'2024-02-29 12:34:56.789012+05:30'", "'0044-03-15 10:00:00+00 BC'", "'-infinity'"],
    ),
    ("c_interval", "interval", ["'3 days 04:05:06.789'", "'-01:00:00.000001'", "'00:00:00'"]),
    (
        "c_interval_months",
        "interval",
        ["'1 year 2 mons 3 days 04:05:06.789'", "'-1 mons +2 days -00:00:01'", "'0'"],
    ),
    (
        "c_uuid",
        "uuid",
        [
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
    ),
    ("c_json", "json", ["'{\"b\": 1,  \"a\": [1, null]}'", "'null'", "'\"x\"'"]),
    ("c_jsonb", "jsonb", ["'{\"b\": 1, \"a\": 1.50}'", "'null'", "'[]'"]),
    ("c_xml", "xml", ["'<a b=\"1\">x</a>'", "'<e/>'", "'<x>&lt;</x>'"]),
    ("c_inet", "inet", ["'10.1.2.3/8'", "'::1'", "'0.0.0.0/0'"]),
    ("c_cidr", "cidr", ["'10.1.0.0/16'", "'2001:db8::/32'", "'0.0.0.0/0'"]),
    ("c_macaddr", "macaddr", ["'08:00:2b:01:02:03'", "'ff:ff:ff:ff:ff:ff'", "'00:00:00:00:00:00'"]),
    (
        "c_macaddr8",
        "macaddr8",
        ["'08:00:2b:01:02:03:04:05'", "'ff:ff:ff:ff:ff:ff:ff:ff'", "'00:00:00:00:00:00:00:00'"],
    ),
    ("c_point", "point", ["'(1.5,-2)'", "'(1e300,1e-300)'", "'(0,0)'"]),
    ("c_int4range", "int4range", ["'[1,5)'", "'empty'", "'(,)'"]),
    ("c_int8range", "int8range", ["'[1,5000000000)'", "'empty'", "'[7,)'"]),
    ("c_numrange", "numrange", ["'(1.5,2.50]'", "'empty'", "'[0,0]'"]),
    ("c_tsrange", "tsrange", ["'[2024-01-01,2024-01-02 03:04:05.678901)'", "'empty'", "'(,infinity]'"]),
    ("c_tstzrange", "tstzrange", ["'[2024-01-01 00:00+02,2024-01-02 00:00+00)'", "'empty'", "'(,)'"]),
    ("c_daterange", "daterange", ["'[2024-01-01,2024-02-01)'", "'empty'", "'[2024-01-01,)'"]),
    ("c_tsvector", "tsvector", ["'''fat'':2A ''cat'':3'", "'''it''''s'''", "''"]),
    ("c_ltree", "ltree", ["'Top.Science.Astronomy'", "'a'", "''"]),
    ("c_hstore", "hstore", ["'a=>1, \"b c\"=>\"d\\\"e\", n=>NULL'", "'\"ä\"=>\"\"'", "''"]),
    ("c_enum", "mood", ["'so so'", "'sad'", "'happy'"]),
    ("c_positive", "positive", ["1", "2147483647", "2"]),
    ("c_price", "price", ["12.30", "-999999.99", "0.00"]),
    ("c_feeling", "feeling", ["'happy'", "'so so'", "'sad'"]),
    ("a_int2", "smallint[]", ["'{1,2}'", "'{}'", "'{NULL}'"]),
    ("a_int4", "int[]", ["'{1,NULL,3}'", "'{}'", "'{-2147483648}'"]),
    ("a_int8", "bigint[]", ["'{1,5000000000}'", "'{}'", "'{NULL}'"]),
    ("a_text", "text[]", ["'{a,\"b c\",NULL,\"q\\\"x\\\\\",\"NULL\"}'", "'{}'", "'{\"\"}'"]),
    ("a_varchar", "varchar(5)[]", ["'{a,b}'", "'{}'", "'{NULL}'"]),
    ("a_char", "char(3)[]", ["'{a,bc}'", "'{}'", "'{NULL}'"]),
    ("a_bool", "boolean[]", ["'{t,f,NULL}'", "'{}'", "'{t}'"]),
    ("a_float4", "real[]", ["'{1.5,NaN}'", "'{}'", "'{NULL}'"]),
    ("a_float8", "double precision[]", ["'{0.1,-Infinity}'", "'{}'", "'{NULL}'"]),
    ("a_numeric", "numeric(10, 2)[]", ["'{1.50,-2.25,NULL}'", "'{}'", "'{0.00}'"]),
    ("a_numeric_any", "numeric[]", ["'{1.5,22.250}'", "'{}'", "'{NULL}'"]),
    ("a_uuid", "uuid[]", ["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", "'{}'", "'{NULL}'"]),
    ("a_date", "date[]", ["'{2024-02-29,NULL}'", "'{}'", "'{0044-03-15 BC}'"]),
    ("a_time", "time[]", ["'{12:34:56.789012}'", "'{}'", "'{NULL}'"]),
    (
        "a_ts",
        "timestamp[]",
        ["'{\"2024-02-29 12:34:56.789012\",NULL}'", "'{}'", "'{\"1969-12-31 23:59:59\"}'"],
    ),
    ("a_tstz", "timestamptz[]", ["'{\"2024-02-29 12:34:56.789012+05:30\"}'", "'{}'", "'{NULL}'"]),
    ("a_inet", "inet[]", ["'{10.1.2.3,::1}'", "'{}'", "'{NULL}'"]),
    ("a_jsonb", "jsonb[]", ["ARRAY['{\"a\": 1}', 'null']::jsonb[]", "'{}'", "'{NULL}'"]),
    ("a_json", "json[]", ["ARRAY['{\"a\":  1}']::json[]", "'{}'", "'{NULL}'"]),
    ("a_enum", "mood[]", ["'{happy,\"so so\"}'", "'{}'", "'{NULL}'"]),
    ("a_bytea", "bytea[]", ["ARRAY['\\x0102'::bytea, NULL]", "'{}'", "'{NULL}'"]),
    ("a_macaddr", "macaddr[]", ["'{08:00:2b:01:02:03}'", "'{}'", "'{NULL}'"]),
    ("a_int4range", "int4range[]", ["'{\"[1,5)\",empty}'", "'{}'", "'{NULL}'"]),
];

/// Columns whose values lie outside of their rows, and a large value for each.
const LARGE: &[(&str, &str, &str)] = &[
    ("big_text", "text", "repeat('big', 4000)"),
    ("big_varchar", "varchar", "repeat('big', 4000)"),
    ("big_json", "json", "to_json(repeat('big', 4000))"),
    ("big_jsonb", "jsonb", "to_jsonb(repeat('big', 4000))"),
    ("big_xml", "xml", "('<a>' || repeat('big', 4000) || '</a>')::xml"),
    ("big_bytea", "bytea", "decode(repeat('0102ff', 4000), 'hex')"),
    ("big_texts", "text[]", "array_fill('big'::text, ARRAY[2000])"),
    ("big_ints", "int[]", "array_fill(7, ARRAY[2000])"),
    ("big_longs", "bigint[]", "array_fill(7::bigint, ARRAY[2000])"),
    ("big_uuids", "uuid[]", "array_fill('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, ARRAY[400])"),
    ("big_dates", "date[]", "array_fill('2024-02-29'::date, ARRAY[2000])"),
    ("big_hstore", "hstore", "hstore('k', repeat('big', 4000))"),
];

struct Case {
    name: &'static str,
    /// Options of the source.
    source: &'static [(&'static str, &'static str)],
    form: Form,
    sink: Sink,
    left: Left,
}

#[derive(Clone, Copy)]
enum Form {
    JsonWithSchemas,
    Avro,
}

/// What the sink reads.
#[derive(Clone, Copy)]
enum Sink {
    ConfluentUnwrapped,
    DebeziumEnvelope,
}

/// A duration in microseconds has no months.
/// What a case compares: a column, and what is left of its values as an expression over `{}`.
type Left = &'static [(&'static str, &'static str)];

/// A duration in microseconds has no months and no days: a month is 30.4375 days.
const SPAN: &str = "make_interval(secs => ((extract(year FROM {}) * 12 + extract(month FROM {})) * 30.4375
    + extract(day FROM {})) * 86400 + extract(hour FROM {}) * 3600 + extract(minute FROM {}) * 60
    + extract(second FROM {}))";
/// A number without a scale travels without zeros at its end, but for `decimal.handling.mode=string`.
const SHORT: (&str, &str) = ("c_numeric_any", "trim_scale({})");
const SHORT_ITEMS: (&str, &str) =
    ("a_numeric_any", "CASE WHEN {} IS NOT NULL THEN ARRAY(SELECT trim_scale(n) FROM unnest({}) n) END");
/// What the source has no placeholder for goes out as null when an update does not touch it: rows 1 and 4.
const NOT_SENT: &str = "CASE WHEN id NOT IN (1, 4) THEN {} END";
/// Nanoseconds since 1970 in 64 bits end here.
const NANOS: &str = "CASE WHEN {} = 'infinity' OR {} BETWEEN '1677-09-22' AND '2262-04-11' THEN {} END";

/// In all modes: bits travel as a number, so zeros in front are those of the column's limit.
const LEFT: Left = &[("c_varbit", "CASE WHEN {} = '' THEN '' ELSE lpad({}::text, 12, '0') END")];

const CASES: &[Case] = &[
    Case {
        name: "adaptive",
        source: &[],
        form: Form::JsonWithSchemas,
        sink: Sink::ConfluentUnwrapped,
        left: &[SHORT, SHORT_ITEMS, ("c_interval", SPAN), ("c_interval_months", SPAN)],
    },
    Case {
        name: "time_micros",
        source: &[
            ("time.precision.mode", "adaptive_time_microseconds"),
            ("decimal.handling.mode", "string"),
            ("hstore.handling.mode", "map"),
            ("interval.handling.mode", "string"),
        ],
        form: Form::Avro,
        sink: Sink::ConfluentUnwrapped,
        left: &[],
    },
    Case {
        name: "iso",
        source: &[("time.precision.mode", "isostring"), ("interval.handling.mode", "string")],
        form: Form::Avro,
        sink: Sink::DebeziumEnvelope,
        left: &[
            ("big_dates", NOT_SENT),
            SHORT,
            SHORT_ITEMS,
            ("c_time", "CASE WHEN {} = '24:00' THEN '00:00' ELSE {} END"),
        ],
    },
    Case {
        name: "micros",
        source: &[
            ("time.precision.mode", "microseconds"),
            ("decimal.handling.mode", "string"),
            ("hstore.handling.mode", "json"),
        ],
        form: Form::JsonWithSchemas,
        sink: Sink::DebeziumEnvelope,
        left: &[("c_interval", SPAN), ("c_interval_months", SPAN)],
    },
    Case {
        name: "nanos",
        source: &[("time.precision.mode", "nanoseconds"), ("interval.handling.mode", "string")],
        form: Form::Avro,
        sink: Sink::ConfluentUnwrapped,
        left: &[SHORT, SHORT_ITEMS, ("c_ts", NANOS), ("c_ts3", NANOS), ("c_ts0", NANOS)],
    },
    Case {
        name: "connect",
        source: &[
            ("time.precision.mode", "connect"),
            ("decimal.handling.mode", "double"),
            ("interval.handling.mode", "string"),
        ],
        form: Form::Avro,
        sink: Sink::ConfluentUnwrapped,
        left: &[
            ("c_numeric_any", "{}::float8::text::numeric"),
            SHORT_ITEMS,
            (
                "c_time",
                "CASE WHEN {} = '24:00' THEN {} ELSE date_trunc('milliseconds', {}::interval)::time END",
            ),
            ("c_ts", "date_trunc('milliseconds', {})"),
            ("a_time", "{}::time(3)[]"),
            ("a_ts", "{}::timestamp(3)[]"),
        ],
    },
    Case {
        name: "hex",
        source: &[("binary.handling.mode", "hex"), ("interval.handling.mode", "string")],
        form: Form::JsonWithSchemas,
        sink: Sink::ConfluentUnwrapped,
        left: &[SHORT, SHORT_ITEMS],
    },
    Case {
        name: "base64",
        source: &[("binary.handling.mode", "base64"), ("interval.handling.mode", "string")],
        form: Form::Avro,
        sink: Sink::DebeziumEnvelope,
        left: &[("big_bytea", NOT_SENT), SHORT, SHORT_ITEMS],
    },
];

async fn every_type_in_every_mode(kind: Kind) -> Result<()> {
    let parts = Parts { bootstrap: bootstrap(kind).await?, ..Parts::default() };
    let rig = Rig::without_tables("matrix", parts).await?;
    rig.source.batch_execute(TYPES).await?;
    rig.source.batch_execute(&table()).await?;
    // Rows of the snapshot.
    for row in 1..=4 {
        rig.source.batch_execute(&insert(row, row)).await?;
    }
    let results = join_all(CASES.iter().map(|case| start(&rig, case))).await;
    let sinks = results.into_iter().collect::<Result<Vec<Client>>>()?;
    wait_for_rows(&rig, &sinks, 4).await?;
    // Rows of the stream: new ones, one that changes in every column, one whose large value is not sent.
    for row in 1..=4 {
        rig.source.batch_execute(&insert(row + 4, row)).await?;
    }
    let columns: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
    let columns = columns.join(", ");
    let change = format!(
        "UPDATE m SET ({columns}) = (SELECT {columns} FROM m WHERE id = 2) WHERE id = 4;
         UPDATE m SET c_int2 = 7 WHERE id = 1;
         INSERT INTO m (id) VALUES (100)"
    );
    rig.source.batch_execute(&change).await?;
    wait_for_rows(&rig, &sinks, 9).await?;
    let mut differences = vec![];
    for (case, sink) in CASES.iter().zip(&sinks) {
        differences.extend(compare(&rig.source, sink, case).await?);
    }
    if !differences.is_empty() {
        bail!("{} differences:\n{}", differences.len(), differences.join("\n"));
    }
    rig.nothing_was_rejected().await
}

fn table() -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
    // A value that is stored outside of its row is not sent with an update of another column.
    let large: Vec<String> = LARGE.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
    let stored: Vec<String> =
        LARGE.iter().map(|(name, ..)| format!("ALTER TABLE m ALTER {name} SET STORAGE EXTERNAL")).collect();
    format!(
        "CREATE TABLE m (id int PRIMARY KEY, {}, {}); {}",
        large.join(", "),
        columns.join(", "),
        stored.join("; ")
    )
}

/// A row of one of the three kinds; the fourth is nulls.
fn insert(id: i32, kind: i32) -> String {
    let value = |column: &Column| match usize::try_from(kind - 1).ok().and_then(|at| column.2.get(at)) {
        Some(value) => (*value).to_owned(),
        None => "NULL".to_owned(),
    };
    let values: Vec<String> = COLUMNS.iter().map(value).collect();
    let large: Vec<&str> = LARGE.iter().map(|(.., value)| *value).collect();
    format!("INSERT INTO m VALUES ({id}, {}, {})", large.join(", "), values.join(", "))
}

/// Makes both connectors, and the table at the target.
async fn start(rig: &Rig, case: &Case) -> Result<Client> {
    let database = format!("sink_{}", case.name);
    rig.cluster.database(&database, "").await?;
    let sink = rig.cluster.connect(&database).await?;
    sink.batch_execute(TYPES).await?;
    sink.batch_execute(&table()).await?;
    let converter = match case.form {
        Form::JsonWithSchemas => json!({"class": "org.apache.kafka.connect.json.JsonConverter"}),
        Form::Avro => json!({"class": "io.confluent.connect.avro.AvroConverter"}),
    };
    let mut common = json!({"connection.url": null});
    for part in ["key", "value"] {
        common[format!("{part}.converter")] = converter["class"].clone();
        common[format!("{part}.converter.schema.registry.url")] = json!(rig.worker.registry);
    }
    let prefix = format!("{}-{}", rig.name, case.name);
    let mut source = json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": rig.cluster.port.to_string(),
        "database.user": USER,
        "database.password": PASSWORD,
        "database.dbname": "source_db",
        "topic.prefix": prefix,
        "table.include.list": "public.m",
        "slot.name": format!("m_{}", case.name),
        "publication.name": format!("m_{}", case.name),
        "publication.autocreate.mode": "filtered",
    });
    for (key, value) in case.source {
        source[*key] = json!(value);
    }
    let url = format!("jdbc:postgresql://127.0.0.1:{}/{database}", rig.cluster.port);
    let mut target = json!({"topics": format!("{prefix}.public.m"), "connection.url": url,
        "connection.password": PASSWORD, "insert.mode": "upsert", "delete.enabled": "true"});
    let own = match case.sink {
        Sink::ConfluentUnwrapped => json!({
            "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
            "connection.user": USER,
            "table.name.format": "m",
            "pk.mode": "record_key",
            "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.unwrap.delete.tombstone.handling.mode": "tombstone",
        }),
        Sink::DebeziumEnvelope => json!({
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "connection.username": USER,
            "collection.name.format": "m",
            "primary.key.mode": "record_key",
        }),
    };
    merge(&mut target, own);
    let binary = case.source.iter().find(|(key, _)| *key == "binary.handling.mode");
    if let Some((key, mode)) = binary {
        target[*key] = json!(mode);
    }
    for (config, name) in [(&mut source, "source"), (&mut target, "sink")] {
        for (key, value) in common.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            config[key] = value.clone();
        }
        let connector = json!({"name": format!("{prefix}-{name}"), "config": config});
        rig.worker.rest.create(&connector).await.with_context(|| case.name)?;
    }
    Ok(sink)
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

async fn wait_for_rows(rig: &Rig, sinks: &[Client], count: i64) -> Result<()> {
    for (case, sink) in CASES.iter().zip(sinks) {
        let arrived = eventually(&format!("{} has {count} rows", case.name), EQUAL_WITHIN, || async {
            let done = if count == 9 { "EXISTS (SELECT FROM m WHERE id = 100)" } else { "true" };
            let row = sink.query_one(&format!("SELECT count(*) FROM m WHERE {done}"), &[]).await?;
            let found: i64 = row.get(0);
            let prefix = format!("{}-{}", rig.name, case.name);
            for name in ["source", "sink"] {
                let (_, tasks) = rig.worker.rest.states(&format!("{prefix}-{name}")).await?;
                if tasks.iter().any(|state| state == "FAILED") {
                    let status = rig.worker.rest.get(&format!("/connectors/{prefix}-{name}/status")).await?;
                    return Ok(Some(Err(format!("{}: {}", case.name, status.body["tasks"][0]["trace"]))));
                }
            }
            Ok((found == count).then_some(Ok(())))
        })
        .await;
        match arrived {
            Ok(Ok(())) => {}
            Ok(Err(trace)) => bail!("{trace}"),
            Err(error) => bail!("{error:#}\n{}", rig.worker.log_text()),
        }
    }
    Ok(())
}

/// Every value of every row, as text.
async fn compare(source: &Client, sink: &Client, case: &Case) -> Result<Vec<String>> {
    let mut differences = vec![];
    let all = COLUMNS
        .iter()
        .map(|(name, kind, _)| (*name, *kind))
        .chain(LARGE.iter().map(|(name, kind, _)| (*name, *kind)));
    for (name, kind) in all {
        let rule = case.left.iter().chain(LEFT).find(|(part, _)| *part == name || *part == kind);
        let expression = rule.map_or(name.to_owned(), |(_, rule)| rule.replace("{}", name));
        let sql = |expression: &str| format!("SELECT id, ({expression})::text FROM m ORDER BY id");
        let wanted = source.query(&sql(&expression), &[]).await.with_context(|| expression.clone())?;
        let found = sink.query(&sql(name), &[]).await?;
        ensure!(wanted.len() == found.len(), "{}: {} rows", case.name, found.len());
        for (wanted, found) in wanted.iter().zip(&found) {
            let text = |row: &tokio_postgres::Row| {
                row.get::<_, Option<String>>(1).map(|mut text| {
                    text.truncate(text.char_indices().nth(200).map_or(text.len(), |(at, _)| at));
                    text
                })
            };
            let id: i32 = wanted.get(0);
            if wanted.get::<_, Option<String>>(1) != found.get::<_, Option<String>>(1) {
                differences.push(format!(
                    "{} {name} ({kind}) row {id}: {:?} became {:?}",
                    case.name,
                    text(wanted),
                    text(found)
                ));
            }
        }
    }
    Ok(differences)
}
