//! Runs a reactor on the events of a batch, before the transaction that marks them as handled.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use aqueduct_core::{ErrorKind, with_causes};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tracing::Instrument as _;

use crate::batch::context::{BatchContext, Wait};
use crate::batch::error::ReactorHalted;
use crate::batch::trace;
use crate::inbox::entry::{Content, Entry, Fault};
use crate::inbox::reason_code::ReasonCode;
use crate::inbox::verdict::Verdict;
use crate::model::error::ReactError;
use crate::model::handler::Handler;
use crate::record::envelope::Envelope;
use crate::status::Component;
use crate::{backoff, metrics};

/// Result of the reactions to the events of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchReaction {
    /// Each event was handled, or its entry is invalid now and must be parked.
    Done,
    /// The process is shutting down, or a partition has another owner: the batch must not be committed.
    Abandoned,
}

/// Result of the reactions to the events of one stream.
enum StreamReaction {
    Done,
    /// The event of this index must be parked; those after it were not tried.
    Parked(usize, Fault),
    /// The process is shutting down, or the partition has another owner.
    Abandoned,
}

/// Reacts to the entries that will be applied: those of a stream sequentially, different streams concurrently.
/// Entries that must be parked become invalid.
pub(crate) async fn react<H: Handler>(
    handler: &H,
    context: &BatchContext,
    entries: &mut [Entry<H::Event>],
    verdicts: &[Verdict],
) -> Result<BatchReaction, ReactorHalted> {
    let mut streams: BTreeMap<(i32, &str), Vec<usize>> = BTreeMap::new();
    for (index, (entry, verdict)) in entries.iter().zip(verdicts).enumerate() {
        if verdict.applies() && entry.event().is_some() {
            streams.entry((entry.inbox, entry.stream())).or_default().push(index);
        }
    }
    // In the order of the topic, so that the oldest event does not wait longest.
    let mut streams: Vec<_> = streams.into_values().collect();
    streams.sort_unstable();
    let reactions: Vec<_> = stream::iter(streams)
        .map(|indices| react_in_order(handler, context, entries, indices))
        .buffer_unordered(context.concurrency)
        .try_collect()
        .await?;
    let mut result = BatchReaction::Done;
    for reaction in reactions {
        match reaction {
            StreamReaction::Done => {}
            StreamReaction::Parked(index, fault) => entries[index].content = Content::Invalid(fault),
            StreamReaction::Abandoned => result = BatchReaction::Abandoned,
        }
    }
    Ok(result)
}

async fn react_in_order<H: Handler>(
    handler: &H,
    context: &BatchContext,
    entries: &[Entry<H::Event>],
    indices: Vec<usize>,
) -> Result<StreamReaction, ReactorHalted> {
    for index in indices {
        let entry = &entries[index];
        let Some((event, envelope)) = entry.event() else { continue };
        let mut delays = backoff::delays();
        let mut retried = false;
        loop {
            if context.shutdown.is_cancelled() || !context.ownership.owns(&entry.record) {
                return Ok(StreamReaction::Abandoned);
            }
            let Err((code, error)) = attempt(handler, event, envelope).await else {
                if retried {
                    context.status.clear(Component::Batch);
                }
                break;
            };
            match error.kind() {
                ErrorKind::Park => {
                    return Ok(StreamReaction::Parked(index, Fault { code, reason: with_causes(&error) }));
                }
                ErrorKind::Retry => {
                    retried = true;
                    let (record, event, error) = (&entry.record, &envelope.id, with_causes(&error));
                    let problem = format!("retrying record {record} (event {event}): {error}");
                    context.status.report(Component::Batch, problem);
                    tracing::warn!(projection = handler.name(), %record, event, error, "reaction failed, retrying");
                    if context.wait(&mut delays).await == Wait::Shutdown {
                        return Ok(StreamReaction::Abandoned);
                    }
                }
                ErrorKind::Stop => {
                    return Err(ReactorHalted {
                        reactor: handler.name(),
                        record: entry.record.to_string(),
                        event: envelope.id.clone(),
                        source: error,
                    });
                }
            }
        }
    }
    Ok(StreamReaction::Done)
}

/// Reacts to one event, in a span that continues the event's trace. A panic parks the event.
pub(crate) async fn attempt<H: Handler>(
    handler: &H,
    event: &H::Event,
    envelope: &Envelope,
) -> Result<(), (ReasonCode, ReactError)> {
    let reaction = handler.react(event, envelope).instrument(trace::continued(handler.name(), envelope));
    let failed = match AssertUnwindSafe(reaction).catch_unwind().await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => (ReasonCode::Reaction, error),
        Err(_) => (ReasonCode::Panic, ReactError::new(ErrorKind::Park, "the reactor panicked")),
    };
    metrics::error(handler.name(), failed.1.kind());
    Err(failed)
}
