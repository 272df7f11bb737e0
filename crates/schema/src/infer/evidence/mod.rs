//! The collector: statistics of the events of each type and version, in bounded memory.

mod node;
mod numbers;
mod references;
mod texts;

use std::collections::BTreeMap;

pub(super) use node::objects::{Key, MAX_KEYS, Objects, folded};
pub(super) use node::{EventRef, Kind, Node};
#[cfg(test)]
pub(super) use numbers::NumberForm;
pub(super) use numbers::{DOUBLE_DIGITS, Numbers};
pub(super) use references::Sightings;
pub(super) use texts::Texts;

use crate::infer::values::without_values;
use crate::layout::json_kind::JsonKind;
use crate::limits::MAX_EVENT_BYTES;
use crate::mapping::json::Json;
use crate::mapping::json::parse::{BYTE_ORDER_MARK, JsonError, parse};

/// Paths that are kept for one event type, over all its versions. Beyond it, values of new keys are gathered as
/// those of a map.
const MAX_PATHS: usize = 8_192;

/// Event types that are kept. Events of further types are counted only.
const MAX_TYPES: usize = 10_000;

/// What was seen in the events that were observed. It grows with the number of different paths, not with the number
/// of events.
///
/// Observe the events in the order of the log: "the first event" in a report is the first observed. Merging is not
/// offered; one collector reads all events.
#[derive(Debug, Default)]
pub struct Evidence {
    pub(super) types: BTreeMap<String, TypeEvidence>,
    /// Events of types beyond the bound.
    pub(super) beyond_types: Sightings,
    events: u64,
}

/// What was seen of one event type.
#[derive(Debug)]
pub(super) struct TypeEvidence {
    /// By version; 0 holds the events that have none.
    pub(super) versions: BTreeMap<u32, Node>,
    /// Events whose data cannot be a record of any schema, with the reason.
    pub(super) no_records: BTreeMap<String, Sightings>,
    /// Events that were not observed.
    pub(super) passed_over: u64,
    budget: usize,
}

/// Reasons that are told apart for data that is no record, in one type.
const MAX_REASONS: usize = 16;

impl Default for TypeEvidence {
    fn default() -> Self {
        Self { versions: BTreeMap::new(), no_records: BTreeMap::new(), passed_over: 0, budget: MAX_PATHS }
    }
}

impl Evidence {
    /// An empty collector.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event. `event_type` and `version` are the mapped ones; `None` is an event without a version, which is
    /// read as its type's latest. `reference` names the event in the report (`7@order-42`). Data that is no JSON
    /// object is counted apart and has no say in the schema.
    pub fn observe(&mut self, event_type: &str, version: Option<u32>, reference: &str, data: &[u8]) {
        if !self.types.contains_key(event_type) && self.types.len() >= MAX_TYPES {
            return self.beyond_types.add(reference);
        }
        self.events += 1;
        let number = self.events;
        let kept = self.types.entry(event_type.to_owned()).or_default();
        let reason = match parse_event(data) {
            Ok(json @ Json::Object(_)) => {
                let event = EventRef { number, reference };
                let root = kept.versions.entry(version.unwrap_or(0)).or_default();
                return root.add(&json, event, &mut kept.budget);
            }
            Ok(json) => not_an_object(&json),
            Err(reason) => reason,
        };
        kept.refuse(reason, reference);
    }

    /// Counts an event that is no record for another reason than its data.
    pub(super) fn refuse(&mut self, event_type: &str, reason: &str, reference: &str) {
        if !self.types.contains_key(event_type) && self.types.len() >= MAX_TYPES {
            return self.beyond_types.add(reference);
        }
        self.events += 1;
        self.types.entry(event_type.to_owned()).or_default().refuse(reason.to_owned(), reference);
    }

    /// Counts an event that is not observed, for a caller that observes a sample: how many events may conflict
    /// depends on how many there are.
    pub fn pass_over(&mut self, event_type: &str) {
        if let Some(kept) = self.types.get_mut(event_type) {
            kept.passed_over += 1;
        } else if self.types.len() < MAX_TYPES {
            let kept = TypeEvidence { passed_over: 1, ..TypeEvidence::default() };
            self.types.insert(event_type.to_owned(), kept);
        }
    }

    /// Adds an event that was counted by [`pass_over`](Self::pass_over).
    pub(super) fn observe_passed_over(
        &mut self,
        event_type: &str,
        version: Option<u32>,
        reference: &str,
        data: &[u8],
    ) {
        self.observe(event_type, version, reference, data);
        if let Some(kept) = self.types.get_mut(event_type) {
            kept.passed_over = kept.passed_over.saturating_sub(1);
        }
    }

    /// How many events were observed.
    pub fn events(&self) -> u64 {
        self.events
    }
}

impl TypeEvidence {
    fn refuse(&mut self, reason: String, reference: &str) {
        let full = self.no_records.len() >= MAX_REASONS && !self.no_records.contains_key(&reason);
        let reason = if full { "not a JSON object".to_owned() } else { reason };
        self.no_records.entry(reason).or_default().add(reference);
    }

    /// Events that are JSON objects, in all versions.
    pub(super) fn objects(&self) -> u64 {
        self.versions.values().map(|root| root.values).sum()
    }
}

/// Why the data cannot be a record of any schema, if it cannot.
pub(super) fn no_record(data: &[u8]) -> Option<String> {
    match parse_event(data) {
        Ok(Json::Object(_)) => None,
        Ok(json) => Some(not_an_object(&json)),
        Err(reason) => Some(reason),
    }
}

fn parse_event(data: &[u8]) -> Result<Json<'_>, String> {
    if data.len() > MAX_EVENT_BYTES {
        return Err(format!("larger than {MAX_EVENT_BYTES} bytes"));
    }
    if data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data).iter().all(u8::is_ascii_whitespace) {
        return Err("empty".to_owned());
    }
    parse(data).map_err(|error| not_json(&error))
}

/// The error without what would be different in each event: keys, characters and positions.
fn not_json(error: &JsonError) -> String {
    let mut problem = without_values(&error.to_string());
    for detail in [" at byte ", ", found ", " ("] {
        problem.truncate(problem.find(detail).unwrap_or(problem.len()));
    }
    format!("not JSON: {problem}")
}

fn not_an_object(json: &Json<'_>) -> String {
    let what = match json.kind() {
        JsonKind::Null => "null",
        JsonKind::Boolean => "a boolean",
        JsonKind::Number => "a number",
        JsonKind::String => "text",
        JsonKind::Array => "an array",
        JsonKind::Object => "an object",
    };
    format!("{what}, not an object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(events: &[&str]) -> Evidence {
        let mut evidence = Evidence::new();
        for (revision, event) in events.iter().enumerate() {
            evidence.observe("OrderPlaced", Some(1), &format!("{revision}@order-1"), event.as_bytes());
        }
        evidence
    }

    fn objects(evidence: &Evidence) -> &Objects {
        evidence.types["OrderPlaced"].versions[&1].objects.as_ref().unwrap()
    }

    #[test]
    fn absent_fields_are_counted_before_and_after_the_first_value() {
        let evidence = observed(&[r#"{"a":1}"#, r#"{"a":1,"b":2}"#, r#"{"b":3}"#, r#"{}"#]);
        let keys = &objects(&evidence).keys;
        assert_eq!(keys["a"].absent.references(), ["2@order-1", "3@order-1"]);
        assert_eq!(keys["b"].absent.references(), ["0@order-1", "3@order-1"]);
        assert_eq!((keys["b"].absent.count, keys["b"].node.values), (2, 2));
    }

    #[test]
    fn what_is_no_object_is_counted_apart() {
        let evidence = observed(&["[1]", "\"alive\"", "", "{", "{\"a\":1}", "[2]"]);
        let kept = &evidence.types["OrderPlaced"];
        let no_records: u64 = kept.no_records.values().map(|seen| seen.count).sum();
        assert_eq!((kept.objects(), no_records), (1, 5));
        assert_eq!(kept.no_records["an array, not an object"].references(), ["0@order-1", "5@order-1"]);
        assert_eq!(kept.no_records["empty"].count, 1);
        assert_eq!(kept.no_records["not JSON: expected a key"].count, 1);
    }

    #[test]
    fn reasons_hold_no_values() {
        let evidence = observed(&[r#"{"SECRET":1,"SECRET":2}"#, r#"{"a":SECRET}"#, r#"{"a":"\uD83D"} "#]);
        let reasons: Vec<_> = evidence.types["OrderPlaced"].no_records.keys().map(String::as_str).collect();
        let expected = [
            "not JSON: a lone surrogate escape",
            "not JSON: expected a value",
            "not JSON: the key \"…\" occurs twice in the object",
        ];
        assert_eq!(reasons, expected);
    }

    #[test]
    fn an_event_counts_once_for_a_kind_however_many_values_it_has() {
        let evidence = observed(&[r#"{"a":[1,2,"x"]}"#, r#"{"a":[3]}"#]);
        let items = objects(&evidence).keys["a"].node.arrays.items.as_ref().unwrap();
        assert_eq!(items.occurrence(Kind::Number).values, 3);
        assert_eq!(items.occurrence(Kind::Number).events.count, 2);
        assert_eq!(items.occurrence(Kind::Text).events.references(), ["0@order-1"]);
    }

    #[test]
    fn two_spellings_in_one_object_are_noticed() {
        let evidence = observed(&[r#"{"orderId":1}"#, r#"{"OrderId":1}"#]);
        assert!(objects(&evidence).together.is_empty());
        let evidence = observed(&[r#"{"orderId":1}"#, r#"{"OrderId":1,"orderId":2}"#]);
        assert!(objects(&evidence).together.contains("orderid"));
    }

    #[test]
    fn keys_and_paths_are_bounded() {
        let members: Vec<_> = (0..1_000).map(|n| format!("\"k{n}\":{{\"x\":{n}}}")).collect();
        let event = format!("{{\"m\":{{{}}}}}", members.join(","));
        let evidence = observed(&[&event]);
        let map = objects(&evidence).keys["m"].node.objects.as_ref().unwrap();
        assert_eq!(map.keys.len(), MAX_KEYS);
        assert_eq!(map.others.as_ref().unwrap().values, 1_000 - MAX_KEYS as u64);
        assert_eq!(map.values().values, 1_000);
    }

    #[test]
    fn merged_versions_count_as_if_they_were_one() {
        let all = [r#"{"a":1}"#, r#"{"a":"x","b":{"c":[1.50]}}"#, r#"{"b":{"c":[]}}"#, r#"{"a":null}"#];
        let mut merged = observed(&all[..2]).types["OrderPlaced"].versions[&1].clone();
        let mut second = Evidence::new();
        for (revision, event) in (2..).zip(&all[2..]) {
            second.observe("OrderPlaced", Some(1), &format!("{revision}@order-1"), event.as_bytes());
        }
        merged.merge(&second.types["OrderPlaced"].versions[&1]);
        let together = observed(&all);
        let expected = objects(&together);
        let merged = merged.objects.unwrap();
        for name in ["a", "b"] {
            assert_eq!(merged.keys[name].absent, expected.keys[name].absent, "{name}");
            assert_eq!(merged.keys[name].node.values, expected.keys[name].node.values, "{name}");
        }
    }
}
