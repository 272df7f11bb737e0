//! Adds versions to the lock.

use std::collections::BTreeSet;

use crate::catalogue::Catalogue;
use crate::lock::Lock;
use crate::policy::Policy;
use crate::version::VersionId;

/// Versions that a topic carried before there was a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The topic.
    pub topic: String,
    /// The event type.
    pub event_type: String,
    /// The versions.
    pub versions: Vec<u32>,
}

/// Why nothing is released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Earlier versions are named after the first release.
    #[error(
        "topic {0} has released versions already: what it carries is known from the release of each version"
    )]
    NotTheFirst(String),
    /// A version that a topic is said to have carried has no file.
    #[error("{0} has no file")]
    NoFile(VersionId),
    /// A topic is said to have carried an event type that its contract does not allow.
    #[error("the policy does not allow {event_type} on topic {topic}: add it to [topics.\"{topic}\"]")]
    NotAllowed {
        /// The topic.
        topic: String,
        /// The event type.
        event_type: String,
    },
}

/// The lock with all versions of the catalogue. Each topic carries the latest version of the event types that the policy allows
/// there; `carried` are those that it has carried before its first release.
///
/// The schema of a version that the lock has already stays as it is there. Its rules become those of the catalogue: that they may
/// differ, a waiver says.
pub fn release(
    catalogue: &Catalogue,
    policy: &Policy,
    lock: &Lock,
    carried: &[Carried],
) -> Result<Lock, ReleaseError> {
    let mut new = lock.clone();
    for version in catalogue.events.values().flat_map(|event| &event.versions) {
        let released = new.versions.entry(version.id.clone()).or_insert(version.fingerprints);
        released.rules = version.fingerprints.rules;
    }
    for Carried { topic, event_type, versions } in carried {
        if !lock.carried(topic, event_type).is_empty() {
            return Err(ReleaseError::NotTheFirst(topic.clone()));
        }
        if !policy.topics_of(event_type).any(|(name, _)| name == topic) {
            return Err(ReleaseError::NotAllowed { topic: topic.clone(), event_type: event_type.clone() });
        }
        let context = catalogue.events.get(event_type).map(|event| event.context.clone()).unwrap_or_default();
        for version in versions {
            let id =
                VersionId { context: context.clone(), event_type: event_type.clone(), version: *version };
            if catalogue.version(&id).is_none() {
                return Err(ReleaseError::NoFile(id));
            }
            add(&mut new, topic, id);
        }
    }
    for event in catalogue.events.values() {
        for (topic, _) in policy.topics_of(&event.event_type) {
            event.latest().into_iter().for_each(|latest| add(&mut new, topic, latest.id.clone()));
        }
    }
    Ok(new)
}

fn add(lock: &mut Lock, topic: &str, id: VersionId) {
    let versions: &mut BTreeSet<_> = lock.carried.entry(topic.to_owned()).or_default();
    versions.insert(id);
}
