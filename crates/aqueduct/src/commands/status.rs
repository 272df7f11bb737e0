//! `status`: how far the relay's lanes and the projections are, and what keeps them from working.

mod lanes;
mod partitions;
mod render;

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use self::lanes::LaneSample;
use self::partitions::PartitionSample;
use crate::connections::Connections;
use crate::failure::Failure;

/// Show how far the relay and the projections are, and what keeps them from working
///
/// Asks the configured servers only; no process of the system has to run. A lane or partition that nobody has
/// reported for 30 s is shown as `silent`. The rate comes from two samples. Exit code 1 if a server does not answer.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Print one JSON object, with --watch one a line
    #[arg(long)]
    json: bool,
    /// Repeat the output until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Seconds between the two samples, and with --watch between two outputs
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

/// An owner reports every ten seconds. After three missing reports its state is shown as `silent`.
const SILENT_AFTER: Duration = Duration::from_secs(30);

/// Everything at one time.
#[derive(Debug, Default, Serialize)]
struct Report {
    lanes: Vec<LaneSample>,
    projections: Vec<PartitionSample>,
    /// Servers that did not answer.
    problems: Vec<String>,
}

/// Needs what is configured of event store, Kafka and Postgres: Kafka for lanes, Postgres for projections.
pub(super) async fn run(arguments: &Arguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let configuration = connections.configuration();
    let has_lanes = configuration.kafka.configured().is_some() && !configuration.relay.routes.is_empty();
    if !has_lanes && configuration.postgres.configured().is_none() {
        return Err(format!(
            "nothing to show: {} has no Kafka with [[relay.routes]], and no Postgres",
            configuration.path.display()
        )
        .into());
    }
    let pause = Duration::from_secs(arguments.interval);
    let mut before = sample(connections).await;
    loop {
        tokio::time::sleep(pause).await;
        let mut now = sample(connections).await;
        now.compare(&before);
        render::print(&now, arguments.json, arguments.watch)?;
        if !arguments.watch {
            let complete = now.problems.is_empty();
            return Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        before = now;
    }
}

async fn sample(connections: &Connections) -> Report {
    let (lanes, partitions) = tokio::join!(lanes::sample(connections), partitions::sample(connections));
    let mut report = Report::default();
    let (lanes, lane_problems) = lanes;
    report.lanes = lanes;
    report.problems.extend(lane_problems);
    match partitions {
        Ok((partitions, problems)) => {
            report.projections = partitions;
            report.problems.extend(problems);
        }
        Err(error) => report.problems.push(format!("postgres: {error}")),
    }
    report
}

impl Report {
    /// Sets the rates.
    fn compare(&mut self, before: &Self) {
        for lane in &mut self.lanes {
            let earlier = before.lanes.iter().find(|it| it.route == lane.route && it.lane == lane.lane);
            lane.rate = earlier.and_then(|earlier| {
                rate(earlier.commit()?, lane.commit()?, earlier.sampled_at, lane.sampled_at)
            });
        }
        for partition in &mut self.projections {
            let earlier = before.projections.iter().find(|it| it.is_same(partition));
            partition.rate = earlier.and_then(|earlier| {
                let (from, to) = (earlier.next_offset? as u64, partition.next_offset? as u64);
                rate(from, to, earlier.sampled_at, partition.sampled_at)
            });
        }
    }
}

fn rate(from: u64, to: u64, began: Timestamp, ended: Timestamp) -> Option<f64> {
    let seconds = seconds_between(began, ended);
    (seconds > 0.0).then(|| to.saturating_sub(from) as f64 / seconds)
}

/// At least 0: the clocks of two machines may differ.
fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    (later.as_millisecond() - earlier.as_millisecond()).max(0) as f64 / 1000.0
}

/// The state to show for one that was reported at a time.
fn state_at(state: &str, at: Timestamp, now: Timestamp) -> String {
    let lives = matches!(state, "starting" | "running" | "retrying");
    if lives && seconds_between(at, now) > SILENT_AFTER.as_secs_f64() {
        return "silent".to_owned();
    }
    state.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn what_nobody_reports_any_longer_is_silent() {
        for (state, age, shown) in [
            ("running", 11, "running"),
            ("running", 31, "silent"),
            ("retrying", 31, "silent"),
            ("halted", 3600, "halted"),
            ("stopped", 3600, "stopped"),
            ("running", -5, "running"),
        ] {
            assert_eq!(state_at(state, at(0), at(age)), shown, "{state} {age}");
        }
    }

    #[test]
    fn a_rate_needs_time_and_is_never_negative() {
        assert_eq!(rate(100, 300, at(0), at(2)), Some(100.0));
        assert_eq!(rate(300, 100, at(0), at(2)), Some(0.0));
        assert_eq!(rate(100, 300, at(0), at(0)), None);
    }
}
