//! Values of random schemas, through bytes and through JSON.

use aqueduct_avro::{Resolution, Schema, Value, compatibility};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// A schema, with a value of it.
fn pair() -> impl Strategy<Value = (Json, Value)> {
    let leaf = prop_oneof![
        Just((json!("null"), Value::Null)),
        any::<bool>().prop_map(|it| (json!("boolean"), Value::Boolean(it))),
        any::<i32>().prop_map(|it| (json!("int"), Value::Int(it))),
        any::<i64>().prop_map(|it| (json!("long"), Value::Long(it))),
        any::<f32>().prop_map(|it| (json!("float"), Value::Float(it))),
        any::<f64>().prop_map(|it| (json!("double"), Value::Double(it))),
        ".*".prop_map(|it| (json!("string"), Value::String(it))),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|it| (json!("bytes"), Value::Bytes(it))),
        (0_usize..3).prop_map(|it| (
            json!({"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}),
            Value::Enum(it)
        )),
        proptest::collection::vec(any::<u8>(), 4)
            .prop_map(|it| (json!({"type": "fixed", "name": "F", "size": 4}), Value::Fixed(it))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|(schema, value)| (
                json!({"type": "array", "items": schema}),
                Value::Array(vec![value.clone(), value])
            )),
            (inner.clone(), ".*").prop_map(|((schema, value), key)| {
                (json!({"type": "map", "values": schema}), Value::Map(vec![(key, value)]))
            }),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|fields| {
                let (schemas, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
                let fields = schemas.into_iter().enumerate();
                let fields: Vec<_> = fields
                    .map(|(index, schema)| json!({"name": format!("f{index}"), "type": schema}))
                    .collect();
                // A namespace of its own for each record: a type of another one has another name.
                let name = format!("n{}.R", fields.len());
                (json!({"type": "record", "name": name, "fields": fields}), Value::Record(values))
            }),
            (inner, any::<bool>()).prop_filter_map("no union of unions", |((schema, value), is_null)| {
                let is_branch = !schema.is_array() && schema != json!("null");
                let value = if is_null {
                    Value::Union(0, Box::new(Value::Null))
                } else {
                    Value::Union(1, Box::new(value))
                };
                is_branch.then(|| (json!(["null", schema]), value))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back((schema, value) in pair()) {
        // Two types of one name may differ.
        let Ok(schema) = Schema::from_json(&schema) else { return Ok(()) };
        let mut bytes = Vec::new();
        schema.encode(&value, &mut bytes).unwrap();
        prop_assert_eq!(&schema.decode(&bytes).unwrap(), &value);
        prop_assert_eq!(&Resolution::new(&schema, &schema).decode(&bytes).unwrap(), &value);
        prop_assert!(compatibility(&schema, &schema).is_compatible());
        let again = Schema::parse(&schema.canonical_form()).unwrap();
        prop_assert_eq!(again.canonical_form(), schema.canonical_form());
        let printed = Schema::from_json(&schema.to_json()).unwrap();
        prop_assert_eq!(printed.to_json(), schema.to_json());
        prop_assert_eq!(printed.canonical_form(), schema.canonical_form());
    }
}
