//! One check: collect a stage, judge it, go on to the next.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::collect::{
    Consumer, Database, DatabaseError, KafkaError, Registry, RegistryError, StoreReadError, read_store,
};
use crate::finding::{Findings, Kind};
use crate::inbox::{self, Ends, PartitionEnd};
use crate::log::Log;
use crate::options::Options;
use crate::report::Report;
use crate::system::System;
use crate::topics::{Topic, TopicJudge, schema_id};

/// A part could not be read, so nothing was judged.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The event store.
    #[error(transparent)]
    Store(#[from] StoreReadError),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The schema registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Postgres.
    #[error(transparent)]
    Postgres(#[from] DatabaseError),
    /// The thread that reads the input or a topic has ended without a word.
    #[error("a reading thread has ended by itself")]
    Thread(#[from] tokio::task::JoinError),
}

/// Reads store, topics and Postgres and compares them. Nothing may be written meanwhile: an event that is in
/// flight between two stages counts as missing in the later one. `Err` means that a server could not be read;
/// differences are in the report.
pub async fn check_system(options: &Options, mut system: impl System) -> Result<Report, CheckError> {
    let begun = Instant::now();
    let mut findings = Findings::keeping(options.shown);
    let ours = |category: &str| options.topics.values().flatten().any(|it| it == category);
    let log = read_store(&options.store, ours).await?;
    log.judge(&mut findings);
    system.judge_store(&log, &mut findings);

    let mut topics = Topics { ends: Ends::new(), read: Vec::new(), records: 0, upcast: 0 };
    let mut registry = Registry::new(&options.registry);
    for (name, categories) in &options.topics {
        topics.judge(options, &log, &system, (name, categories), &mut registry, &mut findings).await?;
    }

    let mut database = Database::connect(&options.postgres).await?;
    let inbox = database.inbox().await?;
    let applied = inbox::judge(&log, &topics.read, &options.projections, &topics.ends, &inbox, &mut findings);
    for table in system.tables(&log) {
        table.judge(database.table(&table).await?, &mut findings);
    }
    database.close().await?;

    Ok(Report {
        figures: system.figures(),
        stored: log.events().len() as u64,
        relayed: topics.records,
        applied: applied.values().sum(),
        applied_by: applied,
        upcast: topics.upcast,
        parked: findings.count(Kind::Parked),
        missing: findings.count(Kind::Missing),
        duplicates: findings.count(Kind::Duplicate),
        out_of_order: findings.count(Kind::OutOfOrder),
        mismatches: findings.count(Kind::Mismatch),
        system_events: log.system_events(),
        foreign_events: log.foreign_events(),
        findings: findings.into_kept(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// What was found in the topics so far.
struct Topics {
    read: Vec<Topic>,
    ends: Ends,
    records: u64,
    upcast: u64,
}

impl Topics {
    /// Reads a topic on a thread of its own and judges its records as they come.
    async fn judge(
        &mut self,
        options: &Options,
        log: &Log,
        system: &dyn System,
        (name, categories): (&String, &Vec<String>),
        registry: &mut Registry,
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        let (brokers, properties): (_, BTreeMap<_, _>) =
            (options.brokers.clone(), options.properties.clone());
        let topic = name.clone();
        let connect = move || Consumer::connect(&brokers, &properties, &topic);
        let consumer = tokio::task::spawn_blocking(connect).await??;
        let topic =
            Topic { name: name.clone(), categories: categories.clone(), partitions: consumer.partitions() };
        let mut judge = TopicJudge::new(log, system, &topic, &options.source);
        let (sender, mut batches) = mpsc::channel(4);
        let reader = tokio::task::spawn_blocking(move || consumer.read(&sender));
        let mut last = BTreeMap::new();
        while let Some(batch) = batches.recv().await {
            for record in &batch {
                let id = schema_id(record);
                if let Some(id) = id {
                    registry.fetch(id).await?;
                }
                judge.see(record, registry.schema(id), findings);
                last.insert(record.partition, record.offset);
            }
        }
        for (partition, next) in (0..).zip(reader.await??) {
            let last = last.get(&partition).copied().unwrap_or(-1);
            self.ends.insert((name.clone(), partition), PartitionEnd { last, next });
        }
        judge.finish(findings);
        self.records += judge.records;
        self.upcast += judge.upcast;
        self.read.push(topic);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_is_not_there_is_named() {
        let error = Database::connect("postgres://127.0.0.1:9/x").await.err().expect("nothing is there");
        assert!(error.to_string().starts_with("postgres: the database can't be read"), "{error}");
    }
}
