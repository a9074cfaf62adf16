//! Whether a schema may follow the live versions of a subject.

use crate::format::{Parsed, Reader};
use crate::level::Level;
use crate::state::{State, Version};

/// Longest part of an old schema that is shown in a message.
const SHOWN_LENGTH_MAX: usize = 10 * 1024;

/// Messages in Confluent's form; empty when the schema may be registered. `versions` are live, ascending.
pub(crate) fn check(state: &State, new: &Parsed, versions: &[Version], level: Level) -> Vec<String> {
    let count = if level.is_transitive() { versions.len() } else { 1 };
    for version in versions.iter().rev().take(count) {
        let mut messages = against(state, new, version, level);
        if !messages.is_empty() {
            messages.push(format!("{{oldSchemaVersion: {}}}", version.version));
            let mut shown = version.schema.text.as_str();
            if shown.len() > SHOWN_LENGTH_MAX {
                let end = (0..=SHOWN_LENGTH_MAX).rev().find(|end| shown.is_char_boundary(*end)).unwrap_or(0);
                shown = &shown[..end];
            }
            messages.push(format!("{{oldSchema: '{shown}'}}"));
            messages.push(format!("{{validateFields: 'false', compatibility: '{}'}}", level.word()));
            return messages;
        }
    }
    vec![]
}

fn against(state: &State, new: &Parsed, version: &Version, level: Level) -> Vec<String> {
    if level == Level::None {
        return vec![];
    }
    let stored = &version.schema;
    if stored.schema_type != new.schema_type() {
        let (old, new) = (stored.schema_type.word(), new.schema_type().word());
        return vec![format!(
            "{{errorType:'TYPE', description:'the old schema is of type {old}, the new one of type {new}'}}"
        )];
    }
    let Some(old) = state.parsed(stored) else {
        return vec!["{errorType:'TYPE', description:'the old schema cannot be read'}".to_owned()];
    };
    let mut messages = vec![];
    if level.is_backward() {
        messages.extend(new.cannot_read(old, Reader::New));
    }
    if level.is_forward() {
        messages.extend(old.cannot_read(new, Reader::Old));
    }
    messages
}
