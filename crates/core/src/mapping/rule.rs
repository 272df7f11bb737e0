//! What decides which events of a store are a route's records, and what they are called.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::mapping::metadata::MetadataMapping;
use crate::mapping::selection::Selection;
use crate::mapping::types::TypeNames;

/// The rule of a route as text, to be fingerprinted: two configurations with equal texts make the same records
/// of the events that were passed.
///
/// It covers the selection without the event types that were `added` since; what each stored type of which
/// records were made (`met`) is called, where that differs from its stored name; and the pointers to the schema
/// version, where they differ from the built-in one and a type was met. It does not cover the other pointers.
/// For a route that only names categories of its own events it is the text of the product's first version.
pub fn rule_text<'a>(
    selection: &Selection,
    added: &BTreeSet<String>,
    types: &TypeNames,
    metadata: &MetadataMapping,
    met: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut text = selection.canonical_text(added);
    let met: BTreeSet<&str> = met.into_iter().collect();
    for stored in &met {
        // A type that was met and has no name any more is a change too.
        let name = types.resolve(stored).map_or_else(|_| "-".to_owned(), |mapped| mapped.to_string());
        if name != *stored {
            let _infallible = writeln!(text, "type {} {name}", Value::from(*stored));
        }
    }
    let pointers = metadata.schema_version_pointers();
    if !met.is_empty() && pointers != MetadataMapping::default().schema_version_pointers() {
        text.push_str("schema_version");
        for pointer in pointers {
            let _infallible = write!(text, " {}", Value::from(pointer.to_string()));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::types::TypeMap;

    fn types(lines: &[(&str, &str)]) -> TypeNames {
        lines.iter().copied().collect::<TypeMap>().compile().unwrap()
    }

    fn text(lines: &[(&str, &str)], metadata: &MetadataMapping, met: &[&str]) -> String {
        let selection = Selection::of_categories(["user", "order"]);
        rule_text(&selection, &BTreeSet::new(), &types(lines), metadata, met.iter().copied())
    }

    #[test]
    fn categories_alone_have_the_text_of_the_first_version() {
        let expected = "every event of a category is a record\norder\nuser\n";
        let built_in = MetadataMapping::default();
        assert_eq!(text(&[], &built_in, &[]), expected);
        assert_eq!(text(&[], &built_in, &["OrderCreated"]), expected);
        assert_eq!(text(&[("a", "B")], &built_in, &["OrderCreated"]), expected);
    }

    #[test]
    fn a_type_that_was_met_keeps_its_name() {
        let built_in = MetadataMapping::default();
        let with = |lines: &[(&str, &str)]| text(lines, &built_in, &["a.v1", "OrderCreated"]);
        assert!(with(&[]).ends_with("\nuser\ntype \"a.v1\" AV1\n"));
        assert!(with(&[("{event}.v{version}", "{event}")]).ends_with("\nuser\ntype \"a.v1\" a@1\n"));
        assert!(with(&[("OrderCreated", "Created")]).contains("type \"OrderCreated\" Created\n"));
        assert!(with(&[("a.*", "A"), ("*.v1", "B")]).ends_with("type \"a.v1\" -\n"));
    }

    #[test]
    fn pointers_to_the_version_count_once_a_type_was_met_and_others_never() {
        let version =
            MetadataMapping { schema_version: vec!["data:/v".parse().unwrap()], ..Default::default() };
        assert_eq!(text(&[], &version, &[]), text(&[], &MetadataMapping::default(), &[]));
        assert!(
            text(&[], &version, &["A"]).ends_with("schema_version \"data:/v\" \"metadata:/schemaVersion\"\n")
        );
        let other = MetadataMapping {
            correlation_id: vec!["data:/c".parse().unwrap()],
            time: vec![crate::mapping::pointer::EventPointer::metadata("at").into()],
            ..Default::default()
        };
        assert_eq!(text(&[], &other, &["A"]), text(&[], &MetadataMapping::default(), &["A"]));
    }

    #[test]
    fn an_event_type_that_was_added_does_not_count() {
        let with = |names: &[&str], added: &[&str]| {
            let event_types = names.iter().map(|name| (*name).to_owned()).collect();
            let selection = Selection { event_types, ..Selection::of_categories(["order"]) };
            let added = added.iter().map(|name| (*name).to_owned()).collect();
            rule_text(&selection, &added, &types(&[]), &MetadataMapping::default(), [])
        };
        assert_eq!(with(&["A", "B"], &["B"]), with(&["A"], &[]));
        assert_ne!(with(&["A", "B"], &[]), with(&["A"], &[]));
        assert_ne!(with(&["A"], &["A"]), with(&[], &[]));
    }
}
