//! What an event is by the configuration of its route: the checker's own reading of the same keys.

mod glob;
mod metadata;
mod pointer;
mod scalar;
mod time;
mod trace_context;
mod types;

pub(crate) use metadata::Metadata;
pub use metadata::MetadataMapping;
pub(crate) use pointer::Documents;
pub use pointer::Pointer;
pub use time::{TimePointer, TimeUnit};
pub use trace_context::TracePointer;
pub use types::TypeMap;
