//! What the tables are at the moment, and statements that change them.

use crate::kinds::{self, KINDS, Kind};
use crate::random::Random;

/// A column that is not of the key.
#[derive(Clone)]
pub struct Column {
    pub name: String,
    pub kind: &'static Kind,
    pub required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    Default,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `id`.
    One,
    /// `id, part`.
    Two,
    /// No primary key: the identity is the whole row.
    None,
}

#[derive(Clone)]
pub struct Table {
    pub name: String,
    pub key: Key,
    pub identity: Identity,
    pub columns: Vec<Column>,
    /// Rows have the ids from 1 to below this one; some are gone.
    pub next_id: i64,
    columns_made: usize,
}

impl Table {
    /// A table of random columns.
    pub fn random(number: usize, r: &mut Random) -> Self {
        let key = match r.below(6) {
            0 => Key::None,
            1 | 2 => Key::Two,
            _ => Key::One,
        };
        let identity = if key == Key::None || r.percent(30) { Identity::Full } else { Identity::Default };
        let mut table =
            Self { name: format!("t{number}"), key, identity, columns: vec![], next_id: 1, columns_made: 0 };
        for _ in 0..2 + r.below(9) {
            let kind = r.pick(KINDS);
            let required = r.percent(20);
            table.add(kind, required);
        }
        table
    }

    /// Only columns whose values come back from the topics as they were: composites are not sent, and a time with a zone
    /// is sent as that time in UTC.
    pub fn without_one_way(&mut self) {
        self.columns.retain(|column| !["pair", "timetz"].contains(&column.kind.sql));
    }

    /// A changed key is a delete and a create, and the create has a placeholder for a large value that the server did
    /// not send again: a sink has no row from which it could take it.
    pub fn loses_values_with_its_key(&self) -> bool {
        let large = ["text", "varchar(4000)", "bytea"];
        self.identity == Identity::Default
            && self.columns.iter().any(|column| large.contains(&column.kind.sql))
    }

    fn add(&mut self, kind: &'static Kind, required: bool) -> String {
        self.columns_made += 1;
        let name = format!("c{}", self.columns_made);
        self.columns.push(Column { name: name.clone(), kind, required });
        name
    }

    /// Statements that make it.
    pub fn create(&self, r: &mut Random) -> String {
        let mut parts = vec!["id integer NOT NULL".to_owned()];
        if self.key == Key::Two {
            parts.push("part varchar(8) NOT NULL".to_owned());
        }
        for column in &self.columns {
            parts.push(format!("{} {}{}", column.name, column.kind.sql, constraints(column, r)));
        }
        match self.key {
            Key::One => parts.push("PRIMARY KEY (id)".to_owned()),
            Key::Two => parts.push("PRIMARY KEY (id, part)".to_owned()),
            Key::None => {}
        }
        let identity = if self.identity == Identity::Full { "FULL" } else { "DEFAULT" };
        format!(
            "CREATE TABLE {0} ({1});\nALTER TABLE {0} REPLICA IDENTITY {identity};",
            self.name,
            parts.join(", ")
        )
    }

    /// A change of its schema that rows may follow at once.
    pub fn change(&mut self, r: &mut Random) -> String {
        let name = self.name.clone();
        match r.below(10) {
            0 | 1 => self.add_column(r),
            2 if self.columns.len() > 1 => {
                let at = r.below(self.columns.len());
                let column = self.columns.remove(at);
                format!("ALTER TABLE {name} DROP COLUMN {}", column.name)
            }
            3 if !self.columns.is_empty() => {
                let at = r.below(self.columns.len());
                self.columns_made += 1;
                let new = format!("r{}", self.columns_made);
                let old = std::mem::replace(&mut self.columns[at].name, new.clone());
                format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}")
            }
            4 | 5 => self.retype(r),
            6 if !self.columns.is_empty() => {
                let column = r.pick(&self.columns);
                match column.kind.defaults {
                    [] => format!("ALTER TABLE {name} ALTER COLUMN {} DROP DEFAULT", column.name),
                    defaults => {
                        let value = r.pick(defaults);
                        format!("ALTER TABLE {name} ALTER COLUMN {} SET DEFAULT {value}", column.name)
                    }
                }
            }
            7 if !self.columns.is_empty() => {
                let at = r.below(self.columns.len());
                let column = &mut self.columns[at];
                let was = std::mem::replace(&mut column.required, false);
                let column = &column.name;
                if was {
                    format!("ALTER TABLE {name} ALTER COLUMN {column} DROP NOT NULL")
                } else {
                    format!("ALTER TABLE {name} ALTER COLUMN {column} DROP DEFAULT")
                }
            }
            8 if self.key != Key::None => {
                let (identity, word) = match self.identity {
                    Identity::Full => (Identity::Default, "DEFAULT"),
                    Identity::Default => (Identity::Full, "FULL"),
                };
                self.identity = identity;
                format!("ALTER TABLE {name} REPLICA IDENTITY {word}")
            }
            9 => {
                self.columns_made += 1;
                self.name = format!("{}x", self.name);
                format!("ALTER TABLE {name} RENAME TO {}", self.name)
            }
            _ => self.add_column(r),
        }
    }

    fn add_column(&mut self, r: &mut Random) -> String {
        let kind = r.pick(KINDS);
        let required = !kind.defaults.is_empty() && r.percent(30);
        let column = self.add(kind, required);
        let default = match (kind.defaults, required || r.percent(50)) {
            ([], _) | (_, false) => String::new(),
            (defaults, true) => format!(" DEFAULT {}", r.pick(defaults)),
        };
        let required = if required { " NOT NULL" } else { "" };
        format!("ALTER TABLE {} ADD COLUMN {column} {}{default}{required}", self.name, kind.sql)
    }

    fn retype(&mut self, r: &mut Random) -> String {
        let can: Vec<usize> =
            (0..self.columns.len()).filter(|at| !self.columns[*at].kind.becomes.is_empty()).collect();
        if can.is_empty() {
            return self.add_column(r);
        }
        let column = &mut self.columns[*r.pick(&can)];
        let (to, using) = *r.pick(column.kind.becomes);
        column.kind = kinds::named(to);
        let (table, name) = (&self.name, &column.name);
        let using = using.replace('%', name);
        format!(
            "ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT, ALTER COLUMN {name} TYPE {to} USING {using}"
        )
    }
}

fn constraints(column: &Column, r: &mut Random) -> String {
    let mut text = String::new();
    if !column.kind.defaults.is_empty() && r.percent(50) {
        text.push_str(&format!(" DEFAULT {}", r.pick(column.kind.defaults)));
    }
    if column.required {
        text.push_str(" NOT NULL");
    }
    text
}
