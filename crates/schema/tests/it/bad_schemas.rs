//! What is refused when schemas are loaded, and that the error names the file and the place.

use serde_json::{Value, json};

use crate::support::{event, load, versions};

fn refused(result: Result<aqueduct_schema::SchemaSet, String>) -> String {
    result.map(|set| format!("loaded: {set:?}")).unwrap_err()
}

/// The message for an event of one version with one field `x` of that type.
fn one_field(of: Value) -> String {
    refused(versions(&[json!([{"name": "x", "type": of}])]))
}

#[test]
fn folders_and_files() {
    let happened = event("Happened", &json!([]));
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("README.md", "")], "contains no schemas; expected <context>/<Event>/vN.avsc"),
        (&[("a/Happened/v1.avsc", "{")], "a/Happened/v1.avsc: not JSON: EOF while parsing"),
        (&[("a/Happened/v1.avsc", "{}")], "a/Happened/v1.avsc: not an Avro schema: "),
        (&[("a/Happened/v1.avsc", "\"string\"")], "a/Happened/v1.avsc: the schema: is not a record"),
        (&[("a/Happened/v2.avsc", &happened)], "a/Happened/v1.avsc: is missing"),
        (
            &[("a/Happened/v1.avsc", &happened), ("a/Happened/v3.avsc", &happened)],
            "a/Happened/v2.avsc: is missing",
        ),
        (&[("a/Happened/v01.avsc", &happened)], "a/Happened/v01.avsc: expected a file v1.avsc, v2.avsc …"),
        (&[("a/Happened/notes.txt", "")], "a/Happened/notes.txt: expected a file v1.avsc, v2.avsc …"),
        (
            &[("a/Occurred/v1.avsc", &happened)],
            "a/Occurred/v1.avsc: its record has the name Happened, its folder Occurred: they must be the same",
        ),
        (
            &[("a/Happened/v1.avsc", &happened), ("b/Happened/v1.avsc", &happened)],
            "b/Happened: context a has an event type of the same name: rename one of them",
        ),
    ];
    for (files, expected) in cases {
        let message = refused(load(files));
        assert!(message.contains(expected), "expected {expected:?}, got {message:?}");
    }
}

#[test]
fn the_full_name_is_the_same_in_all_versions() {
    let other = json!({"type": "record", "name": "Happened", "namespace": "b", "fields": []}).to_string();
    let message = refused(load(&[
        ("a/Happened/v1.avsc", &event("Happened", &json!([]))),
        ("a/Happened/v2.avsc", &other),
    ]));
    assert!(message.starts_with("a/Happened/v2.avsc: "), "{message}");
    assert!(message.contains("b.Happened is not a.Happened"), "{message}");
}

#[test]
fn unions_that_json_does_not_tell_apart() {
    let place = "a/Happened/v1.avsc: field x of a.Happened: ";
    let of = |branches: Value| one_field(branches);
    let apart = |one: &str, other: &str, kind: &str| {
        format!(
            "{place}the union's branches {one} and {other} are both {kind} in JSON: wrap one in a record, or \
             make two fields of them"
        )
    };
    assert_eq!(of(json!(["string", "bytes"])), apart("string", "bytes", "a string"));
    assert_eq!(of(json!(["null", "int", "double"])), apart("int", "double", "a number"));
    let map = json!({"type": "map", "values": "int"});
    let record = json!({"type": "record", "name": "Part", "fields": []});
    assert_eq!(of(json!([map, record])), apart("map", "record", "an object"));
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2});
    let message = of(json!([decimal, "string"]));
    assert!(message.contains("are both a string in JSON (a decimal is always a string there)"), "{message}");
    assert!(versions(&[json!([{"name": "x", "type": ["null", "int", "string", "boolean", map]}])]).is_ok());
}

#[test]
fn types_the_product_can_not_carry() {
    let x = "field x of a.Happened: ";
    let cases = [
        (
            json!({"type": "bytes", "logicalType": "big-decimal"}),
            format!("{x}the type big-decimal is not supported"),
        ),
        (
            json!({"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}),
            format!("{x}the type duration is not supported"),
        ),
        // What Avro's own parsers silently ignore:
        (
            json!({"type": "int", "logicalType": "dat"}),
            format!("{x}the logicalType \"dat\" is not one of Avro's"),
        ),
        (
            json!({"type": "string", "logicalType": "decimal", "precision": 4}),
            format!("{x}the logicalType decimal is on string, but must be on bytes or fixed"),
        ),
        (
            json!({"type": "bytes", "logicalType": "uuid"}),
            format!("{x}the logicalType uuid is on bytes, but must be on string or fixed"),
        ),
        (
            json!({"type": "record", "name": "R", "fields": [], "logicalType": "date"}),
            "record a.R: the logicalType date is on record, but must be on int".to_owned(),
        ),
        (
            json!({"type": "bytes", "logicalType": "decimal"}),
            format!("{x}the logicalType decimal needs a precision above zero"),
        ),
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}),
            format!("{x}the logicalType decimal needs a precision above zero, and a scale of at most that"),
        ),
        (
            json!({"type": "fixed", "name": "D", "size": 2, "logicalType": "decimal", "precision": 10, "scale": 2}),
            "fixed a.D: a fixed of 2 bytes holds decimals of at most 4 digits, not 10: lower the precision, or use \
             a larger fixed or bytes"
                .to_owned(),
        ),
        (
            json!({"type": "fixed", "name": "U", "size": 8, "logicalType": "uuid"}),
            "fixed a.U: the logicalType uuid on fixed needs the size 16".to_owned(),
        ),
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 39}),
            format!("{x}decimal(39, 0) is not supported: at most 38 digits"),
        ),
        // One decimal of that type would be padded to a size that no memory has.
        (
            json!({"type": "fixed", "name": "D", "size": 1_u64 << 30, "logicalType": "decimal", "precision": 4}),
            format!("{x}a fixed of 1073741824 bytes is larger than any event may be"),
        ),
        (
            json!("elsewhere.Part"),
            "not an Avro schema: /fields/0/type: there is no type \"elsewhere.Part\"".to_owned(),
        ),
    ];
    for (of, expected) in cases {
        let message = one_field(of);
        assert!(
            message.starts_with(&format!("a/Happened/v1.avsc: {expected}")),
            "expected {expected:?}, got {message:?}"
        );
    }
}

#[test]
fn defaults_that_do_not_fit() {
    let message = refused(versions(&[json!([{
        "name": "x",
        "type": {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 1},
        "default": "\u{7f}\u{ff}",
    }])]));
    assert_eq!(
        message,
        "a/Happened/v1.avsc: field x of a.Happened: its default does not fit: not a decimal of at most 2 digits"
    );
}

#[test]
fn incompatible_versions() {
    let file = "a/Happened/v2.avsc: field x of a.Happened: ";
    let old = json!([{"name": "x", "type": "string"}]);
    let to = |field: Value| refused(versions(&[old.clone(), json!([field])]));
    assert_eq!(
        to(json!({"name": "x", "type": "int"})),
        format!("{file}string cannot be read as int without an upcast rule")
    );
    assert_eq!(
        refused(versions(&[
            old.clone(),
            json!([{"name": "x", "type": "string"}, {"name": "y", "type": "int"}])
        ])),
        "a/Happened/v2.avsc: field y of a.Happened: is new and older events do not have it: add a \
         default, an alias or an upcast rule"
    );
    let colours =
        |symbols: &[&str]| json!([{"name": "x", "type": {"type": "enum", "name": "C", "symbols": symbols}}]);
    assert_eq!(
        refused(versions(&[colours(&["RED", "BLUE"]), colours(&["RED"])])),
        format!("{file}the symbol BLUE was removed from a.C, which has no default to replace it: add one")
    );
    let decimal = |scale: u32| {
        json!([{"name": "x", "type":
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": scale}}])
    };
    assert_eq!(
        refused(versions(&[decimal(2), decimal(3)])),
        format!("{file}decimal(9, 2) cannot be read as decimal(9, 3) without an upcast rule")
    );
    let part = |name: &str| json!([{"name": "x", "type": {"type": "record", "name": name, "fields": []}}]);
    assert_eq!(
        refused(versions(&[part("Part"), part("Piece")])),
        format!("{file}a.Piece is not a.Part; add this alias or an upcast rule")
    );
    let two = json!([{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]);
    assert_eq!(
        refused(versions(&[two.clone(), json!([{"name": "x", "type": "string", "aliases": ["a", "b"]}])])),
        format!("{file}its name and its aliases name both a and b of the older version")
    );
    // Avro's reference does not read it either: two fields would have one name.
    assert_eq!(
        refused(versions(&[two, json!([{"name": "a", "type": "string", "aliases": ["b"]}])])),
        "a/Happened/v2.avsc: field a of a.Happened: its name and its aliases name both a and b of the older version"
    );
    // A branch of the older union that the newer type cannot take, though others could.
    assert_eq!(
        refused(versions(&[
            json!([{"name": "x", "type": ["null", "int"]}]),
            json!([{"name": "x", "type": "int"}])
        ])),
        format!("{file}null cannot be read as int without an upcast rule")
    );
}

#[test]
fn rules_that_are_wrong() {
    let old = json!([{"name": "x", "type": {"type": "array", "items": "string"}}]);
    let rule = |rule: Value| {
        let message =
            refused(versions(&[old.clone(), json!([{"name": "y", "type": "string", "upcast": rule}])]));
        let place = "a/Happened/v2.avsc: field y of a.Happened: its upcast rule ";
        message.strip_prefix(place).unwrap_or_else(|| panic!("{message}")).to_owned()
    };
    assert!(rule(json!("old.x +")).starts_with("does not parse: "));
    assert_eq!(rule(json!(7)), "must be a string");
    assert_eq!(rule(json!("new.x")), "refers to new; there are only old and event (at character 1)");
    assert_eq!(rule(json!("now()")), "calls now, which is not a function of rules (at character 4)");
    assert_eq!(rule(json!(format!("'{}'", "x".repeat(1024)))), "is longer than 1024 bytes");
    // Each of these once ended the process, on a thread of the usual stack: twelve brackets while they were parsed,
    // a long chain when the rule ran.
    let within = |open: &str, times: usize, close: &str| {
        rule(json!(format!("{}'a'{}", open.repeat(times), close.repeat(times))))
    };
    assert_eq!(within("[", 90, "]"), "is nested deeper than 24");
    assert_eq!(within("{'a': ", 90, "}"), "is nested deeper than 24");
    assert!(within("'a' + ", 100, "").starts_with("is nested deeper than 24"));
    assert_eq!(within("(", 500, ")"), "is nested deeper than 24");
    assert_eq!(
        refused(versions(&[json!([{"name": "y", "type": "string", "upcast": "'a'"}])])),
        "a/Happened/v1.avsc: field y of a.Happened: its upcast rule has no older version to start from"
    );
    let part = json!({"type": "record", "name": "Part", "fields":
        [{"name": "z", "type": "int", "upcast": "1"}]});
    let new = json!([{"name": "x", "type": {"type": "array", "items": "string"}},
        {"name": "p", "type": ["null", part], "default": null}]);
    assert_eq!(
        refused(versions(&[old.clone(), new])),
        "a/Happened/v2.avsc: field z of a.Part: its upcast rule is never used: the older version has no such \
         record here"
    );
}

/// Whatever reads a schema goes along its types. A test's thread has the stack of an ordinary one.
#[test]
fn long_chains_of_types_do_not_end_the_process() {
    let chain = |length: usize| {
        let record = |n: usize, next: Value| {
            let part =
                json!({"type": "record", "name": format!("R{n}"), "fields": [{"name": "x", "type": next}]});
            json!({"name": format!("f{n}"), "type": part})
        };
        let first = record(0, json!("int"));
        let others = (1..length).map(|n| record(n, json!(["null", format!("R{}", n - 1)])));
        // Named before it is defined, so that it leads to all of them.
        let last = json!({"name": "last", "type": format!("R{}", length - 1)});
        let fields: Vec<_> = [last, first].into_iter().chain(others).collect();
        versions(&[json!(fields)])
    };
    chain(240).unwrap();
    let refused = refused(chain(260));
    assert!(refused.contains("types lead to types in a chain of more than 500"), "{refused}");
}

#[test]
fn many_aliases_are_read_at_once_and_too_many_are_refused() {
    let aliases = |count: usize| {
        let aliases: Vec<_> = (0..count).map(|n| format!("A{n}")).collect();
        let event =
            json!({"type": "record", "name": "E", "namespace": "a", "aliases": aliases, "fields": []});
        load(&[("a/E/v1.avsc", &event.to_string())])
    };
    // Quadratic, this took eleven seconds.
    aliases(2_000).unwrap();
    let refused = refused(aliases(50_000));
    assert!(refused.contains("types and fields have more than 10000 aliases"), "{refused}");
}

#[test]
fn keys_that_occur_twice_and_misspelt_attributes() {
    let twice = r#"{"type": "record", "name": "E", "namespace": "a", "doc": "a", "doc": "b", "fields": []}"#;
    let refused_file = refused(load(&[("a/E/v1.avsc", twice)]));
    assert!(refused_file.contains("the key \"doc\" occurs twice in the object"), "{refused_file}");
    let field = |attribute: &str| {
        let mut field = json!({"name": "x", "type": "int"});
        field[attribute] = json!("1");
        versions(&[json!([field])])
    };
    for misspelt in
        ["upCast", "logicaltype", "unknown_fields", "keepUnknownFields", "JSON", "upcasts", "logical-type"]
    {
        let message = refused(field(misspelt));
        assert!(message.contains(&format!("its attribute {misspelt:?} has no meaning: write ")), "{message}");
    }
    for free in ["doc", "comment", "unit", "sort", "javaType", "avro.java.string", "upstream", "icon"] {
        field(free).unwrap();
    }
}
