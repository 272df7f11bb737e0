//! The parser against serde_json's.

use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::mapping::json::Json;
use crate::mapping::json::number::Number;
use crate::mapping::json::parse::parse;

fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Exact in few digits: serde_json may be off by one in the last of many.
        any::<i32>().prop_map(|n| (f64::from(n) / 8.0).into()),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..24)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Each character beyond ASCII as serializers that escape it write it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            ' '..='~' => escaped.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    escaped.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    escaped
}

/// Rounds numbers beyond 64 bits.
fn value(json: Json<'_>) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => flag.into(),
        Json::Number(Number::Whole(number)) => number.into(),
        Json::Number(Number::Text(text)) => match text.parse::<u64>() {
            Ok(number) => number.into(),
            Err(_) => text.parse::<f64>().unwrap().into(),
        },
        Json::String(text) => text.into_owned().into(),
        Json::Array(items) => items.into_iter().map(value).collect(),
        Json::Object(members) => {
            let members = members.into_iter().map(|(key, member)| (key.into_owned(), value(member)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

proptest! {
    #[test]
    fn reads_what_serde_json_writes(json in json()) {
        let compact = json.to_string();
        let pretty = serde_json::to_string_pretty(&json).unwrap();
        for text in [&compact, &pretty, &escaped(&compact)] {
            let parsed = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(value(parsed), serde_json::from_str::<Value>(text).unwrap());
        }
        let written = parse(compact.as_bytes()).unwrap_or_else(|error| panic!("{error}")).to_string();
        prop_assert_eq!(written, compact);
        prop_assert_eq!(value(Json::from(&json)), json);
    }

    /// Whatever the text, both read the same from it or both refuse it, but for keys that occur twice.
    #[test]
    fn agrees_with_serde_json_on_any_text(text in r#"([\[\]{},:"\\ ue0a19.+-]|-?[0-9]{1,3}|"a"|true|null|\\u00e9|\\ud83d){0,12}"#) {
        match (parse(text.as_bytes()), serde_json::from_str::<Value>(&text)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(value(ours), theirs),
            (Err(_), Err(_)) => {}
            (Err(ours), Ok(_)) => prop_assert!(ours.to_string().contains("occurs twice"), "{}: {}", text, ours),
            // Beyond the range of a double.
            (Ok(_), Err(theirs)) => prop_assert!(theirs.to_string().contains("out of range"), "{}: {}", text, theirs),
        }
    }
}

#[test]
fn nesting_has_the_same_limit() {
    for depth in [126, 127, 128, 129] {
        let text = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let (ours, theirs) = (parse(text.as_bytes()), serde_json::from_str::<Value>(&text));
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{depth}");
    }
}

#[test]
fn a_key_that_occurs_twice_is_found_among_few_and_many() {
    for count in [2, 16, 17, 1_000] {
        let mut members: Vec<_> = (1..count).map(|n| format!("\"k{n}\":0")).collect();
        assert!(parse(format!("{{{}}}", members.join(",")).as_bytes()).is_ok());
        members.push("\"k1\":1".to_owned());
        let error = parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the key \"k1\" occurs twice in the object at byte 0");
    }
}
