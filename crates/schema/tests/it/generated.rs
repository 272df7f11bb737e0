//! The committed Rust types are those of the schema files, and go with the codec.

use std::path::Path;

use aqueduct_core::Codec;
use aqueduct_schema::{SchemaSet, generate, plain};
use serde_json::json;

use crate::every_type::{Colour, EveryType, Leaf, Tree};
use crate::support::{event, load};

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Line by line, so that a failure shows the first difference and not two files.
fn compare(schemas: &str, committed: &str) {
    let set = SchemaSet::load(crate_folder().join(schemas)).unwrap();
    let expected = generate(&set).unwrap();
    let committed = std::fs::read_to_string(crate_folder().join(committed)).unwrap();
    for (n, (committed, expected)) in committed.lines().zip(expected.lines()).enumerate() {
        assert_eq!(committed, expected, "line {}: run `aqueduct schemas generate`", n + 1);
    }
    assert_eq!(committed.len(), expected.len(), "run `aqueduct schemas generate`");
}

#[test]
fn the_shops_types_are_up_to_date() {
    compare("../../schemas", "../shop/src/events/generated.rs");
}

#[test]
fn the_tests_types_are_up_to_date() {
    compare("tests/data/every", "tests/it/every_type.rs");
}

#[test]
fn every_type_goes_through_the_codec_and_back() {
    let tree = |left| Tree { left, others: Vec::new(), leaf: Leaf {} };
    let every = EveryType {
        yes: true,
        an_int: -1,
        a_long: plain::Long(i64::MIN),
        a_float: plain::Double(0.5),
        a_double: plain::Double(f64::NEG_INFINITY),
        some_bytes: plain::Bytes(vec![0, 255]),
        http_text: "ä".to_owned(),
        type_: "t".to_owned(),
        nothing: (),
        four_bytes: plain::Bytes(vec![1, 2, 3, 4]),
        colour: Colour::LightBlue,
        colours: vec![Colour::Red, Colour::Green],
        sizes: [("a".to_owned(), plain::Long(1))].into(),
        maybe: None,
        or_not: Some(7),
        amount: "-0.001".parse().unwrap(),
        huge: "9".repeat(38),
        id: uuid::Uuid::from_u128(7),
        day: jiff::civil::date(2010, 12, 1),
        clock: jiff::civil::time(8, 26, 0, 0),
        instant: "2010-12-01T08:26:00.123456Z".parse().unwrap(),
        local: jiff::civil::date(2010, 12, 1).at(8, 26, 0, 0),
        tree: Box::new(Tree { others: vec![tree(None)], ..tree(Some(Box::new(tree(None)))) }),
    };
    let set = SchemaSet::load(crate_folder().join("tests/data/every")).unwrap();
    let (version, stored) = set.encode("EveryType", serde_json::to_vec(&every).unwrap()).unwrap();
    assert_eq!(version, 1);
    assert_eq!(serde_json::from_slice::<EveryType>(&stored).unwrap(), every);
    // What is stored is canonical, whatever serde wrote.
    let canonical: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(canonical["local"], "2010-12-01T08:26:00.000");
    assert_eq!(canonical["aLong"], i64::MIN.to_string());
    let avro = set.to_avro("EveryType", 1, &stored).unwrap();
    assert_eq!(set.from_avro::<serde_json::Value>("EveryType", 1, &avro).unwrap(), canonical);
    assert_eq!(set.from_avro::<EveryType>("EveryType", 1, &avro).unwrap(), every);
}

#[test]
fn types_that_rust_can_not_have_are_refused() {
    let refused = |files: &[(&str, String)]| {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        generate(&load(&files).unwrap()).unwrap_err().to_string()
    };
    let union = event("Happened", &json!([{"name": "x", "type": ["null", "int", "string"]}]));
    assert_eq!(
        refused(&[("a/Happened/v1.avsc", union)]),
        "field x of a.Happened: a union of more than null and one type has no Rust type; use a record with two \
         fields"
    );
    let with_part = |name: &str, of: &str| {
        let part = json!({"type": "record", "name": "Part", "fields": [{"name": "x", "type": of}]});
        event(name, &json!([{"name": "part", "type": part}]))
    };
    assert_eq!(
        refused(&[("a/One/v1.avsc", with_part("One", "int")), ("a/Two/v1.avsc", with_part("Two", "long"))]),
        "Two: the type a.Part has another definition in One: rename one of them"
    );
}
