//! What a value means: shared, immutable, built once.
//!
//! Equality asks the pointer first, a fingerprint second and the content last, so that a cache by schema costs
//! nothing on the path of a record.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use crate::value::Value;

/// A Connect schema. Cloning copies a pointer.
#[derive(Clone)]
pub struct Schema(Arc<Inner>);

struct Inner {
    kind: Kind,
    optional: bool,
    name: Option<Arc<str>>,
    version: Option<i32>,
    doc: Option<Arc<str>>,
    /// In the order of definition: it shows in JSON and Avro.
    parameters: Vec<(Arc<str>, Arc<str>)>,
    default: Option<Value>,
    fingerprint: u64,
}

/// Connect's `Schema.Type`, with what a container contains.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Kind {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    Array(Schema),
    Map { key: Schema, value: Schema },
    Struct(Box<[Field]>),
}

impl Kind {
    /// Connect's lower-case name, as in the JSON envelope (FLOAT32 is `float` there: see the JSON converter).
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Array(_) => "array",
            Self::Map { .. } => "map",
            Self::Struct(_) => "struct",
        }
    }
}

/// A field of a struct; its index is its place in the list.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Field {
    pub name: Arc<str>,
    pub schema: Schema,
}

impl Schema {
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }
    pub fn is_optional(&self) -> bool {
        self.0.optional
    }
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
    pub fn version(&self) -> Option<i32> {
        self.0.version
    }
    pub fn doc(&self) -> Option<&str> {
        self.0.doc.as_deref()
    }
    pub fn default(&self) -> Option<&Value> {
        self.0.default.as_ref()
    }
    pub fn parameters(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0.parameters
    }
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.0.parameters.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }

    /// The fields of a struct; empty for any other kind.
    pub fn fields(&self) -> &[Field] {
        match &self.0.kind {
            Kind::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// Index of a field by name: for plans, never for records.
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields().iter().position(|field| &*field.name == name)
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| &*field.name == name)
    }

    /// Identity for caches: equal ids mean the same schema for as long as one of the two lives.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A builder that starts from this schema's content.
    pub fn to_builder(&self) -> SchemaBuilder {
        let inner = &self.0;
        SchemaBuilder {
            kind: inner.kind.clone(),
            optional: inner.optional,
            name: inner.name.clone(),
            version: inner.version,
            doc: inner.doc.clone(),
            parameters: inner.parameters.clone(),
            default: inner.default.clone(),
        }
    }

    /// The same schema, but optional.
    pub fn to_optional(&self) -> Self {
        if self.is_optional() { self.clone() } else { self.to_builder().optional().build() }
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        Arc::ptr_eq(&self.0, &other.0)
            || (a.fingerprint == b.fingerprint
                && a.optional == b.optional
                && a.version == b.version
                && a.name == b.name
                && a.doc == b.doc
                && a.parameters == b.parameters
                && a.default == b.default
                && a.kind == b.kind)
    }
}
impl Eq for Schema {}

impl Hash for Schema {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.fingerprint);
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Schema");
        debug.field("kind", &self.0.kind);
        if self.0.optional {
            debug.field("optional", &true);
        }
        if let Some(name) = &self.0.name {
            debug.field("name", name);
        }
        if let Some(version) = self.0.version {
            debug.field("version", &version);
        }
        if !self.0.parameters.is_empty() {
            debug.field("parameters", &self.0.parameters);
        }
        if let Some(default) = &self.0.default {
            debug.field("default", default);
        }
        debug.finish()
    }
}

/// Builds a [`Schema`]; the calls may come in any order, parameters and fields keep theirs.
#[derive(Clone, Debug)]
pub struct SchemaBuilder {
    kind: Kind,
    optional: bool,
    name: Option<Arc<str>>,
    version: Option<i32>,
    doc: Option<Arc<str>>,
    parameters: Vec<(Arc<str>, Arc<str>)>,
    default: Option<Value>,
}

impl SchemaBuilder {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            optional: false,
            name: None,
            version: None,
            doc: None,
            parameters: vec![],
            default: None,
        }
    }
    pub fn int8() -> Self {
        Self::new(Kind::Int8)
    }
    pub fn int16() -> Self {
        Self::new(Kind::Int16)
    }
    pub fn int32() -> Self {
        Self::new(Kind::Int32)
    }
    pub fn int64() -> Self {
        Self::new(Kind::Int64)
    }
    pub fn float32() -> Self {
        Self::new(Kind::Float32)
    }
    pub fn float64() -> Self {
        Self::new(Kind::Float64)
    }
    pub fn boolean() -> Self {
        Self::new(Kind::Boolean)
    }
    pub fn string() -> Self {
        Self::new(Kind::String)
    }
    pub fn bytes() -> Self {
        Self::new(Kind::Bytes)
    }
    pub fn array(items: Schema) -> Self {
        Self::new(Kind::Array(items))
    }
    pub fn map(key: Schema, value: Schema) -> Self {
        Self::new(Kind::Map { key, value })
    }
    pub fn structure() -> Self {
        Self::new(Kind::Struct(Box::default()))
    }

    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
    pub fn required(mut self) -> Self {
        self.optional = false;
        self
    }
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }
    pub fn version(mut self, version: i32) -> Self {
        self.version = Some(version);
        self
    }
    pub fn doc(mut self, doc: impl Into<Arc<str>>) -> Self {
        self.doc = Some(doc.into());
        self
    }
    pub fn parameter(mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }
    /// Adds a field to a struct.
    ///
    /// # Panics
    /// When the kind is not `Struct`: a caller's error.
    pub fn field(mut self, name: impl Into<Arc<str>>, schema: Schema) -> Self {
        let Kind::Struct(fields) = &mut self.kind else { panic!("fields belong to structs") };
        let mut list = std::mem::take(fields).into_vec();
        list.push(Field { name: name.into(), schema });
        *fields = list.into_boxed_slice();
        self
    }
    /// Replaces all fields of a struct.
    pub fn fields(mut self, fields: Vec<Field>) -> Self {
        self.kind = Kind::Struct(fields.into_boxed_slice());
        self
    }

    pub fn build(self) -> Schema {
        // The seed is fixed so that a fingerprint means the same in every thread of the process.
        let mut hasher = foldhash::quality::FixedState::with_seed(0x7469_6465).build_hasher();
        self.kind.hash(&mut hasher);
        self.optional.hash(&mut hasher);
        self.name.hash(&mut hasher);
        self.version.hash(&mut hasher);
        self.parameters.hash(&mut hasher);
        self.default.is_some().hash(&mut hasher);
        Schema(Arc::new(Inner {
            fingerprint: hasher.finish(),
            kind: self.kind,
            optional: self.optional,
            name: self.name,
            version: self.version,
            doc: self.doc,
            parameters: self.parameters,
            default: self.default,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(default: i32) -> Schema {
        SchemaBuilder::structure()
            .name("s.t.Value")
            .field("id", SchemaBuilder::int32().default(default).build())
            .field("name", SchemaBuilder::string().optional().build())
            .build()
    }

    #[test]
    fn equal_by_content_and_different_by_default() {
        assert_eq!(row(0), row(0));
        assert_ne!(row(0), row(1));
        assert!(!row(0).ptr_eq(&row(0)));
    }

    #[test]
    fn fields_are_found_by_name() {
        let schema = row(0);
        assert_eq!(schema.field_index("name"), Some(1));
        assert_eq!(schema.field_index("nothing"), None);
    }
}
