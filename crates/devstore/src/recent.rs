//! The ids of recent events, which identify duplicate appends.

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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u128, stream: &str, revision: u64) -> Record {
        Record {
            position: 1,
            stream: stream.into(),
            revision,
            id: Uuid::from_u128(id),
            kind: "happened".into(),
            is_json: true,
            created: 0,
            custom_metadata: Default::default(),
            data: Default::default(),
        }
    }

    #[test]
    fn the_first_event_with_an_id_is_remembered_until_there_are_too_many() {
        let mut recent = RecentIds::default();
        recent.insert(&record(0, "a", 0));
        recent.insert(&record(0, "a", 1));
        recent.insert(&record(0, "b", 0));
        assert_eq!(recent.revision_in("a", Uuid::from_u128(0)), Some(0));
        assert_eq!(recent.revision_in("b", Uuid::from_u128(0)), None);
        for id in 1..=CAPACITY as u128 {
            recent.insert(&record(id, "a", id as u64));
        }
        assert_eq!(recent.revision_in("a", Uuid::from_u128(0)), None);
        assert_eq!(recent.revision_in("a", Uuid::from_u128(1)), Some(1));
    }
}
