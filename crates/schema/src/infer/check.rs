//! The final check: whether the drafted schemas take the events that they were drafted for.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::counts::{events, grouped};
use super::evidence::{Sightings, no_record};
use super::values::without_values;
use crate::set::SchemaSet;

/// Encodes events by drafted schemas and counts what does not fit.
///
/// What is counted here is what the relay would treat as the route's policy says.
#[derive(Debug)]
pub struct Check<'s> {
    schemas: &'s SchemaSet,
    events: u64,
    refused: BTreeMap<(String, String), Sightings>,
    /// Refusals beyond [`MAX_REASONS`].
    further: Sightings,
}

/// Kinds of refusals that are told apart.
const MAX_REASONS: usize = 1_000;

impl<'s> Check<'s> {
    /// A check by these schemas.
    pub fn new(schemas: &'s SchemaSet) -> Self {
        Self { schemas, events: 0, refused: BTreeMap::new(), further: Sightings::default() }
    }

    /// Encodes an event, as the relay would. Returns whether it fits.
    pub fn event(&mut self, event_type: &str, version: Option<u32>, reference: &str, data: &[u8]) -> bool {
        self.events += 1;
        let latest = self.schemas.event(event_type).map_or(1, |event| event.latest());
        let Err(error) = self.schemas.to_avro(event_type, version.unwrap_or(latest), data) else {
            return true;
        };
        // A type whose events are no objects has no schema, which is not what is wrong with them.
        let unknown = self.schemas.event(event_type).is_none();
        let no_record = if unknown { no_record(data) } else { None };
        let reason = no_record.unwrap_or_else(|| without_values(&error.problem));
        self.count(event_type, reason, reference);
        false
    }

    /// Counts an event that is no record for another reason than its data.
    pub(super) fn refuse(&mut self, event_type: &str, reason: String, reference: &str) {
        self.events += 1;
        self.count(event_type, reason, reference);
    }

    fn count(&mut self, event_type: &str, reason: String, reference: &str) {
        let reason = (event_type.to_owned(), reason);
        if self.refused.len() >= MAX_REASONS && !self.refused.contains_key(&reason) {
            self.further.add(reference);
        } else {
            self.refused.entry(reason).or_default().add(reference);
        }
    }

    /// What was counted.
    pub fn report(&self) -> CheckReport {
        let refused = self.refused.iter().map(|((event_type, reason), seen)| Refused {
            event_type: event_type.clone(),
            reason: reason.clone(),
            events: seen.count,
            references: seen.references(),
        });
        let mut refused: Vec<_> = refused.collect();
        if self.further.count > 0 {
            refused.push(Refused {
                event_type: String::new(),
                reason: "other reasons".to_owned(),
                events: self.further.count,
                references: self.further.references(),
            });
        }
        CheckReport { events: self.events, refused, ..CheckReport::default() }
    }
}

/// The result of a [`Check`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Events that were encoded or refused.
    pub events: u64,
    /// Those that were refused, by event type and reason.
    pub refused: Vec<Refused>,
    /// Selected events that have no name, or no valid version: see [`Report::unread`](super::Report::unread).
    pub unread: u64,
    /// Events that fit, but come after one in their stream that does not. A route that parks the first parks them
    /// too, in order.
    pub followers: u64,
    /// Whether there are more followers: a million streams are remembered.
    pub has_more_followers: bool,
}

/// Events of one type that do not fit its schema for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Mapped name of the event type, `OrderCreated`.
    pub event_type: String,
    /// Where and why, without values.
    pub reason: String,
    /// How many events.
    pub events: u64,
    /// The first of these events, as `7@order-42`.
    pub references: Vec<String>,
}

impl CheckReport {
    /// How many events do not fit.
    pub fn refused_events(&self) -> u64 {
        self.refused.iter().map(|refused| refused.events).sum()
    }

    /// How many events a route that is set to park would park.
    pub fn parked_events(&self) -> u64 {
        self.refused_events() + self.unread + self.followers
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} do not fit a schema", grouped(self.refused_events()), events(self.events))?;
        for Refused { event_type, reason, events: count, references } in &self.refused {
            writeln!(f, "  {event_type}: {reason}, in {} ({})", events(*count), references.join(", "))?;
        }
        if self.unread > 0 {
            writeln!(f, "{} cannot be read through the mappings", events(self.unread))?;
        }
        if self.followers > 0 {
            let at_least = if self.has_more_followers { "at least " } else { "" };
            writeln!(
                f,
                "events that follow one of these in their stream: {at_least}{}",
                grouped(self.followers)
            )?;
        }
        Ok(())
    }
}
