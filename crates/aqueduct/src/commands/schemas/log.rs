//! The stored events, up to the last one when the command started.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use aqueduct_core::{AllItem, EventStore, Position, RecordedEvent};
use futures::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;

/// Categories that are kept for an error message.
const SHOWN_CATEGORIES: usize = 20;

/// `$all` up to a fixed end. Each reading delivers the same events, unless some are deleted meanwhile.
pub(super) struct Log {
    store: Arc<dyn EventStore>,
    pub(super) end: Position,
}

impl Log {
    /// Fixes the end.
    pub(super) async fn open(store: Arc<dyn EventStore>) -> Result<Self, Failure> {
        let end = store.last_position().await?;
        let end = end.ok_or("the event store has no events: append some, then run the command again")?;
        Ok(Self { store, end })
    }

    /// Reads all events in order. `stage` is shown at the progress bar, if the output is a terminal.
    pub(super) async fn read(
        &self,
        stage: &'static str,
        mut each: impl FnMut(&RecordedEvent),
    ) -> Result<(), Failure> {
        let bar = progress_bar(stage, self.end)?;
        let mut events = pin!(self.events(None));
        while let Some(event) = events.try_next().await? {
            each(&event);
            bar.set_position(event.position.commit);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The events after a position, in lists of at most `at_most` events, up to the end.
    pub(super) fn lists(
        &self,
        after: Option<Position>,
        at_most: usize,
    ) -> impl Stream<Item = Result<Vec<RecordedEvent>, Failure>> {
        self.events(after).try_chunks(at_most).map_err(|error| error.1)
    }

    /// The events after a position, up to the end.
    fn events(&self, after: Option<Position>) -> impl Stream<Item = Result<RecordedEvent, Failure>> {
        let end = self.end;
        let items = if after.is_some_and(|after| after >= end) {
            stream::empty().boxed()
        } else {
            self.store.subscribe_all(after)
        };
        let items = items.filter(|item| future::ready(!matches!(item, Ok(AllItem::Resubscribed))));
        let events = items.map(|item| match item? {
            AllItem::Event(event) => Ok(Some(event)),
            AllItem::CaughtUp | AllItem::Resubscribed => Ok::<_, Failure>(None),
        });
        // The live end of the log comes after the last event that is wanted.
        let wanted = events.scan(false, move |is_over, item| {
            if *is_over {
                return future::ready(None);
            }
            *is_over = matches!(&item, Ok(Some(event)) if event.position >= end) || matches!(item, Ok(None));
            future::ready(Some(item))
        });
        wanted.try_filter_map(future::ok)
    }

    /// Some of the categories that streams have, for an error message.
    pub(super) async fn categories(&self) -> Result<BTreeSet<String>, Failure> {
        let mut categories = BTreeSet::new();
        let add = |event: &RecordedEvent| {
            let category = event.stream.category();
            let is_new = categories.len() < SHOWN_CATEGORIES && !category.starts_with('$');
            if is_new && !categories.contains(category) {
                categories.insert(category.to_owned());
            }
        };
        self.read("reading", add).await?;
        Ok(categories)
    }
}

pub(super) fn progress_bar(stage: &'static str, end: Position) -> Result<ProgressBar, Failure> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent} %, {eta} left")?;
    Ok(ProgressBar::new(end.commit).with_style(style).with_message(stage))
}
