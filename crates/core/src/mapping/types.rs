//! Stored type names to event names and versions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;

use lru::LruCache;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::mapping::configuration::ConfigurationError;
use crate::mapping::glob::{self, Glob};
use crate::mapping::target::{Target, event_name};
use crate::mapping::value;

/// Longest stored type name that is mapped, in bytes.
const MAX_TYPE_BYTES: usize = 1024;

/// What stored event types are called: lines of a stored type and its event, `"Acme.OrderPlaced" =
/// "OrderPlaced"`.
///
/// The stored type is an exact name or a glob. In a glob `*` is any text, `{event}` a name (letters, digits,
/// `_`, `.` and `-`) and `{version}` digits; it must match the whole type, and each part takes as little as it
/// can, from left to right. The event is a name, in which `{event}` is what the glob took, with the version
/// after an `@` where the glob does not take it: `"V{version}.{event}" = "{event}"`, `"order-created-old" =
/// "OrderCreated@1"`.
///
/// An exact name wins over globs. Two globs that make different events of one type are an error. There is one
/// step: the result is not mapped again. A type without a line is called as it is stored. A result that is not
/// an Avro name becomes one at its dots and dashes: `ticket.opened` becomes `TicketOpened`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeMap {
    lines: Vec<(String, String)>,
}

impl<S: Into<String>, T: Into<String>> FromIterator<(S, T)> for TypeMap {
    fn from_iter<I: IntoIterator<Item = (S, T)>>(lines: I) -> Self {
        Self { lines: lines.into_iter().map(|(stored, event)| (stored.into(), event.into())).collect() }
    }
}

impl<'de> Deserialize<'de> for TypeMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;

        impl<'de> Visitor<'de> for Lines {
            type Value = TypeMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a table of stored types and their events, \"Acme.OrderPlaced\" = \"OrderPlaced\"",
                )
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TypeMap, A::Error> {
                let mut lines = Vec::new();
                while let Some(line) = map.next_entry()? {
                    lines.push(line);
                }
                Ok(TypeMap { lines })
            }
        }

        // Not a map type of the standard library: a name with two targets must be seen, to be refused.
        deserializer.deserialize_map(Lines)
    }
}

impl Serialize for TypeMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.lines.iter().map(|(stored, event)| (stored, event)))
    }
}

impl TypeMap {
    /// Whether it has no lines.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// These lines and those of `general`. Of two lines for the same name or glob this map's counts.
    #[must_use]
    pub fn or(mut self, general: &Self) -> Self {
        let is_new = |line: &&(String, String)| self.lines.iter().all(|(stored, _)| *stored != line.0);
        let added: Vec<_> = general.lines.iter().filter(is_new).cloned().collect();
        self.lines.extend(added);
        self
    }

    /// Checks the lines and prepares them for reading.
    pub fn compile(&self) -> Result<TypeNames, ConfigurationError> {
        let mut names = TypeNames::default();
        for (stored, event) in &self.lines {
            let key = || format!("types.{stored:?}");
            let error = |problem: String| ConfigurationError::new(key(), problem);
            if stored.is_empty() {
                return Err(error("the stored type is empty".to_owned()));
            }
            if stored.len() > glob::MAX_BYTES {
                return Err(error(format!("the stored type is longer than {} bytes", glob::MAX_BYTES)));
            }
            let glob = Glob::capturing(stored).map_err(error)?;
            let target = Target::parse(event, &glob).map_err(error)?;
            names.add(stored, event, glob, target).map_err(error)?;
        }
        Ok(names)
    }
}

/// A compiled [`TypeMap`].
#[derive(Debug, Clone, Default)]
pub struct TypeNames {
    exact: HashMap<Box<str>, Target>,
    globs: Vec<GlobLine>,
}

#[derive(Debug, Clone)]
struct GlobLine {
    pattern: Box<str>,
    glob: Glob,
    target: Target,
}

impl TypeNames {
    fn add(&mut self, stored: &str, event: &str, glob: Glob, target: Target) -> Result<(), String> {
        let before = if glob.is_literal() {
            self.exact.get(stored)
        } else {
            self.globs.iter().find(|line| line.glob == glob).map(|line| &line.target)
        };
        match before {
            Some(before) if *before != target => {
                Err(format!("has two targets, {before} and {event}: remove one"))
            }
            Some(_) => Ok(()),
            None if glob.is_literal() => {
                self.exact.insert(stored.into(), target);
                Ok(())
            }
            None => {
                self.globs.push(GlobLine { pattern: stored.into(), glob, target });
                Ok(())
            }
        }
    }

    /// The event that a stored type is. Bounded in time by the lengths of the globs and of the type.
    pub fn resolve<'a>(&'a self, stored: &'a str) -> Result<MappedType<'a>, TypeError> {
        if stored.len() > MAX_TYPE_BYTES {
            return Err(TypeError::TooLong);
        }
        if let Some(target) = self.exact.get(stored) {
            return Ok(MappedType { event: target.name(None), version: target.version() });
        }
        let mut found: Option<(&GlobLine, MappedType<'a>)> = None;
        for line in &self.globs {
            let Some(mapped) = line.map(stored)? else { continue };
            match &found {
                Some((first, before)) if *before != mapped => {
                    return Err(TypeError::Ambiguous {
                        stored: stored.to_owned(),
                        globs: [first.pattern.to_string(), line.pattern.to_string()],
                        events: [before.to_string(), mapped.to_string()],
                    });
                }
                Some(_) => {}
                None => found = Some((line, mapped)),
            }
        }
        if let Some((_, mapped)) = found {
            return Ok(mapped);
        }
        let event = event_name(Cow::Borrowed(stored)).ok_or_else(|| TypeError::unmapped(stored))?;
        Ok(MappedType { event, version: None })
    }

    /// Whether every type is called as it is stored, if that is an Avro name.
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.globs.is_empty()
    }
}

impl GlobLine {
    fn map<'a>(&'a self, stored: &'a str) -> Result<Option<MappedType<'a>>, TypeError> {
        let Some(captures) = self.glob.captures(stored) else { return Ok(None) };
        let version = match captures.version {
            Some(digits) => Some(value::digits(digits).filter(|version| *version > 0).ok_or_else(|| {
                TypeError::Version { stored: stored.to_owned(), glob: self.pattern.to_string() }
            })?),
            None => self.target.version(),
        };
        let event =
            event_name(self.target.name(captures.event)).ok_or_else(|| TypeError::unmapped(stored))?;
        Ok(Some(MappedType { event, version }))
    }
}

/// The event that a stored type is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedType<'a> {
    /// Its name, an Avro name: `OrderPlaced`.
    pub event: Cow<'a, str>,
    /// Its version, where the stored type has one.
    pub version: Option<u32>,
}

impl fmt::Display for MappedType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event)?;
        match self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

/// A stored type has no event name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// It is not an Avro name and has no line in the map.
    #[error("the stored type {stored:?} is not an event name: add a line for it to the type map")]
    Unmapped {
        /// The type as it is stored.
        stored: String,
    },
    /// Two globs make different events of it.
    #[error(
        "the stored type {stored:?} is {} by {:?} and {} by {:?}: add a line for the exact name to the type map",
        events[0], globs[0], events[1], globs[1]
    )]
    Ambiguous {
        /// The type as it is stored.
        stored: String,
        /// Left sides of the two lines that matched.
        globs: [String; 2],
        /// What they make of it.
        events: [String; 2],
    },
    /// The digits in its name are not a version.
    #[error("the version that {glob:?} takes from the stored type {stored:?} is not from 1 to 4294967295")]
    Version {
        /// The type as it is stored.
        stored: String,
        /// Left side of the map's line that matched.
        glob: String,
    },
    /// It is too long to be mapped.
    #[error("the stored type is longer than {MAX_TYPE_BYTES} bytes")]
    TooLong,
}

impl TypeError {
    fn unmapped(stored: &str) -> Self {
        Self::Unmapped { stored: stored.to_owned() }
    }
}

/// Mapped types by stored type, so that each is mapped once. Bounded: the least recently used is forgotten.
#[derive(Debug)]
pub struct TypeCache {
    mapped: LruCache<String, Result<MappedType<'static>, TypeError>>,
}

impl Default for TypeCache {
    fn default() -> Self {
        // At most 1 KiB a name: 8 MiB with what they are mapped to.
        const TYPES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
        Self { mapped: LruCache::new(TYPES) }
    }
}

impl TypeCache {
    /// [`TypeNames::resolve`], kept. The cache must be used with one map only.
    pub fn resolve<'a>(
        &'a mut self,
        names: &'a TypeNames,
        stored: &'a str,
    ) -> Result<MappedType<'a>, TypeError> {
        if names.is_empty() || stored.len() > MAX_TYPE_BYTES {
            return names.resolve(stored);
        }
        let kept = self.mapped.get_or_insert_ref(stored, || {
            let mapped = names.resolve(stored)?;
            Ok(MappedType { event: Cow::Owned(mapped.event.into_owned()), version: mapped.version })
        });
        match kept {
            Ok(mapped) => Ok(MappedType { event: Cow::Borrowed(&mapped.event), version: mapped.version }),
            Err(error) => Err(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
