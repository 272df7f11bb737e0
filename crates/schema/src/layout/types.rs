//! The records of a schema file.

use std::collections::HashMap;
use std::sync::Arc;

use crate::layout::shape::Shape;
use crate::layout::type_name::TypeName;

/// A schema file's records; the first one is the event.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Full name of the event: `shop.orders.OrderCreated`.
    pub(crate) full_name: Arc<str>,
    pub(crate) records: Vec<Record>,
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
    pub(crate) unknown_fields: UnknownFields,
    /// The fields' positions by each of their stored names.
    pub(crate) by_stored_name: HashMap<String, usize>,
}

impl Record {
    pub(crate) fn has_stored_name(&self, name: &str) -> bool {
        self.by_stored_name.contains_key(name)
    }
}

/// What happens to fields in JSON that the schema does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownFields {
    Error,
    /// They are left out and counted.
    Drop,
    /// A field of the record holds them.
    Keep,
}

/// Which names the fields of a JSON object have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Those of the JSON that is stored.
    Stored,
    /// Those of the schema. They are used between versions, so that rules need not know the stored ones.
    Avro,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) doc: Option<String>,
    pub(crate) aliases: Vec<String>,
    /// The names in stored JSON, at least one. The first is the one that is written.
    pub(crate) stored_names: Vec<String>,
    /// Whether it holds the fields that the schema does not have.
    pub(crate) keeps_unknown: bool,
    pub(crate) shape: Shape,
    pub(crate) default: Option<DefaultValue>,
    /// The text of the rule that makes the field from an older version.
    pub(crate) rule: Option<String>,
}

impl Field {
    /// The names that the field may have in JSON. The first is the one that is written.
    pub(crate) fn names(&self, names: Names) -> &[String] {
        match names {
            Names::Stored => &self.stored_names,
            Names::Avro => std::slice::from_ref(&self.name),
        }
    }
}

/// A field's default in Avro's encoding.
#[derive(Debug, Clone)]
pub(crate) struct DefaultValue {
    pub(crate) avro: Vec<u8>,
    /// How many values it has.
    pub(crate) values: usize,
}
