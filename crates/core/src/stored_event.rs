//! Reads stored events as the events of an aggregate.

use crate::aggregate::DomainEvent;
use crate::codec::{Codec, CodecError};
use crate::envelope::RecordedEvent;
use crate::error::ErrorKind;
use crate::ids::CommandId;
use crate::mapping::{EventMapping, EventMappingError};

/// A stored event cannot be read. An aggregate never skips an event: it is not loaded.
#[derive(Debug, thiserror::Error)]
#[error("event {reference} of type {event_type:?} cannot be read")]
pub struct UnreadableEvent {
    /// `7@order-42`.
    pub reference: String,
    /// Its type as stored.
    pub event_type: String,
    /// Why.
    #[source]
    pub reason: Box<UnreadableReason>,
}

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableReason {
    /// Its type, version or time cannot be mapped.
    #[error(transparent)]
    Mapping(#[from] EventMappingError),
    /// Its data does not fit the schema of its version.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The aggregate has no event of this name.
    #[error("aggregate type {aggregate_type} has no event {event}")]
    UnknownEvent {
        /// Name of the event, as mapped.
        event: String,
        /// The aggregate that was to be loaded.
        aggregate_type: &'static str,
    },
    /// Its data fits the schema, but not the Rust type.
    #[error("it does not fit its Rust type: generate the types from the schemas again")]
    Json(#[source] serde_json::Error),
}

impl UnreadableEvent {
    /// [`ErrorKind::Stop`] where the program is stale, otherwise [`ErrorKind::Park`]: the same event fails again.
    pub fn kind(&self) -> ErrorKind {
        match *self.reason {
            UnreadableReason::Json(_) => ErrorKind::Stop,
            UnreadableReason::Mapping(_)
            | UnreadableReason::Codec(_)
            | UnreadableReason::UnknownEvent { .. } => ErrorKind::Park,
        }
    }
}

/// An event of an aggregate and the command that appended it, where one of ours did.
pub(crate) struct StoredEvent<E> {
    pub(crate) event: E,
    pub(crate) command: Option<CommandId>,
}

/// How stored events are read.
pub(crate) struct EventReader<'a, C> {
    pub(crate) codec: &'a C,
    pub(crate) mapping: &'a EventMapping,
    /// The mapping was configured: the data may be anybody's.
    pub(crate) foreign: bool,
    pub(crate) aggregate_type: &'static str,
}

impl<C: Codec> EventReader<'_, C> {
    pub(crate) fn read<E: DomainEvent>(
        &self,
        stored: &RecordedEvent,
    ) -> Result<StoredEvent<E>, UnreadableEvent> {
        self.try_read(stored).map_err(|reason| UnreadableEvent {
            reference: stored.reference(),
            event_type: stored.event_type.clone(),
            reason: Box::new(reason),
        })
    }

    fn try_read<E: DomainEvent>(&self, stored: &RecordedEvent) -> Result<StoredEvent<E>, UnreadableReason> {
        let mapped = self.mapping.read(&stored.event_type, &stored.metadata, &stored.data)?;
        let (name, command) = (&*mapped.event_type, mapped.metadata.command_id);
        let latest = match (mapped.version, command) {
            // Appended by a repository, so it was checked before.
            (Some(version), Some(_)) if !self.foreign => self.codec.upcast(name, version, &stored.data)?,
            (version, _) => self.codec.read_foreign(name, version, &stored.data)?,
        };
        let unknown =
            || UnreadableReason::UnknownEvent { event: name.to_owned(), aggregate_type: self.aggregate_type };
        let event = E::from_json(name, &latest).ok_or_else(unknown)?.map_err(UnreadableReason::Json)?;
        Ok(StoredEvent { event, command })
    }
}
