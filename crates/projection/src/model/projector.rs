//! Read models that are neither a fold of one stream nor sums: code that runs in the transaction of its batch.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;

use aqueduct_core::DomainEvent;
use async_trait::async_trait;
use futures::FutureExt as _;
use serde_json::Value;
use sqlx::PgConnection;

use crate::model::error::{ApplyError, ProjectError};
use crate::model::handler::{Handler, Probe, Treatment, guarded, panicked};
use crate::model::key::Key;
use crate::model::table_change::{NoChange, TableChange};
use crate::postgres::error::has_code;
use crate::record::Record;
use crate::record::decode::{DecodeError, Payload};
use crate::record::envelope::Envelope;

/// Code that applies events to any tables, in the transaction that also stores the inbox and the offsets: for what is neither
/// a fold of one stream ([`View`](crate::View)) nor a sum ([`Deltas`](crate::Deltas)), which are faster.
///
/// *Delivery:* what it does to the database happens once for each event. It may be called more than once, in a transaction that
/// is rolled back: it must not do anything else.
/// *Order:* the events of a stream in order. Those of other partitions come at the same time, in other transactions: rows that
/// they change too must be protected by [`locks`](Self::locks), or be changed by statements that may run concurrently, such as
/// `x = x + 1`.
/// *Errors:* see [`ProjectError`]. A panic parks the event.
///
/// ```
/// use aqueduct_core::domain_event;
/// use aqueduct_projection::{Envelope, Key, ProjectError, Projector};
/// use serde::{Deserialize, Serialize};
/// use sqlx::PgConnection;
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// pub struct Scored { player: String, points: i32 }
/// domain_event! { pub enum GameEvent { Scored } }
///
/// /// The best result of each player, and who had it before.
/// struct Records;
///
/// impl Projector for Records {
///     const NAME: &'static str = "records";
///     const TOPICS: &'static [&'static str] = &["games"];
///     type Event = GameEvent;
///
///     fn locks(GameEvent::Scored(it): &GameEvent, _: &Envelope) -> Vec<Key> {
///         vec![[it.player.as_str()].into()]
///     }
///
///     async fn project(
///         GameEvent::Scored(it): &GameEvent,
///         _: &Envelope,
///         connection: &mut PgConnection,
///     ) -> Result<(), ProjectError> {
///         let best: Option<i32> = sqlx::query_scalar("select points from records where player = $1")
///             .bind(&it.player)
///             .fetch_optional(&mut *connection)
///             .await?;
///         if best.is_none_or(|best| best < it.points) {
///             sqlx::query(
///                 "insert into records (player, points, previous) values ($1, $2, $3)
///                  on conflict (player) do update set points = excluded.points, previous = excluded.previous",
///             )
///             .bind(&it.player)
///             .bind(it.points)
///             .bind(best)
///             .execute(connection)
///             .await?;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Projector: Send + Sync + 'static {
    /// Name of the projection, see [`View::NAME`](crate::View::NAME).
    const NAME: &'static str;
    /// Topics to read, at least one.
    const TOPICS: &'static [&'static str];
    /// Event types on the topics that are ignored.
    const IGNORED_TYPES: &'static [&'static str] = &[];
    /// The events it handles, see [`aqueduct_core::domain_event!`].
    type Event: DomainEvent;

    /// What the event reads and changes that events of other streams change too, whether the rows exist or not. No two
    /// transactions of the projection hold the same key. A batch takes the keys of all its events before the first one is
    /// applied, in one order, so that batches wait for each other and do not deadlock. Keys share 1,024 locks: the transaction
    /// of a large batch needs no more of Postgres' `max_locks_per_transaction`, and keys that share one wait for each other.
    fn locks(_event: &Self::Event, _envelope: &Envelope) -> Vec<Key> {
        Vec::new()
    }

    /// Applies an event. Each error of the connection must be returned, unless the statement ran in a savepoint
    /// (`connection.begin()`): Postgres has aborted the transaction. The event is parked otherwise. The transaction must not be
    /// ended, which halts the projection.
    fn project(
        event: &Self::Event,
        envelope: &Envelope,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<(), ProjectError>> + Send;
}

/// Takes the locks in the order of their numbers.
const LOCK: &str = "
    select count(pg_advisory_xact_lock(hashtext($1), number))
      from (select distinct hashtext(key) & 1023 as number from unnest($2::text[]) key order by number) keys";

/// SQLSTATE `in_failed_sql_transaction`.
const ABORTED: &str = "25P02";

async fn transaction_id(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("select pg_current_xact_id()::text").fetch_one(connection).await
}

/// Applies the events of a batch one after the other.
pub(crate) struct ProjectorHandler<P>(PhantomData<fn() -> P>);

impl<P: Projector> ProjectorHandler<P> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }

    /// Whether the transaction is still the one that the batch was begun in, and not aborted.
    async fn check_transaction(connection: &mut PgConnection, id: &str) -> Result<(), ApplyError> {
        match transaction_id(connection).await {
            Ok(current) if current == id => Ok(()),
            Ok(_) => Err(ApplyError::TransactionEnded),
            Err(error) if has_code(&error, ABORTED) => Err(ApplyError::Rejected(
                "it went on after a statement that had failed: return the error, or use a savepoint"
                    .to_owned(),
            )),
            Err(error) => Err(error.into()),
        }
    }

    async fn lock(
        connection: &mut PgConnection,
        events: &[(&P::Event, &Envelope)],
    ) -> Result<(), ApplyError> {
        let mut keys = Vec::new();
        for (event, envelope) in events {
            keys.extend(
                guarded(|| P::locks(event, envelope))?
                    .iter()
                    .map(|key| Value::from(key.values()).to_string()),
            );
        }
        if !keys.is_empty() {
            sqlx::query(LOCK).bind(P::NAME).bind(keys).execute(connection).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl<P: Projector> Handler for ProjectorHandler<P> {
    const REACTS: bool = false;
    const APPLIES_AFTER_STATEMENT: bool = true;
    type Event = P::Event;

    fn name(&self) -> &'static str {
        P::NAME
    }

    fn treats(&self, event_type: &str) -> Treatment {
        Treatment::of::<P::Event>(event_type, P::IGNORED_TYPES)
    }

    fn read(&self, _: &Record, event_type: &str, payload: &Payload<'_>) -> Result<P::Event, DecodeError> {
        payload.event(event_type)
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&P::Event, &Envelope)],
    ) -> Result<(), ApplyError> {
        let id = transaction_id(connection).await?;
        Self::lock(connection, events).await?;
        for (event, envelope) in events {
            let applied = AssertUnwindSafe(P::project(event, envelope, connection)).catch_unwind().await;
            applied.map_err(panicked)??;
        }
        Self::check_transaction(connection, &id).await
    }

    async fn change(
        &self,
        _connection: &mut PgConnection,
        _events: &[(&P::Event, &Envelope)],
    ) -> Result<TableChange, NoChange> {
        Ok(TableChange::none())
    }

    /// Which rows it would write is not known without an event.
    async fn probe(&self, _: &mut PgConnection) -> Result<Probe, ApplyError> {
        Ok(Probe::Impossible)
    }
}
