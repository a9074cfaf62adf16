//! Differences in a record that are meant, each as narrow a rule as it can be. The words are those of
//! docs/compatibility.md.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalogue::{Catalogue, Column, Table};

pub const ONCE: &str = "each row once, on the topic of the stream";
pub const IDENTITY: &str = "primary key with REPLICA IDENTITY USING another INDEX";
pub const ALWAYS: &str =
    "`snapshot.mode` always and configuration_based: what happened while stopped is not streamed";
pub const OFFSETS: &str = "each version writes offsets of its own form";
pub const CUT: &str = "truncation cuts a character in two";
const DATE: &str = "`date` BC becomes AD in the snapshot; ±infinity differ between snapshot and stream";
const RANGE: &str = "values outside the target's range overflow into a wrong number";
const NAME: &str = "`name` columns are null in the stream";
const ARRAY: &str = "the array, element by element, with optional elements";
const DIMENSIONS: &str = "a two-dimensional array becomes `[null,null]`";
const OLDER_VALUES: &str = "older versions write some values wrong";
pub const NAMES: &str = "names outside ASCII are wrong in the stream of versions before 3.0";
const SERIAL: &str = "the type of a serial column is SERIAL in the snapshot, INT4 in the stream";
const DEFAULT: &str = "column default `'it''s'` becomes `it`";
const EXCLUDED: &str = "an excluded primary key column gives keys of 0 in the snapshot";

/// What a record is, and what may be said about its differences.
pub struct Place<'a> {
    table: Option<&'a Table>,
    part: Part,
    is_snapshot: bool,
    /// Written by a version before 3.6.
    is_older: bool,
    /// Of a table whose name such a version did not find in the catalogue.
    is_unknown: bool,
    /// The first or the last of its table's rows in a snapshot from which rows were taken out.
    pub is_edge: bool,
    /// Columns of the row.
    row: Option<&'a Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Key,
    Value,
}

impl<'a> Place<'a> {
    /// `value` is the record's; both parts are judged by what it says.
    pub fn of(value: &'a Value, part: Part, catalogue: &'a Catalogue) -> Self {
        let payload = &value["payload"];
        let source = &payload["source"];
        let name = |member: &str| source[member].as_str().unwrap_or_default();
        Self {
            table: catalogue.get(&format!("{}.{}", name("schema"), name("table"))),
            part,
            is_snapshot: payload["op"] == "r",
            is_older: source["version"].as_str().is_some_and(|version| !version.starts_with("3.6")),
            is_unknown: payload["op"] != "r" && !name("table").is_ascii(),
            is_edge: false,
            row: payload.get("after"),
        }
    }

    /// The row under which this difference falls.
    fn rule(&self, path: &[String], expected: &Value, seen: &Value) -> Option<&'static str> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if self.is_edge && path == ["payload", "source", "snapshot"] {
            return Some(ONCE);
        }
        let table = self.table?;
        match (self.part, path.as_slice()) {
            (Part::Value, ["schema", "fields", "before" | "after", "fields", _, "optional"])
                if self.is_older && self.is_unknown =>
            {
                (*expected == true && *seen == false).then_some(NAMES)
            }
            (Part::Key, ["payload", name]) if self.is_lost_key(name) => {
                let is_lost = *expected == 0 || expected.is_null() || expected == "";
                (is_lost && !seen.is_null()).then_some(EXCLUDED)
            }
            // The schema is the stream's as well.
            (Part::Key, ["schema", "fields", name]) if self.is_lost_key(name) => {
                let mut streamed = expected.as_object()?.clone();
                streamed.shift_remove("default");
                streamed.insert("optional".to_owned(), true.into());
                (Value::Object(streamed) == *seen).then_some(EXCLUDED)
            }
            (Part::Value, ["schema", "fields", "before" | "after", "fields", name, rest @ ..]) => {
                of_schema(table.columns.get(*name)?, rest, expected, seen)
            }
            (Part::Value, ["payload", "before" | "after", name, rest @ ..]) => {
                self.of_value(table.columns.get(*name)?, rest, expected, seen)
            }
            _ => None,
        }
    }

    /// A column of the key that the row does not have.
    fn is_lost_key(&self, name: &str) -> bool {
        self.is_snapshot && self.row.is_some_and(|row| row.get(name).is_none())
    }

    fn of_value(
        &self,
        column: &Column,
        rest: &[&str],
        expected: &Value,
        seen: &Value,
    ) -> Option<&'static str> {
        if self.is_older && self.is_repaired(column, expected, seen) {
            return Some(OLDER_VALUES);
        }
        match (column.type_name.as_str(), rest) {
            ("date", []) if self.is_snapshot && is_date_of_stream(expected, seen) => Some(DATE),
            ("timestamp" | "timestamptz", []) if seen.is_null() && is_before_all_timestamps(expected) => {
                Some(RANGE)
            }
            ("name", []) if !self.is_snapshot && seen.is_string() => {
                (expected.is_null() || expected == "").then_some(NAME)
            }
            ("_time", [_]) => is_exact_time(expected, seen).then_some(ARRAY),
            ("_bit" | "_varbit", []) => (expected.is_null() && seen.is_array()).then_some(ARRAY),
            (_, []) if column.is_enum_array && expected.is_null() => {
                seen.as_array().is_some_and(|items| items.contains(&Value::Null)).then_some(ARRAY)
            }
            (array, []) if array.starts_with('_') && seen.is_null() => {
                let lost = expected.as_array().is_some_and(|items| items.iter().all(Value::is_null));
                lost.then_some(DIMENSIONS)
            }
            (_, []) => of_default(column, expected, seen),
            _ => None,
        }
    }
}

impl Place<'_> {
    /// Values that older versions write wrong, most of them in the snapshot only.
    fn is_repaired(&self, column: &Column, expected: &Value, seen: &Value) -> bool {
        match column.type_name.as_str() {
            "ltree" => expected.is_null() && seen.is_string(),
            "varbit" => self.is_snapshot && expected.is_null() && seen.is_boolean(),
            "money" => self.is_snapshot && is_same_amount(expected, seen),
            "date" | "timestamp" | "timestamptz" | "_date" | "_timestamp" | "_timestamptz" => {
                self.is_snapshot && is_julian(expected, seen)
            }
            _ => false,
        }
    }
}

/// Through a double: zeros are lost, and digits beyond its sixteenth.
fn is_same_amount(expected: &Value, seen: &Value) -> bool {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    match (number(expected), number(seen)) {
        (Some(expected), Some(seen)) => (expected - seen).abs() <= seen.abs() * 1e-12,
        // As bytes.
        _ => expected.is_string() && seen.is_string(),
    }
}

/// Days before 1582-10-15 in the calendar of that time.
fn is_julian(expected: &Value, seen: &Value) -> bool {
    const REFORM_DAY: i64 = -141_427;
    const DAYS_MAX: i64 = 40;
    if let (Some(expected), Some(seen)) = (expected.as_i64(), seen.as_i64()) {
        let units = [1, 86_400_000, 86_400_000_000, 86_400_000_000_000];
        return units.iter().any(|day| {
            let difference = expected - seen;
            difference % day == 0 && (difference / day).abs() <= DAYS_MAX && seen / day < REFORM_DAY
        });
    }
    let (Some(expected), Some(seen)) = (expected.as_str(), seen.as_str()) else { return false };
    let year = |text: &str| text.get(..4).and_then(|year| year.parse::<i64>().ok()).unwrap_or(0);
    let time =
        |text: &str| text.split_once('T').map(|(_, time)| time.trim_end_matches(['0', 'Z', '.']).to_owned());
    year(expected) < 1583 && year(seen) < 1583 && time(expected) == time(seen)
}

fn of_schema(column: &Column, rest: &[&str], expected: &Value, seen: &Value) -> Option<&'static str> {
    match (column.type_name.as_str(), rest) {
        ("_bit" | "_varbit", []) => {
            let of_items = ["type", "name", "version", "parameters"];
            let of_array = ["optional", "field"];
            let same = seen["type"] == "array"
                && seen["items"]["optional"] == true
                && of_items.iter().all(|member| expected.get(member) == seen["items"].get(member))
                && of_array.iter().all(|member| expected.get(member) == seen.get(member));
            same.then_some(ARRAY)
        }
        (_, ["items", "optional"]) if column.is_enum_array => {
            (*expected == false && *seen == true).then_some(ARRAY)
        }
        (_, ["default"]) => of_default(column, expected, seen),
        (_, ["parameters", "__debezium.source.column.type"]) => {
            let serial = [("SMALLSERIAL", "INT2"), ("SERIAL", "INT4"), ("BIGSERIAL", "INT8")];
            let types = (expected.as_str()?, seen.as_str()?);
            serial.contains(&types).then_some(SERIAL)
        }
        _ => None,
    }
}

/// A doubled quote in a default is one quote, and not the end.
fn of_default(column: &Column, expected: &Value, seen: &Value) -> Option<&'static str> {
    let is_quoted = column.default.as_deref().is_some_and(|default| default.contains("''"));
    let (cut, whole) = (expected.as_str()?, seen.as_str()?);
    let rest = whole.strip_prefix(cut)?;
    (is_quoted && rest.starts_with('\'')).then_some(DEFAULT)
}

/// The stream's infinities, and what the snapshot makes of them through a Java date.
const INFINITIES_ISO: [(&str, &str); 2] =
    [("+292278994-08-16Z", "-5877611-06-21Z"), ("+292269055-12-02Z", "-5877611-06-22Z")];
const INFINITIES: [(i64, i64); 2] = [(-622_191_234, -2_147_472_692), (-625_821_272, -2_147_472_691)];

/// The snapshot's day is AD where the stream's is BC, or one of the infinities.
fn is_date_of_stream(expected: &Value, seen: &Value) -> bool {
    if let (Some(expected), Some(seen)) = (expected.as_str(), seen.as_str()) {
        return is_iso_date_of_stream(expected, seen);
    }
    let (Some(expected), Some(seen)) = (expected.as_i64(), seen.as_i64()) else { return false };
    let (year, month, day) = civil(expected);
    INFINITIES.contains(&(expected, seen)) || (year > 0 && days(1 - year, month, day) == seen)
}

fn is_iso_date_of_stream(expected: &str, seen: &str) -> bool {
    let is_before_christ = || {
        let (year, rest) = expected.split_once('-')?;
        let (seen_year, seen_rest) = seen.strip_prefix('-').unwrap_or(seen).split_once('-')?;
        Some(year.parse::<i64>().ok()? - 1 == seen_year.parse::<i64>().ok()? && rest == seen_rest)
    };
    INFINITIES_ISO.contains(&(expected, seen)) || is_before_christ().unwrap_or(false)
}

/// Days since 1970-01-01 as year, month and day of the proleptic calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// 4714 BC in microseconds: PostgreSQL has nothing before.
const FIRST_TIMESTAMP_MICROS: i64 = -210_866_803_200_000_000;

fn is_before_all_timestamps(expected: &Value) -> bool {
    expected.as_i64().is_some_and(|micros| micros < FIRST_TIMESTAMP_MICROS)
}

/// The element as the scalar type has it: to the microsecond, and 24:00 is a whole day.
fn is_exact_time(expected: &Value, seen: &Value) -> bool {
    let (Some(expected), Some(seen)) = (expected.as_i64(), seen.as_i64()) else { return false };
    let is_whole_day = expected == 0 && [86_400_000, 86_400_000_000, 86_400_000_000_000].contains(&seen);
    let is_cut = |unit: i64| expected == seen / unit * unit;
    is_whole_day || (expected < seen && (is_cut(1_000) || is_cut(1_000_000)))
}

/// What is expected after the decided differences: `seen` where a rule says so, else as recorded.
pub fn settled(
    place: &Place<'_>,
    expected: &Value,
    seen: &Value,
    rows: &mut BTreeSet<&'static str>,
) -> Value {
    let mut path = vec![];
    settle(place, &mut path, expected, seen, rows)
}

fn settle(
    place: &Place<'_>,
    path: &mut Vec<String>,
    expected: &Value,
    seen: &Value,
    rows: &mut BTreeSet<&'static str>,
) -> Value {
    if expected == seen {
        return expected.clone();
    }
    if let Some(row) = place.rule(path, expected, seen) {
        rows.insert(row);
        return seen.clone();
    }
    let mut child = |name: &str, expected: &Value, seen: &Value| {
        path.push(name.to_owned());
        let settled = settle(place, path, expected, seen, rows);
        path.pop();
        settled
    };
    match (expected, seen) {
        (Value::Object(wanted), Value::Object(found)) => {
            let member = |(name, value): (&String, &Value)| {
                let found = found.get(name).unwrap_or(&Value::Null);
                (name.clone(), child(name, value, found))
            };
            Value::Object(wanted.iter().map(member).collect())
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let items = wanted.iter().zip(found).enumerate().map(|(at, (wanted, found))| {
                // Fields of a schema are called by their names.
                let name = wanted["field"].as_str().map_or_else(|| at.to_string(), str::to_owned);
                child(&name, wanted, found)
            });
            Value::Array(items.collect())
        }
        _ => expected.clone(),
    }
}
