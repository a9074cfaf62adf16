//! Positions whose records are on their way: one of them counts once everything up to it is durable.

use std::collections::VecDeque;

use connect::SourcePosition;

#[derive(Debug, Default)]
pub struct InFlight {
    /// Number of the last message that belongs to the position, and the position.
    waiting: VecDeque<(u64, SourcePosition)>,
    /// The newest position that is reached and not yet committed.
    reached: Option<SourcePosition>,
    /// Its number.
    number: u64,
}

impl InFlight {
    /// Enters the end of a batch: everything up to message `number` must be durable for `position` to count.
    pub fn sent(&mut self, number: u64, position: SourcePosition) {
        match self.waiting.back_mut() {
            // Batches without records move the position only.
            Some(last) if last.0 == number => last.1 = position,
            _ => self.waiting.push_back((number, position)),
        }
    }

    /// Everything up to message `number` is durable.
    pub fn acknowledged(&mut self, number: u64) {
        while self.waiting.front().is_some_and(|(last, _)| *last <= number) {
            if let Some((number, position)) = self.waiting.pop_front() {
                (self.reached, self.number) = (Some(position), number);
            }
        }
    }

    /// Number of the last message before the newest position that was reached.
    pub fn reached_number(&self) -> u64 {
        self.number
    }

    /// A position that could not be committed: it is due again, unless a newer one is.
    pub fn put_back(&mut self, position: SourcePosition) {
        self.reached.get_or_insert(position);
    }

    /// The position to commit now, once.
    pub fn take_reached(&mut self) -> Option<SourcePosition> {
        self.reached.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn position(n: i64) -> SourcePosition {
        let offset = [("lsn".to_owned(), n.into())].into_iter().collect();
        SourcePosition { partition: Arc::default(), offset: Arc::new(offset) }
    }

    #[test]
    fn a_position_counts_when_all_before_it_is_durable() {
        let mut flight = InFlight::default();
        flight.sent(10, position(1));
        flight.sent(10, position(2));
        flight.sent(20, position(3));
        flight.acknowledged(9);
        assert_eq!(flight.take_reached(), None);
        flight.acknowledged(15);
        assert_eq!(flight.take_reached(), Some(position(2)));
        assert_eq!(flight.take_reached(), None);
        flight.acknowledged(20);
        assert_eq!(flight.take_reached(), Some(position(3)));
    }
}
