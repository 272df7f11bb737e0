//! The ids of recent events, by which a repeated append is recognised.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use uuid::Uuid;

use crate::event::Record;

/// How many ids are remembered. The real server holds 8 MiB of them, about as many.
pub(crate) const CAPACITY: usize = 50_000;

/// Where an event with a given id was written first.
///
/// Ids are not unique: the first one wins until it is forgotten, whatever stream it was in.
#[derive(Default)]
pub(crate) struct RecentIds {
    places: HashMap<Uuid, (Arc<str>, u64)>,
    order: VecDeque<Uuid>,
}

impl RecentIds {
    pub(crate) fn insert(&mut self, record: &Record) {
        if self.places.contains_key(&record.id) {
            return;
        }
        if self.order.len() == CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
        self.places.insert(record.id, (record.stream.clone(), record.revision));
        self.order.push_back(record.id);
    }

    /// The revision of the event with this id, if it is remembered as one of `stream`.
    pub(crate) fn revision_in(&self, stream: &str, id: Uuid) -> Option<u64> {
        self.places.get(&id).filter(|(name, _)| name.as_ref() == stream).map(|(_, revision)| *revision)
    }
}
