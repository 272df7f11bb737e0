//! The values of a row, as they are written to the columns.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// A row's columns and their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cells {
    columns: Vec<(Cow<'static, str>, StoredCell)>,
    /// All texts, one after the other.
    texts: String,
}

#[derive(Debug, Clone)]
enum StoredCell {
    Null,
    Bool(bool),
    Integer(i64),
    /// Its place in [`Cells::texts`].
    Text(Range<usize>),
    Json(Value),
}

/// The value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Text(&'a str),
    /// A number of another kind, an array or an object.
    Json(&'a Value),
}

impl Cells {
    /// No columns yet, and room for so many.
    pub(crate) fn with_capacity(columns: usize) -> Self {
        Self { columns: Vec::with_capacity(columns), texts: String::new() }
    }

    pub(crate) fn push(&mut self, column: impl Into<Cow<'static, str>>, cell: Cell<'_>) {
        let cell = match cell {
            Cell::Null => StoredCell::Null,
            Cell::Bool(flag) => StoredCell::Bool(flag),
            Cell::Integer(number) => StoredCell::Integer(number),
            Cell::Text(text) => {
                let start = self.texts.len();
                self.texts.push_str(text);
                StoredCell::Text(start..self.texts.len())
            }
            Cell::Json(json) => StoredCell::Json(json.clone()),
        };
        self.columns.push((column.into(), cell));
    }

    /// How many columns there are.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| &**name)
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.columns.iter().map(|(_, cell)| self.cell(cell))
    }

    pub(crate) fn get(&self, column: &str) -> Option<Cell<'_>> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, cell)| self.cell(cell))
    }

    fn cell<'a>(&'a self, cell: &'a StoredCell) -> Cell<'a> {
        match cell {
            StoredCell::Null => Cell::Null,
            StoredCell::Bool(flag) => Cell::Bool(*flag),
            StoredCell::Integer(number) => Cell::Integer(*number),
            StoredCell::Text(place) => Cell::Text(&self.texts[place.clone()]),
            StoredCell::Json(json) => Cell::Json(json),
        }
    }
}

impl From<&Map<String, Value>> for Cells {
    fn from(row: &Map<String, Value>) -> Self {
        let mut cells = Self::with_capacity(row.len());
        row.iter().for_each(|(column, value)| cells.push(column.clone(), value.into()));
        cells
    }
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => number.as_i64().map_or(Self::Json(value), Self::Integer),
            Value::String(text) => Self::Text(text),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(json) => json.serialize(serializer),
        }
    }
}
