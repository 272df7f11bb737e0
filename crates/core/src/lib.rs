//! The domain side of Aqueduct.
//!
//! An aggregate decides ([`Aggregate::handle`]) and changes its state ([`Aggregate::apply`]); both are pure. A
//! [`Repository`] loads it from its stream, appends the events it decided on with the expected revision, and
//! decides again when another writer was first. The repository does I/O through two ports only:
//! [`EventStore`] (implemented by `aqueduct-eventstore`, and in memory by [`MemoryStore`]) and [`Codec`]
//! (implemented by `aqueduct-schema`). Nothing in this crate does I/O.
//!
//! ```
//! use aqueduct_core::{Aggregate, CommandId, CommandRequest, MemoryStore, PlainCodec, Repository, domain_event};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! pub struct Deposited { pub amount: i64 }
//!
//! domain_event! { pub enum AccountEvent { Deposited } }
//!
//! #[derive(Debug, Default)]
//! struct Account { balance: i64 }
//!
//! struct Deposit(i64);
//!
//! #[derive(Debug, PartialEq, thiserror::Error)]
//! #[error("an amount must be positive, {0} is not")]
//! struct NotPositive(i64);
//!
//! impl Aggregate for Account {
//!     const TYPE: &'static str = "account";
//!     type Command = Deposit;
//!     type Event = AccountEvent;
//!     type Error = NotPositive;
//!
//!     fn handle(&self, Deposit(amount): &Deposit) -> Result<Vec<AccountEvent>, NotPositive> {
//!         if *amount > 0 { Ok(vec![Deposited { amount: *amount }.into()]) } else { Err(NotPositive(*amount)) }
//!     }
//!
//!     fn apply(&mut self, AccountEvent::Deposited(event): &AccountEvent) {
//!         self.balance += event.amount;
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let accounts = Repository::<Account, _, _>::new(MemoryStore::default(), PlainCodec);
//! let request = CommandRequest::new(CommandId::random(), Deposit(5));
//! let first = accounts.execute("7", &request).await.unwrap();
//! let again = accounts.execute("7", &request).await.unwrap();
//! assert_eq!(first.events, again.events); // the same command: its first result, and nothing appended
//! assert!(again.duplicate);
//! # });
//! ```

mod aggregate;
mod bus;
mod codec;
mod command;
mod envelope;
mod error;
mod ids;
pub mod mapping;
mod memory;
mod position;
mod repository;
mod store;
mod stored_event;
pub mod testing;
mod trace_parent;

pub use aggregate::{Aggregate, DomainEvent};
pub use bus::{EventBus, HandlerFailure};
pub use codec::{Codec, CodecError, CodecProblem, PlainCodec};
pub use command::{CommandRequest, CommandResult, ExecuteError};
pub use envelope::{ContentType, Metadata, MetadataError, NewEvent, RecordedEvent};
pub use error::{ErrorKind, with_causes};
pub use ids::{CommandId, Revision, StreamName};
pub use memory::MemoryStore;
pub use position::Position;
pub use repository::{Repository, RepositoryOptions};
pub use stored_event::{UnreadableEvent, UnreadableReason};
pub use trace_parent::{SpanLinks, TraceParent};
#[doc(hidden)]
pub mod __private {
    // Users of `domain_event!` need no dependency of their own for what it expands to.
    pub use {serde, serde_json};
}

pub use store::{AllItem, AppendError, Appended, EventStore, ExpectedRevision, StoreError, StreamDeleted};
