//! How the events of a route are read.

use std::collections::BTreeSet;

use aqueduct_core::mapping::{EventMapping, MetadataMapping, Selection, Selector, rule_text};
use aqueduct_core::{ContentType, RecordedEvent};
use sha2::{Digest as _, Sha256};

use crate::options::Options;
use crate::options_error::OptionsError;
use crate::route::Route;

/// How the events of a route are read, prepared for work.
#[derive(Debug)]
pub(crate) struct RouteMapping {
    selection: Selection,
    metadata: MetadataMapping,
    pub(crate) events: EventMapping,
    /// Types that are JSON whatever their content type says.
    json_types: Option<Selector>,
}

impl RouteMapping {
    pub(crate) fn new(options: &Options, route: &Route) -> Result<Self, OptionsError> {
        let json_types = route.json_selector().map_err(|error| {
            OptionsError::new(format!("route \"{}\".json_types", route.name), error.problem)
        })?;
        Ok(Self {
            selection: route.selection(),
            metadata: options.events_of(route).metadata,
            events: options.mapping(route)?,
            json_types,
        })
    }

    /// Whether the event's data is JSON, as far as its writer or the route declares it.
    pub(crate) fn declares_json(&self, event: &RecordedEvent) -> bool {
        match event.content_type {
            ContentType::Json => true,
            ContentType::Binary => {
                let types = self.json_types.as_ref();
                types.is_some_and(|types| types.selects(event.stream.as_str(), &event.event_type))
            }
        }
    }

    /// Fingerprint of what decides which events are records, and what they are called. A change of it would leave the
    /// topic with records made by two rules: it is another route with another topic. `seen` are the stored types of
    /// which records were made, `added` the configured event types that were added since the route began.
    pub(crate) fn fingerprint<'a>(
        &self,
        added: &BTreeSet<String>,
        seen: impl IntoIterator<Item = &'a str>,
    ) -> String {
        let rule = rule_text(&self.selection, added, self.events.types(), &self.metadata, seen);
        let digest = Sha256::digest(rule.as_bytes());
        digest.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}
