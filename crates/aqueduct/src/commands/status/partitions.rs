//! The projections' partitions, from Postgres and Kafka.

use std::collections::BTreeMap;

use aqueduct_kafka::{Cluster, ClusterProbe};
use aqueduct_projection::{
    MigrationState, PartitionReport, PartitionState, migration_state, read_partitions,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{seconds_between, state_at};
use crate::connections::Connections;
use crate::failure::Failure;

/// A partition of a projection at one time.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PartitionSample {
    pub(super) projection: String,
    pub(super) topic: String,
    pub(super) partition: i32,
    /// `unknown` if no instance ever reported it.
    pub(super) state: String,
    pub(super) problem: Option<String>,
    pub(super) reported_at: Option<Timestamp>,
    /// The offset after the last applied record.
    pub(super) next_offset: Option<i64>,
    /// Records to the partition's end, including transaction markers between them; not known without Kafka.
    pub(super) lag: Option<u64>,
    /// Age of the first record that is not applied.
    pub(super) lag_seconds: Option<f64>,
    /// Records a second.
    pub(super) rate: Option<f64>,
    pub(super) parked: u64,
    #[serde(skip)]
    pub(super) sampled_at: Timestamp,
}

impl PartitionSample {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.projection, &self.topic, self.partition) == (&other.projection, &other.topic, other.partition)
    }
}

/// The partitions of all projections, and which servers did not answer.
pub(super) async fn sample(
    connections: &Connections,
) -> Result<(Vec<PartitionSample>, Vec<String>), Failure> {
    let configuration = connections.configuration();
    if configuration.postgres.configured().is_none() {
        return Ok((Vec::new(), Vec::new()));
    }
    let pool = connections.postgres()?;
    let MigrationState { applied, missing } = migration_state(&pool).await?;
    if applied == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    if !missing.is_empty() {
        return Err("migrations of schema aqueduct are missing: run `setup`".into());
    }
    let reports = without_outdated_instances(read_partitions(&pool).await?);
    let (lags, problems) = match configuration.kafka.configured() {
        Some(_) => {
            let (cluster, wanted) = (configuration.cluster()?, reports.clone());
            tokio::task::spawn_blocking(move || lags(&cluster, &wanted)).await?
        }
        None => (Lags::new(), Vec::new()),
    };
    let samples = reports.into_iter().map(|report| partition(report, &lags)).collect();
    Ok((samples, problems))
}

/// Records behind, and the timestamp of the first of them, by topic, partition and the offset up to which all is applied.
type Lags = BTreeMap<(String, i32, Option<i64>), (u64, Option<i64>)>;

/// The offset up to which the owner has applied everything.
fn reached(report: &PartitionReport) -> Option<i64> {
    report.read_to.max(report.next_offset)
}

/// Measures each partition once; several projections are often at the same offset.
fn lags(cluster: &Cluster, reports: &[PartitionReport]) -> (Lags, Vec<String>) {
    let probe = match ClusterProbe::new(cluster) {
        Ok(probe) => probe,
        Err(error) => return (Lags::new(), vec![format!("kafka: {error}")]),
    };
    let (mut lags, mut problems) = (Lags::new(), Vec::new());
    for report in reports.iter().filter(|report| report.partition >= 0) {
        let key = (report.topic.clone(), report.partition, reached(report));
        if lags.contains_key(&key) {
            continue;
        }
        match lag(&probe, &report.topic, report.partition, reached(report)) {
            Ok(lag) => {
                lags.insert(key, lag);
            }
            Err(error) => {
                problems.push(format!("topic {}, partition {}: {error}", report.topic, report.partition));
                // An unreachable cluster would cost a timeout for each partition.
                if !probe.is_reachable() {
                    break;
                }
            }
        }
    }
    (lags, problems)
}

fn lag(
    probe: &ClusterProbe,
    topic: &str,
    partition: i32,
    reached: Option<i64>,
) -> Result<(u64, Option<i64>), Failure> {
    let behind = probe.end(topic, partition)?.saturating_sub(reached.unwrap_or_default()).max(0) as u64;
    if behind == 0 {
        return Ok((0, None));
    }
    // Only transaction markers may be left: they are no records.
    let first = probe.timestamp_from(topic, partition, reached)?;
    Ok(first.map_or((0, None), |timestamp| (behind, Some(timestamp))))
}

fn partition(report: PartitionReport, lags: &Lags) -> PartitionSample {
    let now = Timestamp::now();
    let lag = lags.get(&(report.topic.clone(), report.partition, reached(&report)));
    let lag_seconds = lag.and_then(|(behind, since)| match (behind, since) {
        (0, _) => Some(0.0),
        (_, Some(since)) => Some(seconds_between(Timestamp::from_millisecond(*since).ok()?, now)),
        (_, None) => None,
    });
    let PartitionReport { projection, topic, partition, next_offset, parked, reported, .. } = report;
    let mut sample = PartitionSample {
        projection,
        topic,
        partition,
        state: "unknown".to_owned(),
        problem: None,
        reported_at: None,
        next_offset,
        lag: lag.map(|(behind, _)| *behind),
        lag_seconds,
        rate: None,
        parked,
        sampled_at: now,
    };
    if let Some(PartitionState { state, problem, at }) = reported {
        sample.state = state_at(&state, at, now);
        sample.problem = problem;
        sample.reported_at = Some(at);
    }
    sample
}

/// The report of an instance without partitions is shown until an instance reports a partition.
fn without_outdated_instances(reports: Vec<PartitionReport>) -> Vec<PartitionReport> {
    let reported = |report: &PartitionReport| report.reported.as_ref().map(|reported| reported.at);
    let mut latest: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
    for report in reports.iter().filter(|report| report.partition >= 0) {
        let entry = latest.entry(report.projection.clone()).or_default();
        *entry = (*entry).max(reported(report));
    }
    let counts = |report: &PartitionReport| {
        report.partition >= 0 || reported(report) > latest.get(&report.projection).copied().flatten()
    };
    reports.into_iter().filter(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(partition: i32, second: i64) -> PartitionReport {
        let at = Timestamp::from_second(second).unwrap();
        let reported = PartitionState { state: "running".to_owned(), problem: None, at };
        PartitionReport {
            projection: "balances".to_owned(),
            topic: String::new(),
            partition,
            next_offset: Some(7),
            read_to: Some(9),
            parked: 0,
            reported: Some(reported),
        }
    }

    #[test]
    fn an_instance_without_partitions_is_shown_until_another_reports() {
        let shown = |reports: Vec<_>| {
            without_outdated_instances(reports).iter().map(|report| report.partition).collect::<Vec<_>>()
        };
        assert_eq!(shown(vec![report(-1, 5)]), [-1]);
        assert_eq!(shown(vec![report(-1, 5), report(0, 4)]), [-1, 0]);
        assert_eq!(shown(vec![report(-1, 5), report(0, 6)]), [0]);
    }

    #[test]
    fn markers_that_were_read_count_as_applied() {
        assert_eq!(reached(&report(0, 1)), Some(9));
        assert_eq!(reached(&PartitionReport { read_to: None, ..report(0, 1) }), Some(7));
    }
}
