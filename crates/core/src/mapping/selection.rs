//! Which events belong to a route.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mapping::configuration::ConfigurationError;
use crate::mapping::glob::{self, Glob};

/// The type of a link event: it only refers to an event of another stream.
const LINK: &str = "$>";

/// The events of a route: those that match one value of each key that is given, and none of the exclusions.
///
/// Links (`$>`) are never selected. System events, whose type or stream begins with `$`, are selected only where
/// `event_types` names their exact type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// Categories of streams: what is before the first dash of the name, or the whole name.
    pub categories: BTreeSet<String>,
    /// What the name of the stream begins with.
    pub stream_prefixes: BTreeSet<String>,
    /// Stored event types, or globs of them, in which `*` is any text.
    pub event_types: BTreeSet<String>,
    /// Events that match any value of any key of it are not selected.
    pub exclude: Exclusions,
}

/// What a route leaves out: events that match any value of any key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exclusions {
    /// Categories of streams.
    pub categories: BTreeSet<String>,
    /// What the name of the stream begins with.
    pub stream_prefixes: BTreeSet<String>,
    /// Stored event types, or globs of them.
    pub event_types: BTreeSet<String>,
}

impl Selection {
    /// All events of some categories.
    pub fn of_categories<S: Into<String>>(categories: impl IntoIterator<Item = S>) -> Self {
        Self { categories: categories.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Checks the selection and prepares it for deciding.
    pub fn compile(&self) -> Result<Selector, ConfigurationError> {
        self.check_values()?;
        let selector = Selector {
            categories: self.categories.clone(),
            stream_prefixes: self.stream_prefixes.iter().cloned().collect(),
            types: Types::compile(&self.event_types),
            exclude: Excluded {
                categories: self.exclude.categories.clone(),
                stream_prefixes: self.exclude.stream_prefixes.iter().cloned().collect(),
                types: Types::compile(&self.exclude.event_types),
            },
        };
        self.check_rest(&selector)?;
        Ok(selector)
    }

    fn check_values(&self) -> Result<(), ConfigurationError> {
        if self.categories.is_empty() && self.stream_prefixes.is_empty() && self.event_types.is_empty() {
            let problem =
                "name at least one category, stream prefix (stream_prefixes) or event type (event_types)";
            return Err(ConfigurationError::new("categories", problem));
        }
        check_categories("categories", &self.categories)?;
        check_texts("stream_prefixes", &self.stream_prefixes)?;
        check_types("event_types", &self.event_types)?;
        check_categories("exclude.categories", &self.exclude.categories)?;
        check_texts("exclude.stream_prefixes", &self.exclude.stream_prefixes)?;
        check_types("exclude.event_types", &self.exclude.event_types)
    }

    /// Refuses what selects nothing, whatever the store holds.
    fn check_rest(&self, selector: &Selector) -> Result<(), ConfigurationError> {
        let streams = self.streams();
        if streams.is_empty() {
            let problem = "no stream is in one of the categories and has one of the prefixes";
            return Err(ConfigurationError::new("stream_prefixes", problem));
        }
        if streams.iter().all(|stream| selector.exclude.all_of(*stream)) {
            return Err(ConfigurationError::new("exclude", "it leaves no stream of the selection"));
        }
        let any_type = ["*".to_owned()].into();
        let types = if self.event_types.is_empty() { &any_type } else { &self.event_types };
        // A star in a pattern is matched by a star only, so a glob that matches the pattern as a text matches
        // every type that the pattern does.
        if types.iter().all(|pattern| selector.exclude.types.is_match(pattern)) {
            return Err(ConfigurationError::new(
                "exclude.event_types",
                "it leaves no event type of the selection",
            ));
        }
        Ok(())
    }

    /// The sets of streams that one value of each key leaves.
    fn streams(&self) -> Vec<Streams<'_>> {
        fn or_none(values: &BTreeSet<String>) -> Vec<Option<&str>> {
            let mut values: Vec<_> = values.iter().map(|value| Some(value.as_str())).collect();
            if values.is_empty() {
                values.push(None);
            }
            values
        }
        let mut all = Vec::new();
        for category in or_none(&self.categories) {
            for prefix in or_none(&self.stream_prefixes) {
                all.extend(Streams::of(category, prefix));
            }
        }
        all
    }

    /// What the selection covers, as text: equal for selections that are configured alike. `added` are event
    /// types that count as if they were not configured. A selection of categories only has the text that it had
    /// when routes had nothing else, because checkpoints contain its fingerprint.
    pub(crate) fn canonical_text(&self, added: &BTreeSet<String>) -> String {
        let Self { categories, stream_prefixes, event_types, exclude } = self;
        let has_more =
            !(stream_prefixes.is_empty() && event_types.is_empty() && *exclude == Exclusions::default());
        let mut text = String::new();
        if !has_more {
            text.push_str("every event of a category is a record\n");
            for category in categories {
                text.push_str(category);
                text.push('\n');
            }
            return text;
        }
        text.push_str("every selected event is a record\n");
        let mut list = |key: &str, values: &BTreeSet<String>, without: &BTreeSet<String>| {
            if !values.is_empty() {
                // As JSON, whose escapes never change; the Debug form's may.
                let values: Value = values.difference(without).map(String::as_str).collect();
                let _infallible = writeln!(text, "{key} {values}");
            }
        };
        let none = BTreeSet::new();
        list("categories", categories, &none);
        list("stream_prefixes", stream_prefixes, &none);
        list("event_types", event_types, added);
        list("exclude.categories", &exclude.categories, &none);
        list("exclude.stream_prefixes", &exclude.stream_prefixes, &none);
        list("exclude.event_types", &exclude.event_types, &none);
        text
    }
}

/// Streams of a category, with a prefix, or both.
#[derive(Debug, Clone, Copy)]
struct Streams<'a> {
    category: Option<&'a str>,
    prefix: Option<&'a str>,
}

impl<'a> Streams<'a> {
    /// The streams that have both, or nothing if there are none.
    fn of(category: Option<&'a str>, prefix: Option<&'a str>) -> Option<Self> {
        let category_of_prefix =
            prefix.and_then(|prefix| prefix.split_once('-')).map(|(category, _)| category);
        let is_possible = match (category, prefix, category_of_prefix) {
            (Some(category), _, Some(of_prefix)) => category == of_prefix,
            (Some(category), Some(prefix), None) => category.starts_with(prefix),
            _ => true,
        };
        is_possible.then_some(Self { category: category.or(category_of_prefix), prefix })
    }
}

fn check_texts(key: &str, values: &BTreeSet<String>) -> Result<(), ConfigurationError> {
    let problem = |value: &String| {
        if value.is_empty() {
            Some("a value is empty: remove it".to_owned())
        } else if value.chars().any(char::is_control) {
            Some(format!("{value:?} contains a control character"))
        } else if value.len() > glob::MAX_BYTES {
            Some(format!("a value is longer than {} bytes", glob::MAX_BYTES))
        } else {
            None
        }
    };
    values.iter().find_map(problem).map_or(Ok(()), |problem| Err(ConfigurationError::new(key, problem)))
}

fn check_categories(key: &str, values: &BTreeSet<String>) -> Result<(), ConfigurationError> {
    check_texts(key, values)?;
    let problem = |value: &String| {
        if value.contains('-') {
            Some(format!(
                "\"{value}\" is not a category: a category ends before the first dash of a stream's name"
            ))
        } else if value.starts_with('$') {
            Some(format!("\"{value}\" is not a category: system events are selected by event_types"))
        } else {
            None
        }
    };
    values.iter().find_map(problem).map_or(Ok(()), |problem| Err(ConfigurationError::new(key, problem)))
}

fn check_types(key: &str, values: &BTreeSet<String>) -> Result<(), ConfigurationError> {
    check_texts(key, values)?;
    let problem = |value: &String| {
        if value == LINK {
            Some(format!("\"{LINK}\" is a link, which is never a record: remove it"))
        } else if value.starts_with('$') && value.contains('*') {
            Some(format!("\"{value}\" matches nothing: system events are selected by their exact type only"))
        } else {
            None
        }
    };
    values.iter().find_map(problem).map_or(Ok(()), |problem| Err(ConfigurationError::new(key, problem)))
}

/// A compiled [`Selection`].
#[derive(Debug, Clone)]
pub struct Selector {
    categories: BTreeSet<String>,
    stream_prefixes: Vec<String>,
    types: Types,
    exclude: Excluded,
}

#[derive(Debug, Clone)]
struct Excluded {
    categories: BTreeSet<String>,
    stream_prefixes: Vec<String>,
    types: Types,
}

#[derive(Debug, Clone)]
struct Types {
    exact: BTreeSet<String>,
    globs: Vec<Glob>,
}

impl Types {
    fn compile(values: &BTreeSet<String>) -> Self {
        let is_glob = |value: &&String| value.contains('*');
        Self {
            exact: values.iter().filter(|value| !is_glob(value)).cloned().collect(),
            globs: values.iter().filter(is_glob).map(|value| Glob::plain(value)).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.globs.is_empty()
    }

    fn is_match(&self, event_type: &str) -> bool {
        self.exact.contains(event_type) || self.globs.iter().any(|glob| glob.is_match(event_type))
    }
}

impl Selector {
    /// Whether an event of this stream and stored type belongs to the route.
    pub fn selects(&self, stream: &str, event_type: &str) -> bool {
        self.has_type(stream, event_type)
            && (self.categories.is_empty() || self.categories.contains(category(stream)))
            && (self.stream_prefixes.is_empty() || has_prefix(stream, &self.stream_prefixes))
            && !self.exclude.is_match(stream, event_type)
    }

    fn has_type(&self, stream: &str, event_type: &str) -> bool {
        if event_type.starts_with('$') || stream.starts_with('$') {
            event_type != LINK && self.types.exact.contains(event_type)
        } else {
            self.types.is_empty() || self.types.is_match(event_type)
        }
    }
}

impl Excluded {
    fn is_match(&self, stream: &str, event_type: &str) -> bool {
        self.categories.contains(category(stream))
            || has_prefix(stream, &self.stream_prefixes)
            || self.types.is_match(event_type)
    }

    /// Whether all of these streams are excluded.
    fn all_of(&self, streams: Streams<'_>) -> bool {
        streams.category.is_some_and(|category| self.categories.contains(category))
            || [streams.category, streams.prefix]
                .into_iter()
                .flatten()
                .any(|beginning| has_prefix(beginning, &self.stream_prefixes))
    }
}

fn category(stream: &str) -> &str {
    stream.split_once('-').map_or(stream, |(category, _)| category)
}

fn has_prefix(stream: &str, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| stream.starts_with(prefix.as_str()))
}

#[cfg(test)]
mod tests;
