//! Aggregates and their events.

use serde::Deserializer;

/// A consistency boundary: one stream, one writer at a time. Both methods are pure: no I/O, no clock, no
/// randomness. A command carries such values as fields.
pub trait Aggregate: Default + Send + Sync + 'static {
    /// Name of the aggregate's type and category of its streams: `order` for `order-<id>`.
    const TYPE: &'static str;
    /// Its commands, usually an enum.
    type Command: Send + Sync;
    /// Its events.
    type Event: DomainEvent;
    /// Why it refuses a command.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Decides which events a command leads to. An empty list means that there is nothing to do. Such a result
    /// leaves no trace: the same command is decided again when it is sent again. Where the first result must be
    /// kept, return an event.
    fn handle(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Changes the state according to an event. Cannot fail, because the event is already stored.
    fn apply(&mut self, event: &Self::Event);
}

/// The events of one aggregate, as an enum. Implemented by [`domain_event!`](crate::domain_event).
pub trait DomainEvent: Send + Sync + Sized + 'static {
    /// The event types of the enum's variants.
    const EVENT_TYPES: &'static [&'static str];
    /// The event type as stored: `OrderCreated`.
    fn event_type(&self) -> &'static str;
    /// The data in the plain JSON mapping of the latest schema version.
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error>;
    /// Reads the data from the plain JSON mapping of the latest schema version, as text or in another format;
    /// `None` if the aggregate has no event of this type.
    fn read<'de, D: Deserializer<'de>>(event_type: &str, data: D) -> Option<Result<Self, D::Error>>;
    /// Reads the output of [`to_json`](Self::to_json), see [`read`](Self::read).
    fn from_json(event_type: &str, data: &[u8]) -> Option<Result<Self, serde_json::Error>> {
        let mut json = serde_json::Deserializer::from_slice(data);
        let event = Self::read(event_type, &mut json)?;
        Some(event.and_then(|event| json.end().map(|()| event)))
    }
}

/// Defines an enum of event structs, which must be in scope under the names of the variants, with `From` for each
/// of them and [`DomainEvent`]. The structs are usually generated from the schemas.
#[macro_export]
macro_rules! domain_event {
    ($(#[$attribute:meta])* $visibility:vis enum $name:ident { $($event:ident),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq)]
        $visibility enum $name { $(
            #[doc = concat!("See [`", stringify!($event), "`].")]
            $event($event),
        )+ }

        $(impl From<$event> for $name {
            fn from(event: $event) -> Self { Self::$event(event) }
        })+

        impl $crate::DomainEvent for $name {
            const EVENT_TYPES: &'static [&'static str] = &[$(stringify!($event)),+];
            fn event_type(&self) -> &'static str {
                match self { $(Self::$event(_) => stringify!($event),)+ }
            }
            fn to_json(&self) -> Result<Vec<u8>, $crate::__private::serde_json::Error> {
                match self { $(Self::$event(event) => $crate::__private::serde_json::to_vec(event),)+ }
            }
            fn read<'de, D: $crate::__private::serde::Deserializer<'de>>(
                event_type: &str,
                data: D,
            ) -> Option<Result<Self, D::Error>> {
                match event_type {
                    $(stringify!($event) => {
                        Some($crate::__private::serde::Deserialize::deserialize(data).map(Self::$event))
                    })+
                    _ => None,
                }
            }
        }
    };
}
