//! The records of a schema file.

use std::sync::Arc;

use serde_json::Value;

use crate::layout::shape::Shape;

/// A schema file's records; the first one is the event.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Full name of the event: `shop.orders.OrderCreated`.
    pub(crate) full_name: Arc<str>,
    pub(crate) records: Vec<Record>,
    /// Whether any field may be missing in JSON.
    pub(crate) has_defaults: bool,
}

impl Layout {
    /// The index of the event's own record.
    pub(crate) const EVENT: usize = 0;

    pub(crate) fn event(&self) -> &Record {
        &self.records[Self::EVENT]
    }
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) name: TypeName,
    pub(crate) doc: Option<String>,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) doc: Option<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) default: Option<DefaultValue>,
    /// The text of the rule that makes the field from an older version.
    pub(crate) rule: Option<String>,
}

/// A field's default in the plain mapping and in Avro's encoding.
#[derive(Debug, Clone)]
pub(crate) struct DefaultValue {
    pub(crate) json: Value,
    pub(crate) avro: Vec<u8>,
}

/// Full name and the full names it was known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName {
    pub(crate) full: String,
    pub(crate) aliases: Vec<String>,
}

impl TypeName {
    /// The name without its namespace.
    pub(crate) fn simple(&self) -> &str {
        self.full.rsplit('.').next().unwrap_or(&self.full)
    }

    /// Whether an older version's type of that name is this type.
    pub(crate) fn matches(&self, older: &Self) -> bool {
        self.full == older.full || self.aliases.contains(&older.full)
    }
}
