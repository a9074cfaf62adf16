//! The server goes down and comes back while the source streams.
#![allow(clippy::unwrap_used)] // helpers of tests are tests too

#[allow(dead_code)] // each test binary uses a part of it
mod support;

use std::time::{Duration, Instant};

use connect::Fate;
use support::{Connectors, Source, cluster};

async fn poll_once(source: &mut Source) {
    let polled = tokio::time::timeout(Duration::from_millis(100), source.poll()).await;
    if let Ok(Err(error)) = polled {
        assert_eq!(error.fate, Fate::Retry, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Polls while the server restarts; what can be tried again is tried again.
async fn poll_through(source: &mut Source, until: usize) {
    let started = Instant::now();
    while source.records.len() < until {
        assert!(started.elapsed() < Duration::from_secs(30), "{} of {until} records", source.records.len());
        poll_once(source).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_the_server_came_back() {
    let session = cluster().database("restarted").await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    let mut source = Source::new(cluster().properties("restarted", "restarted", &[]));
    source.start().await.unwrap();
    session.batch_execute("INSERT INTO t VALUES (1, 1)").await.unwrap();
    poll_through(&mut source, 1).await;
    drop(session);
    for (round, mode) in ["fast", "immediate"].iter().enumerate() {
        let restart = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            assert!(cluster().ctl(&["restart", "-m", mode, "-w"]));
            started.elapsed()
        });
        // The stream must answer a server that waits for it before it goes.
        while !restart.is_finished() {
            poll_once(&mut source).await;
        }
        let took = restart.await.unwrap();
        assert!(took < Duration::from_secs(15), "the server waited {took:?} for the stream");
        let id = round as i32 + 2;
        let session = cluster().session("restarted").await;
        session.batch_execute(&format!("INSERT INTO t VALUES ({id}, {id})")).await.unwrap();
        let back = Instant::now();
        poll_through(&mut source, round + 2).await;
        assert!(back.elapsed() < Duration::from_secs(5), "it took {:?}", back.elapsed());
    }
    assert_eq!(source.records.len(), 3);
    source.stop().await;
}
