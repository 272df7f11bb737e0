//! What one source contributes to the configuration.

use figment::error::Result;
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

/// A source of keys: the file, or one environment variable. A later layer overrides an earlier one.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Where the keys come from, for messages.
    pub(super) place: String,
    keys: Dict,
}

impl Layer {
    pub(super) fn new(place: impl Into<String>, keys: Dict) -> Self {
        Self { place: place.into(), keys }
    }

    /// A layer of a single key, such as `relay.lanes`.
    pub(super) fn of_key(place: impl Into<String>, key: &str, value: Value) -> Self {
        Self::new(place, nest(key, value).into_dict().unwrap_or_default())
    }

    /// The layer with only the sections that are wanted.
    pub(super) fn sections(&self, wanted: &dyn Fn(&str) -> bool) -> Self {
        let keys = self.keys.iter().filter(|(section, _)| wanted(section));
        Self::new(&self.place, keys.map(|(section, value)| (section.clone(), value.clone())).collect())
    }

    /// Moves a key; what the new one already contains stays. Whether there was anything to move.
    pub(super) fn rename(&mut self, old: &str, new: &str) -> bool {
        let Some(value) = take(&mut self.keys, old) else { return false };
        let moved = nest(new, value).into_dict().unwrap_or_default();
        merge(&mut self.keys, moved);
        true
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.keys.clone())]))
    }
}

fn take(keys: &mut Dict, key: &str) -> Option<Value> {
    let Some((section, rest)) = key.split_once('.') else { return keys.remove(key) };
    let Some(Value::Dict(_, inner)) = keys.get_mut(section) else { return None };
    let taken = take(inner, rest);
    if taken.is_some() && inner.is_empty() {
        keys.remove(section);
    }
    taken
}

fn merge(keys: &mut Dict, moved: Dict) {
    for (key, value) in moved {
        match (keys.get_mut(&key), value) {
            (Some(Value::Dict(_, inner)), Value::Dict(_, moved)) => merge(inner, moved),
            (Some(_), _) => {}
            (None, value) => drop(keys.insert(key, value)),
        }
    }
}
