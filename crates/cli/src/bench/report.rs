//! Figures, for people and for scripts.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::comparison::{Comparison, Figures, Medians};
use super::range::Range;
use crate::Failure;

/// How long each start of a process took.
#[derive(Debug, Serialize)]
pub(super) struct Starts {
    /// `relay start`.
    pub(super) name: &'static str,
    /// From what to what.
    pub(super) work: String,
    /// What each round took.
    pub(super) seconds: Vec<f64>,
}

/// A relay process and its peak memory.
#[derive(Debug, Serialize)]
pub(super) struct Peak {
    /// What it has relayed.
    pub(super) name: String,
    pub(super) events: usize,
    /// From the start of the process until all were seen.
    pub(super) seconds: f64,
    /// Most resident memory.
    pub(super) mib: Option<f64>,
}

/// All that was measured.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) comparisons: Vec<Comparison>,
    pub(super) starts: Vec<Starts>,
    pub(super) peaks: Vec<Peak>,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "the figures are the command's output")]
    pub(super) fn print(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            println!("{}", self.json()?);
        } else {
            print!("{self}");
        }
        Ok(())
    }

    fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        let mut comparisons = Vec::with_capacity(self.comparisons.len());
        for comparison in &self.comparisons {
            let mut object = serde_json::to_value(comparison)?;
            object["figures"] = serde_json::to_value(comparison.figures())?;
            comparisons.push(object);
        }
        let mut starts = Vec::with_capacity(self.starts.len());
        for start in &self.starts {
            let mut object = serde_json::to_value(start)?;
            object["figures"] = serde_json::to_value(Range::of(start.seconds.iter().copied()))?;
            starts.push(object);
        }
        Ok(json!({ "comparisons": comparisons, "starts": starts, "peaks": &self.peaks }))
    }
}

/// Markdown that a README can quote.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.comparisons.is_empty() {
            writeln!(
                f,
                "| | baseline | events/s | baseline's events/s | ratio | CPU ms/1,000 events | baseline's CPU |"
            )?;
            writeln!(f, "|---|---|---:|---:|---:|---:|---:|")?;
            for figures in self.comparisons.iter().flat_map(Comparison::figures) {
                row(f, &figures)?;
            }
            writeln!(f)?;
            writeln!(
                f,
                "- Medians of the rounds, of the ratio also the range. CPU: user and system time, this process / the server \
                 that is written to."
            )?;
        }
        for Comparison { name, work, product, baselines, .. } in &self.comparisons {
            writeln!(f, "- {name}: {work}")?;
            for side in std::iter::once(product).chain(baselines) {
                writeln!(f, "- {name}, {}: {}.", side.name, side.includes)?;
            }
        }
        if !self.starts.is_empty() {
            if !self.comparisons.is_empty() {
                writeln!(f)?;
            }
            writeln!(f, "| | seconds |\n|---|---:|")?;
            for Starts { name, seconds, .. } in &self.starts {
                if let Some(Range { median, least, most }) = Range::of(seconds.iter().copied()) {
                    writeln!(f, "| {name} | {median:.3} ({least:.3} to {most:.3}) |")?;
                }
            }
            writeln!(f)?;
            for Starts { name, work, .. } in &self.starts {
                writeln!(f, "- {name}: {work}")?;
            }
        }
        if !self.peaks.is_empty() {
            if !self.comparisons.is_empty() || !self.starts.is_empty() {
                writeln!(f)?;
            }
            writeln!(f, "| a relay process | seconds | events/s | peak MiB |\n|---|---:|---:|---:|")?;
            for Peak { name, events, seconds, mib } in &self.peaks {
                let mib = mib.map_or("-".to_owned(), |mib| format!("{mib:.0}"));
                writeln!(f, "| {name} | {seconds:.1} | {:.0} | {mib} |", *events as f64 / seconds)?;
            }
            writeln!(f)?;
            writeln!(
                f,
                "- From the start of `aqueduct relay` until a read_committed reader has seen all, from an event store on disk to \
                 a topic of four partitions."
            )?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    let Figures { name, baseline, of_product, of_baseline, ratio: Range { median, least, most } } = figures;
    writeln!(
        f,
        "| {name} | {baseline} | {:.0} | {:.0} | {} ({} to {}) | {} | {} |",
        of_product.events_per_second,
        of_baseline.events_per_second,
        Shown(*median),
        Shown(*least),
        Shown(*most),
        Cpu(of_product),
        Cpu(of_baseline)
    )
}

/// The CPU time of this process and of the server; a dash for what was not measured.
struct Cpu<'a>(&'a Medians);

impl fmt::Display for Cpu<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |cpu: Option<f64>| cpu.map_or("-".to_owned(), |cpu| format!("{cpu:.1}"));
        write!(f, "{} / {}", shown(self.0.process_cpu_ms), shown(self.0.server_cpu_ms))
    }
}

/// A ratio with as many places as are significant.
struct Shown(f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = if self.0 < 10.0 { 2 } else { 0 };
        write!(f, "{:.places$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::comparison::tests::two_rounds;
    use super::*;

    fn report() -> Report {
        let starts = Starts { name: "relay start", work: "To the first record.".into(), seconds: vec![0.25] };
        let peak = Peak { name: "10 events".into(), events: 10, seconds: 0.25, mib: Some(64.0) };
        Report { comparisons: vec![two_rounds()], starts: vec![starts], peaks: vec![peak] }
    }

    #[test]
    fn the_text_is_a_markdown_table_and_what_is_counted() {
        let expected = "\
| | baseline | events/s | baseline's events/s | ratio | CPU ms/1,000 events | baseline's CPU |
|---|---|---:|---:|---:|---:|---:|
| view | bare SQL | 10000 | 12500 | 1.25 (0.50 to 2.00) | 10.0 / 5.0 | 12.5 / - |
| view | decoding | 10000 | 7500 | 1.50 (1.00 to 2.00) | 10.0 / 5.0 | 15.0 / - |

- Medians of the rounds, of the ratio also the range. CPU: user and system time, this process / the server that is written to.
- view: 2000 records.
- view, projection: everything.
- view, bare SQL: rows that are ready.
- view, decoding: Avro, too.

| | seconds |
|---|---:|
| relay start | 0.250 (0.250 to 0.250) |

- relay start: To the first record.

| a relay process | seconds | events/s | peak MiB |
|---|---:|---:|---:|
| 10 events | 0.2 | 40 | 64 |

- From the start of `aqueduct relay` until a read_committed reader has seen all, from an event store on disk to a topic of four partitions.
";
        assert_eq!(report().to_string(), expected);
    }

    #[test]
    fn the_json_has_the_same_figures() {
        let json = report().json().unwrap();
        let figures = &json["comparisons"][0]["figures"];
        assert_eq!(figures[1]["baseline"], "decoding");
        assert_eq!(figures[0]["ratio"], json!({"median": 1.25, "least": 0.5, "most": 2.0}));
        assert_eq!(figures[0]["of_product"]["server_cpu_ms"], 5.0);
        assert_eq!(figures[0]["of_baseline"]["server_cpu_ms"], serde_json::Value::Null);
        assert_eq!(json["starts"][0]["figures"]["median"], 0.25);
        assert_eq!(json["peaks"][0]["mib"], 64.0);
    }
}
