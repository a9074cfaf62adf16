//! How far the server's WAL is ahead: asked now and then, beside the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pg::{Lsn, Session};
use tokio::task::JoinHandle;

const INTERVAL: Duration = Duration::from_secs(5);

/// Follows the end of the server's WAL until it is dropped.
pub struct Lag {
    lsn: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Lag {
    pub fn follow(session: Arc<Session>) -> Self {
        let lsn = Arc::new(AtomicU64::new(0));
        let seen = lsn.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let row = session
                    .query_one(
                        "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() \
                         ELSE pg_current_wal_lsn() END)::text",
                        &[],
                    )
                    .await;
                // The session is gone: whoever needs it for more than a number notices it.
                let Ok(row) = row else { return };
                let text: Option<String> = row.try_get(0).unwrap_or(None);
                if let Some(lsn) = text.and_then(|text| text.parse::<Lsn>().ok()) {
                    seen.store(lsn.0, Ordering::Relaxed);
                }
            }
        });
        Self { lsn, task }
    }

    /// 0 as long as nothing is known.
    pub fn server_lsn(&self) -> u64 {
        self.lsn.load(Ordering::Relaxed)
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.task.abort();
    }
}
