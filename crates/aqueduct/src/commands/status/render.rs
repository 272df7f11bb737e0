//! The report as a table or as JSON.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use super::Report;
use super::lanes::LaneSample;
use super::partitions::PartitionSample;

/// Clears a terminal and moves to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

#[expect(clippy::print_stdout, reason = "the report is the command's output")]
pub(super) fn print(report: &Report, json: bool, watch: bool) -> Result<(), std::io::Error> {
    if json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        let mut out = std::io::stdout().lock();
        if watch && out.is_terminal() {
            out.write_all(CLEAR.as_bytes())?;
        }
        out.write_all(table(report).as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

fn table(report: &Report) -> String {
    let mut rows = Vec::new();
    if !report.lanes.is_empty() {
        rows.push(["lane", "state", "position", "lag", "lag time", "rate", "parked"].map(str::to_owned));
        rows.extend(report.lanes.iter().map(lane));
    }
    let lanes = rows.len();
    if !report.projections.is_empty() {
        rows.push(["projection", "state", "offset", "lag", "lag time", "rate", "parked"].map(str::to_owned));
        rows.extend(report.projections.iter().map(partition));
    }
    let mut text = align(&rows, lanes);
    let lane_problems = report.lanes.iter().filter_map(|it| Some((place_of_lane(it), it.problem.as_ref()?)));
    let problems = report.projections.iter().filter_map(|it| Some((place(it), it.problem.as_ref()?)));
    let problems: Vec<_> = lane_problems.chain(problems).collect();
    if !problems.is_empty() {
        text.push('\n');
    }
    for (place, problem) in problems {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{place}: {problem}");
    }
    for problem in &report.problems {
        let _ = writeln!(text, "not known: {problem}");
    }
    text
}

fn place_of_lane(lane: &LaneSample) -> String {
    format!("{}/{}", lane.route, lane.lane)
}

fn place(partition: &PartitionSample) -> String {
    if partition.partition < 0 {
        return partition.projection.clone();
    }
    format!("{} {}/{}", partition.projection, partition.topic, partition.partition)
}

fn lane(lane: &LaneSample) -> [String; 7] {
    [
        place_of_lane(lane),
        lane.state.clone(),
        known(lane.position),
        known(lane.lag),
        lane.lag_seconds.map_or_else(unknown, time),
        lane.rate.map_or_else(unknown, |rate| format!("{rate:.0}/s")),
        known(lane.parked),
    ]
}

fn partition(partition: &PartitionSample) -> [String; 7] {
    [
        place(partition),
        partition.state.clone(),
        known(partition.next_offset),
        known(partition.lag),
        partition.lag_seconds.map_or_else(unknown, time),
        partition.rate.map_or_else(unknown, |rate| format!("{rate:.1}/s")),
        partition.parked.to_string(),
    ]
}

fn known(value: Option<impl ToString>) -> String {
    value.map_or_else(unknown, |value| value.to_string())
}

fn unknown() -> String {
    "-".to_owned()
}

fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 100.0 => format!("{seconds:.1} s"),
        seconds if seconds < 6000.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

/// Columns as wide as their widest cell; an empty line before row `second`.
fn align(rows: &[[String; 7]], second: usize) -> String {
    let mut widths = [0; 7];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        if n == second && n > 0 {
            text.push('\n');
        }
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Names to the left, numbers to the right.
            let _ = match column {
                0 | 1 => write!(line, "{cell:<width$}  "),
                _ => write!(line, "{cell:>width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use aqueduct_core::Position;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_table_shows_all_and_the_problems_below() {
        let sampled_at = Timestamp::UNIX_EPOCH;
        let lane = LaneSample {
            route: "orders".to_owned(),
            lane: 0,
            state: "halted".to_owned(),
            problem: Some("no schema".to_owned()),
            reported_at: None,
            position: Some(Position { commit: 120, prepare: 120 }),
            lag: Some(30),
            lag_seconds: Some(130.0),
            rate: Some(0.0),
            parked: Some(1),
            sampled_at,
        };
        let partition = PartitionSample {
            projection: "balances".to_owned(),
            topic: "bank.accounts".to_owned(),
            partition: 3,
            state: "running".to_owned(),
            problem: None,
            reported_at: None,
            next_offset: None,
            lag: Some(0),
            lag_seconds: Some(0.0),
            rate: None,
            parked: 2,
            sampled_at,
        };
        let report = Report {
            lanes: vec![lane],
            projections: vec![partition],
            problems: vec!["kafka: down".to_owned()],
        };
        let expected = "\
lane                      state    position  lag  lag time  rate  parked
orders/0                  halted        120   30     2 min   0/s       1

projection                state      offset  lag  lag time  rate  parked
balances bank.accounts/3  running         -    0     0.0 s     -       2

orders/0: no schema
not known: kafka: down
";
        assert_eq!(table(&report), expected);
    }
}
