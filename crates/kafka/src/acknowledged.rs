//! Which of the sent messages are durable.
//!
//! Acknowledgements come back in any order over partitions and brokers, but only a prefix without a gap lets a
//! source forget what it sent. Messages are numbered from 1 in the order in which they were handed over.

use std::collections::VecDeque;

/// The contiguous acknowledged prefix of a stream of numbered messages.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// Everything up to and including this number is done.
    prefix: u64,
    /// One flag for each number behind `prefix` that was handed out or acknowledged out of turn.
    behind: VecDeque<bool>,
}

impl Acknowledged {
    /// Enters an acknowledgement; returns whether the prefix grew.
    pub fn acknowledge(&mut self, number: u64) -> bool {
        if number <= self.prefix {
            return false;
        }
        let place = (number - self.prefix - 1) as usize;
        if place >= self.behind.len() {
            self.behind.resize(place + 1, false);
        }
        self.behind[place] = true;
        let before = self.prefix;
        while self.behind.front() == Some(&true) {
            self.behind.pop_front();
            self.prefix += 1;
        }
        self.prefix > before
    }

    pub fn prefix(&self) -> u64 {
        self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_holds_the_prefix_back() {
        let mut acknowledged = Acknowledged::default();
        assert!(!acknowledged.acknowledge(2));
        assert!(!acknowledged.acknowledge(4));
        assert_eq!(acknowledged.prefix(), 0);
        assert!(acknowledged.acknowledge(1));
        assert_eq!(acknowledged.prefix(), 2);
        assert!(acknowledged.acknowledge(3));
        assert_eq!(acknowledged.prefix(), 4);
        assert!(!acknowledged.acknowledge(1));
    }
}
