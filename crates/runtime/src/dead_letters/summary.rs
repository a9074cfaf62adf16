//! Dead letters grouped by what went wrong.

use std::collections::HashMap;

use super::ledger::{Ledger, State};
use super::shape::shape;
use super::{At, DeadLetter};

/// Groups that are kept apart; what comes after them is counted together.
const GROUPS_MAX: usize = 1_000;

/// Letters with the same source topic, stage, classes and shape of message.
#[derive(Clone, Debug)]
pub struct Group {
    /// Short, and the same whenever the topic is read.
    pub id: String,
    pub topic: String,
    pub connector: String,
    pub stage: String,
    pub class: String,
    pub exception: String,
    /// The message without this or that record's values.
    pub message: String,
    /// One message as it is.
    pub example: Option<String>,
    pub records: u64,
    pub first: (At, Option<i64>),
    pub last: (At, Option<i64>),
    /// By what their replay came to.
    pub applied: u64,
    pub refused: u64,
    pub unknown: u64,
}

/// A topic's groups, in the order of their first letters.
#[derive(Debug, Default)]
pub struct Summary {
    pub groups: Vec<Group>,
    /// Letters of groups beyond [`GROUPS_MAX`].
    pub ungrouped: u64,
    places: HashMap<String, usize>,
}

impl Group {
    pub fn id_of(letter: &DeadLetter) -> String {
        let parts = match &letter.context {
            None => vec![],
            Some(context) => vec![
                context.topic.clone(),
                context.connector.clone(),
                context.stage.clone(),
                context.class.clone(),
                context.exception.clone(),
                shape(context.message.as_deref().unwrap_or_default()),
            ],
        };
        // FNV-1a: the same in every release.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in parts.join("\u{1}").bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
    }

    fn new(id: String, letter: &DeadLetter) -> Self {
        let context = letter.context.clone().unwrap_or_default();
        let place = (letter.at, letter.message.timestamp);
        Self {
            id,
            topic: context.topic,
            connector: context.connector,
            stage: context.stage,
            class: context.class,
            exception: context.exception,
            message: shape(context.message.as_deref().unwrap_or_default()),
            example: context.message,
            records: 0,
            first: place,
            last: place,
            applied: 0,
            refused: 0,
            unknown: 0,
        }
    }
}

impl Summary {
    pub fn add(&mut self, letter: &DeadLetter, ledger: &Ledger, connector: &str) {
        let id = Group::id_of(letter);
        let place = match self.places.get(&id) {
            Some(place) => *place,
            None if self.groups.len() >= GROUPS_MAX => {
                self.ungrouped += 1;
                return;
            }
            None => {
                self.places.insert(id.clone(), self.groups.len());
                self.groups.push(Group::new(id, letter));
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[place];
        group.records += 1;
        group.last = (letter.at, letter.message.timestamp);
        match ledger.entry(connector, &letter.identity()).map(|entry| entry.state) {
            None => {}
            Some(State::Applied | State::Dropped) => group.applied += 1,
            Some(State::Refused) => group.refused += 1,
            Some(State::Sending) => group.unknown += 1,
        }
    }
}
