//! Reading the fields.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize as _;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::sql::fields::{Fields, Part};

/// An event's data with these fields, as they are. The others are passed over.
impl<'de> DeserializeSeed<'de> for &Fields {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, data: D) -> Result<Value, D::Error> {
        match self {
            Fields::All => Value::deserialize(data),
            Fields::Named(fields) => data.deserialize_map(Event(fields)),
        }
    }
}

struct Event<'f>(&'f BTreeMap<String, Part>);

impl<'de> Visitor<'de> for Event<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut data: M) -> Result<Value, M::Error> {
        let mut read = Map::new();
        while let Some(field) = data.next_key_seed(Name(self.0))? {
            let value = match field {
                None => {
                    data.next_value::<IgnoredAny>()?;
                    continue;
                }
                Some((name, Part::Whole)) => (name, data.next_value()?),
                Some((name, Part::Length)) => (name, data.next_value_seed(Length)?),
            };
            read.insert(value.0.clone(), value.1);
        }
        Ok(Value::Object(read))
    }
}

/// The name of a field: which one it is of those that are read.
struct Name<'f>(&'f BTreeMap<String, Part>);

impl<'f, 'de> DeserializeSeed<'de> for Name<'f> {
    type Value = Option<(&'f String, Part)>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'f> Visitor<'_> for Name<'f> {
    type Value = Option<(&'f String, Part)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get_key_value(name).map(|(name, part)| (name, *part)))
    }
}

/// An array as one of as many nulls, and anything else as it is.
struct Length;

impl<'de> DeserializeSeed<'de> for Length {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, field: D) -> Result<Value, D::Error> {
        field.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Length {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Value, S::Error> {
        let mut read = Vec::new();
        while elements.next_element::<IgnoredAny>()?.is_some() {
            read.push(Value::Null);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<M: MapAccess<'de>>(self, entries: M) -> Result<Value, M::Error> {
        Value::deserialize(MapAccessDeserializer::new(entries))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                object(inner).prop_map(Value::from),
            ]
        })
    }

    fn object(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[abc]", values, 0..4).prop_map(|fields| fields.into_iter().collect())
    }

    fn fields() -> impl Strategy<Value = Fields> {
        let part = prop_oneof![Just(Part::Length), Just(Part::Whole)];
        prop_oneof![
            1 => Just(Fields::All),
            9 => prop::collection::btree_map("[abcd]", part, 0..4).prop_map(Fields::Named),
        ]
    }

    /// What of an event remains, written down without serde.
    fn expected(event: &Map<String, Value>, fields: &Fields) -> Value {
        let Fields::Named(named) = fields else { return event.clone().into() };
        let of_field = |(name, part): (&String, &Part)| {
            let value = match (event.get(name)?, part) {
                (Value::Array(elements), Part::Length) => vec![Value::Null; elements.len()].into(),
                (value, _) => value.clone(),
            };
            Some((name.clone(), value))
        };
        Value::Object(named.iter().filter_map(of_field).collect())
    }

    proptest! {
        #[test]
        fn what_is_read_is_as_it_was(event in object(value()), fields in fields()) {
            let read = fields.deserialize(Value::from(event.clone())).unwrap();
            prop_assert_eq!(read, expected(&event, &fields));
        }
    }

    #[test]
    fn what_is_not_an_object_is_an_error() {
        let fields = Fields::Named(BTreeMap::new());
        assert!(fields.deserialize(json!([1])).is_err());
    }
}
