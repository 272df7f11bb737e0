//! A progress bar for each stage, drawn on a terminal only.

use std::collections::HashSet;
use std::fmt;

use aqueduct_shop::input::{Plan, Step};
use aqueduct_shop::product_code;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

/// The expected totals of the run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expected {
    /// Commands to the services.
    pub(crate) commands: u64,
    /// Events in the store.
    pub(crate) events: u64,
    /// Events taken by all projections and the reactor together.
    pub(crate) taken: u64,
}

impl Expected {
    /// Counts the events of the plan: an order is reserved product by product and ends once.
    pub(crate) fn of(plan: &Plan) -> Self {
        let (mut users, mut orders, mut inventory) = (0, 0, 0);
        for month in &plan.months {
            inventory += month.deliveries.len() as u64;
            for step in &month.steps {
                match step {
                    Step::Register(_) => users += 1,
                    Step::Order { order, .. } => {
                        orders += 2;
                        inventory += distinct(order.lines.iter().map(|line| &line.sku));
                    }
                    Step::Return(back) => {
                        orders += 1 + u64::from(back.undoes.is_some());
                        inventory += distinct(back.lines.iter().map(|line| &line.sku));
                    }
                    Step::Correct { .. } => inventory += 1,
                }
            }
        }
        Self {
            commands: plan.len() as u64,
            events: users + orders + inventory,
            // The orders topic has three readers, each other topic has one.
            taken: users + 3 * orders + inventory,
        }
    }
}

fn distinct<'a>(codes: impl Iterator<Item = &'a String>) -> u64 {
    codes.map(|code| product_code(code)).collect::<HashSet<_>>().len() as u64
}

/// indicatif's own `per_sec` prints every digit of the floating-point number.
fn write_rate(state: &ProgressState, output: &mut dyn fmt::Write) {
    // An error would come from the bar's own buffer.
    let _ = output.write_str(&rate(state.per_sec()));
}

/// Whole events per second from 10 on, one decimal below.
fn rate(per_second: f64) -> String {
    if per_second >= 10.0 { format!("{per_second:.0}/s") } else { format!("{per_second:.1}/s") }
}

/// The bars. indicatif draws nothing if stderr is not a terminal.
pub(crate) struct Bars {
    all: MultiProgress,
    fed: ProgressBar,
    stored: ProgressBar,
    relayed: ProgressBar,
    applied: ProgressBar,
}

impl Bars {
    pub(crate) fn new(expected: Expected) -> Self {
        let all = MultiProgress::new();
        let bar = |name: &'static str, length| {
            let style = ProgressStyle::with_template(
                "{prefix:>8} {bar:40} {human_pos:>8} of {human_len:8} {rate:>14}",
            );
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", write_rate);
            all.add(ProgressBar::new(length).with_style(style).with_prefix(name))
        };
        let (fed, stored) = (bar("commands", expected.commands), bar("stored", expected.events));
        let (relayed, applied) = (bar("relayed", expected.events), bar("applied", expected.taken));
        Self { all, fed, stored, relayed, applied }
    }

    /// Prints a message above the bars.
    pub(crate) fn say(&self, text: &str) {
        self.all.suspend(|| eprintln!("{text}"));
    }

    /// Moves the bars to these counts.
    pub(crate) fn show(&self, fed: u64, stored: u64, relayed: u64, applied: u64) {
        self.fed.set_position(fed);
        self.stored.set_position(stored);
        self.relayed.set_position(relayed);
        self.applied.set_position(applied);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // The drawn bars stay; an error message must not run into them.
        for bar in [&self.fed, &self.stored, &self.relayed, &self.applied] {
            bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The progress bar showed `354.87309994588958/s`.
    #[test]
    fn rates_are_rounded() {
        for (per_second, shown) in
            [(354.873_099, "355/s"), (9.96, "10.0/s"), (0.04, "0.0/s"), (31_000.4, "31000/s")]
        {
            assert_eq!(rate(per_second), shown);
        }
    }
}
