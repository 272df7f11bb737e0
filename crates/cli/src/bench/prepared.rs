//! What the sides of a projection's comparison are given, made before the measurement.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use aqueduct_core::{EventStore, MemoryStore, RecordedEvent};
use aqueduct_projection::{Headers, Record};

use super::bare_sql::Batch;
use super::decoding::WriterSchemas;
use super::history;
use super::read_models::{Column, ReadModel};
use super::relayed::{Surroundings, Written};
use super::stopwatch::Stopwatch;
use crate::Failure;

/// The same batches for all sides.
pub(super) struct Prepared {
    /// As Kafka would deliver them, but for the epoch.
    pub(super) records: Vec<Vec<Record>>,
    /// For the baselines.
    pub(super) batches: Vec<Batch>,
    /// For the baseline that decodes.
    pub(super) schemas: WriterSchemas,
}

impl Prepared {
    /// Has a real relay make the records of a history.
    pub(super) async fn make(
        surroundings: &Surroundings,
        model: &ReadModel,
        history: MemoryStore,
        batch_size: usize,
    ) -> Result<Self, Failure> {
        let (events, written) = relayed(surroundings, model.category, model.category, history).await?;
        let schemas = WriterSchemas::of(
            events.iter().zip(written.iter().map(|written| &written.value)),
            &surroundings.schemas,
        )?;
        let records = self::batches(written, model.topic, batch_size);
        let mut fold = (model.fold)();
        let mut batches = Vec::with_capacity(records.len());
        for (events, records) in events.chunks(batch_size).zip(&records) {
            let events: Vec<_> = events.iter().collect();
            let rows = fold.events(&events, &surroundings.schemas)?;
            batches.push(batch(&events, records, rows));
        }
        Ok(Self { records, batches, schemas })
    }

    /// Records in all batches.
    pub(super) fn len(&self) -> usize {
        self.records.iter().map(Vec::len).sum()
    }
}

/// Has a real relay make the records of a history. Returns the events of a category and their records.
pub(super) async fn relayed(
    surroundings: &Surroundings,
    label: &str,
    category: &str,
    history: MemoryStore,
) -> Result<(Vec<RecordedEvent>, Vec<Written>), Failure> {
    let mut events = history::events(&history).await?;
    eprintln!("{label}: making records of {} events", events.len());
    let (cluster, relay, route) =
        surroundings.new_route(&format!("bench-records-{label}"), NonZeroU32::MIN).await?;
    let store = Stopwatch::new(Arc::new(history) as Arc<dyn EventStore>);
    surroundings.relay(cluster, relay, &store, events.len()).await?;
    let mut written = surroundings.written(&route, events.len()).await?;
    // One record for each event, both in the order of positions.
    let of_category: Vec<_> = events.iter().map(|event| event.stream.category() == category).collect();
    retain(&mut events, &of_category);
    retain(&mut written, &of_category);
    Ok((events, written))
}

/// Records in batches, as if they had been read from a topic that holds no others.
pub(super) fn batches(written: Vec<Written>, topic: &str, batch_size: usize) -> Vec<Vec<Record>> {
    records(written, topic).chunks(batch_size).map(<[Record]>::to_vec).collect()
}

fn retain<T>(all: &mut Vec<T>, wanted: &[bool]) {
    let mut wanted = wanted.iter();
    all.retain(|_| wanted.next().is_some_and(|wanted| *wanted));
}

/// The records as if they had been read from a topic that holds no others.
fn records(written: Vec<Written>, topic: &str) -> Vec<Record> {
    let topic: Arc<str> = topic.into();
    let mut next_offsets = BTreeMap::new();
    let record = |Written { partition, key, value, headers: raw, .. }| {
        let next: &mut i64 = next_offsets.entry(partition).or_default();
        let offset = *next;
        *next += 1;
        let mut headers = Headers::default();
        for (name, value) in raw.iter() {
            headers.push(name, Some(value));
        }
        Record {
            topic: Arc::clone(&topic),
            partition,
            offset,
            epoch: 0,
            key: Some(key),
            payload: Some(value),
            headers,
        }
    };
    written.into_iter().map(record).collect()
}

fn batch(events: &[&RecordedEvent], records: &[Record], rows: Vec<Column>) -> Batch {
    let next: BTreeMap<_, _> = records.iter().map(|record| (record.partition, record.offset + 1)).collect();
    Batch {
        streams: events.iter().map(|event| event.stream.to_string()).collect(),
        revisions: events.iter().map(|event| event.revision.cast_signed()).collect(),
        partitions: next.keys().copied().collect(),
        next_offsets: next.values().copied().collect(),
        rows,
        payloads: records.iter().filter_map(|record| record.payload.clone()).collect(),
    }
}
