//! The fields of a record: found by their stored names, and what happens to those that the schema does not have.

use std::collections::BTreeMap;

use crate::layout::types::{Field, Names, Record, UnknownFields};
use crate::mapping::encode::Encoder;
use crate::mapping::json::{Json, Member};
use crate::mapping::mismatch::Mismatch;

impl Encoder<'_> {
    pub(crate) fn record(&mut self, record: &Record, members: &[Member<'_>]) -> Result<(), Mismatch> {
        let enclosing = std::mem::replace(&mut self.unknown_fields, record.unknown_fields);
        let mut lookup = Lookup { members, next: 0, found: 0 };
        for field in &record.fields {
            let encoded = if field.keeps_unknown {
                self.keep(record, field, &mut lookup)
            } else {
                self.field(field, &mut lookup)
            };
            encoded.map_err(|mismatch| mismatch.in_field(&field.name))?;
        }
        if lookup.found < members.len() {
            self.unknown(record, members, members.len() - lookup.found)?;
        }
        self.unknown_fields = enclosing;
        Ok(())
    }

    fn field(&mut self, field: &Field, lookup: &mut Lookup<'_, '_>) -> Result<(), Mismatch> {
        let start = self.avro.len();
        let mut names = field.names(self.names).iter().enumerate();
        let first = names.find_map(|(n, name)| Some((n, name, lookup.find(name)?)));
        let Some((n, name, json)) = first else {
            let default = field.default.as_ref().ok_or_else(|| missing(field, self.names))?;
            self.canonical = false;
            return self.default(default);
        };
        self.canonical &= n == 0;
        self.value(&field.shape, json)?;
        for (_, other) in names {
            let Some(json) = lookup.find(other) else { continue };
            self.canonical = false;
            let end = self.avro.len();
            self.value(&field.shape, json)?;
            if self.avro[start..end] != self.avro[end..] {
                return Err(Mismatch::new(format!("its values under {name:?} and {other:?} differ")));
            }
            self.avro.truncate(end);
        }
        Ok(())
    }

    /// A field that holds what the schema does not have, next to what was kept before.
    fn keep(&mut self, record: &Record, field: &Field, lookup: &mut Lookup<'_, '_>) -> Result<(), Mismatch> {
        let mut kept: BTreeMap<&str, String> = BTreeMap::new();
        self.canonical &= lookup.only_first_name(field, self.names);
        for name in field.names(self.names) {
            let Some(json) = lookup.find(name) else { continue };
            let Json::Object(members) = json else { return Err(Mismatch::expected("an object", json)) };
            for (key, value) in members {
                let text = value.as_str().ok_or_else(|| Mismatch::expected("a string", value).in_key(key))?;
                keep_one(&mut kept, key, text.to_owned())?;
            }
        }
        if self.names == Names::Stored {
            for (key, value) in lookup.members.iter().filter(|(key, _)| !record.has_stored_name(key)) {
                self.canonical = false;
                keep_one(&mut kept, key, value.to_string())?;
            }
        }
        self.count(1 + kept.len())?;
        if !kept.is_empty() {
            self.length(kept.len());
            for (key, text) in kept {
                self.block(key.as_bytes());
                self.block(text.as_bytes());
            }
        }
        self.avro.push(0);
        Ok(())
    }

    fn unknown(&mut self, record: &Record, members: &[Member<'_>], count: usize) -> Result<(), Mismatch> {
        match (self.names, record.unknown_fields) {
            (Names::Stored, UnknownFields::Keep) => Ok(()),
            (Names::Stored, UnknownFields::Drop) => {
                self.dropped_fields += count;
                self.canonical = false;
                Ok(())
            }
            // The result of a rule is not someone else's JSON: what does not fit is a mistake in the rule.
            (Names::Avro, _) | (_, UnknownFields::Error) => {
                let known = |key: &str| match self.names {
                    Names::Avro => record.fields.iter().any(|field| field.name == key),
                    Names::Stored => record.has_stored_name(key),
                };
                let unknown = members.iter().map(|(key, _)| key.as_ref()).find(|key| !known(key));
                let unknown: String = unknown.unwrap_or_default().chars().take(64).collect();
                Err(Mismatch::new(format!("{} has no such field", record.name.full)).in_field(&unknown))
            }
        }
    }
}

fn keep_one<'k>(kept: &mut BTreeMap<&'k str, String>, key: &'k str, text: String) -> Result<(), Mismatch> {
    match kept.insert(key, text) {
        None => Ok(()),
        Some(_) => Err(Mismatch::new("the key is kept already and occurs again").in_key(key)),
    }
}

fn missing(field: &Field, names: Names) -> Mismatch {
    match field.names(names) {
        [name] if *name == field.name => Mismatch::new("missing"),
        names => Mismatch::new(format!("missing (stored as {})", names.join(" or "))),
    }
}

/// The members of an object. Writers mostly keep the order of fields, so the search starts after the last hit.
struct Lookup<'o, 'j> {
    members: &'o [Member<'j>],
    next: usize,
    found: usize,
}

impl<'o, 'j> Lookup<'o, 'j> {
    fn find(&mut self, name: &str) -> Option<&'o Json<'j>> {
        let position = match self.members.get(self.next) {
            Some((key, _)) if key == name => self.next,
            _ => self.members.iter().position(|(key, _)| key == name)?,
        };
        self.next = position + 1;
        self.found += 1;
        Some(&self.members[position].1)
    }

    /// Whether the field is present, and under its first name only.
    fn only_first_name(&self, field: &Field, names: Names) -> bool {
        let present = |name: &String| self.members.iter().any(|(key, _)| key == name);
        let mut names = field.names(names).iter();
        names.next().is_some_and(present) && !names.any(present)
    }
}
