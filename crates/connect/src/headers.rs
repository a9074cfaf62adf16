//! Headers of a record: a shared list that is copied only when somebody changes it.

use std::sync::Arc;

use crate::schema::Schema;
use crate::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub key: Arc<str>,
    pub schema: Option<Schema>,
    pub value: Value,
}

/// Most records of a task carry the same headers: they share one list, and who encodes them may cache by
/// [`Headers::id`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    pub fn new(headers: Vec<Header>) -> Self {
        Self((!headers.is_empty()).then(|| Arc::new(headers)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn as_slice(&self) -> &[Header] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.as_slice().iter()
    }

    /// The last header of that name, as Connect's `lastWithName`.
    pub fn last(&self, key: &str) -> Option<&Header> {
        self.iter().rev().find(|header| &*header.key == key)
    }

    /// Appends a header; copies the list when it is shared.
    pub fn push(&mut self, header: Header) {
        Arc::make_mut(self.0.get_or_insert_default()).push(header);
    }

    /// Keeps the headers that `keep` accepts.
    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        if let Some(list) = &mut self.0 {
            Arc::make_mut(list).retain(keep);
            if list.is_empty() {
                self.0 = None;
            }
        }
    }

    /// Identity for caches: equal ids mean the same list for as long as one of the two lives; 0 is the empty list.
    pub fn id(&self) -> usize {
        self.0.as_ref().map_or(0, |list| Arc::as_ptr(list) as usize)
    }
}
