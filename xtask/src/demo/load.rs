//! Inserts, updates and deletes on the source, in transactions of a few rows.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::postgres::connect;

use super::{SOURCE_DB, SOURCE_PORT};

/// Between two transactions: about 400 a second.
const PAUSE: Duration = Duration::from_micros(2_500);

/// What has been written.
#[derive(Default)]
pub struct Load {
    pub events: AtomicU64,
    /// Ids of comments and when their transaction was committed, oldest first.
    pub committed: Mutex<VecDeque<(i32, Instant)>>,
}

/// Writes until the deadline.
pub async fn write(load: std::sync::Arc<Load>, deadline: Instant) -> Result<()> {
    let client = connect(SOURCE_PORT, SOURCE_DB).await?;
    let mut n: i32 = 0;
    while Instant::now() < deadline {
        n += 1;
        let statements = transaction(n);
        let count = statements.len() as u64;
        let comment = client.simple_query(&format!("BEGIN; {}; COMMIT", statements.join("; "))).await?;
        load.events.fetch_add(count, Ordering::Relaxed);
        let id = comment.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get("comment_id")?.parse().ok(),
            _ => None,
        });
        if let Some(id) = id {
            load.committed.lock().expect("nobody panics while holding this").push_back((id, Instant::now()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The statements of transaction `n`: mostly a comment on something that exists, sometimes a whole family, an update,
/// a delete with everything that hangs on it, or a parent that is deleted and made again.
fn transaction(n: i32) -> Vec<String> {
    let comment = "INSERT INTO comments (post_id, user_id, body, score) SELECT p.id, p.user_id, 'comment at ' || \
                   clock_timestamp(), random() * 100 FROM posts p ORDER BY p.id DESC LIMIT 1 RETURNING id AS comment_id";
    match n % 10 {
        0 | 5 => vec![
            format!("INSERT INTO users (name, email) VALUES ('new {n}', 'new{n}@example.org')"),
            "INSERT INTO posts (user_id, title, price) SELECT max(id), 'by somebody new', 1.25 FROM users"
                .to_owned(),
            comment.to_owned(),
        ],
        1 => vec![format!(
            "UPDATE users SET name = 'renamed {n}', updated_at = clock_timestamp(), profile = '{{\"n\": {n}}}' \
             WHERE id = (SELECT min(id) + {} FROM users)",
            n % 500
        )],
        2 => vec![format!(
            "UPDATE posts SET price = {n} / 3.0, body = repeat('x', {}), updated_at = clock_timestamp() \
             WHERE id = (SELECT max(id) - {} FROM posts)",
            n % 3000,
            n % 300
        )],
        3 => vec!["DELETE FROM comments WHERE id = (SELECT min(id) FROM comments)".to_owned()],
        7 if n % 50 == 7 => vec!["DELETE FROM users WHERE id = (SELECT min(id) FROM users)".to_owned()],
        8 if n % 50 == 8 => vec![
            "CREATE TEMP TABLE again ON COMMIT DROP AS SELECT * FROM users ORDER BY id LIMIT 1".to_owned(),
            "DELETE FROM users WHERE id = (SELECT id FROM again)".to_owned(),
            "INSERT INTO users SELECT * FROM again".to_owned(),
        ],
        _ => vec![comment.to_owned()],
    }
}
