//! The schema model: nodes in an arena; a named type that is used twice, or inside itself, is one node.

use std::collections::{HashMap, HashSet};

/// JSON as it stands in a schema's text: defaults and custom properties, in source order.
pub type Json = serde_json::Value;

/// Custom properties in the order in which they were added; Avro-Java prints them in that order.
pub type Properties = serde_json::Map<String, Json>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// An immutable schema: what `parse` or a `Builder` made.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    /// Full names defined in referenced schemas: printed by name, never inlined.
    pub(crate) external: HashSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub kind: Kind,
    pub properties: Properties,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Record(Record),
    Enum(Enum),
    Fixed(Fixed),
}

/// A full name; an empty namespace is no namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Name {
    pub simple: String,
    pub namespace: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub name: Name,
    pub doc: Option<String>,
    pub aliases: Vec<Name>,
    pub fields: Vec<Field>,
    /// Declared as `"error"`, which the printed text keeps.
    pub is_error: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub node: NodeId,
    pub doc: Option<String>,
    pub default: Option<Json>,
    pub order: Order,
    pub aliases: Vec<String>,
    pub properties: Properties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
    Ignore,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Enum {
    pub name: Name,
    pub doc: Option<String>,
    pub aliases: Vec<Name>,
    pub symbols: Vec<String>,
    pub default: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Fixed {
    pub name: Name,
    pub doc: Option<String>,
    pub aliases: Vec<Name>,
    pub size: usize,
}

impl Schema {
    pub fn root(&self) -> NodeId {
        self.root
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    pub fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    /// The named types of this schema, the referenced ones included.
    pub fn named_types(&self) -> impl Iterator<Item = (NodeId, &Name)> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(|(index, node)| node.kind.name().map(|name| (NodeId::of(index), name)))
    }

    pub(crate) fn is_external(&self, name: &Name) -> bool {
        !self.external.is_empty() && self.external.contains(&name.full())
    }
}

impl NodeId {
    pub(crate) fn of(index: usize) -> Self {
        Self(u32::try_from(index).expect("a schema has less than 2^32 nodes"))
    }

    /// Position in the arena: dense from 0, so that plans may be kept in a vector.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Node {
    pub fn plain(kind: Kind) -> Self {
        Self { kind, properties: Properties::new() }
    }

    pub fn logical_type(&self) -> Option<&str> {
        self.properties.get("logicalType").and_then(Json::as_str)
    }
}

impl Kind {
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Record(record) => Some(&record.name),
            Self::Enum(symbols) => Some(&symbols.name),
            Self::Fixed(fixed) => Some(&fixed.name),
            _ => None,
        }
    }

    pub fn aliases(&self) -> &[Name] {
        match self {
            Self::Record(record) => &record.aliases,
            Self::Enum(symbols) => &symbols.aliases,
            Self::Fixed(fixed) => &fixed.aliases,
            _ => &[],
        }
    }

    /// The word that stands for this kind in a schema's text.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(record) if record.is_error => "error",
            Self::Record(_) => "record",
            Self::Enum(_) => "enum",
            Self::Fixed(_) => "fixed",
        }
    }

    pub(crate) fn primitive(word: &str) -> Option<Self> {
        Some(match word {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => return None,
        })
    }
}

impl Name {
    /// Splits at the last dot; without a dot the given namespace holds.
    pub fn new(text: &str, namespace: &str) -> Self {
        match text.rsplit_once('.') {
            Some((space, simple)) => Self { simple: simple.to_owned(), namespace: space.to_owned() },
            None => Self { simple: text.to_owned(), namespace: namespace.to_owned() },
        }
    }

    pub fn full(&self) -> String {
        if self.namespace.is_empty() {
            self.simple.clone()
        } else {
            format!("{}.{}", self.namespace, self.simple)
        }
    }

    /// The shortest text that means this name inside `enclosing`.
    pub(crate) fn relative(&self, enclosing: &str) -> String {
        let ambiguous = Kind::primitive(&self.simple).is_some();
        if self.namespace.is_empty() || (self.namespace == enclosing && !ambiguous) {
            self.simple.clone()
        } else {
            self.full()
        }
    }
}

impl Order {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
            Self::Ignore => "ignore",
        }
    }
}

/// Makes a schema node by node; a named type may be declared before it is filled, for recursion.
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
    external: HashSet<String>,
}

impl Builder {
    pub fn add(&mut self, node: Node) -> NodeId {
        let id = NodeId::of(self.nodes.len());
        self.nodes.push(node);
        id
    }

    pub fn plain(&mut self, kind: Kind) -> NodeId {
        self.add(Node::plain(kind))
    }

    /// Adds a named type; `None` when the name is taken.
    pub fn add_named(&mut self, node: Node) -> Option<NodeId> {
        let full = node.kind.name()?.full();
        if self.names.contains_key(&full) {
            return None;
        }
        let id = self.add(node);
        self.names.insert(full, id);
        Some(id)
    }

    pub fn find(&self, full_name: &str) -> Option<NodeId> {
        self.names.get(full_name).copied()
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    /// Takes over every named type of `schema` as a reference: known, but not printed.
    /// The first of two types with the same name wins.
    pub(crate) fn import(&mut self, schema: &Schema) {
        let offset = self.nodes.len();
        let moved = |id: NodeId| NodeId::of(id.index() + offset);
        for node in &schema.nodes {
            let mut node = node.clone();
            match &mut node.kind {
                Kind::Array(item) | Kind::Map(item) => *item = moved(*item),
                Kind::Union(branches) => branches.iter_mut().for_each(|branch| *branch = moved(*branch)),
                Kind::Record(record) => {
                    record.fields.iter_mut().for_each(|field| field.node = moved(field.node));
                }
                _ => {}
            }
            self.nodes.push(node);
        }
        for (id, name) in schema.named_types() {
            self.names.entry(name.full()).or_insert(moved(id));
            self.external.insert(name.full());
        }
    }

    pub fn finish(self, root: NodeId) -> Schema {
        Schema { nodes: self.nodes, root, external: self.external }
    }
}
