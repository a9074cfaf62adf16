//! Writers that do not stop for anybody, and what they did: a trigger writes every change of a key down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use e2e::postgres::Cluster;
use futures::SinkExt as _;
use tokio::task::JoinSet;
use tokio_postgres::Client;

pub const TABLES: [&str; 2] = ["accounts", "lines"];
const WRITERS: i64 = 3;
/// Between two transactions of a writer: both connectors must be able to follow on two cores.
const PAUSE: Duration = Duration::from_millis(60);

/// `version` is new with every write, so that a change is known by its key and version.
pub const SCHEMA: &str = "
    CREATE SEQUENCE versions;
    CREATE TABLE accounts (id integer PRIMARY KEY, version bigint NOT NULL, note text);
    CREATE TABLE lines (id integer PRIMARY KEY, version bigint NOT NULL, note text);
    ALTER TABLE lines REPLICA IDENTITY FULL;
    CREATE TABLE marker (n integer PRIMARY KEY);
    CREATE TABLE history (seq bigserial PRIMARY KEY, tab text NOT NULL, id integer NOT NULL, change text NOT NULL);
    CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN
        INSERT INTO history (tab, id, change) VALUES (TG_TABLE_NAME, NEW.id, 'c' || NEW.version);
      ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO history (tab, id, change) VALUES (TG_TABLE_NAME, OLD.id, 'd');
      ELSIF OLD.id <> NEW.id THEN
        INSERT INTO history (tab, id, change) VALUES (TG_TABLE_NAME, OLD.id, 'd'), (TG_TABLE_NAME, NEW.id, 'c' || NEW.version);
      ELSE
        INSERT INTO history (tab, id, change) VALUES (TG_TABLE_NAME, NEW.id, 'u' || NEW.version);
      END IF;
      RETURN NULL;
    END $$;
    CREATE TRIGGER remember AFTER INSERT OR UPDATE OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION remember();
    CREATE TRIGGER remember AFTER INSERT OR UPDATE OR DELETE ON lines FOR EACH ROW EXECUTE FUNCTION remember();
    INSERT INTO accounts SELECT n, nextval('versions'), repeat('x', 50) FROM generate_series(1, 40) n;
    INSERT INTO lines SELECT n, nextval('versions'), repeat('x', 50) FROM generate_series(1, 40) n;";

/// Changes of a key in their order, by table and key.
pub type History = BTreeMap<(String, i64), Vec<String>>;

pub async fn history(client: &Client) -> Result<History> {
    let mut history = History::new();
    for row in client.query("SELECT tab, id::bigint, change FROM history ORDER BY seq", &[]).await? {
        history.entry((row.get(0), row.get(1))).or_default().push(row.get(2));
    }
    Ok(history)
}

pub struct Load {
    stop: Arc<AtomicBool>,
    transactions: Arc<AtomicU64>,
    writers: JoinSet<Result<()>>,
}

impl Load {
    pub async fn start(cluster: &Cluster, database: &str) -> Result<Self> {
        let (stop, transactions) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let client = cluster.connect(database).await?;
            let (stop, transactions) = (stop.clone(), transactions.clone());
            writers.spawn(async move {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    write(&client, writer, turn).await?;
                    turn += 1;
                    transactions.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(())
            });
        }
        Ok(Self { stop, transactions, writers })
    }

    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    pub async fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.writers.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Keys of one writer are all of one remainder: writers never wait for each other, and their transactions interleave.
async fn write(client: &Client, writer: i64, turn: i64) -> Result<()> {
    let table = TABLES[(turn % 2) as usize];
    let own = format!("id % {WRITERS} = {writer}");
    let new = 1002 + turn * WRITERS + writer;
    let update = |condition: &str| {
        format!(
            "UPDATE {table} SET version = nextval('versions'), note = note || '.' WHERE {own} AND {condition};"
        )
    };
    let some = format!("id % 7 = {}", turn % 7);
    let sql = match turn % 9 {
        0 | 1 => update(&format!("id < 40 AND {some}")),
        2 => format!(
            "BEGIN; INSERT INTO {table} VALUES ({new}, nextval('versions'), 'n'); {}; SELECT pg_sleep(0.02); {}; COMMIT;",
            update("id < 20"),
            update(&format!("id = {new}"))
        ),
        3 => format!("DELETE FROM {table} WHERE {own} AND id >= 1000 AND {some};"),
        4 => return copy(client, table, 9_999_999 + turn * 300 + writer).await,
        5 => format!(
            "BEGIN; {} SAVEPOINT s; DELETE FROM {table} WHERE {own}; ROLLBACK TO s; {} COMMIT;",
            update("id < 10"),
            update("id < 10")
        ),
        6 => format!(
            "UPDATE {table} SET id = id + 999999999, version = nextval('versions') \
             WHERE id = (SELECT max(id) FROM {table} WHERE {own} AND id BETWEEN 1000 AND 100000);"
        ),
        7 => {
            format!("BEGIN; SELECT pg_logical_emit_message(true, 'load', 'x'); {} COMMIT;", update("id < 6"))
        }
        _ => format!("SELECT pg_logical_emit_message(false, 'load', 'x'); {}", update("id < 9")),
    };
    client.batch_execute(&sql).await?;
    Ok(())
}

/// Many rows in one WAL record: they share their position.
async fn copy(client: &Client, table: &str, first: i64) -> Result<()> {
    let row = client.query_one("SELECT nextval('versions')", &[]).await?;
    let version: i64 = row.get(0);
    // Keys that no other writer ever has.
    let lines: String =
        (0..30).map(|n| format!("{}\t{version}{n:03}\tcopied\n", first + n * WRITERS)).collect();
    let mut sink = std::pin::pin!(client.copy_in::<_, Bytes>(&format!("COPY {table} FROM STDIN")).await?);
    sink.send(Bytes::from(lines)).await?;
    sink.finish().await?;
    Ok(())
}
