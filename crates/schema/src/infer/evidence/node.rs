//! The evidence at one path: how often each kind of JSON value was met there, and what the values look like.

pub(in crate::infer) mod objects;

use self::objects::Objects;
use super::numbers::{NumberForm, Numbers};
use super::references::Sightings;
use super::texts::Texts;
use crate::mapping::json::Json;

/// The kinds of JSON values that a union tells apart. Null is counted apart: it makes a field nullable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::infer) enum Kind {
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    pub(in crate::infer) const ALL: [Self; 5] =
        [Self::Boolean, Self::Number, Self::Text, Self::Array, Self::Object];

    /// For reports: `a number`.
    pub(in crate::infer) fn with_article(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "text",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Values of one kind at one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::infer) struct Occurrence {
    pub(in crate::infer) values: u64,
    /// The events that have at least one such value there.
    pub(in crate::infer) events: Sightings,
    /// The number of the last event that was counted.
    last_event: u64,
}

impl Occurrence {
    fn add(&mut self, event: EventRef<'_>) {
        self.values += 1;
        if self.last_event != event.number {
            self.last_event = event.number;
            self.events.add(event.reference);
        }
    }

    // Exact where the two sides are different events, as for two versions; an event that is in both (values of two
    // keys of one object that become one map) counts twice.
    fn merge(&mut self, other: &Self) {
        self.values += other.values;
        self.events.merge(&other.events);
        self.last_event = self.last_event.max(other.last_event);
    }
}

/// Which event a value is from. Numbers count from 1 and grow.
#[derive(Debug, Clone, Copy)]
pub(in crate::infer) struct EventRef<'a> {
    pub(in crate::infer) number: u64,
    pub(in crate::infer) reference: &'a str,
}

/// The evidence at one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::infer) struct Node {
    /// All values, nulls included.
    pub(in crate::infer) values: u64,
    pub(in crate::infer) nulls: Occurrence,
    occurrences: [Occurrence; 5],
    pub(in crate::infer) numbers: Numbers,
    pub(in crate::infer) texts: Texts,
    pub(in crate::infer) arrays: Arrays,
    pub(in crate::infer) objects: Option<Box<Objects>>,
}

/// Statistics of the arrays at one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::infer) struct Arrays {
    /// All items of all arrays; `None` while every array is empty.
    pub(in crate::infer) items: Option<Box<Node>>,
}

impl Node {
    pub(in crate::infer) fn occurrence(&self, kind: Kind) -> &Occurrence {
        &self.occurrences[kind as usize]
    }

    /// The kinds that were met, null left out.
    pub(in crate::infer) fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|kind| self.occurrence(*kind).values > 0)
    }

    /// Adds a value. `budget` bounds how many more paths may be kept.
    pub(in crate::infer) fn add(&mut self, json: &Json<'_>, event: EventRef<'_>, budget: &mut usize) {
        self.values += 1;
        let kind = match json {
            Json::Null => return self.nulls.add(event),
            Json::Bool(_) => Kind::Boolean,
            Json::Number(number) => {
                self.numbers.add(NumberForm::of(&number.text()), event.reference);
                Kind::Number
            }
            Json::String(text) => {
                self.texts.add(text, event.reference);
                Kind::Text
            }
            Json::Array(items) => {
                for item in items {
                    self.arrays.items.get_or_insert_default().add(item, event, budget);
                }
                Kind::Array
            }
            Json::Object(members) => {
                self.objects.get_or_insert_default().add(members, event, budget);
                Kind::Object
            }
        };
        self.occurrences[kind as usize].add(event);
    }

    /// Adds the evidence of another path or version.
    pub(in crate::infer) fn merge(&mut self, other: &Self) {
        self.values += other.values;
        self.nulls.merge(&other.nulls);
        for (mine, theirs) in self.occurrences.iter_mut().zip(&other.occurrences) {
            mine.merge(theirs);
        }
        self.numbers.merge(&other.numbers);
        self.texts.merge(&other.texts);
        if let Some(items) = &other.arrays.items {
            self.arrays.items.get_or_insert_default().merge(items);
        }
        if let Some(objects) = &other.objects {
            self.objects.get_or_insert_default().merge(objects);
        }
    }
}
