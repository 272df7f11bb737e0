//! The task of a reader: subscribes, and hands out what comes.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::{AllItem, ErrorKind, Position, StoreError};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::metrics;
use crate::reader::reader_error::ReaderError;
use crate::reader::readers::{Next, ReaderKey, Start};
use crate::reader::shared::SharedReaders;

/// Pause before an unreachable store is asked for its end again.
const RETRY: Duration = Duration::from_millis(200);

/// Items that are handed out under one lock.
const CHUNK: usize = 128;

/// Starts the task of a reader, if one is to be started.
pub(crate) fn spawn(readers: &SharedReaders, reader: Option<ReaderKey>) {
    if let Some(reader) = reader {
        tokio::spawn(run(readers.clone(), reader));
    }
}

/// Reads until the reader has no lanes or fails. A failure, or a panic, is shown to each of its lanes.
async fn run(readers: SharedReaders, key: ReaderKey) {
    let Some(wake) = readers.lock().wake(key) else { return };
    let task = Task { readers: readers.clone(), key, wake };
    let ended = AssertUnwindSafe(task.read()).catch_unwind().await;
    if let Err(error) = ended.unwrap_or(Err(ReaderError::Panicked)) {
        readers.lock().fail(key, &error);
    }
}

struct Task {
    readers: SharedReaders,
    key: ReaderKey,
    wake: Arc<Notify>,
}

/// What the task does after some items.
enum Step {
    /// Reads further items; at the latest then, shows lanes how far it is.
    Read(Option<Instant>),
    /// Waits for a lane, until then.
    Wait(Instant),
    /// The store's end must be compared with what the lanes have received.
    CheckEnd,
    Restart,
}

impl Task {
    async fn read(&self) -> Result<(), ReaderError> {
        loop {
            let start = self.readers.lock().start(self.key, Instant::now());
            match start {
                Start::Ended => return Ok(()),
                Start::Gather(until) => self.woken(Some(until)).await,
                Start::Subscribe { after, subscription } => {
                    metrics::reader_subscribed();
                    self.check_end().await?;
                    self.read_subscription(after, subscription).await?;
                }
            }
        }
    }

    /// Hands out the events after a position, until the reader must subscribe again or end.
    async fn read_subscription(&self, after: Option<Position>, subscription: u64) -> Result<(), ReaderError> {
        let mut chunks = self.readers.store().subscribe_all(after).ready_chunks(CHUNK);
        let mut items = VecDeque::new();
        loop {
            match self.hand_out(subscription, &mut items)? {
                Step::Restart => return Ok(()),
                Step::CheckEnd => self.check_end().await?,
                Step::Wait(until) => self.woken(Some(until)).await,
                Step::Read(show_at) => tokio::select! {
                    chunk = chunks.next() => match chunk {
                        Some(chunk) => items.extend(chunk),
                        None => return Err(ReaderError::SubscriptionEnded),
                    },
                    () = self.woken(show_at) => {}
                },
            }
        }
    }

    /// Hands out what was read, as far as possible.
    fn hand_out(
        &self,
        subscription: u64,
        items: &mut VecDeque<Result<AllItem, StoreError>>,
    ) -> Result<Step, ReaderError> {
        let now = Instant::now();
        let mut readers = self.readers.lock();
        if !readers.is_current(self.key, subscription) {
            return Ok(Step::Restart);
        }
        let mut read = 0;
        let step = loop {
            let Some(item) = items.pop_front() else {
                break Step::Read(readers.show_place(self.key, now));
            };
            match item? {
                AllItem::Event(event) => match readers.dispatch(self.key, subscription, event, now)? {
                    Next::Read => read += 1,
                    Next::Restart => break Step::Restart,
                    Next::Wait(event, until) => {
                        items.push_front(Ok(AllItem::Event(event)));
                        break Step::Wait(until);
                    }
                },
                AllItem::CaughtUp => readers.caught_up(self.key, subscription),
                AllItem::Resubscribed => {
                    readers.resubscribed(self.key, subscription);
                    break Step::CheckEnd;
                }
            }
        };
        metrics::events_read(read);
        Ok(step)
    }

    /// Refuses a store that ends before what a lane has received: it was restored from a backup, or is another one. Events
    /// that it appends up to there would be taken for received.
    async fn check_end(&self) -> Result<(), ReaderError> {
        while let Some(received) = self.highest() {
            match self.readers.store().last_position().await {
                Ok(end) if end < Some(received) => {
                    return Err(ReaderError::StoreBehind { received, end });
                }
                Ok(_) => break,
                // The subscription, too, waits until the store is back.
                Err(error) if error.kind() == ErrorKind::Retry => {
                    tracing::debug!(%error, "waiting for the store");
                    self.woken(Some(Instant::now() + RETRY)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The highest position that a lane of the reader has received.
    fn highest(&self) -> Option<Position> {
        self.readers.lock().highest(self.key)
    }

    /// Waits until the reader is woken, at the latest until then.
    async fn woken(&self, until: Option<Instant>) {
        let timer = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.wake.notified() => {}
            () = timer => {}
        }
    }
}
