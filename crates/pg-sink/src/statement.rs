//! SQL for sets of rows.
//!
//! Each parameter is an array, one element per row; `unnest` makes a set of them. Where foreign keys are watched, a
//! statement takes the rows that may be written and returns the places of the others. The watching sub-queries end
//! in `OFFSET 0`, which keeps the planner from turning them into joins: an index is probed once per row, and a plan
//! that was made while a table was empty stays good when it has grown.

use std::collections::HashSet;
use std::fmt::Write;

use pg::catalog::Action;
use pg::quote;

use crate::columns::Signature;
use crate::settings::InsertMode;
use crate::table_shape::{ChildLink, ParentLink, TableShape};

/// A statement, and whether it returns the places of the rows that it left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql {
    pub text: String,
    pub returns_refused: bool,
}

/// Which foreign keys a statement watches.
#[derive(Clone, Copy, Debug)]
pub enum Watch<'a> {
    Nothing,
    /// `written` are the tables that the connector writes, by oid; `later` those written after this one in the same
    /// transaction, whose deferrable keys are checked at its end.
    Keys {
        written: &'a HashSet<u32>,
        later: &'a HashSet<u32>,
    },
}

/// A statement under construction.
struct Rows<'a> {
    shape: &'a TableShape,
    signature: &'a Signature,
    /// Places of the signature that have a parameter.
    present: Vec<usize>,
}

impl<'a> Rows<'a> {
    fn new(shape: &'a TableShape, signature: &'a Signature, absent: &[u16]) -> Self {
        let present =
            (0..signature.columns.len()).filter(|place| !absent.contains(&(*place as u16))).collect();
        Self { shape, signature, present }
    }

    /// `unnest($1::int4[], …) [WITH ORDINALITY] AS u(c0, … [, n])`.
    fn unnest(&self, alias: &str, ordinality: &str) -> String {
        let mut out = "unnest(".to_owned();
        for (at, place) in self.present.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            let _ = write!(out, "{comma}${}::{}", at + 1, self.signature.columns[*place].wire.array_name());
        }
        let _ = write!(out, "){} AS {alias}(", if ordinality.is_empty() { "" } else { " WITH ORDINALITY" });
        for (at, place) in self.present.iter().enumerate() {
            let _ = write!(out, "{}c{place}", if at > 0 { ", " } else { "" });
        }
        out.push_str(ordinality);
        out.push(')');
        out
    }

    /// The value of a column, cast where the parameter is text for another type.
    fn value(&self, alias: &str, place: usize) -> String {
        match &self.signature.columns[place].cast {
            Some(cast) => format!("{alias}.c{place}::{cast}"),
            None => format!("{alias}.c{place}"),
        }
    }

    fn name(&self, place: usize) -> String {
        quote::identifier(&self.shape.columns[self.signature.columns[place].column].name)
    }

    fn keys(&self) -> impl Iterator<Item = usize> {
        0..self.signature.key_count
    }

    fn values(&self) -> impl Iterator<Item = usize> + '_ {
        self.present.iter().copied().filter(|place| *place >= self.signature.key_count)
    }

    fn names(&self) -> String {
        join(", ", self.present.iter().map(|place| self.name(*place)))
    }

    fn all_values(&self, alias: &str) -> String {
        join(", ", self.present.iter().map(|place| self.value(alias, *place)))
    }

    /// `t."id" = s.c0 AND …`.
    fn key_matches(&self, table: &str, alias: &str) -> String {
        join(
            " AND ",
            self.keys()
                .map(|place| format!("{table}.{} = {}", self.name(place), self.comparable(alias, place))),
        )
    }

    /// The place of one of the table's columns among the parameters.
    fn place_of(&self, column: usize) -> Option<usize> {
        self.present.iter().copied().find(|place| self.signature.columns[*place].column == column)
    }

    fn overriding(&self) -> &'static str {
        let identity = |place: &usize| {
            self.shape.columns[self.signature.columns[*place].column].generated
                == pg::catalog::Generated::IdentityAlways
        };
        if self.present.iter().any(identity) { " OVERRIDING SYSTEM VALUE" } else { "" }
    }

    fn watches(&self, watch: Watch<'_>) -> bool {
        self.parents_exist(watch).is_some()
    }

    /// Whether the rows that a row refers to are there; `None` where there is nothing to watch.
    fn parents_exist(&self, watch: Watch<'_>) -> Option<String> {
        let Watch::Keys { later, .. } = watch else { return None };
        let conditions: Vec<_> = self
            .shape
            .parents
            .iter()
            .filter(|link| !(link.deferrable && later.contains(&link.parent_oid)))
            .filter_map(|link| self.parent_exists(link))
            .collect();
        (!conditions.is_empty()).then(|| conditions.join(" AND "))
    }

    fn parent_exists(&self, link: &ParentLink) -> Option<String> {
        let columns: Vec<(usize, &String)> = link
            .columns
            .iter()
            .map(|(own, theirs)| Some((self.place_of(*own)?, theirs)))
            .collect::<Option<_>>()?;
        let nulls = join(" OR ", columns.iter().map(|(place, _)| format!("u.c{place} IS NULL")));
        let matches = join(
            " AND ",
            columns.iter().map(|(place, theirs)| {
                format!("p.{} = {}", quote::identifier(theirs), self.comparable("u", *place))
            }),
        );
        let mut condition =
            format!("({nulls} OR EXISTS (SELECT FROM {} AS p WHERE {matches} OFFSET 0)", link.parent);
        if link.parent_oid == self.shape.oid {
            // A row may refer to itself.
            let own = columns.iter().map(|(place, theirs)| {
                let key = self.shape.column(theirs).and_then(|column| self.place_of(column))?;
                Some(format!("{} = {}", self.comparable("u", *place), self.comparable("u", key)))
            });
            if let Some(own) = own.collect::<Option<Vec<_>>>() {
                let _ = write!(condition, " OR ({})", own.join(" AND "));
            }
        }
        condition.push(')');
        Some(condition)
    }

    /// A value as its column compares it: `char(n)` ignores blanks at the end, text does not.
    fn comparable(&self, alias: &str, place: usize) -> String {
        let target = &self.shape.columns[self.signature.columns[place].column].target;
        match self.signature.columns[place].cast {
            None if target.type_oid == pg::oid::BPCHAR => format!("{alias}.c{place}::bpchar"),
            _ => self.value(alias, place),
        }
    }

    /// Whether no row refers to the key's row any more; `None` where there is nothing to watch.
    fn children_gone(&self, watch: Watch<'_>) -> Option<String> {
        let Watch::Keys { written, .. } = watch else { return None };
        let conditions: Vec<_> = self
            .shape
            .children
            .iter()
            // The server's own cascade serves the tables that the connector does not write.
            .filter(|link| {
                written.contains(&link.child_oid) || matches!(link.on_delete, Action::None | Action::Restrict)
            })
            .map(|link| self.child_gone(link))
            .collect();
        (!conditions.is_empty()).then(|| conditions.join(" AND "))
    }

    fn child_gone(&self, link: &ChildLink) -> String {
        let by_key: Option<Vec<(&String, usize)>> = link
            .columns
            .iter()
            .map(|(theirs, own)| {
                let place = self.place_of(*own).filter(|place| *place < self.signature.key_count)?;
                Some((theirs, place))
            })
            .collect();
        let itself = if link.child_oid == self.shape.oid {
            format!(" AND NOT ({})", self.key_matches("c", "u"))
        } else {
            String::new()
        };
        match by_key {
            Some(columns) if !link.indexed && columns.len() == 1 && itself.is_empty() => {
                // Without an index the child is read once for all rows, not once for each.
                let (theirs, place) = (quote::identifier(columns[0].0), columns[0].1);
                let column = &self.signature.columns[place];
                let at = self.present.iter().position(|other| *other == place).unwrap_or(place) + 1;
                let array = match &column.cast {
                    Some(cast) => format!("${at}::text[]::{cast}[]"),
                    None => format!("${at}::{}", column.wire.array_name()),
                };
                format!(
                    "({} IN (SELECT c.{theirs} FROM {} AS c WHERE c.{theirs} = ANY ({array}))) IS NOT TRUE",
                    self.comparable("u", place),
                    link.child
                )
            }
            Some(columns) => {
                let matches = join(
                    " AND ",
                    columns.iter().map(|(theirs, place)| {
                        format!("c.{} = {}", quote::identifier(theirs), self.comparable("u", *place))
                    }),
                );
                format!("NOT EXISTS (SELECT FROM {} AS c WHERE {matches}{itself} OFFSET 0)", link.child)
            }
            // The child refers to another unique key of the row than the one that the record bears.
            None => {
                let matches = join(
                    " AND ",
                    link.columns.iter().map(|(theirs, own)| {
                        format!(
                            "c.{} = p.{}",
                            quote::identifier(theirs),
                            quote::identifier(&self.shape.columns[*own].name)
                        )
                    }),
                );
                format!(
                    "NOT EXISTS (SELECT FROM {} AS p, {} AS c WHERE {} AND {matches}{itself} OFFSET 0)",
                    self.shape.quoted,
                    link.child,
                    self.key_matches("p", "u")
                )
            }
        }
    }
}

fn join(separator: &str, parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(separator)
}

/// A write of rows; `None` where there is nothing that it could do.
pub fn write(
    shape: &TableShape,
    signature: &Signature,
    absent: &[u16],
    mode: InsertMode,
    watch: Watch<'_>,
) -> Option<Sql> {
    let rows = Rows::new(shape, signature, absent);
    let keys: Vec<usize> = signature.columns[..signature.key_count].iter().map(|key| key.column).collect();
    match mode {
        InsertMode::Insert => Some(insert(&rows, "", watch)),
        InsertMode::Update if keys.is_empty() => None,
        InsertMode::Update => update(&rows, watch),
        InsertMode::Upsert if shape.takes_merges && shape.has_arbiter(&keys) && !rows.watches(watch) => {
            Some(merge(&rows))
        }
        // What was not sent must not meet the check for NOT NULL, which comes before the conflict.
        InsertMode::Upsert if !absent.is_empty() => Some(update_or_insert(&rows, watch)),
        // A deferrable key cannot be an arbiter.
        InsertMode::Upsert if shape.deferrable && !shape.has_arbiter(&keys) => {
            Some(update_or_insert(&rows, watch))
        }
        InsertMode::Upsert => {
            let sets: Vec<_> =
                rows.values().map(|place| format!("{0} = EXCLUDED.{0}", rows.name(place))).collect();
            let keys = join(", ", rows.keys().map(|place| rows.name(place)));
            let action = match sets.is_empty() {
                true => format!(" ON CONFLICT ({keys}) DO NOTHING"),
                false => format!(" ON CONFLICT ({keys}) DO UPDATE SET {}", sets.join(", ")),
            };
            Some(insert(&rows, &action, watch))
        }
    }
}

/// An upsert that finds its rows by a join: it neither locks a row before it changes it nor tries to insert one that is
/// there. A row that another session inserts meanwhile is a violation of the key, and the batch is then done again.
fn merge(rows: &Rows<'_>) -> Sql {
    let sets = set_list(rows);
    let matched = if sets.is_empty() { "DO NOTHING".to_owned() } else { format!("UPDATE SET {sets}") };
    let text = format!(
        "MERGE INTO {} AS t USING {} ON {} WHEN MATCHED THEN {matched} WHEN NOT MATCHED THEN INSERT ({}){} VALUES ({})",
        rows.shape.quoted,
        rows.unnest("s", ""),
        rows.key_matches("t", "s"),
        rows.names(),
        rows.overriding(),
        rows.all_values("s")
    );
    Sql { text, returns_refused: false }
}

fn insert(rows: &Rows<'_>, action: &str, watch: Watch<'_>) -> Sql {
    let into = format!("INSERT INTO {} ({}){}", rows.shape.quoted, rows.names(), rows.overriding());
    match rows.parents_exist(watch) {
        None => {
            let text =
                format!("{into} SELECT {} FROM {}{action}", rows.all_values("s"), rows.unnest("s", ""));
            Sql { text, returns_refused: false }
        }
        Some(condition) => watched(
            rows,
            &condition,
            &[format!("w AS ({into} SELECT {} FROM s WHERE s.ok{action})", rows.all_values("s"))],
        ),
    }
}

/// Marks the rows that may be written, writes them, and returns the places of the others.
fn watched(rows: &Rows<'_>, condition: &str, writes: &[String]) -> Sql {
    let text = format!(
        "WITH s AS (SELECT u.*, ({condition}) AS ok FROM {}), {} SELECT s.n FROM s WHERE NOT s.ok",
        rows.unnest("u", ", n"),
        writes.join(", ")
    );
    Sql { text, returns_refused: true }
}

fn set_list(rows: &Rows<'_>) -> String {
    join(", ", rows.values().map(|place| format!("{} = {}", rows.name(place), rows.value("s", place))))
}

fn update(rows: &Rows<'_>, watch: Watch<'_>) -> Option<Sql> {
    let sets = set_list(rows);
    if sets.is_empty() {
        return None;
    }
    let table = &rows.shape.quoted;
    let matches = rows.key_matches("t", "s");
    Some(match rows.parents_exist(watch) {
        None => Sql {
            text: format!("UPDATE {table} AS t SET {sets} FROM {} WHERE {matches}", rows.unnest("s", "")),
            returns_refused: false,
        },
        Some(condition) => watched(
            rows,
            &condition,
            &[format!("w AS (UPDATE {table} AS t SET {sets} FROM s WHERE s.ok AND {matches})")],
        ),
    })
}

fn update_or_insert(rows: &Rows<'_>, watch: Watch<'_>) -> Sql {
    let table = &rows.shape.quoted;
    let matches = rows.key_matches("t", "s");
    let sets = set_list(rows);
    let found = match sets.is_empty() {
        true => format!("w AS (SELECT s.n FROM s, {table} AS t WHERE s.ok AND {matches})"),
        false => {
            format!("w AS (UPDATE {table} AS t SET {sets} FROM s WHERE s.ok AND {matches} RETURNING s.n)")
        }
    };
    let inserted = format!(
        "i AS (INSERT INTO {table} ({}){} SELECT {} FROM s WHERE s.ok AND s.n NOT IN (SELECT w.n FROM w))",
        rows.names(),
        rows.overriding(),
        rows.all_values("s")
    );
    let condition = rows.parents_exist(watch).unwrap_or_else(|| "true".to_owned());
    watched(rows, &condition, &[found, inserted])
}

/// A delete of rows by key.
pub fn delete(shape: &TableShape, signature: &Signature, watch: Watch<'_>) -> Sql {
    let rows = Rows::new(shape, signature, &[]);
    let table = &shape.quoted;
    match rows.children_gone(watch) {
        None => Sql {
            text: format!(
                "DELETE FROM {table} AS t USING {} WHERE {}",
                rows.unnest("s", ""),
                rows.key_matches("t", "s")
            ),
            returns_refused: false,
        },
        Some(condition) => watched(
            &rows,
            &condition,
            &[format!(
                "w AS (DELETE FROM {table} AS t USING s WHERE s.ok AND {})",
                rows.key_matches("t", "s")
            )],
        ),
    }
}
