//! The routes of a configuration, and how their events are read.

use serde::Deserialize;

use crate::mapping::{MetadataMapping, TypeMap};
use crate::selection::Selection;

/// How events that others wrote are read, for all routes: `[events]` of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Events {
    /// Where schema version, time, ids and trace context are.
    pub metadata: MetadataMapping,
    /// What stored types are called.
    pub types: TypeMap,
}

/// A route: which events its topic carries, and what of [`Events`] is different for them. The keys are those of
/// `[[relay.routes]]`; others are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Route {
    /// Which events are records.
    #[serde(flatten)]
    pub selection: Selection,
    /// Stored types, or globs of them, whose data is JSON whatever their content type says.
    pub json_types: Vec<String>,
    /// Tried before those of all routes.
    pub metadata: MetadataMapping,
    /// Lines that replace or extend those of all routes.
    pub types: TypeMap,
    /// The topic of its exceptions: of the events that it selects and that were parked, skipped or discarded.
    #[serde(skip)]
    pub exceptions: Option<String>,
    /// The topic of its checkpoints.
    #[serde(skip)]
    pub checkpoints: Option<String>,
}

impl From<Selection> for Route {
    fn from(selection: Selection) -> Self {
        Self { selection, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use aqueduct_core::StreamName;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_keys_are_those_of_the_configuration() {
        let route: Route = serde_json::from_value(json!({
            "name": "orders", "topic": "shop.orders", "categories": ["order"],
            "exclude": {"event_types": ["Draft*"]}, "metadata": {"schema_version": ["metadata:/v"]},
            "types": {"{event}.v{version}": "{event}"},
        }))
        .unwrap();
        let selects = |event_type| route.selection.selects(&StreamName::from("order-1"), event_type);
        assert!(selects("Placed") && !selects("DraftPlaced"));
        assert!(route.metadata.built_in && route.metadata.schema_version.len() == 1);
        assert_eq!(route.types.name("placed.v2"), Ok(("placed".to_owned(), Some(2))));
    }
}
