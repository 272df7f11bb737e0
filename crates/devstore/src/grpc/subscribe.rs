//! Subscriptions: stored events, then live ones.
//!
//! Stored events are read at the client's pace. A client that does not take live events fast enough is cut off, as on
//! the real server, and what it received is without a gap: it subscribes again after its last event. A subscription never
//! ends with status OK: the `eventstore` crate would spin.

use std::{convert::Infallible, sync::Arc};

use uuid::Uuid;

use super::{
    errors::{shutting_down, stream_deleted},
    output::{Output, PAGE, Stop, event, response},
    proto::event_store::client::streams::{
        ReadResp,
        read_resp::{CaughtUp, Checkpoint, Content, SubscriptionConfirmation},
    },
    query::{CheckpointedFilter, Start, View},
    shared::Shared,
};
use crate::log::now;
use crate::reader::{self, StreamPage};
use crate::storage::Direction;

/// From one stream. Truncated events are left out while catching up; what comes later is all sent.
pub(super) async fn stream(
    shared: &Shared,
    stream: Arc<str>,
    start: Start,
    view: View,
    output: &Output,
) -> Result<Infallible, Stop> {
    let mut end = shared.end();
    let from = match start {
        Start::Beginning => 0,
        Start::At(revision) => revision + 1,
        Start::End => {
            let name = stream.clone();
            let last = shared.read(move |store| reader::last_revision(store, &name)).await?;
            output.send(vec![confirmation(), caught_up()]).await?;
            return live(shared, stream, last.map_or(0, |last| last + 1), view, output).await;
        }
    };
    let mut from = from;
    let mut confirmed = false;
    loop {
        end.borrow_and_update();
        let name = stream.clone();
        let page = shared.read(move |store| reader::forwards(store, &name, from, PAGE as u64, now())).await?;
        let page = match page {
            StreamPage::Deleted => return Err(stream_deleted(&stream).into()),
            StreamPage::NotFound => None,
            StreamPage::Events(page) => Some(page),
        };
        let mut responses = Vec::with_capacity(PAGE + 2);
        if !confirmed {
            responses.push(confirmation());
            confirmed = true;
        }
        let Some(page) = page else {
            output.send(responses).await?;
            changed(&mut end, output).await?;
            continue;
        };
        for record in &page.events {
            responses.push(event(record, view)?);
        }
        let Some(next) = page.next else {
            responses.push(caught_up());
            output.send(responses).await?;
            // A start beyond the end stays one: revisions up to it are not wanted.
            return live(shared, stream, page.continues_at.max(from), view, output).await;
        };
        output.send(responses).await?;
        from = next;
    }
}

/// All events of the stream from revision `next` on, as they are written.
async fn live(
    shared: &Shared,
    stream: Arc<str>,
    mut next: u64,
    view: View,
    output: &Output,
) -> Result<Infallible, Stop> {
    let mut end = shared.end();
    let stored = output.sent();
    loop {
        end.borrow_and_update();
        let name = stream.clone();
        let records =
            shared.read(move |store| store.stream(&name, next, u64::MAX, Direction::Forwards, PAGE)).await?;
        let responses = records.iter().map(|record| event(record, view)).collect::<Result<Vec<_>, _>>()?;
        output.send_live(responses, stored).await?;
        match records.last() {
            Some(last) if last.is_tombstone() => return Err(stream_deleted(&stream).into()),
            Some(last) => next = last.revision + 1,
            None => changed(&mut end, output).await?,
        }
    }
}

/// From `$all`, filtered or not.
pub(super) async fn all(
    shared: &Shared,
    start: Start,
    filter: Option<CheckpointedFilter>,
    view: View,
    output: &Output,
) -> Result<Infallible, Stop> {
    let mut end = shared.end();
    let mut responses = vec![confirmation()];
    let mut from = match start {
        Start::Beginning => 0,
        Start::At(position) => position + 1,
        Start::End => shared.read(|store| Ok(store.end())).await?,
    };
    // Responses before the first live event.
    let mut stored = None;
    let mut considered = 0_u64;
    loop {
        end.borrow_and_update();
        let page = shared.read(move |store| store.all(from, u64::MAX, Direction::Forwards, PAGE)).await?;
        for record in &page {
            let Some(CheckpointedFilter { filter, interval }) = &filter else {
                responses.push(event(record, view)?);
                continue;
            };
            if filter.matches(record) {
                responses.push(event(record, view)?);
            }
            // Always the position of an event that was looked at: never one the log has not reached.
            considered += 1;
            if considered.is_multiple_of(*interval) {
                responses.push(checkpoint(record.position));
            }
        }
        if let Some(last) = page.last() {
            from = last.position + 1;
        }
        let at_end = page.len() < PAGE;
        let responses = std::mem::take(&mut responses);
        if let Some(stored) = stored {
            output.send_live(responses, stored).await?;
        } else {
            output.send(responses).await?;
            if at_end {
                output.send(vec![caught_up()]).await?;
                stored = Some(output.sent());
            }
        }
        if at_end {
            changed(&mut end, output).await?;
        }
    }
}

/// Waits for a commit, or for the client to go.
async fn changed(end: &mut tokio::sync::watch::Receiver<u64>, output: &Output) -> Result<(), Stop> {
    tokio::select! {
        changed = end.changed() => changed.map_err(|_| Stop::Failed(shutting_down())),
        gone = output.gone() => Err(gone),
    }
}

fn confirmation() -> ReadResp {
    let subscription_id = Uuid::new_v4().to_string();
    response(Content::Confirmation(SubscriptionConfirmation { subscription_id }))
}

fn caught_up() -> ReadResp {
    response(Content::CaughtUp(CaughtUp {}))
}

fn checkpoint(position: u64) -> ReadResp {
    response(Content::Checkpoint(Checkpoint { commit_position: position, prepare_position: position }))
}
