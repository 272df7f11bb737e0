//! Types that read the plain JSON read the Avro in the same way.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Debug};
use std::marker::PhantomData;

use aqueduct_avro::Schema;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use super::round_trip::event_and_value;
use crate::layout::types::{Layout, Names};
use crate::load::compile::{Origin, compile};
use crate::mapping::decode::read;
use crate::mapping::encode::encode;
use crate::mapping::json::Json;

fn layout(schema: &Value) -> Layout {
    compile(&Schema::from_json(schema).unwrap(), Origin::File).unwrap()
}

/// Whatever a value is; what the visitor was shown is what is compared.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Any {
    Null(()),
    Flag(bool),
    Unsigned(u64),
    Signed(i64),
    Number(f64),
    Text(String),
    List(Vec<Any>),
    Object(BTreeMap<String, Any>),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_serde_is_shown_is_the_canonical_json((schema, (json, _)) in event_and_value()) {
        let layout = layout(&schema);
        let avro = encode(&layout, &Json::from(&json), Names::Stored).unwrap_or_else(|error| panic!("{error}")).avro;
        let read: Any = read(&layout, &avro, Names::Stored, PhantomData).unwrap_or_else(|error| panic!("{error}"));
        prop_assert_eq!(read, serde_json::from_value(json).unwrap());
    }

    /// Each field is read once while all others are passed over.
    #[test]
    fn a_field_is_the_same_whether_the_others_are_read_or_passed_over((schema, (json, _)) in event_and_value()) {
        let layout = layout(&schema);
        let avro = encode(&layout, &Json::from(&json), Names::Stored).unwrap_or_else(|error| panic!("{error}")).avro;
        let fields = json.as_object().unwrap();
        for (name, value) in fields {
            let read = read(&layout, &avro, Names::Stored, OneField(name)).unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(read.as_ref(), Some(value), "{}", name);
        }
        let nothing: IgnoredAny = read(&layout, &avro, Names::Stored, PhantomData).unwrap();
        prop_assert_eq!(nothing, IgnoredAny);
        if let Some(cut) = avro.len().checked_sub(1) {
            let cut = read(&layout, &avro[..cut], Names::Stored, PhantomData::<IgnoredAny>);
            prop_assert!(cut.is_err(), "the last byte belongs to a value");
        }
    }
}

/// The value of one field of a record.
struct OneField<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for OneField<'_> {
    type Value = Option<Value>;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Option<Value>, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneField<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(name) = fields.next_key::<String>()? {
            if name == self.0 {
                found = Some(fields.next_value()?);
            } else {
                let _passed_over: IgnoredAny = fields.next_value()?;
            }
        }
        Ok(found)
    }
}

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
struct Sku(String);

#[derive(Debug, PartialEq, Deserialize)]
enum Colour {
    Red,
    Green(i32),
    Blue { deep: bool },
}

/// One field, `x`, of the type that a test is about.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event<T> {
    x: T,
}

/// What the type makes of the value in JSON, and of the same value in Avro.
fn both<T: DeserializeOwned>(avro_type: Value, x: Value) -> (Option<T>, Result<T, String>) {
    let schema = json!({"type": "record", "name": "Event", "fields": [{"name": "x", "type": avro_type}]});
    let layout = layout(&schema);
    let json = json!({ "x": x });
    let avro =
        encode(&layout, &Json::from(&json), Names::Stored).unwrap_or_else(|error| panic!("{error}")).avro;
    let from_json = serde_json::from_str(&json.to_string()).ok().map(|Event { x }| x);
    let from_avro: Result<Event<T>, _> = read(&layout, &avro, Names::Stored, PhantomData);
    (from_json, from_avro.map(|Event { x }| x).map_err(|mismatch| mismatch.to_string()))
}

fn same<T: DeserializeOwned + PartialEq + Debug>(avro_type: Value, x: Value) {
    let (from_json, from_avro) = both::<T>(avro_type, x);
    assert_eq!(from_avro.unwrap(), from_json.unwrap());
}

fn refused<T: DeserializeOwned + Debug>(avro_type: Value, x: Value) -> String {
    let (from_json, from_avro) = both::<T>(avro_type, x);
    assert!(from_json.is_none(), "{from_json:?}");
    from_avro.unwrap_err()
}

#[test]
fn each_kind_of_type_reads_avro_as_it_reads_json() {
    let map = json!({"type": "map", "values": "int"});
    same::<HashMap<Sku, i32>>(map.clone(), json!({"a": 1, "b": -2}));
    same::<HashMap<u16, Option<i64>>>(map.clone(), json!({"1": 1, "22": 2}));
    same::<HashMap<bool, f64>>(map.clone(), json!({"true": 1}));
    same::<BTreeMap<Option<Sku>, i32>>(map.clone(), json!({"a": 1}));
    same::<Colour>(map, json!({"Green": 7}));
    same::<Colour>(json!("string"), json!("Red"));
    same::<Colour>(json!({"type": "enum", "name": "Colour", "symbols": ["Green", "Red"]}), json!("Red"));
    let blue = json!({"type": "record", "name": "Blue", "fields": [{"name": "deep", "type": "boolean"}]});
    let holder = json!({"type": "record", "name": "Holder", "fields": [{"name": "Blue", "type": blue}]});
    same::<Colour>(holder, json!({"Blue": {"deep": true}}));
    same::<Option<Sku>>(json!(["null", "string"]), json!("a"));
    same::<Option<Sku>>(json!(["null", "string"]), json!(null));
    same::<Option<Sku>>(json!("string"), json!("a"));
    same::<(i32, Option<i32>)>(json!({"type": "array", "items": "int"}), json!([1, 2]));
    same::<char>(json!("string"), json!("ä"));
    same::<u8>(json!("long"), json!(255));
    same::<i128>(json!("long"), json!(-1));
    same::<()>(json!("null"), json!(null));
}

/// A writer may put an array in blocks that name their size.
#[test]
fn blocks_that_name_their_size_are_passed_over() {
    let ints = json!({"type": "array", "items": "int"});
    let fields = json!([{"name": "a", "type": ints}, {"name": "x", "type": "int"}]);
    let layout = layout(&json!({"type": "record", "name": "Event", "fields": fields}));
    let blocks = |size| [3, size, 2, 4, 2, 6, 0, 14];
    let x = |avro: &[u8]| read(&layout, avro, Names::Avro, OneField("x"));
    assert_eq!(x(&blocks(4)).unwrap(), Some(json!(7)), "two items in two bytes, then one");
    assert!(x(&blocks(100)).is_err(), "more bytes than there are");
    assert!(x(&blocks(3)).is_err(), "a negative size");
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let ints = || json!({"type": "array", "items": "int"});
    assert_eq!(refused::<u8>(json!("int"), json!(256)), "x: invalid value: integer `256`, expected u8");
    assert_eq!(refused::<Vec<u8>>(ints(), json!([1, -1])), "x[1]: invalid value: integer `-1`, expected u8");
    assert_eq!(refused::<(i32,)>(ints(), json!([1, 2])), "x: more than 1 items");
    assert_eq!(refused::<(i32, i32)>(ints(), json!([1])), "x: invalid length 1, expected a tuple of size 2");
    assert_eq!(
        refused::<BTreeMap<u8, i32>>(json!({"type": "map", "values": "int"}), json!({"a": 1})),
        "x: invalid type: string \"a\", expected u8"
    );
    let part = json!({"type": "record", "name": "Part", "fields": [{"name": "y", "type": "int"}]});
    assert_eq!(refused::<Event<i32>>(part, json!({"y": 1})), "x: unknown field `y`, expected `x`");
    assert_eq!(refused::<Colour>(json!("string"), json!("Blue")), {
        "x: invalid type: unit variant, expected struct variant"
    });
}

/// What is not understood is left out: right for a value of its own, not for one that was read half.
fn lenient<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Ok(T::deserialize(input).unwrap_or_default())
}

#[derive(Debug, PartialEq, Deserialize)]
struct Lenient<T: DeserializeOwned + Default> {
    #[serde(deserialize_with = "lenient")]
    y: T,
    z: i32,
}

/// After an error in a list the bytes of its end were read as the fields behind it.
#[test]
fn nothing_is_read_on_after_an_error_in_a_list() {
    let event = |y: Value| {
        let fields = json!([{"name": "y", "type": y}, {"name": "z", "type": "int"}]);
        json!({"type": "record", "name": "Part", "fields": fields})
    };
    same::<Lenient<u8>>(event(json!("int")), json!({"y": -1, "z": 7}));
    let list = event(json!({"type": "array", "items": "int"}));
    let (_, read) = both::<Lenient<Vec<u8>>>(list, json!({"y": [-1, 3], "z": 7}));
    assert!(read.unwrap_err().contains("continued after an error"));
}

#[test]
fn a_key_is_a_number_as_in_json() {
    let map = json!({"type": "map", "values": "int"});
    for key in ["+1", "007", "", "-", "1_0"] {
        refused::<BTreeMap<u16, i32>>(map.clone(), json!({key: 1}));
    }
    same::<BTreeMap<i16, i32>>(map.clone(), json!({"0": 1, "-7": 2}));
    refused::<HashMap<String, bool>>(map, json!({"a": 1}));
}
