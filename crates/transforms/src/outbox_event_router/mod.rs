//! `io.debezium.transforms.outbox.EventRouter`: rows of an outbox table as events on the topics of their aggregates.

mod settings; // options
mod plan; // what depends on the table's schema only
mod transform; // a record, by its plan

pub(crate) use settings::definition;
pub(crate) use transform::EventRouter;
