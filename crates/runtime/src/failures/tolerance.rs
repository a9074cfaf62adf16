//! What may be done about a failure (spec: connect.md §6.1). Pure.

use std::time::Duration;

use connect::Fate;
use connect::contract::Tolerance;

/// The step in which a record failed, under Connect's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    TaskPut,
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
    KafkaProduce,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskPut => "TASK_PUT",
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::HeaderConverter => "HEADER_CONVERTER",
            Self::KafkaProduce => "KAFKA_PRODUCE",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try the same step again after this time.
    RetryAfter(Duration),
    /// Report the record and go on without it.
    Skip,
    /// Report the record and fail the task.
    Fail,
}

/// First wait between two tries.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(300);

/// Decides about the failure of one record: `attempt` counts from 1, `elapsed` is the time since the first one.
pub fn decide(
    fate: Fate,
    tolerance: Tolerance,
    retry_timeout: Option<Duration>,
    retry_delay_max: Duration,
    attempt: u32,
    elapsed: Duration,
) -> Decision {
    match fate {
        Fate::Retry => {
            let delay = retry_delay(attempt, retry_delay_max);
            if retry_timeout.is_none_or(|timeout| elapsed + delay < timeout) {
                Decision::RetryAfter(delay)
            } else {
                Decision::Fail
            }
        }
        Fate::Reject if tolerance == Tolerance::All => Decision::Skip,
        Fate::Reject | Fate::Halt => Decision::Fail,
    }
}

/// 300 ms, doubled for each attempt, at most `max`.
pub fn retry_delay(attempt: u32, max: Duration) -> Duration {
    RETRY_DELAY_MIN.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_failures_are_tried_for_as_long_as_configured() {
        let decide = |timeout: Option<u64>, attempt, elapsed| {
            let timeout = timeout.map(Duration::from_millis);
            let (max, elapsed) = (Duration::from_secs(60), Duration::from_millis(elapsed));
            decide(Fate::Retry, Tolerance::All, timeout, max, attempt, elapsed)
        };
        assert_eq!(decide(Some(0), 1, 0), Decision::Fail);
        assert_eq!(decide(Some(1_000), 1, 0), Decision::RetryAfter(Duration::from_millis(300)));
        assert_eq!(decide(Some(1_000), 2, 500), Decision::Fail);
        assert_eq!(decide(None, 20, 10_000_000), Decision::RetryAfter(Duration::from_secs(60)));
    }

    #[test]
    fn bad_records_are_skipped_only_where_that_is_wanted() {
        let decide = |fate, tolerance| decide(fate, tolerance, None, Duration::ZERO, 1, Duration::ZERO);
        assert_eq!(decide(Fate::Reject, Tolerance::All), Decision::Skip);
        assert_eq!(decide(Fate::Reject, Tolerance::None), Decision::Fail);
        assert_eq!(decide(Fate::Halt, Tolerance::All), Decision::Fail);
    }
}
