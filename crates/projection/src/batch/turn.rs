//! The order in which batches of the same partitions are committed.

use tokio::sync::oneshot;

/// A batch's place in the order of commits. A batch may be read while the one before it is written; its own effects wait.
#[derive(Debug)]
pub(crate) struct Turn {
    previous: Option<Ended>,
    ended: oneshot::Sender<()>,
}

/// Shows that a turn has ended.
#[derive(Debug)]
pub(crate) struct Ended(oneshot::Receiver<()>);

/// The batch before this one failed, so this one must not be committed: its offsets are behind records that were not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PreviousFailed;

impl Turn {
    /// A turn that begins when the previous one has ended, and what shows its own end.
    pub(crate) fn after(previous: Option<Ended>) -> (Self, Ended) {
        let (ended, receiver) = oneshot::channel();
        (Self { previous, ended }, Ended(receiver))
    }

    /// Waits until the batch before this one has ended.
    pub(crate) async fn begin(&mut self) -> Result<(), PreviousFailed> {
        match self.previous.take() {
            Some(Ended(previous)) => previous.await.map_err(|_| PreviousFailed),
            None => Ok(()),
        }
    }

    /// Lets the next batch begin. A turn that is dropped instead lets no later batch begin.
    pub(crate) fn end(self) {
        // There may be no next batch.
        let _ = self.ended.send(());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_turn_begins_when_the_one_before_has_ended() {
        let (mut first, ended) = Turn::after(None);
        let (mut second, _ended) = Turn::after(Some(ended));
        assert_eq!(first.begin().now_or_never(), Some(Ok(())));
        let mut waiting = std::pin::pin!(second.begin());
        assert_eq!(waiting.as_mut().now_or_never(), None);
        first.end();
        assert_eq!(waiting.now_or_never(), Some(Ok(())));
    }

    #[test]
    fn no_turn_begins_after_one_that_failed() {
        let (first, ended) = Turn::after(None);
        let (mut second, ended) = Turn::after(Some(ended));
        let (mut third, _ended) = Turn::after(Some(ended));
        drop(first);
        assert_eq!(second.begin().now_or_never(), Some(Err(PreviousFailed)));
        drop(second);
        assert_eq!(third.begin().now_or_never(), Some(Err(PreviousFailed)));
    }
}
