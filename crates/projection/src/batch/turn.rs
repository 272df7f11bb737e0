//! The order in which batches are committed.

use tokio::sync::oneshot;

/// A batch's place in the order of commits. Batches are read at the same time and committed one after the other.
#[derive(Debug)]
pub(crate) struct Turn {
    previous: Option<oneshot::Receiver<()>>,
    ended: oneshot::Sender<()>,
}

/// The batch before this one failed, so this one must not be committed: its offsets are behind records that were not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PreviousFailed;

/// Gives batches their turns.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    last: Option<oneshot::Receiver<()>>,
}

impl Turns {
    /// The turn after those given before.
    pub(crate) fn next(&mut self) -> Turn {
        let (ended, last) = oneshot::channel();
        Turn { previous: self.last.replace(last), ended }
    }
}

impl Turn {
    /// Waits until the batch before this one has ended.
    pub(crate) async fn begin(&mut self) -> Result<(), PreviousFailed> {
        match self.previous.take() {
            Some(previous) => previous.await.map_err(|_| PreviousFailed),
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
        let mut turns = Turns::default();
        let (mut first, mut second) = (turns.next(), turns.next());
        assert_eq!(first.begin().now_or_never(), Some(Ok(())));
        {
            let mut waiting = std::pin::pin!(second.begin());
            assert_eq!(waiting.as_mut().now_or_never(), None);
            first.end();
            assert_eq!(waiting.now_or_never(), Some(Ok(())));
        }
        second.end();
        assert_eq!(turns.next().begin().now_or_never(), Some(Ok(())));
    }

    #[test]
    fn no_turn_begins_after_one_that_failed() {
        let mut turns = Turns::default();
        let (first, mut second, mut third) = (turns.next(), turns.next(), turns.next());
        drop(first);
        assert_eq!(second.begin().now_or_never(), Some(Err(PreviousFailed)));
        drop(second);
        assert_eq!(third.begin().now_or_never(), Some(Err(PreviousFailed)));
    }
}
