//! What a subscription has read ahead of its consumer.

use std::sync::Arc;
use std::task::{Context, Poll};

use aqueduct_core::{AllItem, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes that are read ahead, in units of [`UNIT`]: a number of events alone would be half a gigabyte of the largest ones.
const BYTES: usize = 16 << 20;
const UNIT: usize = 1 << 10;

type Item = Result<AllItem, StoreError>;

/// The sending half.
pub(crate) struct Sender {
    items: mpsc::Sender<(Item, Option<OwnedSemaphorePermit>)>,
    room: Arc<Semaphore>,
}

/// The receiving half.
pub(crate) struct Receiver(mpsc::Receiver<(Item, Option<OwnedSemaphorePermit>)>);

/// The consumer is gone.
pub(crate) struct Closed;

/// Holds up to `count` items, and up to [`BYTES`] or one item.
pub(crate) fn channel(count: usize) -> (Sender, Receiver) {
    let (items, received) = mpsc::channel(count);
    (Sender { items, room: Arc::new(Semaphore::new(BYTES / UNIT)) }, Receiver(received))
}

impl Sender {
    /// Sends an item, once there is room for it.
    pub(crate) async fn send(&self, item: Item) -> Result<(), Closed> {
        let units = units(&item);
        let room = if units == 0 {
            None
        } else {
            let room = Arc::clone(&self.room).acquire_many_owned(units);
            tokio::select! {
                room = room => room.ok(),
                () = self.items.closed() => return Err(Closed),
            }
        };
        self.items.send((item, room)).await.map_err(|_| Closed)
    }

    /// Waits until the consumer is gone.
    pub(crate) async fn closed(&self) {
        self.items.closed().await;
    }
}

impl Receiver {
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(cx).map(|received| received.map(|(item, _room)| item))
    }
}

/// The room that an item takes. Small events take none: their number is bounded.
fn units(item: &Item) -> u32 {
    let Ok(AllItem::Event(event)) = item else { return 0 };
    ((event.data.len() + event.metadata.len()).min(BYTES) / UNIT / SMALL * SMALL) as u32
}

/// Events below this many units take no room.
const SMALL: usize = 8;

#[cfg(test)]
mod tests {
    use aqueduct_core::{ContentType, Position, RecordedEvent};
    use futures::FutureExt as _;
    use futures::future::poll_fn;

    use super::*;

    fn event(bytes: usize) -> Item {
        Ok(AllItem::Event(RecordedEvent {
            stream: "s".into(),
            revision: 0,
            position: Position::at(0),
            id: Default::default(),
            event_type: "T".to_owned(),
            content_type: ContentType::Json,
            data: vec![0; bytes].into(),
            metadata: Default::default(),
            created: Default::default(),
        }))
    }

    #[tokio::test]
    async fn large_events_are_bounded_by_their_bytes_and_small_ones_by_their_number() {
        let (sender, mut receiver) = channel(100);
        for _ in 0..16 {
            assert!(sender.send(event(1 << 20)).now_or_never().is_some());
        }
        assert!(sender.send(event(1 << 20)).now_or_never().is_none(), "16 MiB wait");
        assert!(sender.send(event(100)).now_or_never().is_some());
        assert!(poll_fn(|cx| receiver.poll_recv(cx)).await.is_some());
        assert!(sender.send(event(1 << 20)).now_or_never().is_some());
        let (sender, mut receiver) = channel(2);
        assert!(sender.send(event(64 << 20)).now_or_never().is_some(), "one may be larger");
        assert!(sender.send(event(100)).now_or_never().is_some());
        assert!(sender.send(event(100)).now_or_never().is_none());
        assert!(poll_fn(|cx| receiver.poll_recv(cx)).await.is_some());
        drop(receiver);
        assert!(sender.send(event(1 << 20)).await.is_err());
    }
}
