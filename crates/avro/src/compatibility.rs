//! Whether a reader's schema reads what a writer's schema wrote.

mod verdicts;

use std::collections::HashSet;
use std::fmt;

use crate::compatibility::verdicts::{Source, Verdict, Verdicts, has_name, missing_symbols, sources};
use crate::schema::{Enum, Fixed, Record, Schema, Type, TypeId};

/// The result of [`compatibility`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compatibility {
    /// What the reader cannot read; empty: everything can be read.
    pub incompatibilities: Vec<Incompatibility>,
}

/// A part of a reader's schema that cannot read the writer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// What is wrong.
    pub kind: IncompatibilityKind,
    /// A JSON pointer into the reader's schema.
    pub pointer: String,
    /// The names that differ or are missing.
    pub detail: String,
}

/// Why a part cannot be read: the names of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the reference")]
pub enum IncompatibilityKind {
    NameMismatch,
    FixedSizeMismatch,
    MissingEnumSymbols,
    ReaderFieldMissingDefaultValue,
    TypeMismatch,
    MissingUnionBranch,
    /// A reader's field has the name or the aliases of several fields of the writer.
    AmbiguousField,
    /// The schemas are too large to be compared.
    TooManyPairs,
}

impl fmt::Display for IncompatibilityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameMismatch => "another name",
            Self::FixedSizeMismatch => "another size",
            Self::MissingEnumSymbols => "symbols are missing",
            Self::ReaderFieldMissingDefaultValue => "a field without a default is new",
            Self::TypeMismatch => "another type",
            Self::MissingUnionBranch => "no branch of the union fits",
            Self::AmbiguousField => "a field reads several",
            Self::TooManyPairs => "the schemas are too large",
        })
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{pointer}: {}: {}", self.kind, self.detail)
    }
}

impl Compatibility {
    /// Whether everything can be read.
    pub fn is_compatible(&self) -> bool {
        self.incompatibilities.is_empty()
    }
}

/// Compares two schemas as the reference's `SchemaCompatibility` does: with simple names and the reader's aliases, and without
/// logical types, which play no part.
pub fn compatibility(reader: &Schema, writer: &Schema) -> Compatibility {
    let Some(verdicts) = Verdicts::new(reader, writer) else {
        let detail = "they have more than a million pairs of types".to_owned();
        let pointer = String::new();
        let too_many = Incompatibility { kind: IncompatibilityKind::TooManyPairs, pointer, detail };
        return Compatibility { incompatibilities: vec![too_many] };
    };
    let mut check =
        Check { reader, writer, verdicts, reported: HashSet::new(), path: Vec::new(), found: Vec::new() };
    check.types(reader.root, writer.root);
    Compatibility { incompatibilities: check.found }
}

/// Finds what is wrong in pairs of types that are not compatible.
struct Check<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    verdicts: Verdicts<'a>,
    reported: HashSet<(TypeId, TypeId)>,
    path: Vec<String>,
    found: Vec<Incompatibility>,
}

impl Check<'_> {
    fn report(&mut self, kind: IncompatibilityKind, detail: impl Into<String>) {
        let pointer = self.path.iter().map(|part| format!("/{part}")).collect();
        self.found.push(Incompatibility { kind, pointer, detail: detail.into() });
    }

    fn at(&mut self, parts: &[&str], check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.extend(parts.iter().map(|part| (*part).to_owned()));
        check(self);
        self.path.truncate(length);
    }

    fn types(&mut self, reader_id: TypeId, writer_id: TypeId) {
        let verdict = self.verdicts.of(reader_id, writer_id);
        if verdict == Verdict::Compatible || !self.reported.insert((reader_id, writer_id)) {
            return;
        }
        let (reader, writer) = (self.reader.get(reader_id), self.writer.get(writer_id));
        match (reader, writer) {
            (_, Type::Union(branches)) => branches.iter().for_each(|branch| self.types(reader_id, *branch)),
            (Type::Union(branches), _) if verdict == Verdict::Ambiguous => {
                branches.iter().for_each(|branch| self.types(*branch, writer_id));
            }
            (Type::Union(_), _) => self.report(IncompatibilityKind::MissingUnionBranch, writer.branch_name()),
            (Type::Array(reader), Type::Array(writer)) => {
                self.at(&["items"], |check| check.types(*reader, *writer));
            }
            (Type::Map(reader), Type::Map(writer)) => {
                self.at(&["values"], |check| check.types(*reader, *writer));
            }
            (Type::Record(reader_record), Type::Record(writer_record)) => {
                self.names(reader, writer);
                self.fields(reader_record, writer_record);
            }
            (Type::Enum(reader_enum), Type::Enum(writer_enum)) => {
                self.names(reader, writer);
                self.symbols(reader_enum, writer_enum);
            }
            (Type::Fixed(reader_fixed), Type::Fixed(writer_fixed)) => {
                self.names(reader, writer);
                self.sizes(reader_fixed, writer_fixed);
            }
            _ => self.report(
                IncompatibilityKind::TypeMismatch,
                format!("{} is not {}", writer.branch_name(), reader.branch_name()),
            ),
        }
    }

    fn names(&mut self, reader: &Type, writer: &Type) {
        if !has_name(reader, writer) {
            let detail = format!("{} is not {}", writer.branch_name(), reader.branch_name());
            self.at(&["name"], |check| check.report(IncompatibilityKind::NameMismatch, detail));
        }
    }

    fn fields(&mut self, reader: &Record, writer: &Record) {
        for (index, (field, source)) in reader.fields.iter().zip(sources(reader, writer)).enumerate() {
            let index = index.to_string();
            match source {
                Source::Field(source) => self.at(&["fields", &index, "type"], |check| {
                    check.types(field.field_type, writer.fields[source].field_type);
                }),
                Source::Ambiguous(one, other) => {
                    let detail = format!("{}: {one} and {other}", field.name);
                    self.at(&["fields", &index], |check| {
                        check.report(IncompatibilityKind::AmbiguousField, detail);
                    });
                }
                Source::Missing => self.at(&["fields", &index], |check| {
                    check.report(IncompatibilityKind::ReaderFieldMissingDefaultValue, field.name.as_str());
                }),
                Source::Default => {}
            }
        }
    }

    fn symbols(&mut self, reader: &Enum, writer: &Enum) {
        let missing = missing_symbols(reader, writer);
        if !missing.is_empty() {
            let missing = missing.join(", ");
            self.at(&["symbols"], |check| check.report(IncompatibilityKind::MissingEnumSymbols, missing));
        }
    }

    fn sizes(&mut self, reader: &Fixed, writer: &Fixed) {
        if reader.size != writer.size {
            let detail = format!("{} instead of {} bytes", writer.size, reader.size);
            self.at(&["size"], |check| check.report(IncompatibilityKind::FixedSizeMismatch, detail));
        }
    }
}
