//! The writer's schema: as the Avro crate reads it, and as the comparison walks it.

use std::collections::HashMap;

use jiff::Unit;
use serde::Deserialize;
use serde_avro_fast::de::DeserializerState;
use serde_json::Value;

use super::Datum;

/// A type as the comparison tells them apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Float,
    /// Strings and enums.
    Text,
    Uuid,
    Bytes,
    Decimal(u32),
    Date,
    Timestamp(Unit),
    LocalTimestamp(Unit),
    Record(Vec<Field>),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// A record that was defined elsewhere in the schema.
    Named(String),
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) as_type: Type,
    /// What a missing value means.
    pub(super) default: Option<Value>,
}

/// A schema from the registry can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema is not understood: {0}")]
pub(crate) struct SchemaError(String);

/// A writer's schema.
#[derive(Debug)]
pub(crate) struct Schema {
    avro: serde_avro_fast::Schema,
    root: Type,
    named: HashMap<String, Type>,
    full_name: String,
}

impl Schema {
    /// Parses a schema without references to others.
    pub(crate) fn parse(text: &str) -> Result<Self, SchemaError> {
        let error = |error: &dyn std::fmt::Display| SchemaError(error.to_string());
        let avro = text.parse().map_err(|it| error(&it))?;
        let json: Value = serde_json::from_str(text).map_err(|it| error(&it))?;
        let mut named = HashMap::new();
        let root = read(&json, "", &mut named)?;
        let full_name = full_name(&json, "").unwrap_or_default();
        Ok(Self { avro, root, named, full_name })
    }

    /// Name with namespace.
    pub(crate) fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Decodes a datum; all its bytes must be used.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<Datum, String> {
        let mut state = DeserializerState::from_reader(bytes, &self.avro);
        let datum = Datum::deserialize(state.deserializer()).map_err(|error| error.to_string())?;
        match state.into_reader().into_inner() {
            [] => Ok(datum),
            left => Err(format!("{} bytes are left over", left.len())),
        }
    }

    pub(super) fn root(&self) -> &Type {
        &self.root
    }

    pub(super) fn resolve<'a>(&'a self, as_type: &'a Type) -> &'a Type {
        match as_type {
            Type::Named(name) => self.named.get(name).unwrap_or(as_type),
            _ => as_type,
        }
    }
}

fn full_name(json: &Value, enclosing: &str) -> Option<String> {
    let name = json.get("name")?.as_str()?;
    let namespace = json.get("namespace").and_then(Value::as_str).unwrap_or(enclosing);
    Some(if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    })
}

fn read(json: &Value, namespace: &str, named: &mut HashMap<String, Type>) -> Result<Type, SchemaError> {
    let not_understood = || SchemaError(json.to_string());
    match json {
        Value::String(name) => Ok(match name.as_str() {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" | "long" => Type::Integer,
            "float" | "double" => Type::Float,
            "string" => Type::Text,
            "bytes" => Type::Bytes,
            name if name.contains('.') || namespace.is_empty() => Type::Named(name.to_owned()),
            name => Type::Named(format!("{namespace}.{name}")),
        }),
        Value::Array(branches) => {
            let branches = branches.iter().map(|branch| read(branch, namespace, named));
            branches.collect::<Result<_, _>>().map(Type::Union)
        }
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str);
            let inner = |key: &str| object.get(key).ok_or_else(not_understood);
            if let Some(logical) = logical(text("logicalType"), object) {
                if let Some(name) = full_name(json, namespace) {
                    named.insert(name, logical.clone());
                }
                return Ok(logical);
            }
            match inner("type")? {
                Value::String(kind) => match kind.as_str() {
                    "record" => {
                        let name = full_name(json, namespace).ok_or_else(not_understood)?;
                        let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
                        let fields = inner("fields")?.as_array().ok_or_else(not_understood)?;
                        let mut read_fields = Vec::new();
                        for field in fields {
                            let name = field.get("name").and_then(Value::as_str);
                            let (name, inner) = name.zip(field.get("type")).ok_or_else(not_understood)?;
                            let as_type = read(inner, namespace, named)?;
                            let default = field.get("default").cloned();
                            read_fields.push(Field { name: name.to_owned(), as_type, default });
                        }
                        named.insert(name, Type::Record(read_fields.clone()));
                        Ok(Type::Record(read_fields))
                    }
                    "enum" => {
                        named.insert(full_name(json, namespace).ok_or_else(not_understood)?, Type::Text);
                        Ok(Type::Text)
                    }
                    "fixed" => {
                        named.insert(full_name(json, namespace).ok_or_else(not_understood)?, Type::Bytes);
                        Ok(Type::Bytes)
                    }
                    "array" => Ok(Type::Array(Box::new(read(inner("items")?, namespace, named)?))),
                    "map" => Ok(Type::Map(Box::new(read(inner("values")?, namespace, named)?))),
                    _ => read(inner("type")?, namespace, named),
                },
                other => read(other, namespace, named),
            }
        }
        _ => Err(not_understood()),
    }
}

fn logical(name: Option<&str>, object: &serde_json::Map<String, Value>) -> Option<Type> {
    Some(match name? {
        "decimal" => {
            let scale = object.get("scale").and_then(Value::as_u64).unwrap_or(0);
            Type::Decimal(u32::try_from(scale).ok()?)
        }
        "uuid" if object.get("type").and_then(Value::as_str) == Some("string") => Type::Uuid,
        "date" => Type::Date,
        "timestamp-millis" => Type::Timestamp(Unit::Millisecond),
        "timestamp-micros" => Type::Timestamp(Unit::Microsecond),
        "local-timestamp-millis" => Type::LocalTimestamp(Unit::Millisecond),
        "local-timestamp-micros" => Type::LocalTimestamp(Unit::Microsecond),
        _ => return None,
    })
}
