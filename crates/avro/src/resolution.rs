//! How the bytes of a writer become the value of a reader.

mod pairs;
mod plan;

use std::sync::Arc;

use crate::aliases;
use crate::decode::{DecodeError, Decoder};
use crate::default::Mode;
use crate::resolution::plan::Planner;
use crate::schema::{Schema, TypeId};
use crate::value::Value;

pub use pairs::Pair;

/// A plan to read what a writer's schema wrote as a value of a reader's schema.
///
/// It is lazy, as the reference is: a part that cannot be read is an error only where a value reaches it. Whether everything can
/// be read, [`compatibility`](crate::compatibility()) says.
#[derive(Debug)]
pub struct Resolution {
    pub(crate) writer: Schema,
    pub(crate) actions: Vec<Action>,
    pub(crate) root: ActionId,
    pub(crate) mode: Mode,
}

/// The number of an action in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ActionId(pub(crate) usize);

/// What is done to read a value.
#[derive(Debug)]
pub(crate) enum Action {
    Null,
    Boolean,
    /// An int as this.
    Int(Numeric),
    /// A long as this.
    Long(Numeric),
    /// A float as this.
    Float(Numeric),
    Double,
    Bytes,
    String,
    BytesToString,
    StringToBytes,
    Array(ActionId),
    Map(ActionId),
    Record(RecordAction),
    /// The reader's symbol for each of the writer's, or the one that it does not know.
    Enum(Vec<Result<usize, String>>),
    Fixed(usize),
    /// By the writer's branch.
    Branches(Vec<ActionId>),
    /// As this branch of the reader's union.
    IntoBranch(usize, ActionId),
    /// The value cannot be read, for this reason.
    Fail(String),
}

/// A number that an int, a long or a float is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numeric {
    Int,
    Long,
    Float,
    Double,
}

/// How a record is read.
#[derive(Debug)]
pub(crate) struct RecordAction {
    /// The reader's number of fields.
    pub(crate) fields: usize,
    /// For each of the writer's fields, in their order.
    pub(crate) steps: Vec<FieldStep>,
    /// The fields that the writer does not have.
    pub(crate) defaults: Vec<(usize, Arc<Value>)>,
}

/// What is done with a field of the writer.
#[derive(Debug)]
pub(crate) enum FieldStep {
    /// It is this field of the reader.
    Read(usize, ActionId),
    Skip(TypeId),
}

impl Resolution {
    /// Plans to read the writer's bytes as the reader's value. The reader's aliases count, the writer's do not.
    pub fn new(writer: &Schema, reader: &Schema) -> Self {
        Self::in_mode(writer, reader, Mode::Exact)
    }

    pub(crate) fn in_mode(writer: &Schema, reader: &Schema, mode: Mode) -> Self {
        match aliases::apply(writer, reader) {
            Ok(renamed) => Planner::new(&renamed, reader, mode).plan(),
            Err(clash) => {
                let actions = vec![Action::Fail(clash.to_string())];
                Self { writer: writer.clone(), actions, root: ActionId(0), mode }
            }
        }
    }

    /// Plans to read what a schema wrote.
    pub(crate) fn identity(schema: &Schema) -> Self {
        Planner::new(schema, schema, Mode::Exact).plan()
    }

    /// Reads a value; the bytes must end with it.
    ///
    /// # Errors
    /// The bytes are not those of a value of the writer's schema, the value has a part that the reader cannot read, or it is
    /// nested more than 128 levels or larger than 64 MiB in memory.
    pub fn decode(&self, bytes: &[u8]) -> Result<Value, DecodeError> {
        Decoder::new(self, bytes).decode()
    }
}
