//! Replaying and discarding parked events.

use std::borrow::Cow;

use aqueduct_core::{ErrorKind, EventStore, RecordedEvent};

use crate::lane::batch_builder::BatchBuilder;
use crate::lane::exception_log::ExceptionLog;
use crate::lane::execution::Outcome;
use crate::lane::problem::EventProblem;
use crate::lane::step::Step;
use crate::record::code::Code;
use crate::record::exception::LastRelayed;
use crate::record::parked::ParkedEvent;
use crate::record::reference::EventReference;

/// Replays or discards a parked event. Everything is written by the batch that is being filled; an error leaves
/// everything as it is.
pub(crate) async fn execute_step(
    step: Step,
    parked: &ParkedEvent,
    store: &dyn EventStore,
    log: &mut ExceptionLog,
    builder: &mut BatchBuilder<'_>,
) -> Result<Outcome, EventProblem> {
    match step {
        Step::Replay => match whole_event(parked, store).await? {
            Some(event) => replay(&event, log, builder).await,
            None => Ok(Outcome::ParkedAgain { reason: EventProblem::Gone.reason() }),
        },
        Step::Discard { is_first, code } => discard(&parked.event, is_first, code, log, builder).await,
    }
}

/// A parked event with its data; `None` where that was too large to be parked and the store no longer has the event.
async fn whole_event<'e>(
    parked: &'e ParkedEvent,
    store: &dyn EventStore,
) -> Result<Option<Cow<'e, RecordedEvent>>, EventProblem> {
    if parked.by_reference {
        let event = read_event(store, &EventReference::of(&parked.event)).await?;
        Ok(event.map(Cow::Owned))
    } else {
        Ok(Some(Cow::Borrowed(&parked.event)))
    }
}

/// Reads an event from the store; `None` where the store no longer has it.
pub(crate) async fn read_event(
    store: &dyn EventStore,
    event: &EventReference,
) -> Result<Option<RecordedEvent>, EventProblem> {
    match store.read_stream(&event.stream, event.revision, 1).await {
        Ok(found) => Ok(found.into_iter().find(|it| it.revision == event.revision)),
        Err(error) if error.is_stream_deleted() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes a record of a parked event, or leaves it parked with the reason why it failed again.
async fn replay(
    event: &RecordedEvent,
    log: &mut ExceptionLog,
    builder: &mut BatchBuilder<'_>,
) -> Result<Outcome, EventProblem> {
    let problem = match builder.add_record(event, Some(&log.exceptions)).await {
        Ok(()) => {
            log.replayed(&mut builder.batch, &EventReference::of(event));
            return Ok(Outcome::Replayed);
        }
        Err(problem) => problem,
    };
    let last = match problem.kind() {
        ErrorKind::Park => builder.last_relayed(event, Some(&log.exceptions)).await?,
        ErrorKind::Retry | ErrorKind::Stop => LastRelayed::Unknown,
    };
    let Some(code) = problem.code() else { return Err(problem) };
    let reason = problem.reason();
    let outcome = Outcome::ParkedAgain { reason: format!("{code}: {reason}") };
    log.failed_again(&mut builder.batch, event, (code, reason), last);
    Ok(outcome)
}

async fn discard(
    event: &RecordedEvent,
    is_first: bool,
    code: Code,
    log: &mut ExceptionLog,
    builder: &mut BatchBuilder<'_>,
) -> Result<Outcome, EventProblem> {
    let last = if is_first {
        builder.last_relayed(event, Some(&log.exceptions)).await?
    } else {
        LastRelayed::Unknown
    };
    let reason = format!("discarded by an operator; was parked for {code}");
    log.discard(&mut builder.batch, (&EventReference::of(event), event.position), reason, last);
    Ok(Outcome::Discarded)
}
