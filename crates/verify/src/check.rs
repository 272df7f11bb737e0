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
use crate::shop::{InputError, Shop};
use crate::system::System;
use crate::topics::{Topic, TopicJudge, schema_id};

/// A part could not be read, so nothing was judged.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The input.
    #[error(transparent)]
    Input(#[from] InputError),
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

/// Reads input, store, topics and Postgres and compares them. Everything must stand still meanwhile: what is
/// under way between two stages counts as missing in the later one. `Err` means that a part could not be
/// read; what differs is in the report.
pub async fn check(options: &Options) -> Result<Report, CheckError> {
    let (input, orders) = (options.input.clone(), options.orders);
    let begun = Instant::now();
    let shop = tokio::task::spawn_blocking(move || Shop::from_input(&input, orders)).await??;
    let mut report = check_system(options, shop).await?;
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// As [`check`], for any system; `input` and `orders` of the options are not looked at.
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
    use std::path::PathBuf;

    use super::*;

    fn options(input: PathBuf) -> Options {
        // Port 9 is "discard": nothing listens there.
        let store = "esdb://127.0.0.1:9?tls=false&maxDiscoverAttempts=1&discoveryInterval=1";
        Options::new(store, "127.0.0.1:9", "http://127.0.0.1:9", "postgres://127.0.0.1:9/x", input)
    }

    async fn refused(options: &Options) -> String {
        check(options).await.expect_err("nothing is there").to_string()
    }

    #[tokio::test]
    async fn a_part_that_is_not_there_is_named() {
        let file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
        let header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
        std::fs::write(file.path(), header).unwrap();
        let input = file.path().to_owned();
        let text = refused(&options(input.clone())).await;
        assert!(text.starts_with("event store: reading $all failed"), "{text}");
        let text = refused(&Options { store: "nowhere".to_owned(), ..options(input) }).await;
        assert!(text.starts_with("event store: \"nowhere\" is no connection string"), "{text}");
        let text = refused(&options("missing.csv".into())).await;
        assert_eq!(text, "input missing.csv can't be read");
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_is_named() {
        let error = Database::connect("postgres://127.0.0.1:9/x").await.err().expect("nothing is there");
        assert!(error.to_string().starts_with("postgres: the database can't be read"), "{error}");
    }
}
