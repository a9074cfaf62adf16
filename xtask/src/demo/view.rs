//! What is going on: one line, once a second.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::postgres::connect;
use e2e::rest::Rest;
use tokio_postgres::Client;

use super::load::Load;
use super::{SINK_DB, SINK_PORT, SOURCE_DB, SOURCE_PORT, TABLES};

/// How often the sink is asked how far it is: the precision of the lag.
const PROBE: Duration = Duration::from_millis(5);

pub struct View {
    rest: Rest,
    load: Arc<Load>,
    source: Client,
    sink: Client,
    lags: Arc<Mutex<Vec<Duration>>>,
    probe: tokio::task::JoinHandle<()>,
    last: (Instant, u64),
}

impl View {
    pub async fn open(rest: &Rest, load: Arc<Load>) -> Result<Self> {
        let lags = Arc::new(Mutex::new(vec![]));
        let probe = tokio::spawn(probe(load.clone(), lags.clone()));
        Ok(Self {
            rest: rest.clone(),
            load,
            source: connect(SOURCE_PORT, SOURCE_DB).await?,
            sink: connect(SINK_PORT, SINK_DB).await?,
            lags,
            probe,
            last: (Instant::now(), 0),
        })
    }

    /// Shows a line a second, for ever.
    pub async fn run(&mut self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.line().await;
        }
    }

    pub async fn line(&mut self) {
        let events = self.load.events.load(Ordering::Relaxed);
        let elapsed = self.last.0.elapsed().as_secs_f64().max(0.001);
        let rate = (events - self.last.1) as f64 / elapsed;
        self.last = (Instant::now(), events);
        let (p50, p99) = percentiles(&mut self.lags.lock().expect("nobody panics while holding this"));
        let metrics = self.metrics().await;
        let text = format!(
            "events/s {rate:>6.0} | rows source {} sink {} | lag p50 {p50} p99 {p99} | held {} | dead letters {} | {}",
            count(&self.source).await,
            count(&self.sink).await,
            sum(&metrics, "held_records"),
            sum(&metrics, "deadletterqueue_produce_requests"),
            self.states().await,
        );
        if std::io::stdout().is_terminal() {
            print!("\r\x1b[K{text}");
            let _ = std::io::stdout().flush();
        } else {
            println!("{text}");
        }
    }

    pub async fn dead_letters(&self) -> u64 {
        sum(&self.metrics().await, "deadletterqueue_produce_requests")
    }

    async fn metrics(&self) -> String {
        match self.rest.get("/metrics").await {
            Ok(answer) => answer.body.as_str().unwrap_or_default().to_owned(),
            Err(_) => String::new(),
        }
    }

    async fn states(&self) -> String {
        let Ok(answer) = self.rest.get("/connectors?expand=status").await else {
            return "worker away".to_owned();
        };
        let Some(connectors) = answer.body.as_object() else { return String::new() };
        let states = connectors.iter().map(|(name, connector)| {
            let tasks = connector["status"]["tasks"].as_array().cloned().unwrap_or_default();
            let tasks: Vec<&str> = tasks.iter().filter_map(|task| task["state"].as_str()).collect();
            format!("{name} {}", if tasks.is_empty() { "starting".to_owned() } else { tasks.join("+") })
        });
        states.collect::<Vec<_>>().join(", ")
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.probe.abort();
    }
}

/// Asks the sink which comment came last, and how long ago each was committed at the source.
async fn probe(load: Arc<Load>, lags: Arc<Mutex<Vec<Duration>>>) {
    let Ok(client) = connect(SINK_PORT, SINK_DB).await else { return };
    loop {
        tokio::time::sleep(PROBE).await;
        let Ok(row) = client.query_one("SELECT coalesce(max(id), 0) FROM comments", &[]).await else {
            continue;
        };
        let (newest, now): (i32, _) = (row.get(0), Instant::now());
        let mut committed = load.committed.lock().expect("nobody panics while holding this");
        let mut lags = lags.lock().expect("nobody panics while holding this");
        while committed.front().is_some_and(|(id, _)| *id <= newest) {
            lags.extend(committed.pop_front().map(|(_, at)| now.saturating_duration_since(at)));
        }
    }
}

/// Of what was measured since the last call.
fn percentiles(lags: &mut Vec<Duration>) -> (String, String) {
    let mut lags = std::mem::take(lags);
    lags.sort_unstable();
    let at = |part: usize| match lags.get((lags.len() * part / 100).min(lags.len().saturating_sub(1))) {
        Some(lag) => format!("{} ms", lag.as_millis()),
        None => "-".to_owned(),
    };
    (at(50), at(99))
}

async fn count(client: &Client) -> String {
    let union = TABLES.map(|table| format!("(SELECT count(*) FROM {table})")).join(" + ");
    match client.query_one(&format!("SELECT {union}"), &[]).await {
        Ok(row) => row.get::<_, i64>(0).to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// Sum of all series whose name ends so.
fn sum(metrics: &str, name: &str) -> u64 {
    let series = metrics.lines().filter(|line| !line.starts_with('#'));
    let matching =
        series.filter(|line| line.split(['{', ' ']).next().is_some_and(|series| series.ends_with(name)));
    matching.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}
