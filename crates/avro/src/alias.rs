//! The names that a reader's aliases give to a writer's types and fields.

use std::collections::{BTreeSet, HashMap};

use crate::schema::{Record, Schema, Type, TypeId};

/// What a reader's aliases rename. Of two types or fields with one alias the last one has it.
#[derive(Debug, Default)]
pub(crate) struct Renames {
    /// Full names of types.
    types: HashMap<String, String>,
    /// Names of fields, by the full name of the reader's record.
    fields: HashMap<String, HashMap<String, String>>,
}

impl Renames {
    pub(crate) fn of(reader: &Schema) -> Self {
        let mut renames = Self::default();
        let (mut open, mut seen) = (vec![reader.root], BTreeSet::new());
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let of_type = reader.get(id);
            if let Some(name) = of_type.name() {
                let aliases = of_type.aliases().iter().map(|alias| (alias.clone(), name.full().to_owned()));
                renames.types.extend(aliases);
            }
            match of_type {
                Type::Array(items) | Type::Map(items) => open.push(*items),
                Type::Union(branches) => open.extend(branches.iter().rev()),
                Type::Record(record) => {
                    renames.add_fields(record);
                    open.extend(record.fields.iter().rev().map(|field| field.field_type));
                }
                _ => {}
            }
        }
        renames
    }

    fn add_fields(&mut self, record: &Record) {
        let aliases = record
            .fields
            .iter()
            .flat_map(|field| field.aliases.iter().map(|alias| (alias.clone(), field.name.clone())));
        self.fields.entry(record.name.full().to_owned()).or_default().extend(aliases);
    }

    /// The full name of a writer's type.
    pub(crate) fn type_name<'a>(&'a self, writer: &'a Schema, id: TypeId) -> &'a str {
        let name = writer.get(id).branch_name();
        self.types.get(name).map_or(name, String::as_str)
    }

    /// The name of a field of a writer's record, whose full name is this after it was renamed.
    pub(crate) fn field<'a>(&'a self, record: &str, field: &'a str) -> &'a str {
        let renamed = self.fields.get(record).and_then(|fields| fields.get(field));
        renamed.map_or(field, String::as_str)
    }
}
