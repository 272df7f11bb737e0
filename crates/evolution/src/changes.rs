//! What two versions of a schema differ in.

mod compare;
mod types;

use std::fmt;

use aqueduct_avro::Schema;
use serde::Serialize;
use serde_json::Value as Json;

use crate::changes::compare::Comparison;

/// A difference between an older and a newer schema.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Where it is in an event: `lines[].unitPrice`; `[]` are the items of a list, `{}` the values of a map. Empty: the event itself.
    pub place: String,
    /// What is different.
    #[serde(flatten)]
    pub kind: ChangeKind,
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A new field.
    FieldAdded {
        /// Its default, which readers see in older records.
        default: Option<Json>,
    },
    /// The newer version does not have the field.
    FieldRemoved,
    /// The field has an alias that is the older name.
    FieldRenamed {
        /// The older name.
        from: String,
    },
    /// Another type.
    Type {
        /// The older type.
        from: String,
        /// The newer type.
        to: String,
    },
    /// Another meaning of the same type.
    LogicalType {
        /// The older one.
        from: String,
        /// The newer one.
        to: String,
    },
    /// A time in another unit.
    Unit {
        /// The older one.
        from: String,
        /// The newer one.
        to: String,
    },
    /// Another number of decimals of a decimal.
    Scale {
        /// The older one.
        from: u32,
        /// The newer one.
        to: u32,
    },
    /// Another number of digits of a decimal.
    Precision {
        /// The older one.
        from: u32,
        /// The newer one.
        to: u32,
    },
    /// Another default of a field or an enum.
    Default {
        /// The older one, if there was one.
        from: Option<Json>,
        /// The newer one, if there is one.
        to: Option<Json>,
    },
    /// A named type with another name.
    Name {
        /// The older full name.
        from: String,
        /// The newer full name.
        to: String,
    },
    /// A new symbol of an enum.
    SymbolAdded {
        /// The symbol.
        symbol: String,
    },
    /// A symbol that the enum does not have any more.
    SymbolRemoved {
        /// The symbol.
        symbol: String,
    },
    /// A new branch of a union.
    BranchAdded {
        /// The branch.
        branch: String,
    },
    /// A branch that the union does not have any more.
    BranchRemoved {
        /// The branch.
        branch: String,
    },
    /// A branch whose values are read as another branch.
    BranchReadAs {
        /// The older branch.
        from: String,
        /// The newer one.
        to: String,
    },
    /// A fixed of another size.
    Size {
        /// The older one.
        from: usize,
        /// The newer one.
        to: usize,
    },
    /// A field sorts records differently.
    Order,
    /// Other documentation.
    Documentation,
    /// An attribute that has no meaning for Avro.
    Attribute {
        /// Its name.
        name: String,
    },
}

/// What a newer schema changes of an older one, in the order of its fields.
pub fn changes(older: &Schema, newer: &Schema) -> Vec<Change> {
    Comparison::new(older, newer).run()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "the event" } else { &self.place };
        write!(f, "{place}: {}", self.kind)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldAdded { default: Some(default) } => {
                write!(f, "new; older records have the default {default}")
            }
            Self::FieldAdded { default: None } => f.write_str("new, without a default"),
            Self::FieldRemoved => f.write_str("removed"),
            Self::FieldRenamed { from } => write!(f, "was called {from}"),
            Self::Type { from, to } => write!(f, "was {from}, is {to}"),
            Self::LogicalType { from, to } => write!(f, "meant {from}, means {to}"),
            Self::Unit { from, to } => write!(f, "was in {from}, is in {to}"),
            Self::Scale { from, to } => write!(f, "had {from} decimals, has {to}"),
            Self::Precision { from, to } => write!(f, "had {from} digits, has {to}"),
            Self::Default { from, to } => {
                let shown =
                    |default: &Option<Json>| default.as_ref().map_or("none".to_owned(), Json::to_string);
                write!(f, "the default was {}, is {}", shown(from), shown(to))
            }
            Self::Name { from, to } => write!(f, "the type was called {from}, is called {to}"),
            Self::SymbolAdded { symbol } => write!(f, "new symbol {symbol}"),
            Self::SymbolRemoved { symbol } => write!(f, "symbol {symbol} was removed"),
            Self::BranchAdded { branch } => write!(f, "may also be {branch}"),
            Self::BranchRemoved { branch } => write!(f, "may not be {branch} any more"),
            Self::BranchReadAs { from, to } => write!(f, "{from} is read as {to}"),
            Self::Size { from, to } => write!(f, "had {from} bytes, has {to}"),
            Self::Order => f.write_str("sorts records differently"),
            Self::Documentation => f.write_str("other documentation"),
            Self::Attribute { name } => write!(f, "the attribute {name} differs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(older: &str, newer: &str) -> Vec<String> {
        let schema = |fields: &str| {
            let text = format!(r#"{{"type": "record", "name": "n.R", "fields": [{fields}]}}"#);
            Schema::parse(&text).unwrap()
        };
        changes(&schema(older), &schema(newer)).iter().map(Change::to_string).collect()
    }

    #[test]
    fn what_changes_is_said_in_words() {
        let decimal = |precision: u32, scale: u32| {
            format!(
                r#"{{"name": "d", "type": {{"type": "bytes", "logicalType": "decimal", "precision": {precision}, "scale": {scale}}}}}"#
            )
        };
        let long = |logical: &str| format!(r#"{{"name": "t", "type": {{"type": "long"{logical}}}}}"#);
        let [millis, micros, plain] =
            [r#", "logicalType": "timestamp-millis""#, r#", "logicalType": "timestamp-micros""#, ""]
                .map(long);
        let field = |of: &str| format!(r#"{{"name": "a", "type": {of}}}"#);
        for (older, newer, expected) in [
            (field("\"int\""), field("\"int\""), vec![]),
            (field("\"int\""), field("\"long\""), vec!["a: was int, is long"]),
            (decimal(9, 2), decimal(9, 3), vec!["d: had 2 decimals, has 3"]),
            (decimal(9, 2), decimal(11, 2), vec!["d: had 9 digits, has 11"]),
            (millis.clone(), micros, vec!["t: was in milliseconds, is in microseconds"]),
            (millis, plain, vec!["t: meant timestamp in milliseconds, means a plain value"]),
            (
                field("\"int\""),
                r#"{"name": "b", "type": "int", "aliases": ["a"], "default": 1}"#.to_owned(),
                vec!["b: was called a", "b: the default was none, is 1"],
            ),
            (
                field("\"int\""),
                r#"{"name": "b", "type": "int", "default": 1}"#.to_owned(),
                vec!["b: new; older records have the default 1", "a: removed"],
            ),
            (
                field(r#"["null", "int"]"#),
                field(r#"["null", "long", "string"]"#),
                vec!["a: int is read as long", "a: may also be long", "a: may also be string"],
            ),
            (field("\"int\""), field(r#"["null", "int"]"#), vec!["a: may also be null"]),
            (
                field(r#"{"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["A", "B"]}}"#),
                field(
                    r#"{"type": "array", "items": {"type": "enum", "name": "x.E", "symbols": ["B", "C"], "default": "B"}}"#,
                ),
                vec![
                    "a[]: the type was called n.E, is called x.E",
                    "a[]: symbol A was removed",
                    "a[]: new symbol C",
                    "a[]: the default was none, is \"B\"",
                ],
            ),
            (
                field(r#"{"type": "map", "values": {"type": "fixed", "name": "F", "size": 2}}"#),
                field(r#"{"type": "map", "values": {"type": "fixed", "name": "F", "size": 3, "pii": true}}"#),
                vec!["a{}: had 2 bytes, has 3", "a{}: the attribute pii differs"],
            ),
        ] {
            assert_eq!(between(&older, &newer), expected, "{older} -> {newer}");
        }
    }

    /// An alias takes the older field, also where a new one has its name.
    #[test]
    fn aliases_rename_before_names_are_compared() {
        let price = r#"{"name": "price", "type": "string", "default": "x"}"#;
        let renamed = r#"{"name": "amount", "type": "string", "aliases": ["price"], "default": "x"},
            {"name": "price", "type": "string", "default": "0"}"#;
        let expected = ["amount: was called price", "price: new; older records have the default \"0\""];
        assert_eq!(between(price, renamed), expected);
    }

    #[test]
    fn a_type_that_contains_itself_is_compared_once() {
        let field = r#"{"name": "next", "type": ["null", "n.R"]}"#;
        assert!(between(field, field).is_empty());
        let added = format!(r#"{field}, {{"name": "x", "type": "int"}}"#);
        assert_eq!(between(field, &added), ["x: new, without a default"]);
    }
}
