//! A subscription to `$all` that does not end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aqueduct_core::{AllItem, ErrorKind, Position, StoreError};
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use eventstore::{StreamPosition, SubscribeToAllOptions, Subscription, SubscriptionEvent};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::error::Operation;
use crate::pool::Lease;
use crate::store::Inner;
use crate::unending::{Guarded, Unwound};
use crate::{event, metrics};

/// Starts its task when it is polled first.
pub(crate) fn stream(
    store: Arc<Inner>,
    after: Option<Position>,
) -> BoxStream<'static, Result<AllItem, StoreError>> {
    stream::once(async move {
        let (items, mut received) = mpsc::channel(store.options.read_ahead);
        tokio::spawn(Task { store, items, progress: Progress::after(after) }.run());
        stream::poll_fn(move |cx| received.poll_recv(cx))
    })
    .flatten()
    .boxed()
}

struct Task {
    store: Arc<Inner>,
    items: mpsc::Sender<Result<AllItem, StoreError>>,
    progress: Progress,
}

/// How far the task is. Shared by its reading and its watching half, which run in turn, never in parallel.
struct Progress {
    /// The position of the last event that was handed on. Only events move it: a checkpoint of the server may
    /// be beyond events that were not delivered yet.
    position: Mutex<Option<Position>>,
    /// Messages of any kind.
    messages: AtomicU64,
    /// The server's turn; otherwise the consumer's.
    waiting_for_server: AtomicBool,
}

/// How one subscription ended.
enum End {
    /// To be begun again.
    Again(&'static str, Option<StoreError>),
    /// Waiting does not cure it.
    Final(StoreError),
    ConsumerGone,
}

impl Task {
    async fn run(self) {
        let connection = self.store.subscriptions.lease();
        let mut delays = delays();
        loop {
            let before = self.progress.messages();
            let end = tokio::select! {
                end = self.subscribe_once(&connection) => end,
                () = self.items.closed() => return,
            };
            match end {
                End::ConsumerGone => return,
                End::Final(error) => {
                    // The consumer may have gone meanwhile: nobody is left to be told.
                    let _ = self.items.send(Err(StoreError { kind: ErrorKind::Stop, ..error })).await;
                    return;
                }
                End::Again(reason, cause) => {
                    metrics::resubscription(reason);
                    let cause = cause.as_ref().map(tracing::field::display);
                    tracing::warn!(
                        reason,
                        cause,
                        after = self.progress.position().map(tracing::field::display),
                        "subscribing to $all again"
                    );
                }
            }
            if self.progress.messages() > before {
                delays = self::delays();
            }
            tokio::select! {
                () = tokio::time::sleep(delays.next().unwrap_or(LONGEST_DELAY)) => {}
                () = self.items.closed() => return,
            }
        }
    }

    async fn subscribe_once(&self, connection: &Lease<'_>) -> End {
        let operation = Operation { name: "subscribe", subject: "$all", url: &self.store.shown_url };
        let patience = self.store.options.operation_timeout();
        let connected = timeout(patience, connection.client(operation)).await;
        let borrowed = match connected.unwrap_or_else(|_| Err(operation.timed_out())) {
            Ok(borrowed) => borrowed,
            Err(error) => return End::of("connection", error),
        };
        if let Err(end) = self.check_end(connection, operation).await {
            return end;
        }
        let options = SubscribeToAllOptions::default().position(match self.progress.position() {
            Some(Position { commit, prepare }) => {
                StreamPosition::Position(eventstore::Position { commit, prepare })
            }
            None => StreamPosition::Start,
        });
        let subscription = borrowed.client.subscribe_to_all(&options).await;
        let before = self.progress.messages();
        let reading = Guarded::new(self.read(subscription, connection));
        let read = tokio::select! {
            read = reading => read,
            () = self.silence(before) => {
                connection.discard(&borrowed).await;
                return End::Again("silent", None);
            }
        };
        match read {
            Ok(Ok(())) => End::ConsumerGone,
            Ok(Err(error)) => {
                connection.failed(&borrowed, &error).await;
                End::of("error", operation.failed(error))
            }
            Err(Unwound::Ended) => End::Again("ended", None),
            Err(Unwound::Panicked) => End::Again("panic", None),
        }
    }

    /// A store that ends before what was read from it is not the store it was read from, or not any more. To
    /// go on would skip silently whatever it appends up to that position.
    async fn check_end(&self, connection: &Connection, operation: Operation<'_>) -> Result<(), End> {
        let Some(position) = self.progress.position() else { return Ok(()) };
        let end = match self.store.last_position().await {
            Ok(end) => end,
            Err(error) => return Err(End::of("connection", error)),
        };
        if end.is_some_and(|end| end >= position) {
            return Ok(());
        }
        let problem = format!(
            "the store ends at {end:?}, before position {position} that was read already: it was restored from \
             a backup, or the connection string leads to another store"
        );
        // A follower may lag behind the node that was read before.
        let kind = if connection.is_cluster() { ErrorKind::Retry } else { ErrorKind::Stop };
        Err(End::of("behind", operation.error(kind, problem)))
    }

    /// Hands on what comes. `Ok` when nobody wants it any more.
    async fn read(
        &self,
        mut subscription: Subscription,
        connection: &Lease<'_>,
    ) -> Result<(), eventstore::Error> {
        loop {
            self.progress.waiting_for_server.store(true, Ordering::Relaxed);
            let message = subscription.next_subscription_event().await?;
            self.progress.waiting_for_server.store(false, Ordering::Relaxed);
            self.progress.messages.fetch_add(1, Ordering::Relaxed);
            let item = match message {
                SubscriptionEvent::EventAppeared(resolved) => {
                    let Some(event) = event::from_client(resolved) else { continue };
                    if self.progress.position().is_some_and(|position| event.position <= position) {
                        continue;
                    }
                    AllItem::Event(event)
                }
                SubscriptionEvent::CaughtUp => AllItem::CaughtUp,
                SubscriptionEvent::Confirmed(_) => {
                    connection.socket_may_be_new();
                    continue;
                }
                _ => continue,
            };
            let position = match &item {
                AllItem::Event(event) => Some(event.position),
                AllItem::CaughtUp => None,
            };
            if self.items.send(Ok(item)).await.is_err() {
                return Ok(());
            }
            if let Some(position) = position {
                self.progress.handed_on(position);
            }
        }
    }

    /// Returns when the server is silent though it has something to tell: when it did not confirm the
    /// subscription in time, or when `$all` has had, for the time of a whole check, an event beyond ours.
    async fn silence(&self, at_begin: u64) {
        let check = self.store.options.silence_check();
        let begun = Instant::now();
        let mut seen_end = None;
        loop {
            let before = self.progress.messages();
            tokio::time::sleep(check).await;
            let now = self.progress.messages();
            if now != before || !self.progress.waiting_for_server.load(Ordering::Relaxed) {
                seen_end = None;
                continue;
            }
            if now == at_begin {
                if begun.elapsed() >= self.store.options.operation_timeout() {
                    return;
                }
                continue;
            }
            let position = self.progress.position();
            if seen_end > position {
                return;
            }
            // Where the end can't be read the store is gone, and the subscription ends by itself.
            seen_end = self.store.last_position().await.unwrap_or(None);
        }
    }
}

impl End {
    fn of(reason: &'static str, error: StoreError) -> Self {
        match error.kind {
            ErrorKind::Retry => Self::Again(reason, Some(error)),
            ErrorKind::Park | ErrorKind::Stop => Self::Final(error),
        }
    }
}

impl Progress {
    fn after(position: Option<Position>) -> Self {
        Self {
            position: Mutex::new(position),
            messages: AtomicU64::new(0),
            waiting_for_server: AtomicBool::new(false),
        }
    }

    fn position(&self) -> Option<Position> {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handed_on(&self, position: Position) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
    }

    fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}

const LONGEST_DELAY: Duration = Duration::from_secs(5);

fn delays() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(LONGEST_DELAY)
        .without_max_times()
        .with_jitter()
        .build()
}
