//! Which parts of a process are ready.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What `/health/ready` answers: ready when every component is. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    // Each write is a single insert: a poisoned lock still guards a whole map.
    components: Arc<RwLock<BTreeMap<String, Option<String>>>>,
}

impl Health {
    /// Adds a component, which is not ready until it reports that it is.
    pub fn component(&self, name: impl Into<String>) -> Component {
        let component = Component { name: name.into(), health: self.clone() };
        component.show(Some("starting".to_owned()));
        component
    }

    /// The components that are not ready, with the reason.
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        let components = self.components.read().unwrap_or_else(PoisonError::into_inner);
        let reasons = components.iter().filter_map(|(name, reason)| Some((name.clone(), reason.clone()?)));
        reasons.collect()
    }
}

/// One part of a process.
#[derive(Debug, Clone)]
pub struct Component {
    name: String,
    health: Health,
}

impl Component {
    /// It does its work (`None`), or does not, for this reason.
    pub fn show(&self, reason: Option<String>) {
        let mut components = self.health.components.write().unwrap_or_else(PoisonError::into_inner);
        components.insert(self.name.clone(), reason);
    }
}
