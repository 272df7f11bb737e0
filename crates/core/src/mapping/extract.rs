//! Values at several JSON pointers, found in one pass over a document.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::mapping::left_out::NoMetadata;
use crate::mapping::pointer::EventPointer;

/// Most values that are looked up in one event: they are kept on the stack while it is read.
pub(crate) const MAX_VALUES: usize = 32;

/// The values found in an event, as JSON text that borrows from it. The index is a pointer's slot.
#[derive(Debug)]
pub(crate) struct Values<'a>([Option<&'a str>; MAX_VALUES]);

impl Default for Values<'_> {
    fn default() -> Self {
        Self([None; MAX_VALUES])
    }
}

impl<'a> Values<'a> {
    /// The value at a pointer; a null is absent.
    pub(crate) fn get(&self, slot: usize) -> Option<&'a str> {
        self.0.get(slot).copied().flatten().filter(|value| *value != "null")
    }

    fn set(&mut self, slot: usize, value: Option<&'a str>) {
        if let Some(place) = self.0.get_mut(slot) {
            *place = value;
        }
    }
}

/// Pointers into one part of an event as a tree of field names.
#[derive(Debug, Clone, Default)]
pub(crate) struct PointerTree {
    children: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    name: Box<[u8]>,
    /// The name as an array index.
    index: Option<usize>,
    slot: Option<usize>,
    below: PointerTree,
}

impl PointerTree {
    /// Adds a pointer whose value goes to `slot`. Returns the slot of an equal pointer added before.
    pub(crate) fn add(&mut self, pointer: &EventPointer, slot: usize) -> usize {
        let mut tree = self;
        let mut found = slot;
        for (level, name) in pointer.tokens().iter().enumerate() {
            let is_last = level + 1 == pointer.tokens().len();
            let place = tree.children.iter().position(|node| *node.name == *name.as_bytes());
            let place = place.unwrap_or_else(|| {
                tree.children.push(Node::new(name));
                tree.children.len() - 1
            });
            let node = &mut tree.children[place];
            if is_last {
                found = *node.slot.get_or_insert(slot);
            }
            tree = &mut node.below;
        }
        found
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Reads a document: the values of its pointers are put into `values`. A name that occurs twice in an
    /// object counts as its last. A document that is not an object holds nothing.
    pub(crate) fn read<'a>(&self, document: &'a [u8], values: &mut Values<'a>) -> Result<(), NoMetadata> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let document = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
        if document.is_empty() {
            return Err(NoMetadata::Empty);
        }
        let json = std::str::from_utf8(document).map_err(|_| NoMetadata::NotJson)?;
        let start = json.trim_start_matches([' ', '\t', '\n', '\r']);
        if !start.starts_with('{') {
            return Err(match serde_json::from_str::<&RawValue>(start) {
                Ok(value) if value.get() == "null" => NoMetadata::Null,
                Ok(_) => NoMetadata::NotAnObject,
                Err(_) => NoMetadata::NotJson,
            });
        }
        if self.read_plain(start, values).is_some() {
            return Ok(());
        }
        self.clear(values);
        self.walk(start, values).map_err(|_| {
            self.clear(values);
            NoMetadata::NotJson
        })
    }

    /// Reads an object of texts without escapes, whole numbers and literals, which metadata mostly is, in a third of the
    /// time that the general way takes. `None` for any other document, whether it is valid or not.
    fn read_plain<'a>(&self, json: &'a str, values: &mut Values<'a>) -> Option<()> {
        let mut json = Plain { rest: json };
        json.take('{')?;
        if json.take('}').is_none() {
            loop {
                let name = json.text()?;
                json.take(':')?;
                let value = json.scalar()?;
                if let Some(node) = self.children.iter().find(|node| *node.name == *name.as_bytes()) {
                    node.clear(values);
                    node.slot.iter().for_each(|slot| values.set(*slot, Some(value)));
                }
                if json.take(',').is_none() {
                    break json.take('}')?;
                }
            }
        }
        json.skip_whitespace();
        json.rest.is_empty().then_some(())
    }

    fn walk<'a>(&self, json: &'a str, values: &mut Values<'a>) -> Result<(), serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(json);
        json.deserialize_any(Walk { tree: self, values })?;
        json.end()
    }

    fn clear(&self, values: &mut Values<'_>) {
        for node in &self.children {
            node.clear(values);
        }
    }
}

impl Node {
    fn new(name: &str) -> Self {
        // RFC 6901: no sign, no leading zero.
        let is_index = name == "0" || !name.starts_with(['0', '+']);
        Self {
            name: name.as_bytes().into(),
            index: name.parse().ok().filter(|_| is_index),
            slot: None,
            below: PointerTree::default(),
        }
    }

    fn take<'a>(&self, value: &'a str, values: &mut Values<'a>) -> Result<(), serde_json::Error> {
        self.clear(values);
        if let Some(slot) = self.slot {
            values.set(slot, Some(value));
        }
        if !self.below.is_empty() && value.starts_with(['{', '[']) {
            self.below.walk(value, values)?;
        }
        Ok(())
    }

    fn clear(&self, values: &mut Values<'_>) {
        if let Some(slot) = self.slot {
            values.set(slot, None);
        }
        self.below.clear(values);
    }
}

/// The part of JSON that most metadata is written in.
struct Plain<'a> {
    rest: &'a str,
}

impl<'a> Plain<'a> {
    fn skip_whitespace(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Passes over a character and the white space before it, if it comes next.
    fn take(&mut self, character: char) -> Option<()> {
        self.skip_whitespace();
        self.rest = self.rest.strip_prefix(character)?;
        Some(())
    }

    /// A text without escapes.
    fn text(&mut self) -> Option<&'a str> {
        self.take('"')?;
        let special = self.rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        let (text, rest) = self.rest.split_at(special);
        self.rest = rest.strip_prefix('"')?;
        Some(text)
    }

    /// The JSON of a text without escapes, of a whole number or of a literal.
    fn scalar(&mut self) -> Option<&'a str> {
        self.skip_whitespace();
        let start = self.rest;
        match start.as_bytes().first()? {
            b'"' => {
                self.text()?;
            }
            b'1'..=b'9' => self.rest = start.trim_start_matches(|digit: char| digit.is_ascii_digit()),
            _ => {
                let after = |literal: &str| start.strip_prefix(literal);
                self.rest = ["true", "false", "null", "0"].into_iter().find_map(after)?;
            }
        }
        // What else follows a number, the caller finds: it is no comma and no brace.
        Some(&start[..start.len() - self.rest.len()])
    }
}

/// One level of a document: the values whose names are wanted are kept as text, all others are passed over.
struct Walk<'t, 'v, 'a> {
    tree: &'t PointerTree,
    values: &'v mut Values<'a>,
}

impl<'a> Visitor<'a> for Walk<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(node) = map.next_key_seed(Name(self.tree))? {
            match node {
                Some(node) => {
                    let value = map.next_value::<&'a RawValue>()?.get();
                    node.take(value, self.values).map_err(serde::de::Error::custom)?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(value) = seq.next_element::<&'a RawValue>()? {
            if let Some(node) = self.tree.children.iter().find(|node| node.index == Some(index)) {
                node.take(value.get(), self.values).map_err(serde::de::Error::custom)?;
            }
            index += 1;
        }
        Ok(())
    }
}

/// A field name, as the pointer that continues with it. Read as bytes: a lone surrogate in a name that nobody
/// asks for does not make the document unreadable.
struct Name<'t>(&'t PointerTree);

impl<'de, 't> DeserializeSeed<'de> for Name<'t> {
    type Value = Option<&'t Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'t> Visitor<'_> for Name<'t> {
    type Value = Option<&'t Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.children.iter().find(|node| *node.name == *name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn tree(pointers: &[&str]) -> PointerTree {
        let mut tree = PointerTree::default();
        for (slot, pointer) in pointers.iter().enumerate() {
            tree.add(&format!("data:{pointer}").parse().unwrap(), slot);
        }
        tree
    }

    fn read<'a>(pointers: &[&str], json: &'a str) -> Vec<Option<&'a str>> {
        let mut values = Values::default();
        tree(pointers).read(json.as_bytes(), &mut values).unwrap();
        (0..pointers.len()).map(|slot| values.get(slot)).collect()
    }

    #[test]
    fn finds_values_of_every_kind() {
        let json = r#" {"a":{"b":[10,{"c":"x"}],"":null}, "d~/":1.50 } "#;
        let found = read(&["/a/b/1/c", "/a/b/0", "/a/b", "/a/", "/d~0~1", "/a/b/2", "/a/x"], json);
        let expected = [Some("\"x\""), Some("10"), Some(r#"[10,{"c":"x"}]"#), None, Some("1.50"), None, None];
        assert_eq!(found, expected);
    }

    #[test]
    fn takes_the_last_of_a_name_that_occurs_twice() {
        assert_eq!(read(&["/a"], r#"{"a":1,"a":2}"#), [Some("2")]);
        assert_eq!(read(&["/a"], r#"{"a":1,"a":null}"#), [None]);
        assert_eq!(read(&["/a/b", "/a"], r#"{"a":{"b":1},"a":{"c":2}}"#), [None, Some(r#"{"c":2}"#)]);
        assert_eq!(read(&["/a"], r#"{"a":1,"\u0061":2}"#), [Some("2")]);
    }

    #[test]
    fn array_indices_have_one_form() {
        assert_eq!(
            read(&["/0", "/a/00", "/a/+1", "/a/-"], r#"{"0":1,"a":[5,6]}"#),
            [Some("1"), None, None, None]
        );
    }

    #[test]
    fn equal_pointers_share_a_slot() {
        let mut tree = PointerTree::default();
        let pointer: EventPointer = "data:/a/b".parse().unwrap();
        assert_eq!(tree.add(&pointer, 0), 0);
        assert_eq!(tree.add(&pointer, 1), 0);
        assert_eq!(tree.add(&"data:/a".parse().unwrap(), 1), 1);
    }

    #[test]
    fn a_document_that_is_not_an_object_holds_nothing() {
        let read = |json: &[u8]| tree(&["/a"]).read(json, &mut Values::default());
        assert_eq!(read(b"{}"), Ok(()));
        assert_eq!(read(b"\xef\xbb\xbf{}"), Ok(()));
        assert_eq!(read(b""), Err(NoMetadata::Empty));
        assert_eq!(read(b" null\n"), Err(NoMetadata::Null));
        assert_eq!(read(br#"["a"]"#), Err(NoMetadata::NotAnObject));
        assert_eq!(read(b"7"), Err(NoMetadata::NotAnObject));
        for broken in
            [&b"{"[..], b"{\"a\":1", b"{} {}", b"note", b" ", b"{\"a\":1,}", b"\xff", b"{\"b\":\"\xff\"}"]
        {
            assert_eq!(read(broken), Err(NoMetadata::NotJson), "{broken:?}");
        }
    }

    #[test]
    fn a_broken_document_leaves_no_value_behind() {
        let mut values = Values::default();
        tree(&["/a"]).read(br#"{"a":1,"b"}"#, &mut values).unwrap_err();
        assert_eq!(values.get(0), None);
    }

    #[test]
    fn lone_surrogates_and_deep_nesting_elsewhere_do_not_matter() {
        assert_eq!(read(&["/a"], r#"{"\ud83d":"\ud83d","a":1}"#), [Some("1")]);
        let deep = format!(r#"{{"x":{}{},"a":1}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&["/a"], &deep), [Some("1")]);
    }

    #[test]
    fn the_metadata_of_a_repository_is_plain() {
        let text = r#"{"schemaVersion":1,"$correlationId":"c70b8a1e","sampled": true, "none":null,"zero":0}"#;
        let mut values = Values::default();
        tree(&["/schemaVersion", "/none"]).read_plain(text, &mut values).unwrap();
        assert_eq!((values.get(0), values.get(1)), (Some("1"), None));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c/~\"\\\\é\u{1F600}]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[ab~/]{0,2}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever the text, the short way gives what the general one does, or nothing.
        #[test]
        fn a_plain_document_is_read_as_any_other(
            text in r#"[{] ?("[abé]":("[ab{\\\\é]{0,2}"|-?[0-9]{1,2}|1.5|1e2|true|null|nul|\[\]|[{][}]) ?,?\n?){0,3}[}]? ?"#,
        ) {
            let tree = tree(&["/a", "/b", "/a/b"]);
            let (mut plain, mut general) = (Values::default(), Values::default());
            let is_read = tree.walk(&text, &mut general).is_ok();
            if tree.read_plain(&text, &mut plain).is_some() {
                prop_assert!(is_read, "{}", text);
                prop_assert_eq!(plain.0, general.0, "{}", text);
            }
            let mut values = Values::default();
            prop_assert_eq!(tree.read(text.as_bytes(), &mut values).is_ok(), is_read, "{}", text);
            if is_read {
                prop_assert_eq!(values.0, general.0, "{}", text);
            } else {
                prop_assert_eq!(values.0, Values::default().0, "{}", text);
            }
        }

        #[test]
        fn agrees_with_a_tree_of_values(
            document in prop::collection::hash_map("[ab~/]{0,2}", json(), 0..4),
            pointers in prop::collection::vec("(/([ab]|~0|~1|[0-2]){0,2}){1,4}", 1..6),
        ) {
            let document = Value::Object(document.into_iter().collect());
            let text = document.to_string();
            let mut tree = PointerTree::default();
            let mut values = Values::default();
            let slots: Vec<_> = pointers
                .iter()
                .enumerate()
                .map(|(slot, pointer)| tree.add(&format!("data:{pointer}").parse().unwrap(), slot))
                .collect();
            tree.read(text.as_bytes(), &mut values).unwrap();
            for (pointer, slot) in pointers.iter().zip(slots) {
                let found = values.get(slot).map(|raw| serde_json::from_str::<Value>(raw).unwrap());
                let expected = document.pointer(pointer).filter(|value| !value.is_null());
                prop_assert_eq!(found.as_ref(), expected, "{} in {}", pointer, text);
            }
        }
    }
}
