//! Figures, for people and for scripts.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use crate::Failure;

/// Two ways to do the same work, measured in turn.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// `relay`.
    pub(super) name: &'static str,
    /// What the rates count.
    pub(super) unit: &'static str,
    /// What both sides do, and what neither is charged for.
    pub(super) work: String,
    /// The product's side.
    pub(super) product: Side,
    /// What it is measured against.
    pub(super) bare: Side,
    /// What each round gave.
    pub(super) rounds: Vec<Round>,
}

/// One way to do the work.
#[derive(Debug, Serialize)]
pub(super) struct Side {
    /// In one or two words.
    pub(super) name: &'static str,
    /// What its time includes, and what it leaves out.
    pub(super) includes: String,
}

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

/// Rates of both sides.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Round {
    /// The product's.
    pub(super) product: f64,
    /// The other's.
    pub(super) bare: f64,
    /// The product's for one of the other's.
    pub(super) ratio: f64,
}

impl Round {
    pub(super) fn new(product: f64, bare: f64) -> Self {
        Self { product, bare, ratio: product / bare }
    }
}

/// The ratios of all rounds, or the times of all starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Range {
    median: f64,
    least: f64,
    most: f64,
}

impl Range {
    fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            0 => f64::midpoint(figures[middle - 1], figures[middle]),
            _ => figures[middle],
        };
        Some(Self { median, least, most })
    }

    fn of_ratios(rounds: &[Round]) -> Option<Self> {
        Self::of(rounds.iter().map(|round| round.ratio))
    }
}

/// All that was measured.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) comparisons: Vec<Comparison>,
    pub(super) starts: Vec<Starts>,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "the figures are the command's output")]
    pub(super) fn print(&self, as_json: bool) -> Result<(), Failure> {
        match as_json {
            true => println!("{}", self.json()?),
            false => print!("{self}"),
        }
        Ok(())
    }

    fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        let mut comparisons = Vec::with_capacity(self.comparisons.len());
        for comparison in &self.comparisons {
            let mut object = serde_json::to_value(comparison)?;
            object["ratio"] = serde_json::to_value(Range::of_ratios(&comparison.rounds))?;
            comparisons.push(object);
        }
        Ok(json!({ "comparisons": comparisons, "starts": self.starts }))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Comparison { name, unit, work, product, bare, rounds } in &self.comparisons {
            writeln!(f, "{name}")?;
            for (label, text) in [("", work), (product.name, &product.includes), (bare.name, &bare.includes)]
            {
                paragraph(f, label, text)?;
            }
            writeln!(f, "\n  {:>5} {:>18} {:>18} {:>9}", "round", product.name, bare.name, "ratio")?;
            for (n, Round { product, bare, ratio }) in rounds.iter().enumerate() {
                let ratio = Shown(*ratio);
                writeln!(f, "  {:>5} {product:>18.0} {bare:>18.0} {ratio:>9}   {unit}", n + 1)?;
            }
            if let Some(Range { median, least, most }) = Range::of_ratios(rounds) {
                let (median, least, most) = (Shown(median), Shown(least), Shown(most));
                writeln!(f, "  median ratio {median} ({least} to {most})\n")?;
            }
        }
        for Starts { name, work, seconds } in &self.starts {
            writeln!(f, "{name}")?;
            paragraph(f, "", work)?;
            writeln!(f, "\n  {:>5} {:>9}", "round", "seconds")?;
            for (n, taken) in seconds.iter().enumerate() {
                writeln!(f, "  {:>5} {taken:>9.3}", n + 1)?;
            }
            if let Some(Range { median, least, most }) = Range::of(seconds.iter().copied()) {
                writeln!(f, "  median {median:.3} ({least:.3} to {most:.3})\n")?;
            }
        }
        Ok(())
    }
}

/// A label and a text, wrapped to a readable width.
fn paragraph(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    const WIDTH: usize = 80;
    write!(f, "  {label:<11}")?;
    let mut column = 0;
    for word in text.split(' ') {
        if column + word.len() > WIDTH {
            write!(f, "\n  {:<11}", "")?;
            column = 0;
        }
        write!(f, " {word}")?;
        column += word.len() + 1;
    }
    writeln!(f)
}

/// A ratio with as many places as say something.
struct Shown(f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = if self.0 < 10.0 { 2 } else { 0 };
        f.pad(&format!("{:.places$}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(ratios: &[f64]) -> Option<Range> {
        Range::of_ratios(&ratios.iter().map(|ratio| Round::new(*ratio, 1.0)).collect::<Vec<_>>())
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(ratio(&[3.0, 1.0, 2.0]), Some(Range { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(ratio(&[4.0, 1.0, 2.0, 3.0]), Some(Range { median: 2.5, least: 1.0, most: 4.0 }));
        assert_eq!(ratio(&[]), None);
    }
}
