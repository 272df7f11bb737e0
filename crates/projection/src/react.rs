//! A reactor's part of a batch: its effects, before the transaction that remembers them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use aqueduct_core::ErrorKind;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tracing::Instrument as _;

use crate::batch::{Content, Entry, describe};
use crate::handler::Handler;
use crate::inbox::Verdict;
use crate::processor::Processor;
use crate::status::Part;
use crate::{ReactError, backoff, metrics, trace};

/// A reactor said that it can't go on.
#[derive(Debug, thiserror::Error)]
#[error("reactor {reactor} stopped at record {record} (event {event})")]
pub(crate) struct Stopped {
    reactor: &'static str,
    record: String,
    event: String,
    source: ReactError,
}

/// What came of the events of one stream.
enum Reaction {
    Done,
    /// The event of this index is to be parked, for this reason; those after it were not tried.
    Parked(usize, String),
    /// The process is to end, or the partition is not ours any more.
    Dropped,
}

/// Reacts to the entries that will be applied: those of a stream one after the other, different streams at
/// the same time. Entries that are to be parked become faulty. False: the batch must not be committed.
pub(crate) async fn react<H: Handler>(
    processor: &Processor<H>,
    entries: &mut [Entry<H::Event>],
    verdicts: &[Verdict],
) -> Result<bool, Stopped> {
    let mut streams: BTreeMap<(i32, &str), Vec<usize>> = BTreeMap::new();
    for (index, (entry, verdict)) in entries.iter().zip(verdicts).enumerate() {
        if verdict.applies() && entry.event().is_some() {
            streams.entry((entry.inbox, &entry.stream)).or_default().push(index);
        }
    }
    // In the order of the topics, so that the oldest is not left waiting.
    let mut streams: Vec<_> = streams.into_values().collect();
    streams.sort_unstable();
    let reactions: Vec<_> = stream::iter(streams)
        .map(|indices| react_in_order(processor, entries, indices))
        .buffer_unordered(processor.concurrency)
        .try_collect()
        .await?;
    let mut all_done = true;
    for reaction in reactions {
        match reaction {
            Reaction::Done => {}
            Reaction::Parked(index, reason) => entries[index].content = Content::Faulty(reason),
            Reaction::Dropped => all_done = false,
        }
    }
    Ok(all_done)
}

async fn react_in_order<H: Handler>(
    processor: &Processor<H>,
    entries: &[Entry<H::Event>],
    indices: Vec<usize>,
) -> Result<Reaction, Stopped> {
    for index in indices {
        let entry = &entries[index];
        let Some((event, envelope)) = entry.event() else { continue };
        let mut waits = backoff::waits();
        let mut retried = false;
        loop {
            if processor.shutdown.is_cancelled() || !processor.ownership.owns(&entry.record) {
                return Ok(Reaction::Dropped);
            }
            let reaction = processor.handler.react(event, envelope);
            let reaction = reaction.instrument(trace::continued(H::NAME, envelope));
            let error = match AssertUnwindSafe(reaction).catch_unwind().await {
                Ok(Ok(())) => {
                    if retried {
                        processor.board.solved(Part::Batch);
                    }
                    break;
                }
                Ok(Err(error)) => error,
                Err(_) => ReactError::new(ErrorKind::Park, "the reactor panicked"),
            };
            metrics::error(H::NAME, error.kind());
            match error.kind() {
                ErrorKind::Park => return Ok(Reaction::Parked(index, describe(&error))),
                ErrorKind::Retry => {
                    retried = true;
                    let (record, event, error) = (&entry.record, &envelope.id, describe(&error));
                    let problem = format!("retrying record {record} (event {event}): {error}");
                    processor.board.problem(Part::Batch, problem);
                    tracing::warn!(
                        projection = H::NAME, %record, event, error,
                        "reaction failed, will be tried again"
                    );
                    if !processor.wait(&mut waits).await {
                        return Ok(Reaction::Dropped);
                    }
                }
                ErrorKind::Stop => {
                    return Err(Stopped {
                        reactor: H::NAME,
                        record: entry.record.to_string(),
                        event: envelope.id.clone(),
                        source: error,
                    });
                }
            }
        }
    }
    Ok(Reaction::Done)
}
