//! Transactions of random statements on random tables.

use crate::kinds::TYPES;
use crate::random::Random;
use crate::tables::{Column, Key, Table};

/// Tables at the beginning.
const TABLES: usize = 6;

/// Something to run on a session.
#[derive(Clone, Debug)]
pub enum Action {
    Sql(String),
    /// `COPY … FROM STDIN` and its lines: many rows in one WAL record.
    Copy {
        statement: String,
        lines: String,
    },
}

/// Whether schemas change and tables are truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    Everything,
    /// Only rows with keys, as a sink can apply them.
    Rows,
}

pub struct Workload {
    r: Random,
    range: Range,
    tables: Vec<Table>,
    tables_made: usize,
}

impl Workload {
    pub fn new(seed: u64, range: Range) -> Self {
        let mut r = Random::new(seed);
        let mut tables: Vec<Table> = (0..TABLES).map(|number| Table::random(number, &mut r)).collect();
        if range == Range::Rows {
            tables.retain(|table| table.key != Key::None);
            tables.iter_mut().for_each(Table::without_one_way);
        }
        Self { r, range, tables, tables_made: TABLES }
    }

    pub fn random(&mut self) -> &mut Random {
        &mut self.r
    }

    /// Columns as options name them: one that can be cut and masked, and all whose length is the same in snapshot and
    /// stream.
    pub fn named_columns(&mut self) -> (String, String) {
        let is_text =
            |column: &Column| ["text", "varchar(20)", "varchar(40)", "char(5)"].contains(&column.kind.sql);
        let named = |chosen: &dyn Fn(&Column) -> bool| -> Vec<String> {
            let of_table = |table: &Table| {
                let columns = table.columns.iter().filter(|column| chosen(column));
                columns.map(|column| format!("public\\.{}\\.{}", table.name, column.name)).collect::<Vec<_>>()
            };
            self.tables.iter().flat_map(of_table).collect()
        };
        let (texts, scalars) = (named(&is_text), named(&|column| !column.kind.sql.ends_with("[]")));
        let text = if texts.is_empty() { "none".to_owned() } else { self.r.pick(&texts).clone() };
        (text, scalars.join(","))
    }

    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Types and tables.
    pub fn schema(&mut self) -> String {
        let mut sql = format!("{TYPES}\nCREATE TABLE marker (n integer PRIMARY KEY);");
        for table in &self.tables {
            sql.push('\n');
            sql.push_str(&table.create(&mut self.r));
        }
        sql
    }

    /// Rows for the snapshot.
    pub fn first_rows(&mut self) -> Vec<Action> {
        (0..self.tables.len()).map(|at| self.insert(at)).collect()
    }

    /// A statement that changes schemas.
    pub fn change(&mut self) -> String {
        match self.r.below(12) {
            0 => {
                let table = Table::random(self.tables_made, &mut self.r);
                self.tables_made += 1;
                let sql = table.create(&mut self.r);
                self.tables.push(table);
                sql
            }
            1 if self.tables.len() > 3 => {
                let at = self.r.below(self.tables.len());
                format!("DROP TABLE {}", self.tables.remove(at).name)
            }
            _ => {
                let at = self.r.below(self.tables.len());
                self.tables[at].change(&mut self.r)
            }
        }
    }

    /// Two transactions on different tables, to be run side by side.
    pub fn two_transactions(&mut self) -> [Vec<Action>; 2] {
        let half = self.tables.len() / 2;
        [self.transaction(0..half), self.transaction(half..self.tables.len())]
    }

    fn transaction(&mut self, tables: std::ops::Range<usize>) -> Vec<Action> {
        if self.r.percent(30) {
            return vec![self.statement(&tables)];
        }
        let mut actions = vec![Action::Sql("BEGIN".to_owned())];
        for number in 0..1 + self.r.below(5) {
            if self.r.percent(15) {
                actions.push(Action::Sql(format!("SAVEPOINT s{number}")));
                actions.push(self.statement(&tables));
                let end = if self.r.percent(70) { "ROLLBACK TO" } else { "RELEASE" };
                actions.push(Action::Sql(format!("{end} s{number}")));
            }
            actions.push(self.statement(&tables));
        }
        let end = if self.r.percent(88) { "COMMIT" } else { "ROLLBACK" };
        actions.push(Action::Sql(end.to_owned()));
        actions
    }

    fn statement(&mut self, tables: &std::ops::Range<usize>) -> Action {
        let at = tables.start + self.r.below(tables.len());
        let table = self.tables[at].clone();
        let name = &table.name;
        Action::Sql(match self.r.below(24) {
            0..=6 => return self.insert(at),
            7..=13 => {
                let (set, condition) = (self.assignments(&table), self.condition(&table));
                format!("UPDATE {name} SET {set} WHERE {condition}")
            }
            14..=16 => format!("DELETE FROM {name} WHERE {}", self.condition(&table)),
            17 | 18 if self.range == Range::Everything || !table.loses_values_with_its_key() => {
                let (old, new) = (self.some_id(&table), table.next_id);
                self.tables[at].next_id += 1;
                format!("UPDATE {name} SET id = {new} WHERE id = {old}")
            }
            19 | 20 => return self.copy(at),
            21 if self.range == Range::Everything => {
                let other = &self.tables[tables.start + self.r.below(tables.len())].name;
                let more = if other == name { String::new() } else { format!(", {other}") };
                format!("TRUNCATE {name}{more}")
            }
            22 if table.key != Key::None => {
                let columns: Vec<&Column> = table.columns.iter().collect();
                let row = self.row(&table, &columns, |r| r.between(1, 9));
                let names = self.names(&table, &columns);
                let set = self.assignments(&table);
                let key = if table.key == Key::Two { "id, part" } else { "id" };
                format!(
                    "INSERT INTO {name} AS t ({names}) VALUES ({row}) ON CONFLICT ({key}) DO UPDATE SET {set}"
                )
            }
            23 if self.range == Range::Everything => {
                let transactional = self.r.percent(60);
                format!(
                    "SELECT pg_logical_emit_message({transactional}, 'p{}', 'content é')",
                    self.r.below(3)
                )
            }
            _ => format!("UPDATE {name} SET id = id WHERE {}", self.condition(&table)),
        })
    }

    fn names(&self, table: &Table, columns: &[&Column]) -> String {
        let key: &[&str] = if table.key == Key::Two { &["id", "part"] } else { &["id"] };
        let names: Vec<&str> =
            key.iter().copied().chain(columns.iter().map(|column| column.name.as_str())).collect();
        names.join(", ")
    }

    fn row(&mut self, table: &Table, columns: &[&Column], id: impl FnOnce(&mut Random) -> i64) -> String {
        let mut values = vec![id(&mut self.r).to_string()];
        if table.key == Key::Two {
            values.push(format!("'{}'", self.r.pick(&["a", "b", "é "])));
        }
        for column in columns {
            values.push(self.value(column));
        }
        values.join(", ")
    }

    fn value(&mut self, column: &Column) -> String {
        if !column.required && self.r.percent(15) {
            return "NULL".to_owned();
        }
        (column.kind.value)(&mut self.r)
    }

    /// One or several rows; what is not named takes its default.
    fn insert(&mut self, at: usize) -> Action {
        let table = self.tables[at].clone();
        let columns: Vec<&Column> =
            table.columns.iter().filter(|column| column.required || !self.r.percent(15)).collect();
        let mut next = table.next_id;
        let count = 1 + self.r.below(4);
        let mut rows = vec![];
        for _ in 0..count {
            rows.push(format!("({})", self.row(&table, &columns, |_| next)));
            next += 1;
        }
        self.tables[at].next_id = next;
        let names = self.names(&table, &columns);
        Action::Sql(format!("INSERT INTO {} ({names}) VALUES {}", table.name, rows.join(", ")))
    }

    fn copy(&mut self, at: usize) -> Action {
        if self.tables[at].columns.iter().any(|column| column.required) {
            return self.insert(at);
        }
        let table = &mut self.tables[at];
        let part = if table.key == Key::Two { "\ta" } else { "" };
        let count = 2 + self.r.below(6) as i64;
        let lines = (table.next_id..table.next_id + count).map(|id| format!("{id}{part}\n")).collect();
        table.next_id += count;
        let names = if table.key == Key::Two { "id, part" } else { "id" };
        Action::Copy { statement: format!("COPY {} ({names}) FROM STDIN", table.name), lines }
    }

    fn assignments(&mut self, table: &Table) -> String {
        let mut parts = vec![];
        for _ in 0..1 + self.r.below(3) {
            if table.columns.is_empty() {
                break;
            }
            let column = self.r.pick(&table.columns).clone();
            let start = format!("{} = ", column.name);
            if !parts.iter().any(|part: &String| part.starts_with(&start)) {
                parts.push(format!("{start}{}", self.value(&column)));
            }
        }
        if parts.is_empty() { format!("id = {}.id", table.name) } else { parts.join(", ") }
    }

    fn some_id(&mut self, table: &Table) -> i64 {
        self.r.between(1, table.next_id.max(2) - 1)
    }

    fn condition(&mut self, table: &Table) -> String {
        let id = self.some_id(table);
        match self.r.below(5) {
            0 => format!("id % 5 = {}", self.r.below(5)),
            1 => format!("id BETWEEN {id} AND {}", id + 3),
            _ => format!("id = {id}"),
        }
    }
}
