//! One check: the pass over store and topics, then the inboxes and the read models.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use aqueduct_core::{Position, RecordedEvent};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::collect::{
    Database, DatabaseError, Kafka, KafkaError, Lookups, Registry, RegistryError, Servers, Store,
    StoreReadError,
};
use crate::finding::{Findings, Kind};
use crate::inbox::{self, Ahead, Expected, Inbox, Offsets};
use crate::lockstep::{Knowledge, Lockstep, Outcome};
use crate::options::Options;
use crate::payload::{Files, FilesError};
use crate::report::Report;
use crate::system::System;
use crate::table::{Cells, Table};
use crate::topic::Topic;

/// How often an inbox that is behind is read again.
const INTERVAL: Duration = Duration::from_millis(250);

/// A server could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The event store.
    #[error(transparent)]
    Store(#[from] StoreReadError),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The schema files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The schema registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Postgres.
    #[error(transparent)]
    Postgres(#[from] DatabaseError),
    /// A thread of the check panicked.
    #[error("a thread or task of the check panicked")]
    Thread(#[from] tokio::task::JoinError),
}

/// Called with the position in `$all` that was reached and the one at the end.
type Progress = Box<dyn FnMut(u64, u64) + Send>;

/// A comparison of store, topics and inboxes, also of a system that is running.
///
/// At its start it fixes the ends of the partitions and then the end of `$all`. Every record before the first
/// must be of an event before the second, and every event before the second must have its record, for which it
/// waits: for [`Options::patience_seconds`] in all without any record. Inboxes are waited for in the same way.
///
/// ```no_run
/// # async fn example() -> Result<(), aqueduct_verify::CheckError> {
/// use aqueduct_verify::{Check, Options, Selection};
///
/// let mut options = Options::new(
///     "esdb://127.0.0.1:2113?tls=false",
///     "127.0.0.1:9092",
///     "http://127.0.0.1:8081",
/// );
/// options.topics.insert("bank.accounts".to_owned(), Selection::of_categories(["account"]).into());
/// let report = Check::new(options).run().await?;
/// assert!(report.has_no_faults(), "{report}");
/// # Ok(())
/// # }
/// ```
pub struct Check {
    options: Options,
    system: Option<Box<dyn System + Send>>,
    progress: Option<Progress>,
}

impl Check {
    /// A check of any system: payloads are compared where no upcast rule was applied, that is where the record's
    /// schema version is that of the stored event.
    pub fn new(options: Options) -> Self {
        Self { options, system: None, progress: None }
    }

    /// Adds what is known of the system: then all payloads are compared, and its own rules and read models too.
    pub fn with_system(mut self, system: impl System + Send + 'static) -> Self {
        self.system = Some(Box::new(system));
        self
    }

    /// Calls back with the position in `$all` that was reached and the one at the end.
    pub fn with_progress(mut self, progress: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Reads everything and compares it. `Err` means that a server could not be read; differences are in the
    /// report.
    pub async fn run(self) -> Result<Report, CheckError> {
        let begun = Instant::now();
        let Self { options, mut system, mut progress } = self;
        let findings = Findings::keeping(options.shown);
        let max_record_bytes = options.max_record_bytes;
        let files = options.schemas.as_deref().map(Files::read).transpose()?;
        let (servers, topics) = connect(&options).await?;
        let pass = move |mut servers: Servers, topics: Vec<Topic>, mut findings: Findings, source: String| {
            let end = servers.end.map_or(0, |end| end.commit);
            let seen = |position: Position| {
                if let Some(progress) = &mut progress {
                    progress(position.commit, end);
                }
            };
            let given = system.as_deref_mut().map(|system| system as &mut dyn System);
            let files = files.as_ref();
            let knowledge = Knowledge { system: given, files, source: &source, max_record_bytes };
            let lockstep = Lockstep::new(&mut servers, knowledge, &topics, &mut findings);
            let outcome = lockstep.run(seen)?;
            if let Some(system) = &mut system {
                system.judge_store(&mut findings);
            }
            Ok::<_, CheckError>((servers, topics, findings, system, outcome))
        };
        let source = options.source.clone();
        let judged = tokio::task::spawn_blocking(move || pass(servers, topics, findings, source)).await??;
        let (servers, topics, mut findings, system, outcome) = judged;
        let tables = system.as_ref().map_or_else(Vec::new, |system| system.tables());
        let later = Later { servers, topics, outcome: &outcome };
        let applied = later_stages(&options, &tables, later, &mut findings).await?;
        let figures = system.map_or_else(BTreeMap::new, |system| system.figures());
        Ok(report(figures, &outcome, applied, findings, begun))
    }
}

/// Fixes the ends: first those of the partitions, then that of the store.
async fn connect(options: &Options) -> Result<(Servers, Vec<Topic>), CheckError> {
    let given = options.clone();
    let kafka = tokio::task::spawn_blocking(move || Kafka::connect(&given)).await??;
    let Kafka { consumer, exceptions, exceptions_of, since } = kafka;
    let topics = options.topics.iter().zip(consumer.partitions()).zip(since);
    let topics = topics.map(|(((name, route), partitions), since)| Topic {
        since,
        ..Topic::new(options, name, route, partitions)
    });
    let topics = topics.collect();
    let registry = Registry::new(options)?;
    let store = Store::connect(&options.store)?;
    let end = store.end().await?;
    let (sender, batches) = mpsc::channel(4);
    let reader = end.map(|end| {
        let store = store.clone();
        tokio::spawn(async move { store.read(end, sender).await })
    });
    let servers = Servers {
        runtime: Handle::current(),
        batches,
        reader,
        events: VecDeque::new(),
        end,
        lookups: Lookups::new(store),
        consumer,
        exceptions,
        exceptions_of,
        registry,
        schemas: HashMap::new(),
    };
    Ok((servers, topics))
}

/// The offsets by the name of their topic.
fn by_name(topics: &[Topic], offsets: &BTreeMap<(usize, i32), i64>) -> Offsets {
    let named = |(&(topic, partition), &offset): (&(usize, i32), &i64)| {
        ((topics[topic].name.clone(), partition), offset)
    };
    offsets.iter().map(named).collect()
}

/// What the stages behind the topics are judged by.
struct Later<'a> {
    servers: Servers,
    topics: Vec<Topic>,
    outcome: &'a Outcome,
}

/// Inbox and read models as one transaction saw them, and what the inbox was found to be.
struct Snapshot {
    inbox: Inbox,
    projections: BTreeMap<String, Vec<String>>,
    applied: BTreeMap<String, u64>,
    all_ahead: Vec<Ahead>,
    findings: Findings,
    /// In the order of the read models.
    rows: Vec<Vec<Cells>>,
}

/// Judges inboxes and read models, and returns how many events each projection has applied.
async fn later_stages(
    options: &Options,
    tables: &[Table],
    later: Later<'_>,
    findings: &mut Findings,
) -> Result<BTreeMap<String, u64>, CheckError> {
    let Some(postgres) = &options.postgres else { return Ok(BTreeMap::new()) };
    let Some(snapshot) = final_snapshot(options, postgres, tables, &later).await? else {
        return Ok(BTreeMap::new());
    };
    let Snapshot { inbox, projections, applied, all_ahead, findings: judged, rows } = snapshot;
    findings.append(judged);
    let Later { servers, topics, .. } = later;
    // After the snapshot: a running projection may have read what was written since the pass.
    let read = move || servers.consumer.ends().map(|ends| (servers, ends));
    let (mut servers, ends) = tokio::task::spawn_blocking(read).await??;
    inbox::judge_ends(&projections, &by_name(&topics, &ends), &inbox, findings);
    for ahead in all_ahead {
        if !is_explained(&ahead, &mut servers, &topics).await? {
            ahead.report(findings);
        }
    }
    for (table, rows) in tables.iter().zip(rows) {
        table.judge(rows, findings);
    }
    Ok(applied)
}

/// Reads the inbox, again while it is behind, until it has not moved for the patience of the options. The
/// transaction is over when this returns. None if there is nothing to judge.
async fn final_snapshot(
    options: &Options,
    postgres: &str,
    tables: &[Table],
    later: &Later<'_>,
) -> Result<Option<Snapshot>, CheckError> {
    let patience = Duration::from_secs(options.patience_seconds);
    let (source, streams) = (options.source.as_str(), &later.outcome.streams);
    let last = by_name(&later.topics, &later.outcome.last);
    let (mut moved, mut behind) = (Instant::now(), u64::MAX);
    loop {
        let mut database = Database::connect(postgres).await?;
        let mut projections = options.projections.clone();
        if options.all_projections {
            projections.extend(database.projections(options.topics.keys()).await?);
        }
        if projections.is_empty() && tables.is_empty() {
            database.close().await?;
            return Ok(None);
        }
        let inbox = database.inbox().await?;
        let mut findings = Findings::keeping(options.shown);
        let expected =
            Expected { streams, source, topics: &later.topics, projections: &projections, last: &last };
        let (applied, all_ahead) = inbox::judge(expected, &inbox, &mut findings);
        let still_behind = findings.count(Kind::Missing);
        if still_behind < behind {
            (moved, behind) = (Instant::now(), still_behind);
        }
        if behind == 0 || moved.elapsed() >= patience {
            let mut rows = Vec::with_capacity(tables.len());
            for table in tables {
                rows.push(database.table(table).await?);
            }
            database.close().await?;
            return Ok(Some(Snapshot { inbox, projections, applied, all_ahead, findings, rows }));
        }
        database.close().await?;
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Whether the event of the row was stored since the end was fixed, or is no longer in the store.
async fn is_explained(ahead: &Ahead, servers: &mut Servers, topics: &[Topic]) -> Result<bool, CheckError> {
    let Some(revision) = ahead.revision else { return Ok(false) };
    let event = servers.lookups.find(&ahead.stream, revision, None).await?;
    if event.is_none() && servers.lookups.beginning(&ahead.stream).await?.hides(revision) {
        return Ok(true);
    }
    let selects = |event: &RecordedEvent| topics[ahead.topic].selects(event);
    Ok(event.is_some_and(|event| selects(&event) && Some(event.position) > servers.end))
}

fn report(
    figures: BTreeMap<String, serde_json::Value>,
    outcome: &Outcome,
    applied: BTreeMap<String, u64>,
    findings: Findings,
    begun: Instant,
) -> Report {
    Report {
        figures,
        stored: outcome.stored,
        relayed: outcome.relayed,
        applied: applied.values().sum(),
        applied_by: applied,
        upcast: outcome.upcast,
        not_compared: outcome.not_compared,
        gone: outcome.gone,
        parked: findings.count(Kind::Parked),
        discarded: findings.count(Kind::Discarded),
        skipped: findings.count(Kind::Skipped),
        missing: findings.count(Kind::Missing),
        duplicates: findings.count(Kind::Duplicate),
        out_of_order: findings.count(Kind::OutOfOrder),
        mismatches: findings.count(Kind::Mismatch),
        system_events: outcome.system_events,
        foreign_events: outcome.foreign_events,
        findings: findings.into_kept(),
        seconds: begun.elapsed().as_secs_f64(),
    }
}
