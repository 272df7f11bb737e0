//! A schema, after it was read.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::logical::LogicalType;
use crate::name::Name;

/// A schema: its types, which name each other by their numbers, so that a type may contain itself.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) nodes: Arc<[Node]>,
    pub(crate) root: TypeId,
}

/// A type with what its definition says besides.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) of: Type,
    /// Those that have no meaning for the type, and those of logical types.
    pub(crate) attributes: Map<String, Json>,
}

/// The number of a type in its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u32);

impl TypeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A type. Logical types are those that Avro takes as one: it ignores any that its type cannot carry.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of Avro's types")]
pub enum Type {
    Null,
    Boolean,
    Int(Option<LogicalType>),
    Long(Option<LogicalType>),
    Float,
    Double,
    Bytes(Option<LogicalType>),
    String(Option<LogicalType>),
    /// The type of its items.
    Array(TypeId),
    /// The type of its values.
    Map(TypeId),
    /// Its branches.
    Union(Vec<TypeId>),
    Record(Record),
    Enum(Enum),
    Fixed(Fixed),
}

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its full name.
    pub name: Name,
    /// Full names under which it reads other records.
    pub aliases: Vec<String>,
    /// Its documentation.
    pub doc: Option<String>,
    /// In the order in which they are written.
    pub fields: Vec<Field>,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Names under which it reads fields of other schemas.
    pub aliases: Vec<String>,
    /// Its documentation.
    pub doc: Option<String>,
    /// Its type.
    pub field_type: TypeId,
    /// The value of a reader whose writer does not have the field. The numbers of a float or double are numbers, however they were
    /// written, but for NaN and the infinities.
    pub default: Option<Json>,
    /// How records are sorted by the field.
    pub order: Order,
    /// Attributes without a meaning for Avro.
    pub attributes: Map<String, Json>,
}

/// How a field sorts its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum Order {
    Ascending,
    Descending,
    Ignore,
}

/// An enum.
#[derive(Debug, Clone, PartialEq)]
pub struct Enum {
    /// Its full name.
    pub name: Name,
    /// Full names under which it reads other enums.
    pub aliases: Vec<String>,
    /// Its documentation.
    pub doc: Option<String>,
    /// In the order of their numbers.
    pub symbols: Vec<String>,
    /// The symbol for those that a reader does not know.
    pub default: Option<String>,
}

/// Bytes of a fixed number.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixed {
    /// Its full name.
    pub name: Name,
    /// Full names under which it reads others.
    pub aliases: Vec<String>,
    /// The number of bytes.
    pub size: usize,
    /// What the bytes mean.
    pub logical: Option<LogicalType>,
}

impl Schema {
    /// The type of a value of this schema.
    pub fn root(&self) -> TypeId {
        self.root
    }

    /// A type of the schema.
    ///
    /// # Panics
    /// The number is another schema's.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.nodes[id.index()].of
    }

    /// The attributes of a type that have no meaning for Avro, and those of its logical type.
    ///
    /// # Panics
    /// The number is another schema's.
    pub fn attributes(&self, id: TypeId) -> &Map<String, Json> {
        &self.nodes[id.index()].attributes
    }
}

impl Type {
    /// The name of a named type.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Record(Record { name, .. })
            | Self::Enum(Enum { name, .. })
            | Self::Fixed(Fixed { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// Full names under which a named type reads others.
    pub fn aliases(&self) -> &[String] {
        match self {
            Self::Record(Record { aliases, .. })
            | Self::Enum(Enum { aliases, .. })
            | Self::Fixed(Fixed { aliases, .. }) => aliases,
            _ => &[],
        }
    }

    /// Avro's word for the kind of type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int(_) => "int",
            Self::Long(_) => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes(_) => "bytes",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
            Self::Enum(_) => "enum",
            Self::Fixed(_) => "fixed",
        }
    }

    /// How a union names the type: by its full name, or by its kind.
    pub fn branch_name(&self) -> &str {
        self.name().map_or(self.kind(), Name::full)
    }
}

impl Type {
    /// The types that it contains.
    pub(crate) fn parts(&self) -> Vec<TypeId> {
        match self {
            Self::Array(items) | Self::Map(items) => vec![*items],
            Self::Union(branches) => branches.clone(),
            Self::Record(record) => record.fields.iter().map(|field| field.field_type).collect(),
            _ => Vec::new(),
        }
    }
}

impl Record {
    /// The index of each field by its name.
    pub(crate) fn positions(&self) -> HashMap<&str, usize> {
        self.fields.iter().enumerate().map(|(position, field)| (field.name.as_str(), position)).collect()
    }
}
