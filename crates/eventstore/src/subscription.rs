//! A subscription to `$all` that survives its connections.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aqueduct_core::{AllItem, ErrorKind, Position, StoreError};
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use eventstore::{StreamPosition, SubscribeToAllOptions, Subscription, SubscriptionEvent};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::error::{Operation, is_consumer_too_slow};
use crate::event;
use crate::metrics;
use crate::pool::Lease;
use crate::read_ahead;
use crate::shared::Shared;
use crate::unending::{Guarded, Unwound};

/// Spawns its task at the first poll.
pub(crate) fn stream(
    store: Arc<Shared>,
    after: Option<Position>,
) -> BoxStream<'static, Result<AllItem, StoreError>> {
    stream::once(async move {
        let (items, mut received) = read_ahead::channel(store.options.read_ahead);
        tokio::spawn(Task { store, items, progress: Progress::after(after) }.run());
        stream::poll_fn(move |cx| received.poll_recv(cx))
    })
    .flatten()
    .boxed()
}

struct Task {
    store: Arc<Shared>,
    items: read_ahead::Sender,
    progress: Progress,
}

/// The progress of the task. Shared by its reading and its watching half, which run in turn, never in parallel.
struct Progress {
    /// The position of the last event that was delivered. Only events move it: a checkpoint of the server may
    /// be beyond events that were not delivered yet.
    position: Mutex<Option<Position>>,
    /// Messages of any kind.
    messages: AtomicU64,
    /// The server has confirmed a subscription before.
    confirmed: AtomicBool,
    /// The task waits for the server; otherwise for the consumer.
    waiting_for_server: AtomicBool,
}

/// How one subscription ended.
enum End {
    /// The server's flow control: subscribe again.
    ConsumerTooSlow,
    /// Any other end that a new subscription can cure, with its reason for the metrics.
    Broken(&'static str, Option<StoreError>),
    /// A retry will not help.
    Final(StoreError),
    /// The stream was dropped.
    ConsumerGone,
}

impl Task {
    async fn run(self) {
        let connection = self.store.subscriptions.lease();
        let mut delays = delays();
        loop {
            let before = (self.progress.messages(), self.progress.position());
            let end = tokio::select! {
                end = self.subscribe_once(&connection) => end,
                () = self.items.closed() => return,
            };
            match end {
                End::ConsumerGone => return,
                End::Final(error) => {
                    // The consumer may be gone by now.
                    let _ = self.items.send(Err(StoreError { kind: ErrorKind::Stop, ..error })).await;
                    return;
                }
                End::ConsumerTooSlow => {
                    metrics::resubscription("consumer_too_slow");
                    let after = self.progress.position().map(tracing::field::display);
                    tracing::debug!(
                        after,
                        "resubscribing to $all: the consumer was too slow for live events"
                    );
                    if self.progress.position() != before.1 {
                        continue;
                    }
                }
                End::Broken(reason, cause) => {
                    metrics::resubscription(reason);
                    let cause = cause.as_ref().map(tracing::field::display);
                    let after = self.progress.position().map(tracing::field::display);
                    tracing::warn!(reason, cause, after, "resubscribing to $all");
                }
            }
            if self.progress.messages() > before.0 {
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
        let connected = timeout(self.store.options.operation_timeout(), connection.client(operation)).await;
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
                return End::Broken("silent", None);
            }
        };
        match read {
            Ok(Ok(())) => End::ConsumerGone,
            Ok(Err(error)) if is_consumer_too_slow(&error) => End::ConsumerTooSlow,
            Ok(Err(error)) => {
                connection.failed(&borrowed, &error).await;
                End::of("error", operation.failed(error))
            }
            Err(Unwound::Ended) => End::Broken("ended", None),
            Err(Unwound::Panicked) => End::Broken("panic", None),
        }
    }

    /// A store that ends before the position that was read is another store, or an older state of this one. To
    /// continue would silently skip what it appends up to that position.
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
            "the store ends at {}, before position {position} that was already read: it was restored from a backup, \
             or the connection string points to another store",
            end.map_or("no event".to_owned(), |end| format!("position {end}")),
        );
        // A follower may lag behind the node that was read before.
        let kind = if connection.is_cluster() { ErrorKind::Retry } else { ErrorKind::Stop };
        Err(End::of("behind", operation.error(kind, problem)))
    }

    /// Delivers items until the consumer is gone.
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
                    if !self.progress.confirmed.swap(true, Ordering::Relaxed) {
                        continue;
                    }
                    AllItem::Resubscribed
                }
                _ => continue,
            };
            let position = match &item {
                AllItem::Event(event) => Some(event.position),
                AllItem::CaughtUp | AllItem::Resubscribed => None,
            };
            if self.items.send(Ok(item)).await.is_err() {
                return Ok(());
            }
            if let Some(position) = position {
                self.progress.delivered(position);
            }
        }
    }

    /// Returns when the server is silent although it has something to send: it did not confirm the subscription in
    /// time, or `$all` has had an event after ours for the time of a whole check.
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
            // If the end cannot be read the store is down, and the subscription will end.
            seen_end = self.store.last_position().await.unwrap_or(None);
        }
    }
}

impl End {
    fn of(reason: &'static str, error: StoreError) -> Self {
        match error.kind {
            ErrorKind::Retry => Self::Broken(reason, Some(error)),
            ErrorKind::Park | ErrorKind::Stop => Self::Final(error),
        }
    }
}

impl Progress {
    fn after(position: Option<Position>) -> Self {
        Self {
            position: Mutex::new(position),
            messages: AtomicU64::new(0),
            confirmed: AtomicBool::new(false),
            waiting_for_server: AtomicBool::new(false),
        }
    }

    fn position(&self) -> Option<Position> {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delivered(&self, position: Position) {
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
