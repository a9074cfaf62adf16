//! The writing loop's second half: when held changes are tried again, and when they have waited too long.

use std::time::{Duration, Instant};

use connect::Record;
use connect::contract::{Rejected, Tolerance};

use crate::batch::Batch;
use crate::engine::{End, Engine, Stop};
use crate::held_rows;
use crate::prepare::{PlanKey, Planned};
use crate::verdict::Failure;
use crate::write::{Outcome, Writer};

/// How often held changes are looked at when nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// How often the time of held changes is counted.
const AGE_TICK: Duration = Duration::from_millis(500);
/// Held changes are tried again for at most this part of the time.
const RETRY_SHARE: u32 = 10;
/// When held changes are due.
pub struct RetryClock {
    last: Instant,
    took: Duration,
    pub ticked: Instant,
    /// Something was written since, which may be what they wait for.
    pub helped: bool,
}

impl RetryClock {
    pub fn new() -> Self {
        let now = Instant::now();
        Self { last: now, took: Duration::ZERO, ticked: now, helped: false }
    }
}

impl Engine {
    /// New plans for what is held, after a table has changed.
    pub(crate) async fn replan_held(&mut self) -> Result<(), End> {
        let records: Vec<Record> = self.hold.changes().map(|(_, _, held)| held.record.clone()).collect();
        let mut plans: Vec<(PlanKey, Planned)> = vec![];
        for record in &records {
            let key = PlanKey {
                topic: record.topic.clone(),
                key: record.key_schema.clone(),
                value: record.value_schema.clone(),
                route: None,
            };
            if plans.iter().all(|(known, _)| *known != key) {
                let planned = self.plan(&key, record).await?;
                plans.push((key, planned));
            }
        }
        self.hold.replan(|record| {
            plans.iter().find_map(|(key, planned)| match planned {
                Planned::Ready(plan)
                    if key.topic == record.topic
                        && key.key == record.key_schema
                        && key.value == record.value_schema =>
                {
                    Some(plan.clone())
                }
                _ => None,
            })
        });
        Ok(())
    }

    /// Tells the runtime what is held, and which partitions hold more than there is memory for.
    pub(crate) fn publish_hold(&mut self) {
        let mut state = self.shared.state.lock();
        state.held = self.hold.oldest().map(|(partition, oldest)| (partition.clone(), oldest)).collect();
        let was_full = !state.full.is_empty();
        let limit = self.settings.hold_bytes_max;
        // Reading goes on when a quarter of the memory is free again.
        let full = self.hold.bytes() > if was_full { limit / 4 * 3 } else { limit };
        state.full = if full { self.hold.to_pause(limit) } else { vec![] };
        drop(state);
        self.metrics.held(self.hold.count(), self.hold.bytes());
    }

    pub(crate) fn until_due(&self) -> Duration {
        let since = self.retry.last.elapsed();
        let share = self.retry.took * (RETRY_SHARE - 1);
        let due = if self.retry.helped { share.min(TICK) } else { TICK };
        due.saturating_sub(since).clamp(Duration::from_millis(1), AGE_TICK)
    }

    pub(crate) async fn retry_held_when_due(&mut self) -> Result<(), End> {
        if self.hold.is_empty() {
            return Ok(());
        }
        let since = self.retry.last.elapsed();
        if since >= TICK || self.retry.helped && since >= self.retry.took * (RETRY_SHARE - 1) {
            self.retry_held().await?;
        }
        if self.retry.ticked.elapsed() >= AGE_TICK {
            self.age()?;
        }
        Ok(())
    }

    /// Tries everything that is held.
    pub(crate) async fn retry_held(&mut self) -> Result<(), End> {
        self.retry.helped = false;
        let started = Instant::now();
        loop {
            self.forget_closed();
            if self.hold.is_empty() {
                break;
            }
            let before = self.hold.count();
            let mut batch = held_rows::batch(&self.hold);
            match self.attempt_held(&mut batch).await {
                Ok(outcome) => {
                    self.healed();
                    held_rows::settle(&mut self.hold, &batch, &outcome.left, |_| true);
                    self.reject(&batch.records, outcome.refusals);
                    self.publish_hold();
                    self.shared.news.notify_one();
                    // What was written may be what others wait for.
                    if self.hold.count() == before {
                        break;
                    }
                }
                Err(Failure::Rejected(refusals)) => {
                    self.reject(&batch.records, refusals);
                    return Err(End::Rejected);
                }
                Err(failure) => match self.failed(failure).await {
                    Ok(()) => {}
                    Err(Stop::End(end)) => return Err(end),
                    Err(Stop::Replan(_)) => {
                        if let Some(preparer) = &mut self.preparer {
                            preparer.forget();
                        }
                        self.replan_held().await?;
                    }
                },
            }
            if self.shared.state.lock().stopping {
                return Err(End::Stopped);
            }
        }
        self.retry.took = started.elapsed();
        self.retry.last = Instant::now();
        Ok(())
    }

    async fn attempt_held(&mut self, batch: &mut Batch) -> Result<Outcome, Failure> {
        self.connected().await?;
        let target = self.target.as_mut().expect("it was just connected");
        let mut writer =
            Writer { settings: &self.settings, registry: &self.registry, target, tolerance: self.tolerance };
        writer.apply(batch).await
    }

    /// Rejects what has waited too long.
    fn age(&mut self) -> Result<(), End> {
        let elapsed = self.retry.ticked.elapsed();
        self.retry.ticked = Instant::now();
        let over = {
            let state = self.shared.state.lock();
            let registry = &self.registry;
            self.hold.age(elapsed, self.settings.hold_timeout, |table, why| {
                held_rows::nothing_can_help(registry, &state, table, why)
            })
        };
        if over.is_empty() {
            return Ok(());
        }
        let mut state = self.shared.state.lock();
        for (table, key) in &over {
            if let Some(held) = self.hold.get(*table, key) {
                let error = held_rows::timed_out(&self.registry, &state, *table, held);
                state.rejected.push(Rejected { origin: held.record.origin.clone(), error });
            }
            if self.tolerance == Tolerance::None {
                // Its offset stays held: nothing at or behind it may be committed.
                return Err(End::Rejected);
            }
            self.hold.release(*table, key);
        }
        drop(state);
        self.metrics.rejected(over.len());
        self.publish_hold();
        self.shared.news.notify_one();
        Ok(())
    }
}
