//! A datum of an older version under the schema of the next one, where no rule is involved.

use super::datum::Datum;
use super::schema::{Field, Record, Schema, Type};

impl Schema {
    /// The datum of the version before under this schema, as Avro resolves it. None where that is not known.
    pub(crate) fn migrate(&self, older: &Self, datum: Datum) -> Option<Datum> {
        if self.has_rules() {
            return None;
        }
        Migration { older, newer: self }.value(&older.root, &self.root, datum)
    }
}

struct Migration<'a> {
    older: &'a Schema,
    newer: &'a Schema,
}

impl Migration<'_> {
    fn value(&self, old: &Type, new: &Type, datum: Datum) -> Option<Datum> {
        match (old, new, datum) {
            (Type::Union(branches), new, Datum::Branch(index, datum)) => {
                self.value(branches.get(index)?, new, *datum)
            }
            (old, Type::Union(branches), datum) => {
                let is_same = |branch: &&Type| std::mem::discriminant(*branch) == std::mem::discriminant(old);
                let (same, others): (Vec<_>, Vec<_>) = branches.iter().partition(is_same);
                let found = same.into_iter().chain(others);
                let mut found =
                    found.filter_map(|branch| Some((branch, self.value(old, branch, datum.clone())?)));
                let (branch, datum) = found.next()?;
                let index = branches.iter().position(|it| std::ptr::eq(it, branch))?;
                Some(Datum::Branch(index, Box::new(datum)))
            }
            (Type::Record(old), Type::Record(new), Datum::Record(fields)) => {
                self.record(&self.older.records[*old], &self.newer.records[*new], fields)
            }
            (Type::Array(old), Type::Array(new), Datum::List(items)) => {
                let items = items.into_iter().map(|item| self.value(old, new, item));
                items.collect::<Option<_>>().map(Datum::List)
            }
            (Type::Map(old), Type::Map(new), Datum::Map(entries)) => {
                let entries =
                    entries.into_iter().map(|(key, value)| Some((key, self.value(old, new, value)?)));
                entries.collect::<Option<_>>().map(Datum::Map)
            }
            (Type::Enum { .. }, Type::Enum { symbols, default }, Datum::Text(symbol)) => {
                if symbols.contains(&symbol) {
                    Some(Datum::Text(symbol))
                } else {
                    default.clone().map(Datum::Text)
                }
            }
            (Type::Int | Type::Long, Type::Float, Datum::Integer(number)) => {
                Some(Datum::Float(f64::from(number as f32)))
            }
            #[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
            (Type::Int | Type::Long, Type::Double, Datum::Integer(number)) => {
                Some(Datum::Float(number as f64))
            }
            (Type::Float, Type::Double, datum @ Datum::Float(_)) => Some(datum),
            (Type::Text, Type::Bytes, Datum::Text(text)) => Some(Datum::Bytes(text.into_bytes())),
            (Type::Bytes, Type::Text, Datum::Bytes(bytes)) => String::from_utf8(bytes).ok().map(Datum::Text),
            (
                Type::Decimal { scale, precision: before, .. },
                Type::Decimal { scale: new_scale, precision, .. },
                datum,
            ) if scale == new_scale && before <= precision => Some(datum),
            (Type::Int, Type::Long, datum) | (Type::Uuid(_), Type::Text, datum @ Datum::Text(_)) => {
                Some(datum)
            }
            (old, new, datum) if old == new && !matches!(old, Type::Record(_)) => Some(datum),
            _ => None,
        }
    }

    fn record(&self, old: &Record, new: &Record, fields: Vec<(String, Datum)>) -> Option<Datum> {
        if new.name != old.name && !new.aliases.contains(&old.name) {
            return None;
        }
        let mut migrated = Vec::with_capacity(new.fields.len());
        for field in &new.fields {
            let before = old.fields.iter().position(|it| newer_name(old, new, &it.name) == field.name);
            let value = match (before, &field.default) {
                (Some(before), _) => {
                    self.value(&old.fields[before].as_type, &field.as_type, fields.get(before)?.1.clone())?
                }
                (None, Some(default)) => self.newer.default(&field.as_type, default).ok()?,
                (None, None) => return None,
            };
            migrated.push((field.name.clone(), value));
        }
        Some(Datum::Record(migrated))
    }
}

/// The name that a field of the older version has in the newer one. An alias that the field had before renames nothing again.
fn newer_name<'r>(old: &Record, new: &'r Record, name: &'r String) -> &'r str {
    let is_new = |field: &&Field| {
        let before = old.fields.iter().find(|it| it.name == field.name);
        field.aliases.contains(name) && before.is_none_or(|it| !it.aliases.contains(name))
    };
    new.fields.iter().rev().find(is_new).map_or(name, |field| &field.name)
}
