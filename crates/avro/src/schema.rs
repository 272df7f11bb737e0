//! A schema, after it was read.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::logical::LogicalType;
use crate::name::Name;

/// A schema: its types, which name each other by their numbers, so that a type may contain itself.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) types: Arc<[Type]>,
    pub(crate) root: TypeId,
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
    /// Its type.
    pub field_type: TypeId,
    /// The value of a reader whose writer does not have the field.
    pub default: Option<Json>,
}

/// An enum.
#[derive(Debug, Clone, PartialEq)]
pub struct Enum {
    /// Its full name.
    pub name: Name,
    /// Full names under which it reads other enums.
    pub aliases: Vec<String>,
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
        &self.types[id.index()]
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

impl Record {
    /// The index of a field.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}
