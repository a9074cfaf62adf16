//! Options of the outbox router.

use connect::settings::{Definition, Importance, Properties, Resolved, Row, Standing, Validator, row};

use crate::json_content::NullMembers;
use crate::options;

pub(super) struct Settings {
    pub id: Box<str>,
    pub key: Box<str>,
    pub payload: Box<str>,
    pub route_by: Box<str>,
    pub timestamp: Option<Box<str>>,
    pub schema_version: Option<Box<str>>,
    pub additional: Vec<Additional>,
    pub missing: Missing,
    pub updates: Updates,
    pub empty_payload: EmptyPayload,
    /// `None`: payloads are passed on as they are.
    pub expand_json: Option<NullMembers>,
}

/// One more column, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Additional {
    pub column: Box<str>,
    pub placement: Placement,
    pub alias: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    Header,
    Envelope,
    Partition,
}

/// What happens where an additional column is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Ignored,
    Error,
}

/// What happens on an update of the outbox table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Updates {
    Skipped,
    Fatal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmptyPayload {
    PassedOn,
    Tombstone,
}

const PLACEMENT: &str = "table.fields.additional.placement";
const REGEX: &str = "route.topic.regex";

pub(crate) fn definition() -> Definition {
    let column = |name: &'static str, doc: &'static str| row(name).group("Table", 0).doc(doc);
    Definition::new(vec![
        column("table.field.event.id", "The column which contains the event ID within the outbox table.")
            .default("id")
            .importance(Importance::Low),
        column("table.field.event.key", "The column which contains the event key within the outbox table.")
            .default("aggregateid")
            .importance(Importance::Low),
        column("table.field.event.type", "The column which contains the event type within the outbox table.")
            .default("type")
            .importance(Importance::Low),
        column(
            "table.field.event.timestamp",
            "Optionally you can override the Kafka message timestamp with a value from a chosen column, otherwise \
             it'll be the Debezium event processed timestamp.",
        ),
        column("table.field.event.payload", "The column which contains the event payload within the outbox table.")
            .default("payload")
            .importance(Importance::Low),
        column(PLACEMENT, "Extra fields can be added as part of the event envelope or a message header, format is 'column:placement:alias' separated by commas.")
            .list()
            .check(Validator::Check(|value, _| {
                let items = value.unwrap_or_default().split(',').map(str::trim);
                items.filter(|item| !item.is_empty()).try_for_each(|item| Additional::parse(item).map(drop))
            })),
        one_of(
            "table.field.additional.missing",
            "error",
            &["error", "ignore"],
            "What the router does when a field of table.fields.additional.placement is not there: 'error' or 'ignore'.",
        ),
        column("table.field.event.schema.version", "The column which contains the event schema version within the outbox table.")
            .importance(Importance::Low),
        row("route.by.field")
            .default("aggregatetype")
            .group("Router", 1)
            .importance(Importance::Low)
            .doc("Column whose value decides the topic."),
        row(REGEX)
            .default("(?<routedByValue>.*)")
            .group("Router", 1)
            .importance(Importance::Low)
            .check(options::checked!(options::pattern, "route.topic.regex"))
            .doc("Pattern for that value; its groups serve route.topic.replacement."),
        row("route.topic.replacement")
            .default("outbox.event.${routedByValue}")
            .group("Router", 1)
            .importance(Importance::Low)
            .doc("Name of the topic; ${routedByValue} stands for the value of route.by.field."),
        row("route.tombstone.on.empty.payload")
            .boolean()
            .default("false")
            .group("Router", 1)
            .doc("Whether an event without payload becomes a tombstone."),
        one_of(
            "table.op.invalid.behavior",
            "warn",
            &["warn", "error", "fatal"],
            "While Debezium is monitoring the table, it's expecting only to see 'create' row events, in case something else is processed this transform can log it as warning, error or stop the process.",
        ),
        row("table.expand.json.payload").boolean().default("false").group("Table", 0).doc(
            "Whether a payload that is JSON in a string becomes structured.",
        ),
        one_of(
            "table.json.payload.null.behavior",
            "ignore",
            &["ignore", "optional_bytes"],
            "Behavior when json payload including null value, the default will ignore null, optional_bytes will keep the null value, and treat null as optional bytes of connect.",
        ),
        tracing("tracing.span.context.field", "tracingspancontext"),
        tracing("tracing.operation.name", "debezium-read"),
        tracing("tracing.with.context.field.only", "false"),
    ])
}

fn one_of(
    name: &'static str,
    default: &'static str,
    allowed: &'static [&'static str],
    doc: &'static str,
) -> Row {
    row(name).default(default).check(Validator::OneOfIgnoreCase(allowed)).group("Table", 0).doc(doc)
}

/// There is no tracer here that spans could go to.
fn tracing(name: &'static str, default: &'static str) -> Row {
    row(name)
        .default(default)
        .importance(Importance::Low)
        .standing(Standing::Accepted)
        .doc("Of distributed tracing: accepted, and without effect.")
}

impl Settings {
    pub(super) fn new(properties: &Properties) -> Result<(Self, Resolved), Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let name = |option: &str| Box::from(resolved.text(option).unwrap_or_default());
        let is = |option: &str, word: &str| {
            resolved.text(option).is_some_and(|text| text.eq_ignore_ascii_case(word))
        };
        let additional = resolved.list(PLACEMENT).iter().map(|item| Additional::parse(item));
        let settings = Self {
            id: name("table.field.event.id"),
            key: name("table.field.event.key"),
            payload: name("table.field.event.payload"),
            route_by: name("route.by.field"),
            timestamp: options::given(&resolved, "table.field.event.timestamp"),
            schema_version: options::given(&resolved, "table.field.event.schema.version"),
            additional: additional.collect::<Result<_, _>>().map_err(|error| vec![error])?,
            missing: if is("table.field.additional.missing", "ignore") {
                Missing::Ignored
            } else {
                Missing::Error
            },
            updates: if is("table.op.invalid.behavior", "fatal") { Updates::Fatal } else { Updates::Skipped },
            empty_payload: if resolved.boolean("route.tombstone.on.empty.payload") {
                EmptyPayload::Tombstone
            } else {
                EmptyPayload::PassedOn
            },
            expand_json: resolved.boolean("table.expand.json.payload").then(|| {
                if is("table.json.payload.null.behavior", "ignore") {
                    NullMembers::LeftOut
                } else {
                    NullMembers::OptionalBytes
                }
            }),
        };
        Ok((settings, resolved))
    }
}

impl Additional {
    /// `column:placement[:alias]`.
    fn parse(item: &str) -> Result<Self, String> {
        let invalid = |why: &str| format!("Invalid value {item} for configuration {PLACEMENT}: {why}");
        let parts: Vec<&str> = item.split(':').map(str::trim).collect();
        let ([column, placement] | [column, placement, _]) = parts[..] else {
            return Err(invalid("A comma-separated list of valid String pairs or trios is expected"));
        };
        let placement = match placement.to_ascii_lowercase().as_str() {
            "header" => Placement::Header,
            "envelope" => Placement::Envelope,
            "partition" => Placement::Partition,
            _ => return Err(invalid("the placement must be one of header, envelope, partition")),
        };
        let alias = parts.get(2).copied().unwrap_or(column);
        Ok(Self { column: column.into(), placement, alias: alias.into() })
    }
}
