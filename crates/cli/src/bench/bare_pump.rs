//! The least that could do the relay's work: events in, bytes that were made beforehand out.

use std::sync::Arc;

use aqueduct_core::{AllItem, EventStore as _, Position, RecordedEvent, StoreError};
use aqueduct_kafka::Cluster;
use aqueduct_relay::{HeaderBlock, Options, Record, Route, TransactionError, TransactionalProducer};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::{mpsc, oneshot};

use super::measured::Measured;
use super::relayed::{Surroundings, Written};
use super::stopwatch::Stopwatch;
use super::thread;
use crate::Failure;

/// A transaction as a relay wrote it.
pub(super) struct Transaction {
    /// Each with the commit position of its event.
    records: Vec<(u64, Record)>,
    checkpoint: Record,
}

/// The relay's transactions, for another route: the same records, cut where it cut them, each with its checkpoint.
pub(super) fn transactions(
    prefix: &str,
    route: &Route,
    written: &[Written],
    checkpoints: &[(Position, bytes::Bytes)],
) -> Vec<Transaction> {
    let (topic, checkpoint_topic): (Arc<str>, Arc<str>) =
        (route.topic.as_str().into(), route.checkpoint_topic(prefix).into());
    let mut rest = written;
    let cut = |(upto, checkpoint): &(Position, bytes::Bytes)| {
        let (now, later) = rest.split_at(rest.partition_point(|record| record.position <= upto.commit));
        rest = later;
        let record = |record: &Written| {
            let Written { position, partition, key, value, headers } = record.clone();
            (position, Record { topic: Arc::clone(&topic), partition, key, value: Some(value), headers })
        };
        Transaction {
            records: now.iter().map(record).collect(),
            checkpoint: Record {
                topic: Arc::clone(&checkpoint_topic),
                partition: 0,
                key: "checkpoint".into(),
                value: Some(checkpoint.clone()),
                headers: HeaderBlock::default(),
            },
        }
    };
    checkpoints.iter().map(cut).collect()
}

/// Reads an event for each record and writes the transactions, one while the next one fills. Returns what it
/// took from the subscription until a read_committed observer had seen every record.
pub(super) async fn run(
    surroundings: &Surroundings,
    cluster: Cluster,
    options: Options,
    store: &Stopwatch,
    transactions: Vec<Transaction>,
) -> Result<Measured, Failure> {
    let records = transactions.iter().map(|transaction| transaction.records.len()).sum();
    let watch = surroundings.watch(&options.routes[0], records).await?;
    store.reset();
    let kafka = surroundings.kafka_cpu();
    let (open, opened) = oneshot::channel();
    let (hand_on, batches) = mpsc::channel(1);
    let writing = thread::spawn("bare-pump", move || write(&cluster, &options, open, batches))?;
    // A failure to open it is what the thread returns.
    if opened.await.is_ok() {
        read(store, transactions, hand_on).await?;
    }
    writing.await??;
    Ok(store.until(watch.all_seen().await?, records)?.with_server(kafka, surroundings.kafka_cpu()))
}

fn write(
    cluster: &Cluster,
    options: &Options,
    open: oneshot::Sender<()>,
    mut batches: mpsc::Receiver<Vec<Record>>,
) -> Result<(), TransactionError> {
    let mut producer = TransactionalProducer::open(
        cluster,
        options,
        &options.routes[0].transactional_id(&cluster.prefix, 0),
        &[&options.routes[0].topic],
    )?;
    let _reader_gone = open.send(());
    while let Some(batch) = batches.blocking_recv() {
        producer.commit_batch(batch)?;
    }
    Ok(())
}

async fn read(
    store: &Stopwatch,
    transactions: Vec<Transaction>,
    hand_on: mpsc::Sender<Vec<Record>>,
) -> Result<(), Failure> {
    let mut all = store.store().subscribe_all(None);
    for Transaction { records, checkpoint } in transactions {
        let mut batch = Vec::with_capacity(records.len() + 1);
        for (position, record) in records {
            let event = next(&mut all).await?;
            if event.position.commit != position {
                return Err(
                    format!("{} came where a record is of position {position}", event.reference()).into()
                );
            }
            batch.push(record);
        }
        batch.push(checkpoint);
        if hand_on.send(batch).await.is_err() {
            // The thread has ended, and says why.
            break;
        }
    }
    Ok(())
}

async fn next(all: &mut BoxStream<'static, Result<AllItem, StoreError>>) -> Result<RecordedEvent, Failure> {
    while let Some(item) = all.next().await {
        match item? {
            AllItem::Event(event) if event.stream.is_system() => {}
            AllItem::Event(event) => return Ok(event),
            AllItem::CaughtUp | AllItem::Resubscribed => {}
        }
    }
    Err("the subscription to $all ended".into())
}
