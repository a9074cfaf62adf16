//! One transaction of the stream: where it commits, and which of its events were sent before.

use crate::position::{Partial, Resume};

/// The transaction that is being read.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Where its commit record starts.
    final_lsn: u64,
    pub xid: i64,
    /// Microseconds since the epoch.
    pub commit_time: i64,
    /// Row, truncate and message events so far, as the server delivers them, before any filter.
    ordinal: u64,
    /// Of the last event, and of the last one before it that was elsewhere; 0 where there is none.
    lsn: u64,
    lsn_before: u64,
    skip: Skip,
}

/// What of a transaction was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Nothing,
    All,
    /// Events up to this ordinal.
    Ordinals(u64),
    /// Events before this LSN, and so many more at it.
    EventLsn {
        lsn: u64,
        at_lsn: u64,
    },
}

impl Transaction {
    /// Counts an event; false where it was sent before.
    #[inline]
    pub fn count(&mut self, lsn: u64) -> bool {
        self.ordinal += 1;
        if lsn != self.lsn {
            self.lsn_before = std::mem::replace(&mut self.lsn, lsn);
        }
        match &mut self.skip {
            Skip::Nothing => true,
            Skip::All => false,
            Skip::Ordinals(done) => self.ordinal > *done,
            Skip::EventLsn { lsn: done, at_lsn } => {
                if lsn == *done && *at_lsn > 0 {
                    *at_lsn -= 1;
                    return false;
                }
                lsn >= *done
            }
        }
    }

    /// Nothing of it was sent before.
    pub fn is_new(&self) -> bool {
        self.skip == Skip::Nothing
    }

    /// All of it was sent before.
    pub fn is_done(&self) -> bool {
        self.skip == Skip::All
    }

    /// The last LSN at which nothing can follow any more: rows of one COPY share theirs.
    #[inline]
    pub fn lsn_before(&self) -> Option<u64> {
        (self.lsn_before != 0).then_some(self.lsn_before)
    }

    /// Commit LSN and ordinal of the last event.
    #[inline]
    pub fn event(&self) -> (u64, u64) {
        (self.final_lsn, self.ordinal)
    }
}

/// Knows what was sent before, at the start of every transaction.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    done_before: u64,
    partial: Option<Partial>,
}

impl Filter {
    pub fn new(resume: &Resume) -> Self {
        Self { done_before: resume.done_before, partial: resume.partial }
    }

    pub fn done_before(&self) -> u64 {
        self.done_before
    }

    pub fn begin(&mut self, final_lsn: u64, xid: i64, commit_time: i64) -> Transaction {
        let skip = if final_lsn < self.done_before {
            Skip::All
        } else {
            match self.partial {
                None => Skip::Nothing,
                Some(Partial::Ordinal { commit, .. }) if final_lsn < commit => Skip::All,
                Some(Partial::Ordinal { commit, ordinal }) => {
                    self.partial = None;
                    if final_lsn == commit { Skip::Ordinals(ordinal) } else { Skip::Nothing }
                }
                // Debezium does not say which transaction it was; its events lie before its commit record.
                Some(Partial::EventLsn { lsn, at_lsn }) => {
                    self.partial = None;
                    if final_lsn > lsn { Skip::EventLsn { lsn, at_lsn } } else { Skip::All }
                }
            }
        };
        Transaction { final_lsn, xid, commit_time, ordinal: 0, lsn: 0, lsn_before: 0, skip }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the events of a transaction (their LSNs) pass.
    fn check(filter: &mut Filter, final_lsn: u64, events: &[u64], expected: &[bool]) {
        let mut transaction = filter.begin(final_lsn, 1, 0);
        let found: Vec<_> = events.iter().map(|lsn| transaction.count(*lsn)).collect();
        assert_eq!(found, expected, "transaction at {final_lsn}");
    }

    #[test]
    fn by_ordinal() {
        let resume = Resume {
            done_before: 10,
            partial: Some(Partial::Ordinal { commit: 20, ordinal: 2 }),
            commit: None,
        };
        let mut filter = Filter::new(&resume);
        check(&mut filter, 9, &[1], &[false]);
        check(&mut filter, 20, &[11, 11, 11], &[false, false, true]);
        check(&mut filter, 30, &[12], &[true]);
    }

    #[test]
    fn a_commit_record_at_the_end_of_the_last_is_the_next() {
        let mut filter = Filter::new(&Resume { done_before: 10, partial: None, commit: Some(10) });
        check(&mut filter, 10, &[5], &[true]);
    }

    #[test]
    fn by_event_lsn() {
        let resume =
            Resume { done_before: 10, partial: Some(Partial::EventLsn { lsn: 12, at_lsn: 1 }), commit: None };
        let mut filter = Filter::new(&resume);
        check(&mut filter, 20, &[11, 12, 12, 13], &[false, false, true, true]);
        check(&mut filter, 30, &[11], &[true]);
    }
}
