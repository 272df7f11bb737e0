//! Reads that end: of a stream or of `$all`, in either direction.

use std::sync::Arc;

use super::{
    errors::stream_deleted,
    names::identifier,
    output::{Output, PAGE, Stop, event, response},
    proto::event_store::client::streams::read_resp::{Content, StreamNotFound},
    query::{Start, View},
    shared::Shared,
};
use crate::event::TOMBSTONE_REVISION;
use crate::filter::Filter;
use crate::log::now;
use crate::reader::{self, StreamPage};
use crate::storage::Direction;

/// The page of the real server. It shows: an empty page is announced as a new first position.
const FIRST_PAGE: u64 = 32;

pub(super) struct StreamRead {
    pub(super) stream: Arc<str>,
    pub(super) start: Start,
    pub(super) direction: Direction,
    pub(super) count: u64,
    /// Whether the client wants to be told the first and the last revision.
    pub(super) announces_ends: bool,
}

pub(super) async fn stream(
    shared: &Shared,
    read: StreamRead,
    view: View,
    output: &Output,
) -> Result<(), Stop> {
    let StreamRead { stream, start, direction, count, announces_ends } = read;
    let mut left = count;
    let mut from = match start {
        Start::Beginning => 0,
        Start::At(revision) => revision,
        Start::End => TOMBSTONE_REVISION - 1,
    };
    let mut size = FIRST_PAGE;
    loop {
        let limit = left.min(size);
        let name = stream.clone();
        let page = shared
            .read(move |store| match direction {
                Direction::Forwards => reader::forwards(store, &name, from, limit, now()),
                Direction::Backwards => reader::backwards(store, &name, from, limit, now()),
            })
            .await?;
        let page = match page {
            StreamPage::Deleted => return Err(stream_deleted(&stream).into()),
            StreamPage::NotFound => {
                let missing = StreamNotFound { stream_identifier: Some(identifier(&stream)) };
                return output.send(vec![response(Content::StreamNotFound(missing))]).await;
            }
            StreamPage::Events(page) => page,
        };
        left -= page.events.len() as u64;
        let mut responses = Vec::with_capacity(page.events.len() + 2);
        let jumped = page.events.is_empty() && page.continues_at != from;
        if announces_ends && direction == Direction::Forwards && jumped {
            responses.push(response(Content::FirstStreamPosition(page.continues_at)));
        }
        for record in &page.events {
            responses.push(event(record, view)?);
        }
        match page.next.filter(|_| left > 0) {
            Some(next) => from = next,
            None => {
                if announces_ends {
                    responses.push(response(Content::LastStreamPosition(page.last)));
                }
                return output.send(responses).await;
            }
        }
        output.send(responses).await?;
        size = PAGE as u64;
    }
}

pub(super) async fn all(
    shared: &Shared,
    start: Start,
    direction: Direction,
    count: u64,
    filter: Option<Filter>,
    view: View,
    output: &Output,
) -> Result<(), Stop> {
    // What is left to read: events at positions in `from..to`.
    let (mut from, mut to) = match (direction, start) {
        (Direction::Forwards, Start::Beginning) | (Direction::Backwards, Start::End) => (0, u64::MAX),
        (Direction::Forwards, Start::At(position)) => (position, u64::MAX),
        (Direction::Backwards, Start::At(position)) => (0, position),
        (Direction::Forwards, Start::End) | (Direction::Backwards, Start::Beginning) => return Ok(()),
    };
    let mut left = count;
    while left > 0 {
        // With a filter the number of events to be looked at is not known.
        let limit = if filter.is_some() { PAGE } else { left.min(PAGE as u64) as usize };
        let page = shared.read(move |store| store.all(from, to, direction, limit)).await?;
        let mut responses = Vec::with_capacity(page.len());
        for record in page.iter().filter(|record| filter.as_ref().is_none_or(|filter| filter.matches(record)))
        {
            if left == 0 {
                break;
            }
            left -= 1;
            responses.push(event(record, view)?);
        }
        output.send(responses).await?;
        match (page.last(), direction) {
            (Some(last), Direction::Forwards) if page.len() == limit => from = last.position + 1,
            (Some(last), Direction::Backwards) if page.len() == limit => to = last.position,
            _ => return Ok(()),
        }
    }
    Ok(())
}
