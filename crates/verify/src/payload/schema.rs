//! A schema as the checker reads it, with the attributes that say how stored JSON looks.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Bytes,
    /// Its size.
    Fixed(usize),
    Enum {
        symbols: Vec<String>,
        default: Option<String>,
    },
    Decimal {
        precision: u32,
        scale: u32,
        /// Size of a fixed one.
        size: Option<usize>,
    },
    /// Size of one that is stored as bytes.
    Uuid(UuidForm),
    Date,
    TimeOfDay(Unit),
    Timestamp(Unit),
    LocalTimestamp(Unit),
    /// Index into [`Schema::records`].
    Record(usize),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
}

/// What a UUID is in Avro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UuidForm {
    Text,
    Fixed,
}

/// What a time counts, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit(pub(super) i64);

const MILLISECONDS: Unit = Unit(1_000_000);
const MICROSECONDS: Unit = Unit(1_000);
const NANOSECONDS: Unit = Unit(1);

/// A record.
#[derive(Debug)]
pub(super) struct Record {
    /// With its namespace.
    pub(super) name: String,
    /// Full names that it had before.
    pub(super) aliases: Vec<String>,
    pub(super) fields: Vec<Field>,
    pub(super) unknown: Unknown,
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    /// What it is called in stored JSON.
    pub(super) stored: Vec<String>,
    pub(super) as_type: Type,
    /// What a missing value means, in Avro's own JSON.
    pub(super) default: Option<Value>,
    /// It contains the fields of stored JSON that the schema does not have.
    pub(super) keeps_unknown: bool,
    /// A rule makes it from the version before.
    pub(super) has_rule: bool,
}

/// What is done with fields of stored JSON that the schema does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    Error,
    Drop,
    Keep,
}

/// A schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema is not understood: {0}")]
pub(crate) struct SchemaError(String);

/// A schema without references to others.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(super) records: Vec<Record>,
    pub(super) root: Type,
    full_name: String,
}

impl Schema {
    pub(crate) fn parse(text: &str) -> Result<Self, SchemaError> {
        let json: Value = serde_json::from_str(text).map_err(|error| SchemaError(error.to_string()))?;
        let mut definitions = HashMap::new();
        define(&json, "", &mut definitions);
        let mut reader = Reader { records: Vec::new(), named: HashMap::new(), definitions, ahead: 0 };
        let root = reader.read(&json, Context { namespace: "", unknown: Unknown::Error })?;
        let full_name = json.as_object().and_then(|object| full_name(object, "")).unwrap_or_default();
        Ok(Self { records: reader.records, root, full_name })
    }

    /// Name with namespace.
    pub(crate) fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Whether values of both have the same bytes and the same names.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        fn layout(schema: &Schema) -> impl Iterator<Item = (&str, Vec<(&str, &Type)>)> {
            schema.records.iter().map(|record| {
                let fields = record.fields.iter().map(|field| (field.name.as_str(), &field.as_type));
                (record.name.as_str(), fields.collect())
            })
        }
        self.root == other.root && layout(self).eq(layout(other))
    }

    /// Whether a rule makes any part of it from the version before.
    pub(crate) fn has_rules(&self) -> bool {
        self.records.iter().flat_map(|record| &record.fields).any(|field| field.has_rule)
    }
}

/// The longest chain of types that are named before they are defined.
const MOST_AHEAD: usize = 100;

#[derive(Clone, Copy)]
struct Context<'a> {
    namespace: &'a str,
    unknown: Unknown,
}

/// The definition of a named type, and the namespace around it.
struct Definition<'a> {
    object: &'a Map<String, Value>,
    namespace: String,
}

/// Finds the definitions of a schema, by full name.
fn define<'a>(json: &'a Value, namespace: &str, found: &mut HashMap<String, Definition<'a>>) {
    match json {
        Value::Array(branches) => branches.iter().for_each(|branch| define(branch, namespace, found)),
        Value::Object(object) => {
            let mut inner = namespace.to_owned();
            let kind = object.get("type").and_then(Value::as_str);
            let is_named = matches!(kind, Some("record" | "enum" | "fixed"));
            if let Some(name) = full_name(object, namespace).filter(|_| is_named) {
                inner = name.rsplit_once('.').map_or(String::new(), |(namespace, _)| namespace.to_owned());
                found.entry(name).or_insert(Definition { object, namespace: namespace.to_owned() });
            }
            let parts = ["type", "items", "values"].into_iter().filter_map(|key| object.get(key));
            parts.for_each(|part| define(part, &inner, found));
            let fields = object.get("fields").and_then(Value::as_array).into_iter().flatten();
            let types = fields.filter_map(|field| field.get("type"));
            types.for_each(|of| define(of, &inner, found));
        }
        _ => {}
    }
}

struct Reader<'a> {
    records: Vec<Record>,
    /// By full name.
    named: HashMap<String, Type>,
    /// Those that may be named before they are read.
    definitions: HashMap<String, Definition<'a>>,
    /// How many of them are being read, each for the one before.
    ahead: usize,
}

impl Reader<'_> {
    fn read(&mut self, json: &Value, context: Context<'_>) -> Result<Type, SchemaError> {
        match json {
            Value::String(name) => self.by_name(name, context),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch, context));
                branches.collect::<Result<_, _>>().map(Type::Union)
            }
            Value::Object(object) => self.object(object, context),
            _ => Err(SchemaError(json.to_string())),
        }
    }

    fn by_name(&mut self, name: &str, context: Context<'_>) -> Result<Type, SchemaError> {
        Ok(match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "string" => Type::Text,
            "bytes" => Type::Bytes,
            _ => {
                let name = in_namespace(name, context.namespace);
                match self.named.get(&name) {
                    Some(known) => known.clone(),
                    None => self.defined_below(&name, context)?,
                }
            }
        })
    }

    fn defined_below(&mut self, name: &str, context: Context<'_>) -> Result<Type, SchemaError> {
        let definition = self.definitions.remove(name);
        let Definition { object, namespace } =
            definition.ok_or_else(|| SchemaError(format!("the type {name} is not defined")))?;
        self.ahead += 1;
        if self.ahead > MOST_AHEAD {
            return Err(SchemaError(format!(
                "more than {MOST_AHEAD} types name each other before they are defined"
            )));
        }
        let defined = self.object(object, Context { namespace: &namespace, ..context });
        self.ahead -= 1;
        defined
    }

    fn object(&mut self, object: &Map<String, Value>, context: Context<'_>) -> Result<Type, SchemaError> {
        let lacks = |key: &str| SchemaError(format!("a type has no {key:?}"));
        let inner = |key: &str| object.get(key).ok_or_else(|| lacks(key));
        let kind = match inner("type")? {
            Value::String(kind) => kind.as_str(),
            other => return self.read(other, context),
        };
        let as_type = match kind {
            "record" => return self.record(object, context),
            "array" => return Ok(Type::Array(Box::new(self.read(inner("items")?, context)?))),
            "map" => return Ok(Type::Map(Box::new(self.read(inner("values")?, context)?))),
            "enum" => Type::Enum {
                symbols: texts(object.get("symbols")),
                default: object.get("default").and_then(Value::as_str).map(ToOwned::to_owned),
            },
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64).ok_or_else(|| lacks("size"))?;
                Type::Fixed(usize::try_from(size).map_err(|_| lacks("size"))?)
            }
            other => self.by_name(other, context)?,
        };
        let logical = object.get("logicalType").and_then(Value::as_str).unwrap_or_default();
        let known = full_name(object, context.namespace).and_then(|name| self.named.get(&name));
        if let Some(known) = known.filter(|_| matches!(kind, "enum" | "fixed")) {
            return Ok(known.clone());
        }
        let as_type = logical_type(logical, &as_type, object).unwrap_or(as_type);
        if matches!(kind, "enum" | "fixed") {
            let name = full_name(object, context.namespace).ok_or_else(|| lacks("name"))?;
            self.named.insert(name, as_type.clone());
        }
        Ok(as_type)
    }

    fn record(&mut self, object: &Map<String, Value>, context: Context<'_>) -> Result<Type, SchemaError> {
        let lacks = |key: &str| SchemaError(format!("a record has no {key:?}"));
        let name = full_name(object, context.namespace).ok_or_else(|| lacks("name"))?;
        if let Some(known) = self.named.get(&name) {
            return Ok(known.clone());
        }
        let unknown = match object.get("unknownFields").and_then(Value::as_str) {
            Some("drop") => Unknown::Drop,
            Some("keep") => Unknown::Keep,
            Some(_) => Unknown::Error,
            None => context.unknown,
        };
        let namespace = name.rsplit_once('.').map_or(String::new(), |(namespace, _)| namespace.to_owned());
        let index = self.records.len();
        self.named.insert(name.clone(), Type::Record(index));
        let aliases = texts(object.get("aliases"));
        let aliases = aliases.iter().map(|alias| in_namespace(alias, &namespace)).collect();
        self.records.push(Record { name, aliases, fields: Vec::new(), unknown });
        let context = Context { namespace: &namespace, unknown };
        let mut fields = Vec::new();
        for field in object.get("fields").and_then(Value::as_array).ok_or_else(|| lacks("fields"))? {
            let name = field.get("name").and_then(Value::as_str).ok_or_else(|| lacks("name"))?;
            let mut stored = texts(field.get("json"));
            if stored.is_empty() {
                stored.push(name.to_owned());
            }
            fields.push(Field {
                name: name.to_owned(),
                aliases: texts(field.get("aliases")),
                stored,
                as_type: self.read(field.get("type").ok_or_else(|| lacks("type"))?, context)?,
                default: field.get("default").cloned(),
                keeps_unknown: field.get("keepsUnknownFields") == Some(&Value::Bool(true)),
                has_rule: field.get("upcast").is_some(),
            });
        }
        self.records[index].fields = fields;
        Ok(Type::Record(index))
    }
}

fn logical_type(name: &str, as_type: &Type, object: &Map<String, Value>) -> Option<Type> {
    let number = |key: &str| object.get(key).and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    Some(match (name, as_type) {
        ("decimal", Type::Bytes | Type::Fixed(_)) => {
            let size = if let Type::Fixed(size) = as_type { Some(*size) } else { None };
            Type::Decimal { precision: number("precision")?, scale: number("scale").unwrap_or(0), size }
        }
        ("uuid", Type::Text) => Type::Uuid(UuidForm::Text),
        ("uuid", Type::Fixed(16)) => Type::Uuid(UuidForm::Fixed),
        ("date", Type::Int) => Type::Date,
        ("time-millis", Type::Int) => Type::TimeOfDay(MILLISECONDS),
        ("time-micros", Type::Long) => Type::TimeOfDay(MICROSECONDS),
        ("timestamp-millis", Type::Long) => Type::Timestamp(MILLISECONDS),
        ("timestamp-micros", Type::Long) => Type::Timestamp(MICROSECONDS),
        ("timestamp-nanos", Type::Long) => Type::Timestamp(NANOSECONDS),
        ("local-timestamp-millis", Type::Long) => Type::LocalTimestamp(MILLISECONDS),
        ("local-timestamp-micros", Type::Long) => Type::LocalTimestamp(MICROSECONDS),
        ("local-timestamp-nanos", Type::Long) => Type::LocalTimestamp(NANOSECONDS),
        _ => return None,
    })
}

/// One text or a list of them.
fn texts(json: Option<&Value>) -> Vec<String> {
    match json {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => {
            items.iter().filter_map(|item| item.as_str().map(ToOwned::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

fn full_name(object: &Map<String, Value>, enclosing: &str) -> Option<String> {
    let name = object.get("name")?.as_str()?;
    let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(enclosing);
    Some(in_namespace(name, namespace))
}

fn in_namespace(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}
