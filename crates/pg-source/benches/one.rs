//! CPU per row of the source alone, on a real PostgreSQL: catch-up of a prepared backlog, and a snapshot.

#[allow(dead_code)] // the bench uses a part of it
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{Connectors, Source, cluster};

const ROWS: usize = 1_000_000;

/// User and system time of this process.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Duration::from_millis(ticks * 10)
}

/// Polls until so many records were seen, and drops them.
async fn drain(source: &mut Source, name: &str, rows: usize) {
    let (started, used) = (Instant::now(), cpu());
    let mut seen = 0;
    while seen < rows {
        let records = source.poll_and_lose().await.expect("a batch");
        seen += records.len();
    }
    let (wall, used) = (started.elapsed(), cpu() - used);
    println!(
        "{name}: {:.0} rows/s, {:.2} µs CPU per row",
        rows as f64 / wall.as_secs_f64(),
        used.as_secs_f64() * 1e6 / rows as f64
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let session = cluster().database("bench").await;
        session
            .batch_execute(
                "CREATE TABLE t (id int PRIMARY KEY, a int, b bigint, c text, d text, e timestamp, f timestamptz, \
                 g numeric(12,2), h boolean, i varchar(40))",
            )
            .await
            .expect("a table");
        let properties = cluster().properties("bench", "bench", &[("snapshot.mode", "no_data")]);
        let mut source = Source::new(properties.clone());
        source.start().await.expect("starts");
        source.stop().await;
        let row = "n, n * 2, n * 1000000000::bigint, 'some text of a row that is long enough ' || n, \
                   repeat('x', 100), timestamp '2024-01-01' + n * interval '1 second', now(), n / 7.0, n % 2 = 0, \
                   'short ' || n";
        session
            .batch_execute(&format!(
                "DO $$ BEGIN FOR i IN 0..{} LOOP INSERT INTO t SELECT {row} FROM generate_series(i * 100 + 1, i * 100 + 100) n; \
                 COMMIT; END LOOP; END $$",
                ROWS / 100 - 1
            ))
            .await
            .expect("a backlog");
        for _ in 0..3 {
            source.start().await.expect("starts");
            drain(&mut source, "stream", ROWS).await;
            source.kill();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for _ in 0..2 {
            let mut properties = properties.clone();
            properties.insert("snapshot.mode".to_owned(), "initial_only".to_owned());
            let mut source = Source::new(properties);
            source.start().await.expect("starts");
            drain(&mut source, "snapshot", ROWS).await;
            source.stop().await;
        }
    });
}
