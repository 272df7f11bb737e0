//! Reading history: which events are observed, under which name, and which have none.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use aqueduct_core::mapping::{EventMapping, EventMappingError, MappedEvent, Selector};
use aqueduct_core::{ContentType, RecordedEvent};

use super::blocked::BlockedStreams;
use super::check::{Check, CheckReport};
use super::evidence::{Evidence, Sightings, no_record};
use super::map_lines::{MapLine, missing_map_lines};
use super::report::{Report, Unread};
use crate::set::SchemaSet;

/// Events of each type that are observed before sampling begins.
const SAMPLED_FROM: u64 = 1_000;
/// Stored types and reasons that are kept for events that cannot be read.
const MAX_UNREAD: usize = 1_000;
/// Events outside the sample that are observed because a draft refused them.
const MAX_REFUSED: usize = 100_000;

/// Why a JSON object that was appended as bytes is no record.
const NOT_DECLARED: &str =
    "a JSON object, but its content type is not JSON: name the type in the route's json_types";

/// Which events a route selects, and how it reads them.
#[derive(Debug, Clone)]
pub struct HistoryRoute {
    /// Which events it selects.
    pub selector: Selector,
    /// Their names, versions and metadata.
    pub mapping: EventMapping,
    /// Types whose data is JSON whatever their content type says.
    pub json_types: Option<Selector>,
}

impl HistoryRoute {
    /// Whether it selects the event.
    pub fn selects(&self, event: &RecordedEvent) -> bool {
        self.selector.selects(event.stream.as_str(), &event.event_type)
    }

    /// Whether the event says that its data is JSON, or the route says it.
    pub fn declares_json(&self, event: &RecordedEvent) -> bool {
        let is_listed = |types: &Selector| types.selects(event.stream.as_str(), &event.event_type);
        event.content_type == ContentType::Json || self.json_types.as_ref().is_some_and(is_listed)
    }

    /// Why the event is no record although its data may be: it is not declared as JSON.
    fn not_declared(&self, event: &RecordedEvent) -> Option<&'static str> {
        (!self.declares_json(event) && no_record(&event.data).is_none()).then_some(NOT_DECLARED)
    }
}

/// Observes the events of a store as the routes select and map them.
///
/// Give it every event of `$all` in order, [infer](super::infer) a draft from its [evidence](Self::evidence), and
/// read all events again in a [pass](Self::pass) that encodes them by the draft. While a pass observes events that
/// were outside the sample, draft and check again.
#[derive(Debug)]
pub struct History {
    routes: Vec<HistoryRoute>,
    /// One in so many events of a type is observed.
    one_in: NonZeroU64,
    evidence: Evidence,
    selected: u64,
    read: BTreeMap<String, u64>,
    unread: BTreeMap<(String, String), Sightings>,
    map_lines: BTreeSet<MapLine>,
    refused: BTreeSet<u64>,
}

impl History {
    /// Observes the events that these routes select, each read through the mapping of the first route that selects
    /// it. After the first 1,000 events of a type, one in `one_in` is observed.
    pub fn new(routes: Vec<HistoryRoute>, one_in: NonZeroU64) -> Self {
        Self {
            routes,
            one_in,
            evidence: Evidence::new(),
            selected: 0,
            read: BTreeMap::new(),
            unread: BTreeMap::new(),
            map_lines: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Reads an event. Returns whether a route selects it.
    pub fn event(&mut self, event: &RecordedEvent) -> bool {
        let Some(route) = selecting(&self.routes, event) else { return false };
        let mapping = &route.mapping;
        self.selected += 1;
        let mapped = match mapping.read(&event.event_type, &event.metadata, &event.data) {
            Ok(mapped) => mapped,
            Err(error) => {
                let lines = missing_map_lines([&*event.event_type], mapping.types());
                self.unread(event, &error, lines);
                return true;
            }
        };
        let lines = missing_map_lines([&*event.event_type], mapping.types());
        // A version that the metadata gives stays: one in the name could contradict it.
        self.map_lines
            .extend(lines.into_iter().filter(|line| mapped.version.is_none() || !line.has_version()));
        if let Some(reason) = route.not_declared(event) {
            self.evidence.refuse(&mapped.event_type, reason, &reference(event));
            return true;
        }
        let number = next(&mut self.read, &mapped.event_type);
        if is_sampled(number, self.one_in) {
            let reference = reference(event);
            self.evidence.observe(&mapped.event_type, mapped.version, &reference, &event.data);
        } else {
            self.evidence.pass_over(&mapped.event_type);
        }
        true
    }

    fn unread(&mut self, event: &RecordedEvent, error: &EventMappingError, lines: Vec<MapLine>) {
        self.map_lines.extend(lines);
        let key = (event.event_type.clone(), error.label().to_owned());
        let key = if self.unread.len() < MAX_UNREAD || self.unread.contains_key(&key) {
            key
        } else {
            (String::new(), "other".to_owned())
        };
        self.unread.entry(key).or_default().add(&reference(event));
    }

    /// What was observed.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// How many events the routes select.
    pub fn selected(&self) -> u64 {
        self.selected
    }

    /// The lines that the type map lacks. With them events may get other names and versions, so read again through
    /// mappings that have them before you draft.
    pub fn map_lines(&self) -> &BTreeSet<MapLine> {
        &self.map_lines
    }

    /// Adds to a report what concerns no drafted type: events that have no name or a bad version, and the lines that
    /// the type map lacks.
    pub fn complete(&self, report: &mut Report) {
        report.map_lines = self.map_lines.iter().cloned().collect();
        let unread = self.unread.iter().map(|((stored_type, reason), seen)| Unread {
            stored_type: stored_type.clone(),
            reason: reason.clone(),
            events: seen.count,
            references: seen.references(),
        });
        report.unread = unread.collect();
    }

    /// A further reading of the same events, which encodes them by the drafted schemas.
    pub fn pass<'h>(&'h mut self, schemas: &'h SchemaSet) -> Pass<'h> {
        Pass {
            history: self,
            check: Check::new(schemas),
            read: BTreeMap::new(),
            selected: 0,
            observed: 0,
            unread: 0,
            blocked: BlockedStreams::default(),
        }
    }
}

/// A reading that checks drafted schemas.
#[derive(Debug)]
pub struct Pass<'h> {
    history: &'h mut History,
    check: Check<'h>,
    read: BTreeMap<String, u64>,
    selected: u64,
    observed: u64,
    unread: u64,
    blocked: BlockedStreams,
}

impl Pass<'_> {
    /// Encodes an event, if a route selects it. One that does not fit and was outside the sample is observed.
    pub fn event(&mut self, event: &RecordedEvent) {
        let history = &mut *self.history;
        let Some(route) = selecting(&history.routes, event) else { return };
        self.selected += 1;
        let Ok(mapped) = route.mapping.read(&event.event_type, &event.metadata, &event.data) else {
            self.unread += 1;
            return self.blocked.block(event.stream.as_str());
        };
        let MappedEvent { event_type, version, .. } = mapped;
        let reference = reference(event);
        if let Some(reason) = route.not_declared(event) {
            self.check.refuse(&event_type, reason.to_owned(), &reference);
            return self.blocked.block(event.stream.as_str());
        }
        let number = next(&mut self.read, &event_type);
        if self.check.event(&event_type, version, &reference, &event.data) {
            return self.blocked.pass(event.stream.as_str());
        }
        self.blocked.block(event.stream.as_str());
        let is_new = !is_sampled(number, history.one_in) && history.refused.len() < MAX_REFUSED;
        if is_new && history.refused.insert(self.selected) {
            history.evidence.observe_passed_over(&event_type, version, &reference, &event.data);
            self.observed += 1;
        }
    }

    /// What does not fit, and how many events were observed: if any, the draft can be widened.
    pub fn finish(self) -> (CheckReport, u64) {
        let Self { check, observed, unread, blocked, .. } = self;
        let BlockedStreams { followers, is_full, .. } = blocked;
        (CheckReport { unread, followers, has_more_followers: is_full, ..check.report() }, observed)
    }
}

fn selecting<'r>(routes: &'r [HistoryRoute], event: &RecordedEvent) -> Option<&'r HistoryRoute> {
    routes.iter().find(|route| route.selects(event))
}

fn reference(event: &RecordedEvent) -> String {
    format!("{}@{}", event.revision, event.stream)
}

/// The number of the type's next event, from 0.
fn next(read: &mut BTreeMap<String, u64>, event_type: &str) -> u64 {
    let number = match read.get_mut(event_type) {
        Some(number) => number,
        None => read.entry(event_type.to_owned()).or_default(),
    };
    *number += 1;
    *number - 1
}

fn is_sampled(number: u64, one_in: NonZeroU64) -> bool {
    number < SAMPLED_FROM || number.is_multiple_of(one_in.get())
}

#[cfg(test)]
mod tests {
    use aqueduct_core::mapping::{MetadataMapping, Selection, TypeMap};
    use aqueduct_core::{Position, StreamName};
    use bytes::Bytes;

    use super::*;
    use crate::SchemaFiles;
    use crate::infer::tests::loaded;
    use crate::infer::{FileState, infer};

    fn event(number: u64, stream: &str, event_type: &str, data: &str) -> RecordedEvent {
        RecordedEvent {
            stream: StreamName::from(stream),
            revision: number,
            position: Position::at(number),
            id: uuid::Uuid::from_u128(number.into()),
            event_type: event_type.to_owned(),
            content_type: aqueduct_core::ContentType::Json,
            data: Bytes::from(data.to_owned()),
            metadata: Bytes::new(),
            created: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn orders(types: TypeMap, one_in: u64) -> History {
        let selector = Selection::of_categories(["order"]).compile().unwrap();
        let mapping = EventMapping::new(&MetadataMapping::default(), &types).unwrap();
        let route = HistoryRoute { selector, mapping, json_types: None };
        History::new(vec![route], NonZeroU64::new(one_in).unwrap())
    }

    fn drafted(history: &History) -> Report {
        let mut report = infer(history.evidence(), "orders", "acme.orders", &SchemaFiles::default());
        history.complete(&mut report);
        report
    }

    #[test]
    fn only_selected_events_are_read_and_missing_lines_are_told() {
        let mut history = orders(TypeMap::default(), 1);
        let events = [
            event(0, "order-1", "OrderPlaced", "{}"),
            event(0, "user-1", "UserRegistered", "{}"),
            event(1, "order-1", "$>", "0@order-1"),
            event(2, "order-1", "order paid", "{}"),
            event(3, "order-1", "V1.OrderShipped", "{}"),
        ];
        let selected: Vec<bool> = events.iter().map(|event| history.event(event)).collect();
        assert_eq!(selected, [true, false, false, true, true]);
        let report = drafted(&history);
        let lines: Vec<String> = report.map_lines.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["\"V{version}.{event}\" = \"{event}\"", "\"order paid\" = \"OrderPaid\""]);
        let unread = &report.unread[0];
        assert_eq!(
            (&*unread.stored_type, &*unread.reason, unread.events),
            ("order paid", "unmapped_type", 1)
        );
        assert_eq!(unread.references, ["2@order-1"]);
        assert!(report.files.iter().all(|file| file.state == FileState::New));
    }

    #[test]
    fn a_version_of_the_metadata_leaves_only_lines_without_one() {
        let mut history = orders(TypeMap::default(), 1);
        for (number, event_type) in [(0, "com.acme.orders.OrderPaid"), (1, "V1.OrderShipped")] {
            let metadata = Bytes::from_static(br#"{"schemaVersion":1}"#);
            history.event(&RecordedEvent { metadata, ..event(number, "order-1", event_type, "{}") });
        }
        let lines: Vec<String> = history.map_lines().iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["\"com.acme.orders.{event}\" = \"{event}\""]);
    }

    #[test]
    fn an_object_that_was_appended_as_bytes_needs_its_type_in_json_types() {
        let bytes = |number, data| RecordedEvent {
            content_type: ContentType::Binary,
            ..event(number, "order-1", "OrderPlaced", data)
        };
        let events = [event(0, "order-1", "OrderPlaced", "{}"), bytes(1, "{}"), bytes(2, "x")];
        for (json_types, refused, followers) in [(None, 2, 0), (Some("Order*"), 1, 0)] {
            let mut history = orders(TypeMap::default(), 1);
            let types = json_types
                .map(|types: &str| Selection { event_types: [types.into()].into(), ..Selection::default() });
            history.routes[0].json_types = types.map(|types| types.compile().unwrap());
            events.iter().for_each(|event| {
                history.event(event);
            });
            let report = drafted(&history);
            let no_records: u64 = report.types[0].no_records.iter().map(|it| it.events).sum();
            assert_eq!(no_records, refused, "{report}");
            let schemas = loaded(&report);
            let mut pass = history.pass(&schemas);
            events.iter().for_each(|event| pass.event(event));
            let (checked, _) = pass.finish();
            assert_eq!((checked.refused_events(), checked.followers), (refused, followers), "{checked}");
        }
    }

    /// 3,000 events, of which one in 100 is read after the first 1,000: the fields and kinds that the sample misses
    /// are found by the pass.
    #[test]
    fn a_draft_of_a_sample_is_widened_until_only_dirt_is_left() {
        let data = |number: u64| match number {
            1_501 => r#"{"n":1,"late":true}"#.to_owned(),
            1_601..1_700 if number % 2 == 1 => r#"{"n":true}"#.to_owned(),
            1_901 => r#"{"n":[]}"#.to_owned(),
            _ => format!("{{\"n\":{number}}}"),
        };
        let events: Vec<_> =
            (0..3_000).map(|number| event(number, "order-1", "OrderPlaced", &data(number))).collect();
        let mut history = orders(TypeMap::default(), 100);
        events.iter().for_each(|event| {
            history.event(event);
        });
        let mut passes = 0;
        let report = loop {
            let schemas = loaded(&drafted(&history));
            let mut pass = history.pass(&schemas);
            events.iter().for_each(|event| pass.event(event));
            let (report, observed) = pass.finish();
            passes += 1;
            if observed == 0 {
                break report;
            }
        };
        assert_eq!((passes, report.events, report.refused_events()), (2, 3_000, 1), "{report}");
        assert_eq!(report.refused[0].references, ["1901@order-1"]);
        assert_eq!((report.followers, report.parked_events()), (1_098, 1_099));
        let dirt = &drafted(&history).types[0].dirt;
        assert_eq!((dirt.len(), dirt[0].events), (1, 1));
    }
}
