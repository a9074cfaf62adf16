//! Types of statement parameters: each is an array, one element per row.

use pg::oid;

/// What the elements of a parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Numeric,
    Uuid,
    Json,
    Jsonb,
}

impl Wire {
    /// The form in which a column of this type is best sent; text where the server has to cast.
    pub fn of(type_oid: u32) -> Self {
        match type_oid {
            oid::BOOL => Self::Bool,
            oid::INT2 => Self::Int2,
            oid::INT4 => Self::Int4,
            oid::INT8 => Self::Int8,
            oid::FLOAT4 => Self::Float4,
            oid::FLOAT8 => Self::Float8,
            oid::BYTEA => Self::Bytea,
            oid::DATE => Self::Date,
            oid::TIME => Self::Time,
            oid::TIMESTAMP => Self::Timestamp,
            oid::TIMESTAMPTZ => Self::TimestampTz,
            oid::NUMERIC => Self::Numeric,
            oid::UUID => Self::Uuid,
            oid::JSON => Self::Json,
            oid::JSONB => Self::Jsonb,
            _ => Self::Text,
        }
    }

    /// Number of the element's type, as it stands in the head of the array.
    pub fn element_oid(self) -> u32 {
        match self {
            Self::Bool => oid::BOOL,
            Self::Int2 => oid::INT2,
            Self::Int4 => oid::INT4,
            Self::Int8 => oid::INT8,
            Self::Float4 => oid::FLOAT4,
            Self::Float8 => oid::FLOAT8,
            Self::Text => oid::TEXT,
            Self::Bytea => oid::BYTEA,
            Self::Date => oid::DATE,
            Self::Time => oid::TIME,
            Self::Timestamp => oid::TIMESTAMP,
            Self::TimestampTz => oid::TIMESTAMPTZ,
            Self::Numeric => oid::NUMERIC,
            Self::Uuid => oid::UUID,
            Self::Json => oid::JSON,
            Self::Jsonb => oid::JSONB,
        }
    }

    /// The parameter's type in SQL.
    pub fn array_name(self) -> &'static str {
        match self {
            Self::Bool => "bool[]",
            Self::Int2 => "int2[]",
            Self::Int4 => "int4[]",
            Self::Int8 => "int8[]",
            Self::Float4 => "float4[]",
            Self::Float8 => "float8[]",
            Self::Text => "text[]",
            Self::Bytea => "bytea[]",
            Self::Date => "date[]",
            Self::Time => "time[]",
            Self::Timestamp => "timestamp[]",
            Self::TimestampTz => "timestamptz[]",
            Self::Numeric => "numeric[]",
            Self::Uuid => "uuid[]",
            Self::Json => "json[]",
            Self::Jsonb => "jsonb[]",
        }
    }
}
