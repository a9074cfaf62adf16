//! `spec`: which fields become what, or what the whole value becomes.

use connect::Kind;
use connect::settings::{Definition, Importance, Validator, row};

use crate::nulls::Nulls;

pub(super) struct Settings {
    pub casts: Casts,
    pub nulls: Nulls,
}

pub(super) enum Casts {
    Whole(Target),
    Fields(Vec<(Box<str>, Target)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    Text,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("spec")
            .list()
            .required()
            .importance(Importance::High)
            .check(Validator::Check(|value, _| match value {
                Some(text) => parse(&items(text)).map(drop),
                None => Ok(()),
            }))
            .doc(
                "Pairs of a field and its new type, field1:type,field2:type; a type alone is for the whole key or value. Types: int8, int16, int32, int64, float32, float64, boolean, string; bytes can become a string only.",
            ),
        Nulls::row(),
    ])
}

fn items(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() { vec![] } else { text.split(',').map(|item| item.trim().to_owned()).collect() }
}

pub(super) fn parse(items: &[String]) -> Result<Casts, String> {
    if items.is_empty() {
        return Err("Must specify at least one field to cast.".to_owned());
    }
    let mut fields: Vec<(Box<str>, Target)> = vec![];
    let mut whole = None;
    for item in items {
        let trimmed = item.trim_end_matches(':');
        match trimmed.split(':').collect::<Vec<_>>()[..] {
            [name] => whole = Some(Target::parse(name)?),
            [name, target] => {
                let (name, target) = (name.trim(), Target::parse(target)?);
                match fields.iter_mut().find(|(known, _)| **known == *name) {
                    Some(field) => field.1 = target,
                    None => fields.push((name.into(), target)),
                }
            }
            _ => return Err(format!("Invalid rename mapping: {item}")),
        }
    }
    match whole {
        None => Ok(Casts::Fields(fields)),
        Some(target) if items.len() == 1 => Ok(Casts::Whole(target)),
        Some(_) => {
            Err("Cast transformations that specify a type to cast the entire value to may only specify a \
                        single cast in their spec"
                .to_owned())
        }
    }
}

impl Target {
    fn parse(word: &str) -> Result<Self, String> {
        Ok(match word.trim().to_ascii_lowercase().as_str() {
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "float32" => Self::Float32,
            "float64" => Self::Float64,
            "boolean" => Self::Boolean,
            "string" => Self::Text,
            "bytes" | "array" | "map" | "struct" => {
                return Err(format!(
                    "Cast transformation does not support casting to {}; supported types are [INT8, INT16, INT32, \
                     INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]",
                    word.trim().to_uppercase()
                ));
            }
            _ => return Err(format!("Invalid type found in casting spec: {}", word.trim())),
        })
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Int8 => Kind::Int8,
            Self::Int16 => Kind::Int16,
            Self::Int32 => Kind::Int32,
            Self::Int64 => Kind::Int64,
            Self::Float32 => Kind::Float32,
            Self::Float64 => Kind::Float64,
            Self::Boolean => Kind::Boolean,
            Self::Text => Kind::String,
        }
    }
}
