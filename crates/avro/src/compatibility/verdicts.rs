//! Which pairs of types are compatible.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use crate::schema::{Enum, Field, Record, Schema, Type, TypeId};

/// The most pairs of types that are compared: unions of a few hundred types with as many others.
const MAX_PAIRS: usize = 1 << 20;

/// What is known of a pair of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Compatible,
    Incompatible,
    /// A field of the reader reads several of the writer. The reference stops there, whatever other branch of a union there is.
    Ambiguous,
}

/// The verdicts on all pairs of types that a pair of schemas leads to. Types may contain themselves: all pairs are taken to be
/// compatible until something speaks against one of them, and then against those that contain it.
pub(super) struct Verdicts<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    verdicts: HashMap<(TypeId, TypeId), Verdict>,
    /// The pairs that a pair is a part of.
    wholes: HashMap<(TypeId, TypeId), HashSet<(TypeId, TypeId)>>,
    /// Those to be judged, in this order, each of them once.
    open: VecDeque<(TypeId, TypeId)>,
    queued: HashSet<(TypeId, TypeId)>,
}

impl<'a> Verdicts<'a> {
    /// `None`: there are more pairs than are compared.
    pub(super) fn new(reader: &'a Schema, writer: &'a Schema) -> Option<Self> {
        let root = (reader.root, writer.root);
        let mut all = Self {
            reader,
            writer,
            verdicts: HashMap::from([(root, Verdict::Compatible)]),
            wholes: HashMap::new(),
            open: VecDeque::from([root]),
            queued: HashSet::from([root]),
        };
        while let Some(pair) = all.open.pop_front() {
            all.queued.remove(&pair);
            let verdict = all.judge(pair);
            if all.verdicts.insert(pair, verdict) != Some(verdict) {
                let wholes = all.wholes.get(&pair).into_iter().flatten();
                all.open.extend(wholes.filter(|whole| all.queued.insert(**whole)));
            }
            if all.verdicts.len() > MAX_PAIRS {
                return None;
            }
        }
        Some(all)
    }

    /// What is known of a pair that the schemas lead to.
    pub(super) fn of(&self, reader: TypeId, writer: TypeId) -> Verdict {
        self.verdicts.get(&(reader, writer)).copied().unwrap_or(Verdict::Compatible)
    }

    /// The same of a part of another pair, which is judged again when it changes.
    fn part(&mut self, whole: (TypeId, TypeId), part: (TypeId, TypeId)) -> Verdict {
        self.wholes.entry(part).or_default().insert(whole);
        *self.verdicts.entry(part).or_insert_with(|| {
            self.open.push_back(part);
            self.queued.insert(part);
            Verdict::Compatible
        })
    }

    fn judge(&mut self, pair: (TypeId, TypeId)) -> Verdict {
        let (reader, writer) = (self.reader.get(pair.0), self.writer.get(pair.1));
        let named = |fits: bool| {
            if fits && has_name(reader, writer) { Verdict::Compatible } else { Verdict::Incompatible }
        };
        match (reader, writer) {
            (_, Type::Union(branches)) => self.all(pair, branches.iter().map(|branch| (pair.0, *branch))),
            (Type::Union(branches), _) => self.first(pair, branches.iter().map(|branch| (*branch, pair.1))),
            (Type::Array(one), Type::Array(other)) | (Type::Map(one), Type::Map(other)) => {
                self.part(pair, (*one, *other))
            }
            (Type::Record(one), Type::Record(other)) => match self.fields(pair, one, other) {
                Verdict::Compatible => named(true),
                other => other,
            },
            (Type::Enum(one), Type::Enum(other)) => named(missing_symbols(one, other).is_empty()),
            (Type::Fixed(one), Type::Fixed(other)) => named(one.size == other.size),
            _ if is_read_as(writer, reader) => Verdict::Compatible,
            _ => Verdict::Incompatible,
        }
    }

    /// Of parts that must all be compatible.
    fn all(&mut self, whole: (TypeId, TypeId), parts: impl Iterator<Item = (TypeId, TypeId)>) -> Verdict {
        parts.fold(Verdict::Compatible, |verdict, part| worse(verdict, self.part(whole, part)))
    }

    /// Of parts of which one must be compatible.
    fn first(&mut self, whole: (TypeId, TypeId), parts: impl Iterator<Item = (TypeId, TypeId)>) -> Verdict {
        // All of them are parts, so that each is judged once.
        let verdicts: Vec<_> = parts.map(|part| self.part(whole, part)).collect();
        let decisive = verdicts.into_iter().find(|verdict| *verdict != Verdict::Incompatible);
        decisive.unwrap_or(Verdict::Incompatible)
    }

    fn fields(&mut self, whole: (TypeId, TypeId), reader: &Record, writer: &Record) -> Verdict {
        let mut verdict = Verdict::Compatible;
        for (field, source) in reader.fields.iter().zip(sources(reader, writer)) {
            let of_field = match source {
                Source::Field(index) => self.part(whole, (field.field_type, writer.fields[index].field_type)),
                Source::Default => Verdict::Compatible,
                Source::Missing => Verdict::Incompatible,
                Source::Ambiguous(..) => Verdict::Ambiguous,
            };
            verdict = worse(verdict, of_field);
        }
        verdict
    }
}

fn worse(one: Verdict, other: Verdict) -> Verdict {
    match (one, other) {
        (Verdict::Ambiguous, _) | (_, Verdict::Ambiguous) => Verdict::Ambiguous,
        (Verdict::Incompatible, _) | (_, Verdict::Incompatible) => Verdict::Incompatible,
        _ => Verdict::Compatible,
    }
}

/// Where a field of the reader comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// This field of the writer.
    Field(usize),
    Default,
    /// It is not in the writer's record, and has no default.
    Missing,
    /// Its name and aliases name these two, which may be the same.
    Ambiguous(String, String),
}

/// Where each field of the reader comes from. As in the reference, a field with its own name as an alias reads it twice.
pub(super) fn sources(reader: &Record, writer: &Record) -> Vec<Source> {
    let positions = writer.positions();
    let source = |field: &Field| {
        let aliases: BTreeSet<_> = field.aliases.iter().map(String::as_str).collect();
        let names = std::iter::once(field.name.as_str()).chain(aliases);
        let mut found = names.filter_map(|name| Some((name, *positions.get(name)?)));
        match (found.next(), found.next()) {
            (Some((one, _)), Some((other, _))) => Source::Ambiguous(one.to_owned(), other.to_owned()),
            (Some((_, position)), None) => Source::Field(position),
            (None, _) if field.default.is_some() => Source::Default,
            (None, _) => Source::Missing,
        }
    };
    reader.fields.iter().map(source).collect()
}

/// Whether a named type reads another: it has the same simple name, or its full name is an alias.
pub(super) fn has_name(reader: &Type, writer: &Type) -> bool {
    let (Some(reader_name), Some(writer_name)) = (reader.name(), writer.name()) else { return false };
    reader_name.simple() == writer_name.simple()
        || reader.aliases().iter().any(|alias| alias == writer_name.full())
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
