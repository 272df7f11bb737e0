//! The language of upcast rules: what is refused when schemas are loaded, and what rules give.

use aqueduct_core::Codec;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::versions;

/// What becomes of an event with the field `x`, by a rule for the field `y`.
enum Outcome {
    /// The rule is refused when it is loaded, with this in the message.
    Refused(&'static str),
    /// The value of `y`.
    Is(Value),
    /// The event is refused, with this in the message.
    Fails(&'static str),
}
use Outcome::{Fails, Is, Refused};

fn outcome(x: &Value, y: &Value, rule: &str, stored: &Value) -> Result<Result<Value, String>, String> {
    let old = json!([{"name": "x", "type": x}]);
    let new = json!([{"name": "y", "type": y, "upcast": rule}]);
    let set = versions(&[old, new])?;
    let latest = set.upcast("Happened", 1, &Bytes::from(json!({"x": stored}).to_string()));
    let latest = latest.map(|json| serde_json::from_slice::<Value>(&json).unwrap()["y"].clone());
    Ok(latest.map_err(|error| error.to_string()))
}

fn check(x: &Value, y: &Value, rule: &str, stored: &Value, expected: &Outcome) {
    let outcome = outcome(x, y, rule, stored);
    let as_expected = match (&outcome, expected) {
        (Err(message), Refused(text)) | (Ok(Err(message)), Fails(text)) => message.contains(text),
        (Ok(Ok(value)), Is(expected)) => value == expected,
        _ => false,
    };
    assert!(as_expected, "{rule} for {stored}: {outcome:?}");
}

/// Each of these was tried on the rules before they had types.
#[test]
fn cases_from_the_field() {
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2});
    let wide = json!({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 4});
    let decimals = json!({"type": "array", "items": decimal});
    let map = json!({"type": "map", "values": "int"});
    let many = json!({"b": 2, "a": 1, "d": 4, "c": 3, "j": 10, "e": 5});
    let date = json!({"type": "int", "logicalType": "date"});
    let timestamp = json!({"type": "long", "logicalType": "timestamp-millis"});
    let part = json!({"type": "record", "name": "P", "fields": [{"name": "n", "type": "int"},
        {"name": "p", "type": ["null", "string"]}]});
    let parts = json!({"type": "array", "items": part});
    let min = json!(i64::MIN.to_string());
    let [int, long, double, string, boolean, bytes] =
        ["int", "long", "double", "string", "boolean", "bytes"].map(Value::from);
    let cases = [
        (&bytes, &string, "string(old.x)", json!("/w=="), Fails("bytes that are not UTF-8 text")),
        (&bytes, &string, "string(old.x)", json!("w6Q="), Is(json!("ä"))),
        (&int, &boolean, "old.x == 1.0", json!(1), Is(json!(true))),
        (&decimal, &boolean, "[old.x, 'a', old.x] == [old.x, old.x, 'a']", json!("1.00"), Is(json!(false))),
        (&bytes, &boolean, "[old.x, 'a', old.x] == [old.x, old.x, 'a']", json!("YQ=="), Is(json!(false))),
        (&date, &date, "old.x", json!("2010-12-01"), Is(json!("2010-12-01"))),
        (&decimal, &boolean, "old.x > '9.00'", json!("10.00"), Refused("compares decimal with string; make")),
        (&decimal, &boolean, "old.x > decimal('9.00')", json!("10.00"), Is(json!(true))),
        (&decimal, &boolean, "old.x > 9", json!("10.00"), Is(json!(true))),
        (
            &decimal,
            &boolean,
            "old.x == '10.0'",
            json!("10.00"),
            Refused("compares decimal with string; make"),
        ),
        (&decimal, &boolean, "old.x == decimal('10.0')", json!("10.00"), Is(json!(true))),
        (
            &decimals,
            &string,
            "old.x.filter(a, a > '9.00').map(a, a)[0]",
            json!(["10.00", "9.50"]),
            Refused("compares decimal with string"),
        ),
        (
            &decimals,
            &string,
            "old.x.filter(a, a > decimal('9.6'))[0]",
            json!(["10.00", "9.50"]),
            Is(json!("10.00")),
        ),
        (&decimal, &wide, "old.x + old.x", json!("1.00"), Is(json!("2.0000"))),
        (&decimal, &wide, "old.x * old.x - 1", json!("10.01"), Is(json!("99.2001"))),
        (&decimal, &decimal, "old.x * old.x", json!("10.01"), Fails("100.2001 has more than 2 decimals")),
        (&decimal, &wide, "old.x / 2", json!("1.00"), Refused("calculates decimal / int")),
        (
            &string,
            &wide,
            "old.x + '1'",
            json!("1.0"),
            Refused("gives string, which does not fit decimal(30, 4)"),
        ),
        (&string, &wide, "decimal(old.x) + 1", json!("1.0"), Is(json!("2.0000"))),
        (&long, &long, "old.x / -1", min.clone(), Fails("a result does not fit 64 bits")),
        (&long, &long, "old.x % -1", min.clone(), Fails("a result does not fit 64 bits")),
        (&long, &long, "old.x - 1", min.clone(), Fails("a result does not fit 64 bits")),
        (&long, &long, "old.x * 2", json!(i64::MAX.to_string()), Fails("a result does not fit 64 bits")),
        (&long, &long, "1 / old.x", json!(0), Fails("a division by zero")),
        (&double, &double, "old.x / 2.0", json!(3.0), Is(json!(1.5))),
        (&double, &double, "old.x + 1.0", json!("NaN"), Is(json!("NaN"))),
        (&double, &boolean, "old.x > 1.0 || old.x <= 1.0 || old.x == old.x", json!("NaN"), Is(json!(false))),
        (&double, &double, "old.x * 2.0", json!(2.0), Is(json!(4.0))),
        (&double, &long, "int(old.x)", json!(2.9), Is(json!(2))),
        (&double, &long, "int(old.x)", json!("Infinity"), Fails("int: inf does not fit 64 bits")),
        (&int, &double, "old.x / 2", json!(7), Is(json!(3.0))),
        (&int, &boolean, "has(old.typo)", json!(1), Refused("reads typo, which a.Happened does not have")),
        (&int, &int, "old.x > 1000 ? old.typo : old.x", json!(1), Refused("(at character 19)")),
        (&long, &double, "double(old.x)", json!("9007199254740993"), Is(json!(9007199254740992.0))),
        (
            &map,
            &json!({"type": "array", "items": "int"}),
            "old.x.map(k, old.x[k])",
            many.clone(),
            Is(json!([1, 2, 3, 4, 5, 10])),
        ),
        (
            &map,
            &json!({"type": "array", "items": "string"}),
            "old.x.map(k, k)",
            many,
            Is(json!(["a", "b", "c", "d", "e", "j"])),
        ),
        (&string, &string, "minorUnits(old.x)", json!("0.00001"), Is(json!("0.001"))),
        (
            &string,
            &string,
            "minorUnits(old.x)",
            json!(i128::MAX.to_string()),
            Fails("minorUnits: more than 38"),
        ),
        (&string, &string, "minorUnits(old.x)", json!("-0"), Is(json!("0.000"))),
        (&string, &string, "minorUnits(old.x)", json!("1."), Fails("\"1.\" is not a decimal number")),
        (&string, &string, "minorUnits(old.x)", json!(" 1"), Fails("\" 1\" is not a decimal number")),
        (
            &json!(["null", "int"]),
            &boolean,
            "old.x > 3",
            json!(5),
            Refused("compares null or int with int; use it"),
        ),
        (&string, &string, "old.x.replace('aa','a')", json!("aaaa"), Is(json!("aa"))),
        (&string, &int, "size(old.x)", json!("ä😀"), Is(json!(2))),
        (&double, &string, "string(old.x)", json!(1e21), Is(json!("1000000000000000000000"))),
        (&double, &string, "string(old.x)", json!(0.1), Is(json!("0.1"))),
        (&double, &string, "string(old.x)", json!(1.0), Is(json!("1"))),
        (
            &parts,
            &string,
            "sumProduct(old.x, 'n', 'p')",
            json!([]),
            Refused("with p, which is null or string"),
        ),
        (
            &timestamp,
            &boolean,
            "old.x > '2010-12-01T00:00:00.000Z'",
            json!("2010-12-01T08:26:00.000Z"),
            Is(json!(true)),
        ),
        (&int, &int, "\"text\"", json!(1), Refused("gives string, which does not fit int")),
    ];
    for (x, y, rule, stored, expected) in &cases {
        check(x, y, rule, stored, expected);
    }
}

/// Texts that a parser may take long for, or run out of stack with.
#[test]
fn texts_that_are_hard_to_parse() {
    let rule = |open: &str, times: usize, middle: &str, close: &str| {
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    let cases = [
        (rule("true&&", 20, "true", ""), Is(json!(true))),
        (rule("string(", 20, "1", ")"), Refused("gives string, which does not fit boolean")),
        (rule("", 1, "old", &".a".repeat(200)), Refused("nested deeper than 24")),
        (rule("1 in ", 100, "1", ""), Refused("nested deeper than 24")),
        (rule("[", 20, "1", "]"), Refused("gives list of list of")),
        (rule("{1:", 20, "1", "}"), Refused("has a map with a key that is int, not string")),
        (rule("[(", 90, "1", ")]"), Refused("nested deeper than 24")),
        (rule("!", 900, "true", ""), Is(json!(true))),
        (rule("(", 90, "1", ")"), Refused("nested deeper than 24")),
        (rule("true?", 100, "1", ":1"), Refused("does not parse")),
        ("\"\\u{1F600}\"".to_owned(), Refused("does not parse")),
        ("'".repeat(801), Refused("does not parse")),
    ];
    for (rule, expected) in &cases {
        check(&json!("int"), &json!("boolean"), rule, &json!(1), expected);
    }
}

#[test]
fn what_may_be_null_is_used_where_it_is_not() {
    let nullable = json!(["null", "int"]);
    let int = json!("int");
    let refused = "null or int";
    for (rule, expected) in [
        ("old.x != null ? old.x + 1 : 0", [Is(json!(6)), Is(json!(0))]),
        ("old.x == null ? 0 : old.x + 1", [Is(json!(6)), Is(json!(0))]),
        ("has(old.x) ? old.x : 0", [Is(json!(5)), Is(json!(0))]),
        ("!has(old.x) ? 0 : event.x == null ? 1 : event.x", [Is(json!(5)), Is(json!(0))]),
        ("old.x != null && old.x > 3 ? 1 : 0", [Is(json!(1)), Is(json!(0))]),
        ("old.x == null || old.x < 3 ? 1 : 0", [Is(json!(0)), Is(json!(1))]),
        ("!(old.x == null) && !(old.x > 9) ? 1 : 0", [Is(json!(1)), Is(json!(0))]),
        ("[1, 2].filter(a, old.x != null && a < old.x)[0]", [Is(json!(1)), Fails("the list has 0 items")]),
        ("old.x == null && old.x > 3 ? 1 : 0", [Refused("compares null with int"), Refused("compares null")]),
        ("old.x == null || old.x > 3 ? old.x : 0", [Refused(refused), Refused(refused)]),
        ("old.x > 3 && old.x != null ? 1 : 0", [Refused(refused), Refused(refused)]),
        ("old.x != null ? 0 : old.x + 1", [Refused("calculates null + int"), Refused("calculates null")]),
        ("old.x", [Refused(refused), Refused(refused)]),
        ("int(old.x)", [Refused(refused), Refused(refused)]),
        ("old.x == 5 ? 1 : 0", [Refused(refused), Refused(refused)]),
        ("size([old.x]) == null ? 1 : 0", [Refused("never null"), Refused("never null")]),
    ] {
        for (stored, expected) in [json!(5), json!(null)].iter().zip(&expected) {
            check(&nullable, &int, rule, stored, expected);
        }
    }
}

#[test]
fn a_union_is_used_where_its_type_is_known() {
    let union = json!(["null", "long", "string", "boolean", {"type": "array", "items": "int"}]);
    let text = json!("string");
    let rule = "type(old.x) == int ? string(old.x + 1) : type(old.x) == string ? old.x + '!' \
        : type(old.x) == null_type ? 'none' : type(old.x) == list ? string(size(old.x)) : string(old.x)";
    for (stored, expected) in [
        (json!(6), "7"),
        (json!("a"), "a!"),
        (json!(null), "none"),
        (json!([1, 2]), "2"),
        (json!(true), "true"),
    ] {
        check(&union, &text, rule, &stored, &Is(json!(expected)));
    }
    let kind = "null or int or string or bool or list of int";
    check(&union, &text, "type(old.x) == int ? old.x : 'a'", &json!(1), &Refused("gives int or string"));
    check(
        &union,
        &text,
        "type(old.x) != int ? 'a' : old.x + 'a'",
        &json!(1),
        &Refused("calculates int + string"),
    );
    check(&union, &text, "string(old.x)", &json!(1), &Refused(kind));
    check(&union, &text, "type(old.x) == double ? 'a' : 'b'", &json!(1), &Refused("which it never is"));
    check(&union, &text, "type(old.x) == number ? 'a' : 'b'", &json!(1), &Refused("names the type number"));
    check(&union, &text, "string(type(old.x))", &json!(1), &Refused("can only be compared"));
    let scalars = json!(["long", "string"]);
    check(&scalars, &text, "string(old.x)", &json!(1), &Is(json!("1")));
    check(&scalars, &text, "string(add(old.x, 1))", &json!("1.5"), &Is(json!("2.5")));
    check(&scalars, &scalars, "old.x", &json!("a"), &Is(json!("a")));
}

#[test]
fn kept_fields_are_read_as_json_of_a_type() {
    let kept = json!({"type": "map", "values": "string"});
    let stored =
        json!({"n": "7", "d": "\"2.50\"", "t": "\"a\\u00e4\"", "o": "{\"a\":1}", "z": "null", "b": "true"});
    for (of, rule, expected) in [
        ("long", "json(old.x['n'], int)", Is(json!(7))),
        ("long", "json(old.x.n, 'int')", Is(json!(7))),
        ("long", "'m' in old.x ? json(old.x.m, int) : 0", Is(json!(0))),
        ("long", "has(old.x.m) ? 1 : 2", Is(json!(2))),
        ("double", "json(old.x.n, double)", Is(json!(7.0))),
        ("string", "json(old.x.t, string)", Is(json!("aä"))),
        ("string", "json(old.x.d, decimal) + 1", Is(json!("3.50"))),
        ("boolean", "json(old.x.b, bool)", Is(json!(true))),
        ("long", "json(old.x.m, int)", Fails("there is no key \"m\"")),
        ("long", "json(old.x.t, int)", Fails("json: \"aä\" is not a whole number")),
        ("long", "json(old.x.z, int)", Fails("found null")),
        ("string", "json(old.x.o, string)", Fails("json: an object or an array")),
        ("string", "json(old.x.o, map)", Refused("json needs the name of a type")),
        ("string", "json(old.x.o, old.x.n)", Refused("json needs the name of a type")),
    ] {
        check(&kept, &json!(of), rule, &stored, &expected);
    }
}

#[test]
fn records_maps_and_lists() {
    let part = |fields: Value| json!({"type": "record", "name": "Part", "fields": fields});
    let old = part(json!([{"name": "a", "type": "int"}, {"name": "b", "type": "string"}]));
    let same = part(json!([{"name": "b", "type": "string"}, {"name": "a", "type": "long"},
        {"name": "c", "type": "int", "default": 9}]));
    let other = part(json!([{"name": "a", "type": "int"}]));
    let list = |of: &Value| json!({"type": "array", "items": of});
    let stored = json!({"a": 1, "b": "x"});
    let expected = json!({"a": 1, "b": "x", "c": 9});
    check(&old, &same, "old.x", &stored, &Is(expected.clone()));
    check(&old, &list(&same), "[old.x, event.x]", &stored, &Is(json!([expected, expected])));
    check(&old, &same, "{'b': 'y', 'a': 2, 'c': old.x.a}", &stored, &Is(json!({"a": 2, "b": "y", "c": 1})));
    check(&old, &other, "old.x", &stored, &Refused("gives record a.Part, which does not fit record"));
    check(&old, &same, "{'b': 'y', 'a': 2, 'd': 1}", &stored, &Refused("gives map, which does not fit"));
    check(&old, &same, "{'b': 'y'}", &stored, &Refused("gives map, which does not fit"));
    check(&old, &json!({"type": "map", "values": "int"}), "{old.x.b: 1}", &stored, &Is(json!({"x": 1})));
    check(&old, &json!({"type": "map", "values": "int"}), "{'k': 1}", &stored, &Is(json!({"k": 1})));
    check(&old, &json!("int"), "{'k': 1, 'k': 2}.k", &stored, &Refused("the key \"k\" twice"));
    check(&old, &json!("int"), "{'k': old.x.a}['k']", &stored, &Is(json!(1)));
    check(&old, &json!("int"), "[[3], []].map(l, size(l) > 0, l[0])[0]", &stored, &Is(json!(3)));
    check(&old, &json!("int"), "[1, 2].map(a, [3, 4].map(b, a * b)[1])[1]", &stored, &Is(json!(8)));
    check(&old, &json!("boolean"), "[1, 2].exists_one(a, a == 2) && 2 in [1, 2]", &stored, &Is(json!(true)));
    check(&old, &json!("boolean"), "old.x == event.x && [1] + [2] == [1, 2]", &stored, &Is(json!(true)));
    check(&old, &json!("boolean"), "'a' in [1]", &stored, &Refused("looks for string in list of int"));
    check(&old, &json!("boolean"), "old.x.map(k, k) == []", &stored, &Refused("calls map of record a.Part"));
}

#[test]
fn results_that_do_not_fit_by_value() {
    let x = json!("string");
    let colour = json!({"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]});
    let fixed = json!({"type": "fixed", "name": "Two", "size": 2});
    let uuid = json!({"type": "string", "logicalType": "uuid"});
    check(&x, &colour, "old.x", &json!("RED"), &Is(json!("RED")));
    check(
        &x,
        &colour,
        "old.x",
        &json!("GREEN"),
        &Fails("y: \"GREEN\" is not a symbol of a.Colour (RED, BLUE)"),
    );
    check(&x, &fixed, "bytes(old.x)", &json!("ab"), &Is(json!("YWI=")));
    check(&x, &fixed, "bytes(old.x)", &json!("abc"), &Fails("3 bytes, but a.Two has 2"));
    check(&x, &json!("int"), "int(old.x)", &json!("2147483648"), &Fails("does not fit an int (32 bits)"));
    check(&x, &uuid, "old.x", &json!("abc"), &Fails("is not a UUID"));
    check(
        &x,
        &uuid,
        "old.x",
        &json!("6BA7B810-9DAD-11D1-80B4-00C04FD430C8"),
        &Is(json!("6ba7b810-9dad-11d1-80b4-00c04fd430c8")),
    );
    check(&x, &json!("float"), "double(old.x)", &json!("1e39"), &Fails("does not fit a float (32 bits)"));
}
