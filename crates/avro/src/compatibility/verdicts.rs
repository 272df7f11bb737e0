//! Which pairs of types are compatible.

use std::collections::{HashMap, HashSet};

use crate::schema::{Enum, Field, Record, Schema, Type, TypeId};

/// The verdicts on all pairs of types that a pair of schemas leads to. Types may contain themselves: all pairs are taken to be
/// compatible until something speaks against one of them.
pub(super) struct Verdicts<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    verdicts: HashMap<(TypeId, TypeId), bool>,
    /// In the order in which they were found.
    pairs: Vec<(TypeId, TypeId)>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(reader: &'a Schema, writer: &'a Schema) -> Self {
        let mut verdicts = Self { reader, writer, verdicts: HashMap::new(), pairs: Vec::new() };
        verdicts.fits(reader.root, writer.root);
        while verdicts.revise() {}
        verdicts
    }

    /// Judges all pairs again, the last one first: they are parts of those before. False: nothing changed.
    fn revise(&mut self) -> bool {
        let known = self.pairs.len();
        let mut has_changed = false;
        for index in (0..known).rev() {
            let pair = self.pairs[index];
            if self.fits(pair.0, pair.1) && !self.judge(pair.0, pair.1) {
                self.verdicts.insert(pair, false);
                has_changed = true;
            }
        }
        has_changed || self.pairs.len() > known
    }

    /// What is known of a pair.
    pub(super) fn fits(&mut self, reader: TypeId, writer: TypeId) -> bool {
        *self.verdicts.entry((reader, writer)).or_insert_with(|| {
            self.pairs.push((reader, writer));
            true
        })
    }

    fn judge(&mut self, reader_id: TypeId, writer_id: TypeId) -> bool {
        let (reader, writer) = (self.reader.get(reader_id), self.writer.get(writer_id));
        match (reader, writer) {
            (_, Type::Union(branches)) => branches.iter().all(|branch| self.fits(reader_id, *branch)),
            (Type::Union(branches), _) => branches.iter().any(|branch| self.fits(*branch, writer_id)),
            (Type::Array(reader), Type::Array(writer)) | (Type::Map(reader), Type::Map(writer)) => {
                self.fits(*reader, *writer)
            }
            (Type::Record(reader_record), Type::Record(writer_record)) => {
                has_name(reader, writer) && self.judge_fields(reader_record, writer_record)
            }
            (Type::Enum(reader_enum), Type::Enum(writer_enum)) => {
                has_name(reader, writer) && missing_symbols(reader_enum, writer_enum).is_empty()
            }
            (Type::Fixed(reader_fixed), Type::Fixed(writer_fixed)) => {
                has_name(reader, writer) && reader_fixed.size == writer_fixed.size
            }
            _ => is_read_as(writer, reader),
        }
    }

    fn judge_fields(&mut self, reader: &Record, writer: &Record) -> bool {
        reader.fields.iter().all(|field| {
            let mut sources = sources(field, writer);
            match (sources.next(), sources.next()) {
                (Some(source), None) => self.fits(field.field_type, source.field_type),
                (Some(_), Some(_)) => false,
                (None, _) => field.default.is_some(),
            }
        })
    }
}

/// Whether a named type reads another: it has the same simple name, or its full name is an alias.
pub(super) fn has_name(reader: &Type, writer: &Type) -> bool {
    let (Some(reader_name), Some(writer_name)) = (reader.name(), writer.name()) else { return false };
    reader_name.simple() == writer_name.simple()
        || reader.aliases().iter().any(|alias| alias == writer_name.full())
}

/// The writer's fields that have the name of a reader's field, or an alias of it.
pub(super) fn sources<'f>(field: &'f Field, writer: &'f Record) -> impl Iterator<Item = &'f Field> {
    writer.fields.iter().filter(|source| field.name == source.name || field.aliases.contains(&source.name))
}

/// The symbols that a reader does not know, and has no default for.
pub(super) fn missing_symbols<'s>(reader: &Enum, writer: &'s Enum) -> Vec<&'s str> {
    if reader.default.is_some() {
        return Vec::new();
    }
    let known: HashSet<_> = reader.symbols.iter().map(String::as_str).collect();
    writer.symbols.iter().map(String::as_str).filter(|symbol| !known.contains(symbol)).collect()
}

/// Whether a primitive type is read as another, or as itself.
fn is_read_as(writer: &Type, reader: &Type) -> bool {
    match (writer, reader) {
        (Type::Int(_), Type::Long(_) | Type::Float | Type::Double)
        | (Type::Long(_), Type::Float | Type::Double)
        | (Type::Float, Type::Double)
        | (Type::String(_), Type::Bytes(_))
        | (Type::Bytes(_), Type::String(_)) => true,
        _ => writer.name().is_none() && writer.kind() == reader.kind(),
    }
}
