//! Upserts of prepared records through the sink task, beside bare `unnest` upserts of the same rows on the same server.
//!
//! `cargo bench -p pg-sink`; rows by `TIDEGATE_BENCH_ROWS` (300000).

#![allow(clippy::unwrap_used)] // a bench has nobody to tell

#[allow(dead_code)] // the bench uses a part of it
#[path = "../tests/it/feed.rs"]
mod feed;
#[allow(dead_code)]
#[path = "../tests/it/postgres.rs"]
mod postgres;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use connect::contract::Tolerance;
use connect::{Buffer, Schema, SchemaBuilder, Text, Value, logical};
use feed::{Draft, Feed, properties};
use pg::tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use pg::tokio_postgres::{Client, NoTls};
use pg_sink::Flavour;
use postgres::{Cluster, Database};

const COLUMNS: &str = "id bigint PRIMARY KEY, qty int NOT NULL, amount numeric(12,2), ratio double precision, \
     flag boolean, at timestamptz, uid uuid, name varchar(64), note text, doc jsonb";
const NAMES: [&str; 10] = ["id", "qty", "amount", "ratio", "flag", "at", "uid", "name", "note", "doc"];
const TYPES: [&str; 10] =
    ["bigint", "int", "numeric", "float8", "boolean", "timestamptz", "uuid", "varchar", "text", "jsonb"];
/// Scattered over the table, as changes are.
const STEP: usize = 7919;
const PUT: usize = 1000;

fn row_sql(g: &str) -> String {
    format!(
        "{g}, ({g} % 1000)::int, ({g} * 37 % 1000000000)::numeric / 100, {g} / 7.0::float8, {g} % 2 = 0, \
         to_timestamp(1767225600 + {g} / 1000.0), md5({g}::text)::uuid, 'name-' || {g}, \
         md5({g}::text || 'a') || md5({g}::text || 'b') || md5({g}::text || 'c'), \
         ('{{\"k\": ' || {g} || ', \"tag\": \"t' || {g} % 100 || '\", \"ok\": true, \"list\": [1, 2, 3]}}')::jsonb"
    )
}

/// CPU seconds of a process.
fn cpu(pid: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

async fn backend(client: &Client, database: &str) -> String {
    let sql = "SELECT pid::text FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tidegate'";
    client.query_one(sql, &[&database]).await.unwrap().get(0)
}

fn report(what: &str, rows: usize, took: Duration, own: f64, backend: f64) {
    let rate = rows as f64 / took.as_secs_f64();
    let per = |seconds: f64| seconds * 1e6 / rows as f64;
    println!(
        "{what:24} {rate:9.0} rows/s   client {:5.2} µs/row   backend {:5.2} µs/row",
        per(own),
        per(backend)
    );
}

struct Schemas {
    key: Schema,
    row: Schema,
}

fn schemas() -> Schemas {
    let named = |builder: SchemaBuilder, name: &str| builder.name(name).optional().build();
    let row = SchemaBuilder::structure()
        .field("id", SchemaBuilder::int64().build())
        .field("qty", SchemaBuilder::int32().build())
        .field("amount", logical::decimal(2).optional().build())
        .field("ratio", SchemaBuilder::float64().optional().build())
        .field("flag", SchemaBuilder::boolean().optional().build())
        .field("at", named(SchemaBuilder::string(), "io.debezium.time.ZonedTimestamp"))
        .field("uid", named(SchemaBuilder::string(), "io.debezium.data.Uuid"))
        .field("name", SchemaBuilder::string().optional().build())
        .field("note", SchemaBuilder::string().optional().build())
        .field("doc", named(SchemaBuilder::string(), "io.debezium.data.Json"))
        .build();
    Schemas { key: SchemaBuilder::structure().field("id", SchemaBuilder::int64().build()).build(), row }
}

/// The rows as the source's connector sends them, unwrapped.
async fn drafts(client: &Client, rows: usize) -> Vec<Vec<Draft>> {
    let schemas = schemas();
    let topic: Arc<str> = "t".into();
    let sql = "SELECT id, qty + 1, (amount * 100)::bigint, ratio, flag, \
         to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), uid::text, name, note, doc::text FROM t ORDER BY id";
    let found = client.query(sql, &[]).await.unwrap();
    let draft = |at: usize| {
        let row = &found[at * STEP % rows];
        // One buffer for the row's strings, as a decoder has it.
        let texts: Vec<String> = (5..10).map(|column| row.get(column)).collect();
        let buffer = Buffer::from(texts.concat().into_bytes());
        let mut start = 0;
        let mut strings = texts.iter().map(|text| {
            let range = start..start + text.len();
            start = range.end;
            Value::String(Text::slice(&buffer, range).unwrap())
        });
        let cents: i64 = row.get(2);
        let bytes = cents.to_be_bytes();
        let lead = bytes.iter().take(7).take_while(|byte| **byte == 0).count();
        let lead = if lead > 0 && bytes[lead] & 0x80 != 0 { lead - 1 } else { lead };
        let mut values = vec![
            Value::Int64(row.get(0)),
            Value::Int32(row.get(1)),
            Value::Bytes(bytes[lead..].into()),
            Value::Float64(row.get(3)),
            Value::Boolean(row.get(4)),
        ];
        values.extend(strings.by_ref());
        Draft {
            topic: topic.clone(),
            partition: 0,
            key: (Some(schemas.key.clone()), Value::Struct([Value::Int64(row.get(0))].into())),
            value: (Some(schemas.row.clone()), Value::Struct(values.into())),
            headers: vec![],
        }
    };
    (0..rows).step_by(PUT).map(|first| (first..(first + PUT).min(rows)).map(draft).collect()).collect()
}

async fn sink(database: &Database, puts: Vec<Vec<Draft>>, rows: usize, what: &str) {
    let options = properties(&[
        ("connection.url", &*database.url),
        ("connection.user", "postgres"),
        ("topics", "t"),
        ("insert.mode", "upsert"),
        ("pk.mode", "record_key"),
        ("delete.enabled", "true"),
    ]);
    let mut feed = Feed::start(Flavour::Confluent, &options, Tolerance::None).await.unwrap();
    let pid = backend(&database.client, &database.name).await;
    let (own, theirs, started) = (cpu("self"), cpu(&pid), Instant::now());
    for put in puts {
        feed.put(put).await.unwrap();
    }
    feed.flush().await.unwrap();
    report(what, rows, started.elapsed(), cpu("self") - own, cpu(&pid) - theirs);
    assert!(feed.rejected.is_empty());
    feed.stop().await;
}

#[derive(Debug)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The same rows as arrays that are made before the clock starts.
async fn bare(cluster: &Cluster, database: &Database, rows: usize, batch: usize) {
    let config = format!(
        "host=127.0.0.1 port={} user=postgres dbname={} application_name=tidegate",
        cluster.port, database.name
    );
    let (client, connection) = pg::tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    let arrays: Vec<String> =
        NAMES.iter().zip(TYPES).map(|(name, kind)| format!("array_agg({name}::{kind})")).collect();
    let make = format!(
        "SELECT {} FROM (SELECT {} FROM generate_series($1::bigint, $2::bigint) k, LATERAL (SELECT k * {STEP} % {rows} + 1 AS g) s) x({})",
        arrays.join(", "),
        row_sql("g"),
        NAMES.join(", ")
    );
    let mut batches: Vec<Vec<Raw>> = vec![];
    for first in (0..rows).step_by(batch) {
        let last = (first + batch).min(rows) as i64 - 1;
        let row = client.query_one(&make, &[&(first as i64), &last]).await.unwrap();
        batches.push((0..10).map(|at| row.get(at)).collect());
    }
    let params: Vec<String> =
        TYPES.iter().enumerate().map(|(at, kind)| format!("${}::{kind}[]", at + 1)).collect();
    let sets: Vec<String> = NAMES[1..].iter().map(|name| format!("{name} = EXCLUDED.{name}")).collect();
    let upsert = client
        .prepare(&format!(
            "INSERT INTO t({}) SELECT * FROM unnest({}) ON CONFLICT (id) DO UPDATE SET {}",
            NAMES.join(", "),
            params.join(", "),
            sets.join(", ")
        ))
        .await
        .unwrap();
    let pid: String = client.query_one("SELECT pg_backend_pid()::text", &[]).await.unwrap().get(0);
    let (own, theirs, started) = (cpu("self"), cpu(&pid), Instant::now());
    for arrays in &batches {
        client.execute_raw(&upsert, arrays).await.unwrap();
    }
    report(
        &format!("bare, {batch} a statement"),
        rows,
        started.elapsed(),
        cpu("self") - own,
        cpu(&pid) - theirs,
    );
}

async fn fresh(cluster: &Cluster, rows: usize) -> Database {
    let database = cluster.database().await;
    database.run(&format!("CREATE TABLE t({COLUMNS})")).await;
    if rows > 0 {
        database
            .run(&format!("INSERT INTO t SELECT {} FROM generate_series(1::bigint, {rows}) g", row_sql("g")))
            .await;
        database.run("VACUUM (ANALYZE) t").await;
        database.run("CHECKPOINT").await;
    }
    database
}

async fn measure(rows: usize) {
    let cluster =
        Cluster::create(&["shared_buffers = 512MB", "max_wal_size = 8GB", "checkpoint_timeout = 1h"]);
    let source = fresh(&cluster, rows).await;
    for round in 0..2 {
        println!("round {round}, {rows} rows");
        for batch in [1000, 3000] {
            let database = fresh(&cluster, rows).await;
            bare(&cluster, &database, rows, batch).await;
        }
        let database = fresh(&cluster, rows).await;
        sink(&database, drafts(&source.client, rows).await, rows, "sink, rows are there").await;
        let database = fresh(&cluster, 0).await;
        sink(&database, drafts(&source.client, rows).await, rows, "sink, table is empty").await;
    }
}

fn main() {
    let rows =
        std::env::var("TIDEGATE_BENCH_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(300_000);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(measure(rows));
}
