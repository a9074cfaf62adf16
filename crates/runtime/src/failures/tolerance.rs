//! What may be done about a failure (spec: connect.md §6.1). Pure.

use std::time::Duration;

use connect::Fate;
use connect::contract::Tolerance;

use crate::connector_settings::ErrorSettings;

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

/// Decides about the failure of one record: `attempt` counts from 1, `elapsed` is the time since the first one, `random`
/// any number.
///
/// A transient failure that lasts is skipped like any other where somebody said how long it may last. Without that (a
/// time of 0) it is no property of the record: the task fails, and is started again.
pub fn decide(
    fate: Fate,
    stage: Stage,
    settings: &ErrorSettings,
    attempt: u32,
    elapsed: Duration,
    random: u64,
) -> Decision {
    let tolerance = if stage == Stage::TaskPut { settings.put_tolerance() } else { settings.tolerance };
    match fate {
        Fate::Retry => {
            let delay = retry_delay(attempt, settings.retry_delay_max, random);
            match settings.retry_timeout {
                None => Decision::RetryAfter(delay),
                // The last try is made when the time is over, not before.
                Some(timeout) if elapsed < timeout => Decision::RetryAfter(delay.min(timeout - elapsed)),
                Some(timeout) if tolerance == Tolerance::All && !timeout.is_zero() => Decision::Skip,
                Some(_) => Decision::Fail,
            }
        }
        Fate::Reject if tolerance == Tolerance::All => Decision::Skip,
        Fate::Reject | Fate::Halt => Decision::Fail,
    }
}

/// 300 ms, doubled for each attempt; beyond `max` anything below it, so that tasks that failed together do not come
/// back together.
pub fn retry_delay(attempt: u32, max: Duration, random: u64) -> Duration {
    let delay = RETRY_DELAY_MIN.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    if delay <= max {
        return delay;
    }
    let max_ms = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.checked_rem(max_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::settings::Properties;

    fn settings(options: &[(&str, &str)]) -> ErrorSettings {
        let properties: Properties =
            options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ErrorSettings::new(&properties)
    }

    #[test]
    fn transient_failures_are_tried_for_as_long_as_configured() {
        let decide = |timeout: &str, tolerance: &str, attempt, elapsed| {
            let settings = settings(&[("errors.retry.timeout", timeout), ("errors.tolerance", tolerance)]);
            decide(Fate::Retry, Stage::ValueConverter, &settings, attempt, Duration::from_millis(elapsed), 7)
        };
        let after = |millis| Decision::RetryAfter(Duration::from_millis(millis));
        assert_eq!(decide("0", "all", 1, 0), Decision::Fail);
        assert_eq!(decide("1000", "all", 1, 0), after(300));
        assert_eq!(decide("1000", "all", 2, 500), after(500));
        assert_eq!(decide("1000", "all", 3, 1000), Decision::Skip);
        assert_eq!(decide("1000", "none", 3, 1000), Decision::Fail);
        assert_eq!(decide("-1", "all", 8, 10_000_000), after(38_400));
        assert_eq!(decide("-1", "none", 20, 10_000_000), after(7));
    }

    #[test]
    fn delays_double_and_are_scattered_beyond_the_longest() {
        let delay =
            |attempt, max, random| retry_delay(attempt, Duration::from_millis(max), random).as_millis();
        assert_eq!([1, 2, 3, 4].map(|attempt| delay(attempt, 1_200, 5)), [300, 600, 1_200, 5]);
        assert_eq!(delay(u32::MAX, 1_000, 123_456), 456);
        assert_eq!(delay(1, 0, 99), 0);
    }

    #[test]
    fn bad_records_are_skipped_only_where_that_is_wanted() {
        let decide = |fate, stage, options: &[(&str, &str)]| {
            decide(fate, stage, &settings(options), 1, Duration::ZERO, 0)
        };
        let all = ("errors.tolerance", "all");
        assert_eq!(decide(Fate::Reject, Stage::ValueConverter, &[all]), Decision::Skip);
        assert_eq!(decide(Fate::Reject, Stage::ValueConverter, &[]), Decision::Fail);
        assert_eq!(decide(Fate::Halt, Stage::Transformation, &[all]), Decision::Fail);
    }

    /// A sink that has nowhere to report a record to fails with it, as there is no reporter in Connect either.
    #[test]
    fn what_a_sink_refuses_is_skipped_only_where_it_is_reported() {
        let decide = |options: &[(&str, &str)]| {
            decide(Fate::Reject, Stage::TaskPut, &settings(options), 1, Duration::ZERO, 0)
        };
        let all = ("errors.tolerance", "all");
        assert_eq!(decide(&[all]), Decision::Fail);
        assert_eq!(decide(&[all, ("errors.log.enable", "true")]), Decision::Skip);
        assert_eq!(decide(&[all, ("errors.deadletterqueue.topic.name", "q")]), Decision::Skip);
        assert_eq!(decide(&[("errors.deadletterqueue.topic.name", "q")]), Decision::Fail);
    }
}
