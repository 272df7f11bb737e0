//! Which events are a lane's.

use std::collections::{BTreeMap, BTreeSet};

use aqueduct_core::mapping::{Selection, Selector};
use aqueduct_core::{Position, RecordedEvent};

/// Which events of the store a route selects, where some of its event types count only from a position on.
#[derive(Debug)]
pub(crate) struct RouteSelector {
    /// An event that one of them selects is the route's, if it comes after the position.
    parts: Vec<(Option<Position>, Selector)>,
}

impl RouteSelector {
    /// `since` are configured event types that were added to the route when it was at these positions.
    pub(crate) fn new(selection: &Selection, since: &BTreeMap<String, Position>) -> Self {
        let added: BTreeSet<_> = since.keys().cloned().collect();
        let with = |event_types: BTreeSet<String>| Selection { event_types, ..selection.clone() };
        let base: BTreeSet<_> = selection.event_types.difference(&added).cloned().collect();
        let is_given = added.is_empty() || !base.is_empty();
        let base = is_given.then(|| (None, with(base)));
        let later = since.iter().map(|(added, position)| (Some(*position), with([added.clone()].into())));
        // The selection as a whole was checked; a part of which the exclusions leave nothing selects nothing.
        let compiled = |(since, part): (_, Selection)| Some((since, part.compile().ok()?));
        Self { parts: base.into_iter().chain(later).filter_map(compiled).collect() }
    }

    /// Whether the event is the route's. Links never are.
    pub(crate) fn selects(&self, event: &RecordedEvent) -> bool {
        let is_selected = |(since, selector): &(Option<Position>, Selector)| {
            since.is_none_or(|since| event.position > since)
                && selector.selects(event.stream.as_str(), &event.event_type)
        };
        self.parts.iter().any(is_selected)
    }
}

#[cfg(test)]
mod tests {
    use aqueduct_core::ContentType;
    use serde_json::json;

    use super::*;

    fn event(position: u64, event_type: &str) -> RecordedEvent {
        RecordedEvent {
            stream: "order-1".into(),
            revision: 0,
            position: Position::at(position),
            id: Default::default(),
            event_type: event_type.to_owned(),
            content_type: ContentType::Json,
            data: Default::default(),
            metadata: Default::default(),
            created: Default::default(),
        }
    }

    fn selector(selection: serde_json::Value, since: &[(&str, u64)]) -> RouteSelector {
        let since = since.iter().map(|(added, at)| ((*added).to_owned(), Position::at(*at))).collect();
        RouteSelector::new(&serde_json::from_value(selection).unwrap(), &since)
    }

    #[test]
    fn a_type_that_was_added_counts_from_then_on() {
        let selector = selector(json!({"event_types": ["A", "B*", "C"]}), &[("B*", 10), ("C", 20)]);
        let selected = |position, event_type| selector.selects(&event(position, event_type));
        assert!(selected(1, "A") && selected(30, "A"));
        assert!(!selected(10, "B1") && selected(11, "B1"));
        assert!(!selected(20, "C") && selected(21, "C"));
        assert!(!selected(30, "D"));
    }

    #[test]
    fn an_added_type_that_an_older_glob_matches_counts_from_the_beginning() {
        let selector = selector(json!({"event_types": ["Order*", "OrderPaid"]}), &[("OrderPaid", 10)]);
        assert!(selector.selects(&event(1, "OrderPaid")));
    }

    #[test]
    fn a_route_of_added_types_only_is_not_one_of_all_types() {
        let selector = selector(json!({"categories": ["order"], "event_types": ["A"]}), &[("A", 10)]);
        assert!(!selector.selects(&event(5, "A")) && !selector.selects(&event(20, "B")));
        assert!(selector.selects(&event(20, "A")));
    }

    #[test]
    fn links_are_never_selected() {
        assert!(!selector(json!({"categories": ["order"]}), &[]).selects(&event(1, "$>")));
    }
}
