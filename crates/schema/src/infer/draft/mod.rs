//! Drafts: the types that were decided, as schema files.

mod avsc;
mod files;
mod types;
mod write;

pub(super) use avsc::{namespace_of, schema_text};
pub(super) use files::compare;
pub use files::{Change, DraftFile, FileState};
pub(super) use types::{DraftField, DraftRecord, DraftType, Slot, Unit};
pub use write::write_new;
