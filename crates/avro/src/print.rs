//! A schema as JSON.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use crate::name::Name;
use crate::schema::{Field, Order, Schema, Type, TypeId};

impl Schema {
    /// The schema as JSON, with all that it says. Each type is defined where it comes first, and names are full, so that two texts
    /// of one schema are the same JSON: their spaces, the order of their keys, and short or full names make no difference.
    pub fn to_json(&self) -> Json {
        self.print(true)
    }

    /// [`to_json`](Self::to_json) without documentation.
    pub fn to_json_without_doc(&self) -> Json {
        self.print(false)
    }

    fn print(&self, with_doc: bool) -> Json {
        Printer { schema: self, with_doc, defined: BTreeSet::new() }.print(self.root, None)
    }
}

struct Printer<'a> {
    schema: &'a Schema,
    with_doc: bool,
    defined: BTreeSet<TypeId>,
}

impl Printer<'_> {
    /// A type within a namespace.
    fn print(&mut self, id: TypeId, namespace: Option<&str>) -> Json {
        let of = self.schema.get(id);
        if let Some(name) = of.name().filter(|_| !self.defined.insert(id)) {
            return name.full().into();
        }
        if let Type::Union(branches) = of {
            return branches.iter().map(|branch| self.print(*branch, namespace)).collect();
        }
        let mut printed = self.schema.attributes(id).clone();
        if let Some(name) = of.name() {
            self.name(&mut printed, name, of.aliases(), namespace);
        }
        match of {
            Type::Array(items) => drop(printed.insert("items".to_owned(), self.print(*items, namespace))),
            Type::Map(values) => drop(printed.insert("values".to_owned(), self.print(*values, namespace))),
            Type::Fixed(fixed) => drop(printed.insert("size".to_owned(), fixed.size.into())),
            Type::Enum(of) => {
                printed.insert("symbols".to_owned(), json!(of.symbols));
                self.doc(&mut printed, of.doc.as_deref());
                if let Some(default) = &of.default {
                    printed.insert("default".to_owned(), json!(default));
                }
            }
            Type::Record(record) => {
                let inner = record.name.namespace();
                let fields = record.fields.iter().map(|field| self.field(field, inner)).collect();
                printed.insert("fields".to_owned(), fields);
                self.doc(&mut printed, record.doc.as_deref());
            }
            _ if printed.is_empty() => return of.kind().into(),
            _ => {}
        }
        printed.insert("type".to_owned(), of.kind().into());
        printed.into()
    }

    fn name(
        &self,
        printed: &mut Map<String, Json>,
        name: &Name,
        aliases: &[String],
        namespace: Option<&str>,
    ) {
        printed.insert("name".to_owned(), name.full().into());
        if name.namespace().is_none() && namespace.is_some() {
            printed.insert("namespace".to_owned(), "".into());
        }
        if !aliases.is_empty() {
            // A name without a dot would be one of the type's namespace.
            let full = |alias: &String| {
                let is_full = alias.contains('.') || name.namespace().is_none();
                if is_full { alias.clone() } else { format!(".{alias}") }
            };
            printed.insert("aliases".to_owned(), aliases.iter().map(full).collect());
        }
    }

    fn field(&mut self, field: &Field, namespace: Option<&str>) -> Json {
        let mut printed = field.attributes.clone();
        printed.insert("name".to_owned(), json!(field.name));
        printed.insert("type".to_owned(), self.print(field.field_type, namespace));
        if !field.aliases.is_empty() {
            printed.insert("aliases".to_owned(), json!(field.aliases));
        }
        if let Some(default) = &field.default {
            printed.insert("default".to_owned(), default.clone());
        }
        match field.order {
            Order::Ascending => {}
            Order::Descending => drop(printed.insert("order".to_owned(), "descending".into())),
            Order::Ignore => drop(printed.insert("order".to_owned(), "ignore".into())),
        }
        self.doc(&mut printed, field.doc.as_deref());
        printed.into()
    }

    fn doc(&self, printed: &mut Map<String, Json>, doc: Option<&str>) {
        if let Some(doc) = doc.filter(|_| self.with_doc) {
            printed.insert("doc".to_owned(), doc.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Json {
        Schema::parse(text).unwrap().to_json()
    }

    #[test]
    fn spaces_the_order_of_keys_and_short_names_make_no_difference() {
        let one = r#"{"name": "R", "namespace": "n", "type": "record", "fields": [
            {"type": {"type": "string"}, "name": "a"}, {"name": "b", "type": ["null", "R"], "order": "ascending"}]}"#;
        let other = r#"{"type":"record","name":"n.R","fields":[{"name":"a","type":"string"},{"name":"b","type":["null","n.R"]}]}"#;
        assert_eq!(printed(one), printed(other));
        assert_eq!(printed(other), serde_json::from_str::<Json>(other).unwrap());
    }

    #[test]
    fn documentation_is_left_out_where_it_is_documentation() {
        let text = r#"{"type": "record", "name": "R", "doc": "d", "fields": [
            {"name": "a", "doc": "d", "type": {"type": "map", "values": "string"}, "default": {"doc": "kept"}},
            {"name": "e", "type": {"type": "enum", "name": "E", "doc": "d", "symbols": ["A"]}, "unit": {"doc": "kept"}}]}"#;
        let without = Schema::parse(text).unwrap().to_json_without_doc();
        assert_eq!(without.to_string().matches("doc").count(), 2);
        assert_eq!(without.to_string().matches("\"doc\":\"kept\"").count(), 2);
        assert_eq!(printed(text).to_string().matches("\"doc\":\"d\"").count(), 3);
    }

    #[test]
    fn a_name_without_a_namespace_is_kept_within_one() {
        let text = r#"{"type": "record", "name": "n.R", "fields": [
            {"name": "a", "type": {"type": "enum", "name": "E", "namespace": "", "aliases": ["F"], "symbols": ["A"]}}],
            "aliases": [".Old"]}"#;
        let again = Schema::from_json(&printed(text)).unwrap();
        assert_eq!(again.to_json(), printed(text));
        let Type::Record(record) = again.get(again.root()) else { panic!() };
        assert_eq!(record.aliases, ["Old"]);
        assert_eq!(again.get(record.fields[0].field_type).branch_name(), "E");
    }
}
