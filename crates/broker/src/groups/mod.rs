//! Classic consumer groups: membership in memory, offsets on disk.
//!
//! Membership need not survive a restart: clients join again. What they have committed must.

mod coordinator; // joins, syncs, heartbeats
mod group; // one group's state
mod offsets; // committed offsets, in a file

pub use coordinator::{Commit, Groups, Join, Sync};
pub use offsets::CommittedOffset;
