//! The zone, and rules which tables, topics and fields are converted.

use std::collections::{HashMap, HashSet};

use connect::settings::{Definition, Importance, Properties, Resolved, Validator, row};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use crate::java_regex::Pattern;
use crate::options;

const ZONE: &str = "converted.timezone";
const INCLUDE: &str = "include.list";
const EXCLUDE: &str = "exclude.list";
/// Of a list as Java prints it.
const RULES: &str = "^\\[(source|topic|[\".\\w\\s_]+):([\".\\w\\s_]+(?::[\".\\w\\s_]+)?(?:,|]$))+$";
const OFFSET: &str = "^[+-]\\d{2}:\\d{2}(:\\d{2})?$";

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row(ZONE)
            .required()
            .importance(Importance::High)
            .check(Validator::Check(|value, _| value.map_or(Ok(()), |text| zone(text).map(drop))))
            .doc("Zone in which times are shown: a name (Europe/Berlin) or an offset (+08:00)."),
        row(INCLUDE)
            .list()
            .importance(Importance::High)
            .check(Validator::Check(|value, _| check_rules(INCLUDE, value)))
            .doc("Fields to convert, as rules source:table, source:table:field, topic:name, topic:name:field or name:field; none: all."),
        row(EXCLUDE)
            .list()
            .importance(Importance::High)
            .check(Validator::Check(|value, _| check_rules(EXCLUDE, value)))
            .check(Validator::Check(check_one_list))
            .doc("Fields to leave alone, in the same form."),
    ])
}

fn check_rules(option: &str, value: Option<&str>) -> Result<(), String> {
    let items: Vec<&str> =
        value.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    if items.is_empty() || Pattern::new(RULES)?.matches(&format!("[{}]", items.join(", "))) {
        return Ok(());
    }
    let list = option.replace('.', " ");
    Err(format!(
        "Invalid {list} format. Please specify a list of rules in the format of \
         \"source:<tablename>:<fieldnames>\", \"topic:<topicname>:<fieldnames>\", \"<matchname>:<fieldnames>\""
    ))
}

fn check_one_list(value: Option<&str>, properties: &Properties) -> Result<(), String> {
    let given = |text: Option<&str>| text.is_some_and(|text| !text.trim().is_empty());
    if given(value) && given(properties.get(INCLUDE).map(String::as_str)) {
        return Err("Both include and exclude lists are specified. Please specify only one.".to_owned());
    }
    Ok(())
}

fn zone(text: &str) -> Result<TimeZone, String> {
    let invalid = || {
        "Invalid timezone format. Please specify either a geographic timezone (e.g. America/Los_Angeles) or a UTC \
         offset in the format of +/-hh:mm, (e.g. +08:00)."
            .to_owned()
    };
    if Pattern::new(OFFSET)?.matches(text) {
        let mut parts = text[1..].split(':').map(|part| part.parse::<i32>().unwrap_or_default());
        let mut next = || parts.next().unwrap_or_default();
        let seconds = (next() * 60 + next()) * 60 + next();
        let signed = if text.starts_with('-') { -seconds } else { seconds };
        return Offset::from_seconds(signed).map(TimeZone::fixed).map_err(|_| invalid());
    }
    // The database is part of the program: what a zone means does not depend on the machine.
    match TimeZoneDatabase::bundled().get(text) {
        Ok(zone) if zone.iana_name() == Some(text) => Ok(zone),
        _ => Err(invalid()),
    }
}

pub(super) struct Settings {
    pub zone: TimeZone,
    rules: Rules,
}

enum Rules {
    All,
    Include(Lists),
    Exclude(Lists),
}

#[derive(Default)]
struct Lists {
    topics: HashMap<String, HashSet<String>>,
    tables: HashMap<String, HashSet<String>>,
    any: HashMap<String, HashSet<String>>,
}

/// Which fields of one table's events are converted.
#[derive(Clone, Copy)]
pub(super) enum Selection<'a> {
    Nothing,
    All,
    Include(&'a HashSet<String>),
    Exclude(&'a HashSet<String>),
}

impl Settings {
    pub(super) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let zone = zone(resolved.text(ZONE).unwrap_or_default()).map_err(|error| vec![error])?;
        let lists = |option| Lists::new(&resolved, option);
        let rules = if !resolved.list(INCLUDE).is_empty() {
            Rules::Include(lists(INCLUDE))
        } else if !resolved.list(EXCLUDE).is_empty() {
            Rules::Exclude(lists(EXCLUDE))
        } else {
            Rules::All
        };
        Ok(Self { zone, rules })
    }

    pub(super) fn selection(&self, topic: &str, table: Option<&str>) -> Selection<'_> {
        match &self.rules {
            Rules::All => Selection::All,
            Rules::Include(lists) => match lists.fields(topic, table) {
                None => Selection::Nothing,
                Some(fields) if fields.is_empty() => Selection::All,
                Some(fields) => Selection::Include(fields),
            },
            Rules::Exclude(lists) => match lists.fields(topic, table) {
                None => Selection::All,
                Some(fields) if fields.is_empty() => Selection::Nothing,
                Some(fields) => Selection::Exclude(fields),
            },
        }
    }
}

impl Lists {
    /// A prefix is valid for the items behind it too, until the next one.
    fn new(resolved: &Resolved, option: &str) -> Self {
        let mut lists = Self::default();
        let mut prefix = None;
        for item in resolved.list(option) {
            let parts: Vec<&str> = item.split(':').map(str::trim).collect();
            let (name, field) = match parts[..] {
                [word, name, ref rest @ ..]
                    if ["source", "topic"].contains(&word.to_lowercase().as_str()) =>
                {
                    prefix = Some(word.to_lowercase());
                    (name, rest.first().copied())
                }
                [name, field, ..] => (name, Some(field)),
                [name] => (name, None),
                [] => continue,
            };
            let map = match prefix.as_deref() {
                Some("topic") => &mut lists.topics,
                Some(_) => &mut lists.tables,
                None => &mut lists.any,
            };
            map.entry(name.to_owned()).or_default().extend(field.map(str::to_owned));
        }
        lists
    }

    /// A topic's rules come before a table's, and those with a prefix before those without.
    fn fields(&self, topic: &str, table: Option<&str>) -> Option<&HashSet<String>> {
        self.topics
            .get(topic)
            .or_else(|| self.tables.get(table?))
            .or_else(|| self.any.get(topic))
            .or_else(|| self.any.get(table?))
    }
}
