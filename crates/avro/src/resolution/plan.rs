//! Makes the plan of a resolution.

use std::collections::{HashMap, HashSet};

use crate::alias::Renames;
use crate::default;
use crate::resolution::{Action, ActionId, FieldStep, Numeric, RecordAction, Resolution};
use crate::schema::{Enum, Record, Schema, Type, TypeId};

/// The most actions of a plan: schemas of a few thousand types need as many, unions of records in unions of records more.
const MOST_ACTIONS: usize = 1 << 18;

pub(crate) struct Planner<'a> {
    writer: &'a Schema,
    reader: &'a Schema,
    renames: Renames,
    actions: Vec<Action>,
    /// Pairs that are planned, or being planned.
    known: HashMap<(TypeId, TypeId), ActionId>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(writer: &'a Schema, reader: &'a Schema, with_aliases: bool) -> Self {
        let renames = if with_aliases { Renames::of(reader) } else { Renames::default() };
        Self { writer, reader, renames, actions: Vec::new(), known: HashMap::new() }
    }

    pub(crate) fn plan(mut self) -> Resolution {
        let root = self.resolve(self.writer.root, self.reader.root);
        Resolution { writer: self.writer.clone(), actions: self.actions, root }
    }

    fn add(&mut self, action: Action) -> ActionId {
        self.actions.push(action);
        ActionId(self.actions.len() - 1)
    }

    fn fail(&self, writer: TypeId, reader: TypeId) -> Action {
        let (writer, reader) = (self.writer.get(writer), self.reader.get(reader));
        Action::Fail(format!("{} cannot be read as {}", writer.branch_name(), reader.branch_name()))
    }

    fn resolve(&mut self, writer: TypeId, reader: TypeId) -> ActionId {
        if let Some(known) = self.known.get(&(writer, reader)) {
            return *known;
        }
        if self.actions.len() >= MOST_ACTIONS {
            return self.add(Action::Fail("the schemas have too many pairs of types".to_owned()));
        }
        let id = self.add(Action::Null);
        self.known.insert((writer, reader), id);
        self.actions[id.0] = self.action(writer, reader);
        id
    }

    fn action(&mut self, writer_id: TypeId, reader_id: TypeId) -> Action {
        let (writer, reader) = (self.writer.get(writer_id), self.reader.get(reader_id));
        match (writer, reader) {
            (Type::Union(branches), _) => self.branches(branches, writer_id, reader_id),
            (_, Type::Union(branches)) => match self.matching_branch(writer_id, branches) {
                Some(index) => Action::IntoBranch(index, self.resolve(writer_id, branches[index])),
                None => self.fail(writer_id, reader_id),
            },
            (Type::Null, Type::Null) => Action::Null,
            (Type::Boolean, Type::Boolean) => Action::Boolean,
            (Type::Bytes(_), Type::Bytes(_)) => Action::Bytes,
            (Type::String(_), Type::String(_)) => Action::String,
            (Type::Bytes(_), Type::String(_)) => Action::BytesToString,
            (Type::String(_), Type::Bytes(_)) => Action::StringToBytes,
            (Type::Double, Type::Double) => Action::Double,
            (Type::Array(writer), Type::Array(reader)) => Action::Array(self.resolve(*writer, *reader)),
            (Type::Map(writer), Type::Map(reader)) => Action::Map(self.resolve(*writer, *reader)),
            (Type::Record(writer), Type::Record(reader)) => self.record(writer_id, writer, reader),
            (Type::Enum(writer), Type::Enum(reader)) if self.has_name(writer_id, reader_id) => {
                symbols(writer, reader)
            }
            (Type::Fixed(writer), Type::Fixed(reader))
                if writer.size == reader.size && self.has_name(writer_id, reader_id) =>
            {
                Action::Fixed(writer.size)
            }
            _ => promotion(writer, reader).unwrap_or_else(|| self.fail(writer_id, reader_id)),
        }
    }

    /// Whether the simple names are the same, after the writer's type was renamed.
    fn has_name(&self, writer: TypeId, reader: TypeId) -> bool {
        let name = self.renames.type_name(self.writer, writer);
        let simple = name.rsplit_once('.').map_or(name, |(_, simple)| simple);
        self.reader.get(reader).name().is_some_and(|name| name.simple() == simple)
    }

    /// Unions of the same branches keep the branch; of any other each branch is read by itself.
    fn branches(&mut self, branches: &[TypeId], writer: TypeId, reader: TypeId) -> Action {
        let same = self.is_equivalent(writer, reader, &mut HashSet::new());
        let actions = branches.iter().enumerate().map(|(index, branch)| match self.reader.get(reader) {
            Type::Union(read) if same => {
                let action = self.resolve(*branch, read[index]);
                self.add(Action::IntoBranch(index, action))
            }
            _ => self.resolve(*branch, reader),
        });
        Action::Branches(actions.collect())
    }

    /// The branch that the reference reads a value as: the one with the type's name, a record of the same structure and at best the
    /// same simple name, another type of the same kind, or the first one that a number or a text can be promoted to.
    fn matching_branch(&mut self, writer_id: TypeId, branches: &[TypeId]) -> Option<usize> {
        let writer = self.writer.get(writer_id);
        let name = self.renames.type_name(self.writer, writer_id).to_owned();
        let mut structure = None;
        for (index, branch_id) in branches.iter().enumerate() {
            let branch = self.reader.get(*branch_id);
            if branch.kind() != writer.kind() {
                continue;
            }
            if branch.branch_name() == name || branch.name().is_none() {
                return Some(index);
            }
            if matches!(branch, Type::Record(_))
                && (structure.is_none() || self.has_name(writer_id, *branch_id))
                && self.has_structure(writer_id, *branch_id)
            {
                structure = Some(index);
            }
        }
        structure.or_else(|| {
            branches.iter().position(|branch| promotion(writer, self.reader.get(*branch)).is_some())
        })
    }

    /// Whether a record can be read, by its fields and not by what they contain.
    fn has_structure(&mut self, writer: TypeId, reader: TypeId) -> bool {
        let id = self.resolve(writer, reader);
        match &self.actions[id.0] {
            Action::Fail(_) => false,
            Action::Record(record) => !record.steps.iter().any(|step| match step {
                FieldStep::Read(_, action) => matches!(self.actions[action.0], Action::Fail(_)),
                FieldStep::Skip(_) => false,
            }),
            _ => true,
        }
    }

    fn record(&mut self, writer_id: TypeId, writer: &Record, reader: &Record) -> Action {
        let name = self.renames.type_name(self.writer, writer_id).to_owned();
        let mut read = vec![false; reader.fields.len()];
        let mut steps = Vec::with_capacity(writer.fields.len());
        for field in &writer.fields {
            let position = reader.position(self.renames.field(&name, &field.name));
            steps.push(match position {
                Some(position) if read[position] => {
                    let field = &reader.fields[position].name;
                    return Action::Fail(format!(
                        "several fields of the writer are field {field} of {}",
                        reader.name
                    ));
                }
                Some(position) => {
                    read[position] = true;
                    FieldStep::Read(
                        position,
                        self.resolve(field.field_type, reader.fields[position].field_type),
                    )
                }
                None => FieldStep::Skip(field.field_type),
            });
        }
        let mut defaults = Vec::new();
        for (position, field) in reader.fields.iter().enumerate().filter(|(position, _)| !read[*position]) {
            let Some(json) = &field.default else {
                return Action::Fail(format!(
                    "field {} of {} is missing, and has no default",
                    field.name, reader.name
                ));
            };
            match default::value(self.reader, field.field_type, json) {
                Ok(value) => defaults.push((position, value)),
                Err(error) => {
                    return Action::Fail(format!("field {} of {}: {error}", field.name, reader.name));
                }
            }
        }
        Action::Record(RecordAction { fields: reader.fields.len(), steps, defaults })
    }

    /// Whether two types are the same but for logical types, defaults and namespaces.
    fn is_equivalent(&self, writer: TypeId, reader: TypeId, seen: &mut HashSet<(TypeId, TypeId)>) -> bool {
        if !seen.insert((writer, reader)) {
            return true;
        }
        match (self.writer.get(writer), self.reader.get(reader)) {
            (Type::Array(one), Type::Array(other)) | (Type::Map(one), Type::Map(other)) => {
                self.is_equivalent(*one, *other, seen)
            }
            (Type::Union(one), Type::Union(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| self.is_equivalent(*one, *other, seen))
            }
            (Type::Record(one), Type::Record(other)) => {
                let name = self.renames.type_name(self.writer, writer);
                self.has_name(writer, reader)
                    && one.fields.len() == other.fields.len()
                    && one.fields.iter().zip(&other.fields).all(|(one, other)| {
                        self.renames.field(name, &one.name) == other.name
                            && self.is_equivalent(one.field_type, other.field_type, seen)
                    })
            }
            (Type::Enum(one), Type::Enum(other)) => {
                self.has_name(writer, reader) && one.symbols == other.symbols
            }
            (Type::Fixed(one), Type::Fixed(other)) => self.has_name(writer, reader) && one.size == other.size,
            (one, other) => one.kind() == other.kind(),
        }
    }
}

fn symbols(writer: &Enum, reader: &Enum) -> Action {
    let numbers: HashMap<_, _> =
        reader.symbols.iter().enumerate().map(|(number, symbol)| (symbol, number)).collect();
    let default = reader.default.as_ref().and_then(|symbol| numbers.get(symbol));
    let number = |symbol: &String| numbers.get(symbol).or(default).copied().ok_or_else(|| symbol.clone());
    Action::Enum(writer.symbols.iter().map(number).collect())
}

/// Of a number, or between bytes and string.
fn promotion(writer: &Type, reader: &Type) -> Option<Action> {
    let number = match reader {
        Type::Int(_) => Numeric::Int,
        Type::Long(_) => Numeric::Long,
        Type::Float => Numeric::Float,
        Type::Double => Numeric::Double,
        Type::Bytes(_) if matches!(writer, Type::String(_)) => return Some(Action::StringToBytes),
        Type::String(_) if matches!(writer, Type::Bytes(_)) => return Some(Action::BytesToString),
        _ => return None,
    };
    match writer {
        Type::Int(_) => Some(Action::Int(number)),
        Type::Long(_) if number != Numeric::Int => Some(Action::Long(number)),
        Type::Float if matches!(number, Numeric::Float | Numeric::Double) => Some(Action::Float(number)),
        _ => None,
    }
}
