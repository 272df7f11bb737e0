//! Which field of the older version becomes a field of the newer one.

use std::collections::HashMap;

use crate::layout::invalid::InvalidSchema;
use crate::layout::types::Field;

/// The positions of the older fields, by the names that they have in the newer version.
pub(super) struct Renames<'f> {
    older: &'f [Field],
    by_newer_name: HashMap<&'f str, Vec<usize>>,
}

impl<'f> Renames<'f> {
    /// As in Avro, an alias renames the older field, so that its name is free for another one; of two fields with one alias the
    /// last one has it. An alias that the older version's field has already is of a version before it, and renames nothing.
    pub(super) fn new(older: &'f [Field], newer: &'f [Field]) -> Self {
        let known: HashMap<_, _> = older.iter().map(|field| (field.name.as_str(), field)).collect();
        let mut renamed: HashMap<&str, &str> = HashMap::new();
        for field in newer {
            let before = known.get(field.name.as_str()).map_or([].as_slice(), |field| &field.aliases);
            let new = field.aliases.iter().filter(|alias| !before.contains(alias));
            renamed.extend(new.map(|alias| (alias.as_str(), field.name.as_str())));
        }
        let mut by_newer_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (position, field) in older.iter().enumerate() {
            let name = renamed.get(field.name.as_str()).copied().unwrap_or(&field.name);
            by_newer_name.entry(name).or_default().push(position);
        }
        Self { older, by_newer_name }
    }

    /// The older field that becomes this one.
    pub(super) fn older(&self, field: &Field, place: &str) -> Result<Option<usize>, InvalidSchema> {
        match self.by_newer_name.get(field.name.as_str()).map_or([].as_slice(), Vec::as_slice) {
            [] => Ok(None),
            [position] => Ok(Some(*position)),
            [one, other, ..] => {
                let (one, other) = (&self.older[*one].name, &self.older[*other].name);
                let problem =
                    format!("its name and its aliases name both {one} and {other} of the older version");
                Err(InvalidSchema::new(place, problem))
            }
        }
    }
}
