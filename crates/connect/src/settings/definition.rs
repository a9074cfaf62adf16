//! What an option is: Kafka's `ConfigDef` as a table.

use std::borrow::Cow;

use super::Properties;

/// Kafka's `ConfigDef.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

impl Importance {
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    None,
    Short,
    Medium,
    Long,
}

impl Width {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Short => "SHORT",
            Self::Medium => "MEDIUM",
            Self::Long => "LONG",
        }
    }
}

/// Where an option is shown, and at which place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: &'static str,
    /// Kafka counts from 1, Debezium from 0; -1 is "no order".
    pub order: i32,
}

/// Checks a value after parsing; the error text is what `/validate` shows.
#[derive(Clone, Copy)]
pub enum Validator {
    /// One of these, exactly.
    OneOf(&'static [&'static str]),
    /// One of these in any case.
    OneOfIgnoreCase(&'static [&'static str]),
    /// A number not below.
    AtLeast(i64),
    /// A number within, both ends included.
    Between(i64, i64),
    NonEmpty,
    /// Anything else: the value (`None` when absent), and all properties.
    Check(fn(Option<&str>, &Properties) -> Result<(), String>),
}

/// What we make of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Does what it says.
    Honoured,
    /// Has no meaning here and does no harm: accepted in silence (a Java class, a pool size).
    Accepted,
    /// Would change data or delivery and is not done: giving it another value than the default is an error.
    Refused,
    /// Known but not published: left out of definitions and documentation.
    Internal,
}

/// One option.
#[derive(Clone)]
pub struct Row {
    pub name: &'static str,
    /// Older names, first one wins; the name itself wins over all.
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    /// `None` with `required` unset is Kafka's default of null.
    pub default: Option<Cow<'static, str>>,
    pub required: bool,
    pub validators: Vec<Validator>,
    pub importance: Importance,
    pub group: Option<Group>,
    pub width: Width,
    /// Shown by user interfaces; the name when not set.
    pub display_name: &'static str,
    pub doc: &'static str,
    pub dependents: &'static [&'static str],
    pub recommended: &'static [&'static str],
    pub standing: Standing,
}

/// Starts a row: a text option without default, of medium importance.
pub fn row(name: &'static str) -> Row {
    Row {
        name,
        aliases: &[],
        kind: Kind::String,
        default: None,
        required: false,
        validators: vec![],
        importance: Importance::Medium,
        group: None,
        width: Width::None,
        display_name: name,
        doc: "",
        dependents: &[],
        recommended: &[],
        standing: Standing::Honoured,
    }
}

impl Row {
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
    pub fn text(self) -> Self {
        self.kind(Kind::String)
    }
    pub fn boolean(self) -> Self {
        self.kind(Kind::Boolean)
    }
    pub fn int(self) -> Self {
        self.kind(Kind::Int)
    }
    pub fn long(self) -> Self {
        self.kind(Kind::Long)
    }
    pub fn list(self) -> Self {
        self.kind(Kind::List)
    }
    pub fn password(self) -> Self {
        self.kind(Kind::Password)
    }
    pub fn class(self) -> Self {
        self.kind(Kind::Class)
    }
    pub fn default(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.default = Some(text.into());
        self
    }
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
    pub fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
    pub fn check(mut self, validator: Validator) -> Self {
        self.validators.push(validator);
        self
    }
    pub fn importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }
    pub fn group(mut self, name: &'static str, order: i32) -> Self {
        self.group = Some(Group { name, order });
        self
    }
    pub fn width(mut self, width: Width) -> Self {
        self.width = width;
        self
    }
    pub fn display(mut self, name: &'static str) -> Self {
        self.display_name = name;
        self
    }
    pub fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
    pub fn dependents(mut self, names: &'static [&'static str]) -> Self {
        self.dependents = names;
        self
    }
    pub fn recommended(mut self, values: &'static [&'static str]) -> Self {
        self.recommended = values;
        self
    }
    pub fn standing(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }
}

/// A component's table, in the order in which its options are published.
#[derive(Clone, Default)]
pub struct Definition {
    pub rows: Vec<Row>,
}

impl Definition {
    pub fn new(rows: Vec<Row>) -> Self {
        Self { rows }
    }

    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Groups in the order of their first row.
    pub fn groups(&self) -> Vec<&'static str> {
        let mut groups = vec![];
        for group in self.rows.iter().filter_map(|row| row.group) {
            if !groups.contains(&group.name) {
                groups.push(group.name);
            }
        }
        groups
    }

    /// Whether a key is an option's name or one of its older names.
    pub fn knows(&self, key: &str) -> bool {
        self.rows.iter().any(|row| row.name == key || row.aliases.contains(&key))
    }
}
