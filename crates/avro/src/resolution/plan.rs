//! Makes the plan of a resolution.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::default::{Defaults, MAX_MEMORY, Mode};
use crate::parse::MAX_DEPTH;
use crate::resolution::{Action, ActionId, FieldStep, Numeric, RecordAction, Resolution};
use crate::schema::{Enum, Record, Schema, Type, TypeId};
use crate::value::Value;

/// The most steps of a plan: schemas of a few thousand types need as many, unions of records in unions of records more.
const MAX_STEPS: usize = 1 << 18;

pub(crate) struct Planner<'a> {
    writer: &'a Schema,
    reader: &'a Schema,
    defaults: Defaults<'a>,
    actions: Vec<Action>,
    /// Pairs that are planned, or being planned.
    known: HashMap<(TypeId, TypeId), ActionId>,
    /// Defaults that were needed before.
    converted: HashMap<(TypeId, usize), Arc<Value>>,
    steps: usize,
    depth: usize,
    /// Why nothing can be read, whatever the value is.
    failure: Option<String>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(writer: &'a Schema, reader: &'a Schema, mode: Mode) -> Self {
        Self {
            writer,
            reader,
            defaults: Defaults { schema: reader, mode, memory: MAX_MEMORY },
            actions: Vec::new(),
            known: HashMap::new(),
            converted: HashMap::new(),
            steps: 0,
            depth: 0,
            failure: None,
        }
    }

    pub(crate) fn plan(mut self) -> Resolution {
        let mut root = self.resolve(self.writer.root, self.reader.root);
        if let Some(failure) = self.failure.take() {
            root = self.add(Action::Fail(failure));
        }
        let mode = self.defaults.mode;
        Resolution { writer: self.writer.clone(), actions: self.actions, root, mode }
    }

    fn add(&mut self, action: Action) -> ActionId {
        self.actions.push(action);
        ActionId(self.actions.len() - 1)
    }

    fn mismatch(&self, writer: TypeId, reader: TypeId) -> Action {
        let (writer, reader) = (self.writer.get(writer), self.reader.get(reader));
        Action::Fail(format!("{} cannot be read as {}", writer.branch_name(), reader.branch_name()))
    }

    fn resolve(&mut self, writer: TypeId, reader: TypeId) -> ActionId {
        if let Some(known) = self.known.get(&(writer, reader)) {
            return *known;
        }
        let id = self.add(Action::Null);
        self.known.insert((writer, reader), id);
        self.steps += 1;
        self.depth += 1;
        self.actions[id.0] = if self.steps > MAX_STEPS || self.depth > MAX_DEPTH {
            self.failure =
                Some("the schemas have too many pairs of types, or too long chains of them".to_owned());
            Action::Null
        } else {
            self.action(writer, reader)
        };
        self.depth -= 1;
        id
    }

    fn action(&mut self, writer_id: TypeId, reader_id: TypeId) -> Action {
        let (writer, reader) = (self.writer.get(writer_id), self.reader.get(reader_id));
        match (writer, reader) {
            (Type::Union(branches), _) => self.branches(branches, writer_id, reader_id),
            (_, Type::Union(branches)) => match self.matching_branch(writer_id, branches) {
                Some(index) => Action::IntoBranch(index, self.resolve(writer_id, branches[index])),
                None => self.mismatch(writer_id, reader_id),
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
            (Type::Record(writer), Type::Record(reader)) => self.record(writer, reader, reader_id),
            (Type::Enum(it), Type::Enum(other)) if has_simple_name(writer, reader) => symbols(it, other),
            (Type::Fixed(it), Type::Fixed(other))
                if it.size == other.size && has_simple_name(writer, reader) =>
            {
                Action::Fixed(it.size)
            }
            _ => promotion(writer, reader).unwrap_or_else(|| self.mismatch(writer_id, reader_id)),
        }
    }

    /// Unions of the same branches keep the branch; of any other each branch is read alone.
    fn branches(&mut self, branches: &[TypeId], writer: TypeId, reader: TypeId) -> Action {
        let is_same = self.is_equivalent(writer, reader);
        let actions = branches.iter().enumerate().map(|(index, branch)| match self.reader.get(reader) {
            Type::Union(read) if is_same => {
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
        let mut structure = None;
        for (index, branch_id) in branches.iter().enumerate() {
            let branch = self.reader.get(*branch_id);
            if branch.kind() != writer.kind() {
                continue;
            }
            if branch.branch_name() == writer.branch_name() || branch.name().is_none() {
                return Some(index);
            }
            if matches!(branch, Type::Record(_))
                && self.has_structure(writer_id, *branch_id)
                && (structure.is_none() || has_simple_name(writer, branch))
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

    fn record(&mut self, writer: &Record, reader: &Record, reader_id: TypeId) -> Action {
        let (positions, sources) = (reader.positions(), writer.positions());
        self.steps += writer.fields.len() + reader.fields.len();
        let added = || {
            let fields = reader.fields.iter().enumerate();
            fields.filter(|(_, field)| !sources.contains_key(field.name.as_str()))
        };
        if let Some((_, field)) = added().find(|(_, field)| field.default.is_none()) {
            return Action::Fail(format!(
                "field {} of {} is missing, and has no default",
                field.name, reader.name
            ));
        }
        let steps = writer.fields.iter().map(|field| match positions.get(field.name.as_str()) {
            Some(position) => FieldStep::Read(
                *position,
                self.resolve(field.field_type, reader.fields[*position].field_type),
            ),
            None => FieldStep::Skip(field.field_type),
        });
        let steps = steps.collect();
        let defaults = added().filter_map(|(position, field)| {
            let converted = self.default(reader_id, position);
            if let Err(error) = &converted {
                self.failure = Some(format!("field {} of {}: {error}", field.name, reader.name));
            }
            Some((position, converted.ok()?))
        });
        let defaults = defaults.collect();
        Action::Record(RecordAction { fields: reader.fields.len(), steps, defaults })
    }

    fn default(&mut self, record: TypeId, position: usize) -> Result<Arc<Value>, String> {
        if let Some(known) = self.converted.get(&(record, position)) {
            return Ok(Arc::clone(known));
        }
        let Type::Record(of) = self.reader.get(record) else { return Err("it is not a field".to_owned()) };
        let field = &of.fields[position];
        let json = field.default.as_ref().ok_or("it has no default")?;
        let value = self.defaults.value(field.field_type, json).map_err(|error| error.to_string())?;
        let value = Arc::new(value);
        self.converted.insert((record, position), Arc::clone(&value));
        Ok(value)
    }

    /// Whether two types are the same but for logical types, defaults and namespaces.
    fn is_equivalent(&mut self, writer: TypeId, reader: TypeId) -> bool {
        let (mut open, mut seen) = (vec![(writer, reader)], HashSet::new());
        while let Some((writer, reader)) = open.pop() {
            if !seen.insert((writer, reader)) {
                continue;
            }
            self.steps += 1;
            let (writer, reader) = (self.writer.get(writer), self.reader.get(reader));
            if writer.kind() != reader.kind() || writer.name().is_some() && !has_simple_name(writer, reader) {
                return false;
            }
            let is_same = match (writer, reader) {
                (Type::Union(one), Type::Union(other)) => one.len() == other.len(),
                (Type::Record(one), Type::Record(other)) => {
                    one.fields.len() == other.fields.len()
                        && one.fields.iter().zip(&other.fields).all(|(one, other)| one.name == other.name)
                }
                (Type::Enum(one), Type::Enum(other)) => one.symbols == other.symbols,
                (Type::Fixed(one), Type::Fixed(other)) => one.size == other.size,
                _ => true,
            };
            if !is_same || self.steps > MAX_STEPS {
                return false;
            }
            open.extend(writer.parts().into_iter().zip(reader.parts()));
        }
        true
    }
}

fn has_simple_name(writer: &Type, reader: &Type) -> bool {
    writer.name().map(|name| name.simple()) == reader.name().map(|name| name.simple())
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
