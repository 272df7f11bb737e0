//! Events that others wrote: where their metadata is, what their types are called, which of them a route
//! selects.
//!
//! Configuration types ([`MetadataMapping`], [`TypeMap`], [`Selection`]) deserialize from `aqueduct.toml` and
//! are checked when they are compiled. What they compile to runs once per event and does no I/O:
//!
//! - [`MetadataReader`] finds schema version, time, ids and trace context in an event's metadata or data,
//! - [`TypeNames`] turns the stored type name into the event's name and version,
//! - [`Selector`] decides whether an event belongs to a route,
//! - [`EventMapping`] is the first two together, as the repository and the relay read an event.
//!
//! ```
//! use aqueduct_core::mapping::{EventMapping, MetadataMapping, TypeMap};
//!
//! let metadata: MetadataMapping =
//!     serde_json::from_str(r#"{ "time": [{ "pointer": "data:/openedAt", "unit": "milliseconds" }] }"#)?;
//! let types: TypeMap = serde_json::from_str(r#"{ "{event}.v{version}": "{event}" }"#)?;
//! let mapping = EventMapping::new(&metadata, &types)?;
//!
//! let event = mapping.read("ticket.opened.v1", b"{}", br#"{"openedAt":1677657678113}"#)?;
//! assert_eq!((&*event.event_type, event.version), ("TicketOpened", Some(1)));
//! assert_eq!(event.metadata.time.unwrap().to_string(), "2023-03-01T08:01:18.113Z");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod configuration;
mod event;
mod extract;
mod glob;
mod left_out;
mod metadata;
mod pointer;
mod reader;
mod rule;
mod selection;
mod target;
mod time;
mod trace_context;
mod types;
mod value;

pub use configuration::ConfigurationError;
pub use event::{EventMapping, EventMappingError, MappedEvent};
pub use left_out::{LeftOut, MetadataCounts, NoMetadata};
pub use metadata::MetadataMapping;
pub use pointer::{EventPointer, Part, PointerError};
pub use reader::{EventMetadata, MetadataField, MetadataFieldError, MetadataReader};
pub use rule::rule_text;
pub use selection::{Exclusions, Selection, Selector};
pub use time::{TimePointer, TimeUnit};
pub use trace_context::TracePointer;
pub use types::{MappedType, TypeCache, TypeError, TypeMap, TypeNames};
