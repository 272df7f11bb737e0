//! Avro's parsing canonical form: what a schema means for who reads its bytes, without defaults, aliases and documentation.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::name::Name;
use crate::schema::{Enum, Fixed, Record, Schema, Type, TypeId};

impl Schema {
    /// The parsing canonical form of the specification. A type is written where its name comes first.
    pub fn canonical_form(&self) -> String {
        let mut form = Form { schema: self, text: String::new(), defined: BTreeSet::new() };
        form.write(self.root);
        form.text
    }
}

struct Form<'a> {
    schema: &'a Schema,
    text: String,
    defined: BTreeSet<TypeId>,
}

impl Form<'_> {
    fn write(&mut self, id: TypeId) {
        let schema = self.schema;
        match schema.get(id) {
            Type::Array(items) => self.container("array", "items", *items),
            Type::Map(values) => self.container("map", "values", *values),
            Type::Union(branches) => {
                self.list(branches, |form, branch| form.write(*branch));
            }
            Type::Record(Record { name, fields, .. }) => {
                if self.define(id, name, "record") {
                    self.text.push_str(",\"fields\":");
                    self.list(fields, |form, field| {
                        form.text.push_str("{\"name\":");
                        form.quote(&field.name);
                        form.text.push_str(",\"type\":");
                        form.write(field.field_type);
                        form.text.push('}');
                    });
                    self.text.push('}');
                }
            }
            Type::Enum(Enum { name, symbols, .. }) => {
                if self.define(id, name, "enum") {
                    self.text.push_str(",\"symbols\":");
                    self.list(symbols, |form, symbol| form.quote(symbol));
                    self.text.push('}');
                }
            }
            Type::Fixed(Fixed { name, size, .. }) => {
                if self.define(id, name, "fixed") {
                    // Writing to a text cannot fail.
                    let _ = write!(self.text, ",\"size\":{size}}}");
                }
            }
            primitive => self.quote(primitive.kind()),
        }
    }

    fn container(&mut self, kind: &str, attribute: &str, content: TypeId) {
        let _ = write!(self.text, "{{\"type\":\"{kind}\",\"{attribute}\":");
        self.write(content);
        self.text.push('}');
    }

    /// Begins the definition of a named type. False: it was defined before, and its name is enough.
    fn define(&mut self, id: TypeId, name: &Name, kind: &str) -> bool {
        if !self.defined.insert(id) {
            self.quote(name.full());
            return false;
        }
        let _ = write!(self.text, "{{\"name\":\"{name}\",\"type\":\"{kind}\"");
        true
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.text.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            write(self, item);
        }
        self.text.push(']');
    }

    /// Names have no characters that need an escape.
    fn quote(&mut self, name: &str) {
        let _ = write!(self.text, "\"{name}\"");
    }
}
