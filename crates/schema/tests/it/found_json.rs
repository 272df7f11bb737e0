//! JSON as other writers leave it: names, unknown fields, and the forms of the common serializers.

use aqueduct_core::Codec;
use aqueduct_schema::SchemaSet;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{load, versions};

/// An event `a.Happened` of one version with these fields and attributes.
fn event(attributes: &Value, fields: &Value) -> Result<SchemaSet, String> {
    let mut schema = json!({"type": "record", "name": "Happened", "namespace": "a", "fields": fields});
    for (key, value) in attributes.as_object().unwrap() {
        schema[key] = value.clone();
    }
    load(&[("a/Happened/v1.avsc", &schema.to_string())])
}

/// The canonical form of an event, or why it is refused. What is canonical must encode to the same Avro.
fn canonical(set: &SchemaSet, stored: &str) -> Result<String, String> {
    let place = "event type Happened, version 1: ";
    let checked = set.check("Happened", 1, stored.as_bytes().to_vec());
    let checked = checked.map_err(|error| error.to_string().replacen(place, "", 1))?;
    assert_eq!(set.check("Happened", 1, checked.to_vec()).unwrap(), checked, "canonical twice");
    let avro = set.to_avro("Happened", 1, stored.as_bytes()).unwrap();
    assert_eq!(set.to_avro("Happened", 1, &checked).unwrap(), avro);
    let back: Value = set.from_avro("Happened", 1, &avro).unwrap();
    let checked = String::from_utf8(checked.to_vec()).unwrap();
    assert_eq!(back, serde_json::from_str::<Value>(&checked).unwrap());
    Ok(checked)
}

/// The canonical form of a value of a type, in JSON, or why it is refused.
fn value(of: &Value, stored: &str) -> Result<String, String> {
    let set = event(&json!({}), &json!([{"name": "x", "type": of}])).unwrap();
    let checked = canonical(&set, &format!("{{\"x\":{stored}}}"))?;
    Ok(checked.strip_prefix("{\"x\":").and_then(|rest| rest.strip_suffix('}')).unwrap().to_owned())
}

fn decimal(precision: u32, scale: u32) -> Value {
    json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
}

fn logical(base: &str, name: &str) -> Value {
    json!({"type": base, "logicalType": name})
}

#[test]
fn exact_forms_become_canonical() {
    let fixed = json!({"type": "fixed", "name": "Two", "size": 2});
    let date = logical("int", "date");
    let millis = logical("long", "timestamp-millis");
    let nanos = logical("long", "timestamp-nanos");
    let local = logical("long", "local-timestamp-millis");
    let time = logical("long", "time-micros");
    let cases = [
        (json!("int"), vec!["7.0", "70e-1", "0.7E1", "\"7\"", "\"7.0\""], "7"),
        (json!("long"), vec!["7.0", "7E+0", "\"7\"", "\"700e-2\""], "7"),
        (json!("long"), vec!["9007199254740993", "\"9007199254740993.0\""], "\"9007199254740993\""),
        (json!("long"), vec!["-9223372036854775808"], "\"-9223372036854775808\""),
        (json!("double"), vec!["1", "\"1\"", "\"1.0\""], "1.0"),
        (json!("double"), vec!["\"1E-07\""], "1e-7"),
        (json!("float"), vec!["\"3.4E+38\"", "\"3.4e38\""], "3.4e+38"),
        (json!("double"), vec!["18446744073709551615"], "1.8446744073709552e+19"),
        (decimal(9, 2), vec!["1.5", "1.5e0", "150e-2", "\"1.5\"", "1.500", "\"15E-1\""], "\"1.50\""),
        (
            decimal(29, 0),
            vec!["79228162514264337593543950335", "79228162514264337593543950335.0"],
            "\"79228162514264337593543950335\"",
        ),
        (
            decimal(20, 0),
            vec!["18446744073709551615", "\"18446744073709551615\""],
            "\"18446744073709551615\"",
        ),
        (decimal(9, 7), vec!["1E-07", "0.0000001", "1.000e-7"], "\"0.0000001\""),
        (decimal(9, 2), vec!["0e999999999", "-0", "-0.00"], "\"0.00\""),
        (
            json!("bytes"),
            vec![
                r#"{"$type":"System.Byte[], mscorlib","$value":"AP8="}"#,
                r#"{"type":"Buffer","data":[0,255]}"#,
            ],
            "\"AP8=\"",
        ),
        (fixed, vec![r#"{"type":"Buffer","data":[0,255]}"#], "\"AP8=\""),
        (
            json!({"type": "array", "items": "int"}),
            vec![r#"{"$type":"System.Int32[], mscorlib","$values":[1,2]}"#],
            "[1,2]",
        ),
        (
            date.clone(),
            vec![
                "\"2022-04-01T00:00:00\"",
                "\"2022-04-01T00:00:00.0000000\"",
                "\"2022-04-01T00:00:00Z\"",
                "\"2022-04-01T00:00\"",
                "\"2022-04-01T00:00:00.000+00:00\"",
                "[2022,4,1]",
            ],
            "\"2022-04-01\"",
        ),
        (
            millis.clone(),
            vec![
                "1648797978113",
                "1648797978113.0",
                "\"2022-04-01T09:26:18.113+02:00\"",
                "\"2022-04-01T07:26:18.1130000Z\"",
                "\"2022-04-01T09:26:18.113+0200\"",
            ],
            "\"2022-04-01T07:26:18.113Z\"",
        ),
        (
            nanos,
            vec![
                "\"2022-04-01T09:26:18.1234567+02:00\"",
                "\"2022-04-01T09:26:18.1234567\\u002B02:00\"",
                "1648797978123456700",
            ],
            "\"2022-04-01T07:26:18.123456700Z\"",
        ),
        (
            local,
            vec![
                "\"2022-04-01T07:26:00\"",
                "\"2022-04-01T07:26\"",
                "[2022,4,1,7,26]",
                "[2022,4,1,7,26,0,0]",
                "1648797960000",
            ],
            "\"2022-04-01T07:26:00.000\"",
        ),
        (time, vec!["\"09:05:07.1230000\"", "[9,5,7,123000000]"], "\"09:05:07.123000\""),
        (json!(["null", "long"]), vec!["7.0", "\"7\""], "7"),
        (json!([decimal(9, 2), "null"]), vec!["1.5", "\"1.5\""], "\"1.50\""),
    ];
    for (of, forms, expected) in cases {
        for stored in forms {
            assert_eq!(value(&of, stored).as_deref(), Ok(expected), "{stored} as {of}");
        }
    }
    assert_eq!(value(&logical("long", "time-micros"), "\"09:05\"").as_deref(), Ok("\"09:05:00.000000\""));
    for special in ["\"NaN\"", "\"Infinity\"", "\"-Infinity\""] {
        assert_eq!(value(&json!("double"), special).as_deref(), Ok(special));
        assert_eq!(value(&json!("float"), special).as_deref(), Ok(special));
    }
}

#[test]
fn forms_that_are_not_exact_are_refused() {
    let timestamp = logical("long", "timestamp-millis");
    let cases = [
        (json!("int"), "1.5", "x: \"1.5\" is not a whole number of 32 bits"),
        (json!("int"), "2147483648.0", "x: 2147483648 does not fit an int (32 bits)"),
        (json!("long"), "\"007\"", "x: \"007\" is not a whole number of 64 bits"),
        (json!("long"), "\"+7\"", "x: \"+7\" is not a whole number of 64 bits"),
        (
            json!("long"),
            "18446744073709551615",
            "x: \"18446744073709551615\" is not a whole number of 64 bits",
        ),
        (json!("long"), "1e99999999999", "x: \"1e99999999999\" is not a whole number of 64 bits"),
        (json!("double"), "1e400", "x: \"1e400\" is not a number of 64 bits"),
        (json!("double"), "\" 1\"", "x: \" 1\" is not a number of 64 bits"),
        (json!("double"), "\"inf\"", "x: \"inf\" is not a number of 64 bits"),
        (decimal(9, 2), "0.125", "x: 0.125 has more than 2 decimals, and values are not rounded"),
        (decimal(9, 2), "1e300", "x: more than 38 digits"),
        (decimal(9, 2), "1e-300", "x: more than 76 digits after the point"),
        (decimal(9, 2), "\"1e\"", "x: \"1e\" is not a decimal number"),
        (decimal(9, 2), "true", "x: expected a decimal, found a boolean"),
        (json!("string"), "7", "x: expected a string, found a number"),
        (json!("boolean"), "1", "x: expected a boolean, found a number"),
        (json!("bytes"), r#"{"type":"Buffer","data":[256]}"#, "x: 256 is not a byte"),
        (
            logical("int", "date"),
            "\"2022-04-01T00:00:01\"",
            "x: \"2022-04-01T00:00:01\" is not a date of the form 2010-12-01",
        ),
        (
            logical("int", "date"),
            "\"2022-04-01T00:00:00+02:00\"",
            "x: \"2022-04-01T00:00:00+02:00\" is not a date of the form 2010-12-01",
        ),
        (logical("int", "date"), "[2022,4,1,0,0]", "x: [2022, 4, 1, 0, 0] is not a date or a time in parts"),
        (logical("int", "date"), "[2022,13,1]", "x: [2022, 13, 1] is not a date or a time in parts"),
        (timestamp.clone(), "1648797978.5", "x: \"1648797978.5\" is not a whole number of 64 bits"),
        (timestamp.clone(), "253402300800000", "x: 253402300800000 is outside the years 0 to 9999"),
        (
            timestamp,
            "\"2022-04-01T07:26:18.1234567Z\"",
            "x: \"2022-04-01T07:26:18.1234567Z\" has more than 3 decimals of a second",
        ),
    ];
    for (of, stored, expected) in cases {
        assert_eq!(value(&of, stored).unwrap_err(), expected, "{stored} as {of}");
    }
}

#[test]
fn a_branch_of_a_union_of_several_kinds_takes_its_own_kind_only() {
    let carrier = json!(["null", "long", "string"]);
    assert_eq!(value(&carrier, "20").as_deref(), Ok("20"));
    assert_eq!(value(&carrier, "20.0").as_deref(), Ok("20"));
    assert_eq!(value(&carrier, "\"20\"").as_deref(), Ok("\"20\""));
    assert_eq!(value(&carrier, "null").as_deref(), Ok("null"));
    // Text is another branch, so a long beyond 2^53 is a number.
    assert_eq!(value(&carrier, "9007199254740993").as_deref(), Ok("9007199254740993"));
    assert_eq!(
        value(&json!(["long", "boolean"]), "\"7\"").unwrap_err(),
        "x: expected one of long, boolean, found a string"
    );
    assert_eq!(value(&json!(["double", "string"]), "\"NaN\"").as_deref(), Ok("\"NaN\""));
    assert_eq!(value(&json!(["double", "boolean"]), "\"NaN\"").as_deref(), Ok("\"NaN\""));
    assert_eq!(value(&json!(["long", decimal(9, 2)]), "7").as_deref(), Ok("7"));
    let date = logical("int", "date");
    assert_eq!(value(&json!(["long", date]), "\"2022-04-01\"").as_deref(), Ok("\"2022-04-01\""));

    let both = event(&json!({}), &json!([{"name": "x", "type": [decimal(9, 2), "string"]}])).unwrap_err();
    assert_eq!(
        both,
        "a/Happened/v1.avsc: field x of a.Happened: the union's branches decimal(9, 2) and string are both a string \
         in JSON (a decimal is always a string there): wrap one in a record, or make two fields of them"
    );
}

#[test]
fn a_number_that_was_text_moves_into_a_union_with_text_as_a_number() {
    let field = |of: Value| json!([{"name": "x", "type": of}]);
    let upcast = |of: [Value; 2], stored: &str| {
        let set = versions(&of.map(field)).unwrap();
        let latest = set.upcast("Happened", 1, &Bytes::from(format!("{{\"x\":{stored}}}")));
        latest.map(|json| String::from_utf8(json.to_vec()).unwrap()).map_err(|error| error.to_string())
    };
    let long = [json!("long"), json!(["long", "string"])];
    assert_eq!(upcast(long, "\"9007199254740993\"").unwrap(), "{\"x\":9007199254740993}");
    let wider = [json!(["long", "string"]), json!(["null", "long", "string"])];
    assert_eq!(upcast(wider, "9007199254740993").unwrap(), "{\"x\":9007199254740993}");
    let double = [json!("double"), json!(["double", "string"])];
    assert_eq!(upcast(double.clone(), "1").unwrap(), "{\"x\":1.0}");
    assert!(
        upcast(double, "\"NaN\"")
            .unwrap_err()
            .contains("NaN cannot be told apart from text in the newer union")
    );
}

#[test]
fn stored_names() {
    let fields = json!([
        {"name": "clrType", "type": ["null", "string"], "default": null, "json": "$type"},
        {"name": "orderId", "type": "long", "json": ["OrderId", "orderId"]},
    ]);
    let set = event(&json!({}), &fields).unwrap();
    let written = "{\"$type\":\"T\",\"OrderId\":7}";
    for stored in
        [written, "{\"orderId\":7,\"$type\":\"T\"}", "{\"$type\":\"T\",\"OrderId\":7,\"orderId\":7.0}"]
    {
        let checked: Value = serde_json::from_str(&canonical(&set, stored).unwrap()).unwrap();
        assert_eq!(checked, serde_json::from_str::<Value>(written).unwrap());
    }
    let refused = |stored: &str| canonical(&set, stored).unwrap_err();
    assert_eq!(
        refused("{\"OrderId\":7,\"orderId\":8}"),
        "orderId: its values under \"OrderId\" and \"orderId\" differ"
    );
    assert_eq!(refused("{\"$type\":null}"), "orderId: missing (stored as OrderId or orderId)");
    assert_eq!(refused("{\"OrderId\":7,\"clrType\":\"T\"}"), "clrType: a.Happened has no such field");
}

#[test]
fn rules_and_consumers_see_the_names_of_the_schema() {
    let part = |n: &str| json!({"type": "record", "name": "Part", "fields": [{"name": "size", "type": "int", "json": n}]});
    let old = json!([
        {"name": "orderId", "type": "long", "json": "order-id"},
        {"name": "parts", "type": {"type": "array", "items": part("part-size")}},
    ]);
    let new = json!([
        {"name": "orderId", "type": "long", "json": "order-id"},
        {"name": "next", "type": "long", "json": "$next", "upcast": "old.orderId + 1"},
        {"name": "pieces", "type": {"type": "array", "items": part("$size")}, "upcast": "old.parts"},
    ]);
    let set = versions(&[old, new]).unwrap();
    let stored = Bytes::from_static(br#"{"order-id":7.0,"parts":[{"part-size":3}]}"#);
    let latest: Value = serde_json::from_slice(&set.upcast("Happened", 1, &stored).unwrap()).unwrap();
    assert_eq!(latest, json!({"order-id": 7, "$next": 8, "pieces": [{"$size": 3}]}));
    let registered: Value = serde_json::from_str(set.event("Happened").unwrap().schema(2).unwrap()).unwrap();
    let part = json!({"type": "record", "name": "Part", "fields": [{"name": "size", "type": "int"}]});
    let expected = json!({"type": "record", "name": "Happened", "namespace": "a", "fields": [
        {"name": "orderId", "type": "long"}, {"name": "next", "type": "long"},
        {"name": "pieces", "type": {"type": "array", "items": part}},
    ]});
    assert_eq!(registered, expected);
}

#[test]
fn unknown_fields_are_dropped_or_kept_where_the_schema_says_so() {
    let part = json!({"type": "record", "name": "Part", "fields": [{"name": "n", "type": "int"}]});
    let fields =
        json!([{"name": "part", "type": part}, {"name": "sizes", "type": {"type": "map", "values": "int"}}]);
    let stored = r#"{"part":{"n":1,"more":2},"sizes":{"$type":"Dictionary","a":1},"extra":{"b":[1.10,"ä"]}}"#;

    let strict = event(&json!({}), &fields).unwrap();
    assert_eq!(canonical(&strict, stored).unwrap_err(), "part.more: a.Part has no such field");
    let drop = event(&json!({"unknownFields": "drop"}), &fields).unwrap();
    assert_eq!(canonical(&drop, stored).unwrap(), r#"{"part":{"n":1},"sizes":{"a":1}}"#);

    let mut keeping = fields.as_array().unwrap().clone();
    keeping[0]["type"]["unknownFields"] = "drop".into();
    keeping.push(
        json!({"name": "rest", "type": {"type": "map", "values": "string"}, "keepsUnknownFields": true}),
    );
    let keep = event(&json!({"unknownFields": "keep"}), &json!(keeping)).unwrap();
    let stored = stored.replace("\"$type\":\"Dictionary\",", "");
    let kept = canonical(&keep, &stored).unwrap();
    assert_eq!(kept, r#"{"part":{"n":1},"rest":{"extra":"{\"b\":[1.10,\"ä\"]}"},"sizes":{"a":1}}"#);
    let more = kept.replacen('{', "{\"later\":null,", 1);
    let more: Value = serde_json::from_str(&canonical(&keep, &more).unwrap()).unwrap();
    assert_eq!(more["rest"], json!({"extra": "{\"b\":[1.10,\"ä\"]}", "later": "null"}));
    let twice = kept.replacen('{', "{\"extra\":1,", 1);
    assert_eq!(
        canonical(&keep, &twice).unwrap_err(),
        "rest[\"extra\"]: the key is kept already and occurs again"
    );
}

#[test]
fn attributes_that_are_wrong_are_refused_with_their_place() {
    let map = json!({"type": "map", "values": "string"});
    let cases = [
        (
            json!({}),
            json!([{"name": "x", "type": "int", "json": 7}]),
            "field x of a.Happened: its attribute \"json\" must be a name or a list of names",
        ),
        (
            json!({}),
            json!([{"name": "x", "type": "int", "json": []}]),
            "field x of a.Happened: its attribute \"json\" must be a name or a list of names",
        ),
        (
            json!({}),
            json!([{"name": "x", "type": "int", "json": ["a", "a"]}]),
            "record a.Happened: field x has the stored name \"a\" twice",
        ),
        (
            json!({}),
            json!([{"name": "x", "type": "int"}, {"name": "y", "type": "int", "json": ["Y", "x"]}]),
            "record a.Happened: fields x and y both have the stored name \"x\"",
        ),
        (
            json!({"unknownFields": true}),
            json!([]),
            "record a.Happened: its attribute \"unknownFields\" must be \"error\", \"drop\" or \"keep\"",
        ),
        (
            json!({"unknownFields": "keep"}),
            json!([]),
            "record a.Happened: keeps unknown fields but has no field to hold them",
        ),
        (
            json!({}),
            json!([{"name": "x", "type": map, "keepsUnknownFields": true}]),
            "record a.Happened: field x is marked \"keepsUnknownFields\", but the record does not keep",
        ),
        (
            json!({"unknownFields": "keep"}),
            json!([{"name": "x", "type": {"type": "map", "values": "int"}, "keepsUnknownFields": true}]),
            "field x of a.Happened: a field with \"keepsUnknownFields\" must be a map of string",
        ),
        (
            json!({"json": "x"}),
            json!([]),
            "record a.Happened: its attribute \"json\" has no effect here: it must be on a field",
        ),
        (
            json!({}),
            json!([{"name": "x", "type": "int", "unknownFields": "drop"}]),
            "field x of a.Happened: its attribute \"unknownFields\" has no effect here: it must be on a record",
        ),
        (
            json!({}),
            json!([{"name": "x", "type": {"type": "array", "items": "int", "upcast": "1"}}]),
            "field x of a.Happened: its attribute \"upcast\" has no effect here: it must be on a field",
        ),
    ];
    for (attributes, fields, expected) in cases {
        let refused = event(&attributes, &fields).unwrap_err();
        let refused = refused.strip_prefix("a/Happened/v1.avsc: ").unwrap();
        assert!(refused.starts_with(expected), "expected {expected:?}, got {refused:?}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let set = event(&json!({}), &json!([{"name": "x", "type": "int"}])).unwrap();
    assert_eq!(canonical(&set, "\u{feff}{\"x\":7}").as_deref(), Ok("{\"x\":7}"));
    let stored = Bytes::from_static("\u{feff}{\"x\":7}".as_bytes());
    assert_eq!(set.upcast("Happened", 1, &stored).unwrap(), "{\"x\":7}");
}

#[test]
fn null_and_missing_are_the_same_for_a_field_with_default_null() {
    let set = event(&json!({}), &json!([{"name": "x", "type": ["null", "int"], "default": null}])).unwrap();
    for stored in ["{}", "{\"x\":null}"] {
        assert_eq!(canonical(&set, stored).as_deref(), Ok("{\"x\":null}"));
    }
    let required = event(&json!({}), &json!([{"name": "x", "type": "int"}])).unwrap();
    assert_eq!(
        canonical(&required, "{\"x\":null}").unwrap_err(),
        "x: expected a whole number of 32 bits, found null"
    );
}

#[test]
fn text_that_is_not_json_is_refused_with_its_place() {
    let set = event(&json!({}), &json!([{"name": "x", "type": "string"}])).unwrap();
    let cases = [
        ("", "expected a value, found the end of the text at byte 0"),
        ("{\"x\":\"\\ud83d\"}", "a lone surrogate escape (\\ud83d), which is not a character at byte 6"),
        (
            "{\"x\":\"\\ude00\\ud83d\"}",
            "a lone surrogate escape (\\ude00), which is not a character at byte 6",
        ),
        ("{\"x\":\"a\",\"x\":\"a\"}", "the key \"x\" occurs twice in the object at byte 0"),
        ("{\"x\":\"a\",\"\\u0078\":\"b\"}", "the key \"x\" occurs twice in the object at byte 0"),
        ("{\"x\":\"a\"} {}", "more text after the end of the value at byte 10"),
        ("{\"x\":\"a\",}", "expected a key, found '}' at byte 9"),
        ("{\"x\":01}", "expected a comma or the end of the object, found '1' at byte 6"),
    ];
    for (stored, expected) in cases {
        assert_eq!(canonical(&set, stored).unwrap_err(), format!("not JSON: {expected}"), "{stored}");
    }
    let invalid = set.check("Happened", 1, b"{\"x\":\"\xff\"}".to_vec()).unwrap_err().to_string();
    assert!(invalid.ends_with("not JSON: the text is not UTF-8 at byte 6"), "{invalid}");
    assert_eq!(canonical(&set, "{\"x\":\"\\ud83d\\ude00\"}").as_deref(), Ok("{\"x\":\"\\ud83d\\ude00\"}"));
}

proptest! {
    /// A number of any form is the decimal that its digits say, or it is refused.
    #[test]
    fn decimals_keep_every_digit(
        unscaled in -10_i64.pow(12)..10_i64.pow(12), scale in 0_usize..8, shift in -4_i32..5, quoted: bool,
    ) {
        let digits = format!("{:0>1$}", unscaled.unsigned_abs(), scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if unscaled < 0 { "-" } else { "" };
        let point = if scale == 0 { "" } else { "." };
        let number = format!("{sign}{whole}{point}{fraction}");
        let of = decimal(38, 16);
        let plain = value(&of, &format!("\"{number}\"")).unwrap();
        // The same number, its point moved and an exponent to move it back.
        let moved = i64::try_from(scale).unwrap() + i64::from(shift);
        let mut written = format!("{sign}{}e{}", unscaled.unsigned_abs(), -moved);
        if quoted {
            written = format!("\"{written}\"");
        }
        prop_assert_eq!(&value(&of, &number).unwrap(), &plain);
        let numeric = |text: &str| text.trim_matches('"').replace('.', "").parse::<i128>().unwrap();
        let shifted = numeric(&value(&of, &written).unwrap());
        prop_assert_eq!(shifted * 10_i128.pow(4), numeric(&plain) * 10_i128.pow(u32::try_from(4 - shift).unwrap()));
    }
}
