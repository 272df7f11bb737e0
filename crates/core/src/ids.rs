//! Names and numbers that identify streams, events and commands.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Place of an event within its stream, from 0 without gaps (unless the stream was truncated).
pub type Revision = u64;

/// Name of a stream, `<aggregate type>-<aggregate id>` for streams of aggregates: `order-536365`.
/// Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// The stream of an aggregate.
    pub fn of(aggregate_type: &str, aggregate_id: &str) -> Self {
        Self(format!("{aggregate_type}-{aggregate_id}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `-`, or the whole name if there is none. EventStoreDB's own `$by_category`
    /// projection splits at the first dash too.
    pub fn category(&self) -> &str {
        self.0.split_once('-').map_or(&*self.0, |(category, _)| category)
    }

    /// The part after the first `-`, if there is one.
    pub fn id(&self) -> Option<&str> {
        self.0.split_once('-').map(|(_, id)| id)
    }

    /// Whether it is one of the server's own streams (`$settings`, `$$order-1`, …).
    pub fn is_system(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl From<&str> for StreamName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for StreamName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Id of a command, chosen by the caller. A command that is sent again with the same id is a duplicate, not a new
/// command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(Uuid);

impl CommandId {
    /// A random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Always the same id for the same parts. A reactor derives the id of a command from the event it reacts to.
    /// The parts are kept apart: `["a", "b"]` and `["ab"]` differ.
    pub fn derived(parts: &[&str]) -> Self {
        // Namespace of Aqueduct's derived ids. It determines stored ids and must never change.
        const NAMESPACE: Uuid = Uuid::from_u128(0x8c0c_9f2a_5f0e_4d0b_9c56_51b3_aa0e_1d71);
        let mut name = Vec::new();
        for part in parts {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Self(Uuid::new_v5(&NAMESPACE, &name))
    }

    /// Id of the n-th event (from 0) that this command appends, so that the store recognises a duplicate append.
    pub fn event_id(self, n: usize) -> Uuid {
        Uuid::new_v5(&self.0, &(n as u64).to_be_bytes())
    }

    /// The id as a UUID.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for CommandId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_splits_at_its_first_dash() {
        let stream = StreamName::of("order", "2010-12-01");
        assert_eq!((stream.category(), stream.id()), ("order", Some("2010-12-01")));
        assert_eq!((StreamName::from("plain").category(), StreamName::from("plain").id()), ("plain", None));
    }

    #[test]
    fn derived_ids_keep_their_parts_apart() {
        assert_eq!(CommandId::derived(&["a", "b"]), CommandId::derived(&["a", "b"]));
        assert_ne!(CommandId::derived(&["a", "b"]), CommandId::derived(&["ab"]));
        assert_ne!(CommandId::derived(&["a", "bc"]), CommandId::derived(&["ab", "c"]));
    }
}
