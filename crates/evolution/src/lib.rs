//! How the schemas of events may change: what a team agreed on, what it has released, and what a change would break.
//!
//! - A [`Policy`] (`schemas/policy.toml`) says which event types a topic carries, under which compatibility level, and who owns it.
//! - A [`Lock`] (`schemas/released.lock`) has every released version, and which versions each topic has carried. A version in it is
//!   frozen.
//! - [`check`](check()) compares a [`Catalogue`] of schema files with both, and returns [`Finding`]s: who breaks, and what to do.
//! - [`release`](release()) adds the versions that the lock does not have.
//! - [`prove`](prove()) brings generated events of every version to the latest one, and compares with [`Golden`] events.
//! - A [`Replay`] reads stored events by the schemas, and a [`Tally`] says which cannot be read.
//! - [`changes`](changes()) says what two versions of a schema differ in.
//!
//! Everything here is offline: it needs files and events, and no server.

mod catalogue;
mod changes;
mod check;
mod draft;
mod finding;
mod fingerprint;
mod generate;
mod golden;
mod history;
mod lock;
mod policy;
mod prove;
mod release;
mod version;

pub use catalogue::{Catalogue, CatalogueError, Event, EventVersion};
pub use changes::{Change, ChangeKind, changes};
pub use check::{Input, check};
pub use draft::successor;
pub use finding::{Affected, Finding, FindingName};
pub use fingerprint::Fingerprint;
pub use golden::{Golden, GoldenError};
pub use history::{Failures, Replay, Tally};
pub use lock::{Lock, LockError, Released};
pub use policy::{Policy, PolicyError, Topic, Waiver};
pub use prove::{Proof, ProofFailure, prove};
pub use release::{Carried, ReleaseError, release};
pub use version::VersionId;
