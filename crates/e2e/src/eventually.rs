//! Waiting for events instead of sleeping.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` finds something, or the time is over; `what` names it then.
///
/// # Errors
/// The time is over, with the last reason why nothing was found.
pub async fn eventually<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> F,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    let mut last;
    loop {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => last = None,
            Err(error) => last = Some(error),
        }
        if Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    match last {
        Some(error) => bail!("{what} did not happen within {timeout:?}: {error:#}"),
        None => bail!("{what} did not happen within {timeout:?}"),
    }
}
