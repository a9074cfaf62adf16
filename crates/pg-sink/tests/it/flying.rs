//! Batches that are sent behind one another: what fails takes those behind it along, and order holds.

use std::collections::HashMap;

use connect::Value;
use connect::contract::Tolerance;

use crate::feed::Feed;
use crate::postgres::{Database, cluster};
use crate::rows::{Topic, int};

const KEYS: i32 = 5_000;
const ROWS: i32 = 60_000;
/// Of so many rows one is bad.
const BAD: i32 = 9_001;

/// Each row a new version, over all keys.
fn key(version: i32) -> i32 {
    version.wrapping_mul(7919).rem_euclid(KEYS)
}

async fn run(database: &Database) -> Feed {
    let mut feed = Feed::upserting(&database.url, Tolerance::All).await;
    let topic = Topic::new("t", &[("id", int()), ("v", int())]);
    for first in (0..ROWS).step_by(1_000) {
        let rows =
            (first..first + 1_000).map(|v| topic.upsert(vec![key(v).into(), Value::Int32(v)])).collect();
        feed.put(rows).await.unwrap();
    }
    feed.flush().await.unwrap();
    feed
}

/// The last good version of each key.
async fn check(database: &Database, feed: &Feed) {
    let bad = |v: i32| v % BAD == BAD - 1;
    let expected: HashMap<i32, i32> = (0..ROWS).filter(|v| !bad(*v)).map(|v| (key(v), v)).collect();
    let rows = database.client.query("SELECT id, v FROM t", &[]).await.unwrap();
    let found: HashMap<i32, i32> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(found == expected, "rows differ");
    assert_eq!(feed.rejected.len(), (0..ROWS).filter(|v| bad(*v)).count());
    assert_eq!(feed.committed("t"), Some(i64::from(ROWS)));
}

#[tokio::test]
async fn a_check_fails() {
    let database = cluster().database().await;
    database.run(&format!("CREATE TABLE t(id int PRIMARY KEY, v int CHECK (v % {BAD} <> {BAD} - 1))")).await;
    let feed = run(&database).await;
    check(&database, &feed).await;
}

/// The failure comes with COMMIT, and a trigger notes every version that was committed.
#[tokio::test]
async fn a_deferred_check_fails() {
    let database = cluster().database().await;
    database
        .run(&format!(
            "CREATE TABLE t(id int PRIMARY KEY, v int); CREATE TABLE notes(n serial, id int, v int); \
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO notes(id, v) VALUES (NEW.id, NEW.v); RETURN NULL; END $$; \
             CREATE TRIGGER note AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note(); \
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 RAISE check_violation USING MESSAGE = 'refused'; END $$; \
             CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY DEFERRED \
                 FOR EACH ROW WHEN (NEW.v % {BAD} = {BAD} - 1) EXECUTE FUNCTION refuse()"
        ))
        .await;
    let feed = run(&database).await;
    check(&database, &feed).await;
    let notes = database.client.query("SELECT id, v FROM notes ORDER BY n", &[]).await.unwrap();
    let mut last: HashMap<i32, i32> = HashMap::new();
    for row in &notes {
        let (id, v): (i32, i32) = (row.get(0), row.get(1));
        let before = last.insert(id, v);
        assert!(before.is_none_or(|before| before < v), "key {id}: {v} was committed after {before:?}");
    }
}
