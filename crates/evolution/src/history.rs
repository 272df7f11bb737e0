//! Whether stored events are still readable.

use std::collections::BTreeMap;
use std::fmt;

use aqueduct_core::RecordedEvent;
use aqueduct_schema::SchemaSet;
use aqueduct_schema::infer::HistoryRoute;
use serde::{Deserialize, Serialize};

/// How many references are kept of each kind of failure.
const REFERENCES: usize = 3;
/// How many kinds of failures are told apart.
const FAILURES: usize = 1_000;

/// Brings stored events to the latest version, as relay and aggregates do.
#[derive(Debug)]
pub struct Replay<'a> {
    /// Which events are read, and under which names: each by the first route that selects it.
    pub routes: &'a [HistoryRoute],
    /// The schemas that must read them.
    pub schemas: &'a SchemaSet,
    /// The schemas of today, if `schemas` are those of a change that is judged.
    pub today: Option<&'a SchemaSet>,
}

/// What became of events. The tallies of parts of a history, merged in its order, are the tally of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Events that were read, by event type and by the version in which they were stored; 0 where they do not say one.
    pub events: BTreeMap<String, BTreeMap<u32, u64>>,
    /// Events that cannot be read, by event type and reason; under an empty type those that have none.
    pub failures: BTreeMap<String, BTreeMap<String, Failures>>,
    /// Events whose result is another one than today, by event type; of the types whose latest version is the same.
    pub changed: BTreeMap<String, Failures>,
}

/// Events of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many.
    pub events: u64,
    /// How many of them today's schemas read; all, where no change is judged.
    pub new: u64,
    /// The first ones, `7@order-42`.
    pub references: Vec<String>,
}

impl Replay<'_> {
    /// Reads events.
    pub fn judge<'e>(&self, events: impl IntoIterator<Item = &'e RecordedEvent>) -> Tally {
        let mut tally = Tally::default();
        for event in events {
            if let Some(route) = self.routes.iter().find(|route| route.selects(event)) {
                self.judge_one(route, event, &mut tally);
            }
        }
        tally
    }

    fn judge_one(&self, route: &HistoryRoute, event: &RecordedEvent, tally: &mut Tally) {
        let mapped = match route.mapping.read(&event.event_type, &event.metadata, &event.data) {
            Ok(mapped) => mapped,
            Err(error) => return tally.fail("", error.label().to_owned(), self.today.is_none(), event),
        };
        if !route.declares_json(event) {
            let reason = "its content type is not JSON".to_owned();
            return tally.fail(&mapped.event_type, reason, self.today.is_none(), event);
        }
        let read = |schemas: &SchemaSet| {
            let latest = schemas.event(&mapped.event_type).map_or(1, |event| event.latest());
            schemas.to_avro(&mapped.event_type, mapped.version.unwrap_or(latest), &event.data)
        };
        match read(self.schemas) {
            Ok(avro) => {
                let of_type = tally.events.entry(mapped.event_type.to_string()).or_default();
                *of_type.entry(mapped.version.unwrap_or_default()).or_default() += 1;
                let same_latest = |today: &&SchemaSet| {
                    let latest =
                        |schemas: &SchemaSet| schemas.event(&mapped.event_type).map(|event| event.latest());
                    latest(today) == latest(self.schemas)
                };
                let today = self.today.filter(same_latest);
                if today.is_some_and(|today| read(today).is_ok_and(|today| today != avro)) {
                    let changed = tally.changed.entry(mapped.event_type.to_string()).or_default();
                    changed.add(event, true);
                }
            }
            Err(error) => {
                let is_new = self.today.is_none_or(|today| read(today).is_ok());
                tally.fail(&mapped.event_type, without_indices(&error.without_values()), is_new, event);
            }
        }
    }
}

impl Tally {
    fn fail(&mut self, event_type: &str, reason: String, is_new: bool, event: &RecordedEvent) {
        self.failures_of(event_type, reason).add(event, is_new);
    }

    fn failures_of(&mut self, event_type: &str, reason: String) -> &mut Failures {
        let kinds: usize = self.failures.values().map(BTreeMap::len).sum();
        let is_known = self.failures.get(event_type).is_some_and(|reasons| reasons.contains_key(&reason));
        let (event_type, reason) = if is_known || kinds < FAILURES {
            (event_type, reason)
        } else {
            ("", "other reasons".to_owned())
        };
        self.failures.entry(event_type.to_owned()).or_default().entry(reason).or_default()
    }

    /// Adds what became of the events after these.
    pub fn merge(&mut self, later: Self) {
        for (event_type, versions) in later.events {
            let of_type = self.events.entry(event_type).or_default();
            versions.into_iter().for_each(|(version, events)| *of_type.entry(version).or_default() += events);
        }
        for (event_type, reasons) in later.failures {
            for (reason, failures) in reasons {
                self.failures_of(&event_type, reason).merge(failures);
            }
        }
        for (event_type, changed) in later.changed {
            self.changed.entry(event_type).or_default().merge(changed);
        }
    }

    /// How many events cannot be read, and could be before the change that is judged.
    pub fn new_failures(&self) -> u64 {
        self.failures.values().flat_map(BTreeMap::values).map(|failures| failures.new).sum()
    }

    /// How many events cannot be read.
    pub fn failed(&self) -> u64 {
        self.failures.values().flat_map(BTreeMap::values).map(|failures| failures.events).sum()
    }

    /// How many events were read.
    pub fn read(&self) -> u64 {
        self.events.values().flat_map(BTreeMap::values).sum()
    }
}

impl Failures {
    fn add(&mut self, event: &RecordedEvent, is_new: bool) {
        self.events += 1;
        self.new += u64::from(is_new);
        if self.references.len() < REFERENCES {
            self.references.push(format!("{}@{}", event.revision, event.stream));
        }
    }

    fn merge(&mut self, later: Self) {
        self.events += later.events;
        self.new += later.new;
        let missing = REFERENCES.saturating_sub(self.references.len());
        self.references.extend(later.references.into_iter().take(missing));
    }
}

fn counted(events: u64) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}

/// `lines[].unitPrice` of `lines[2].unitPrice`: where it is in a list does not make another kind of failure.
fn without_indices(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    let mut is_index = false;
    for character in reason.chars() {
        is_index = character == '[' || is_index && character.is_ascii_digit();
        if character == '[' || !is_index {
            text.push(character);
        }
    }
    text
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (event_type, versions) in &self.events {
            let of_version = |(version, events): (&u32, &u64)| match version {
                0 => format!("{events} without a version"),
                version => format!("{events} of v{version}"),
            };
            writeln!(f, "{event_type}: {}", versions.iter().map(of_version).collect::<Vec<_>>().join(", "))?;
        }
        for (event_type, reasons) in &self.failures {
            let event_type = if event_type.is_empty() { "events without a type" } else { event_type };
            for (reason, Failures { events, new, references }) in reasons {
                let known = events - new;
                let known = if known > 0 {
                    format!(", {known} of them not readable today either")
                } else {
                    String::new()
                };
                writeln!(
                    f,
                    "{event_type}: cannot be read: {reason}: {}{known} ({})",
                    counted(*events),
                    references.join(", ")
                )?;
            }
        }
        for (event_type, Failures { events, references, .. }) in &self.changed {
            writeln!(
                f,
                "{event_type}: another result than today: {} ({})",
                counted(*events),
                references.join(", ")
            )?;
        }
        Ok(())
    }
}
