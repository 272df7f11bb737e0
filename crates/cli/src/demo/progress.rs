//! A progress bar for each stage; none where no terminal is.

use std::collections::HashSet;

use aqueduct_shop::input::{Plan, Step};
use aqueduct_shop::product_code;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// What the whole run will make.
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
    /// Counts what the plan leads to: an order is reserved product by product and comes to one end.
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
            // The orders topic has three readers, each of the others one.
            taken: users + 3 * orders + inventory,
        }
    }
}

fn distinct<'a>(codes: impl Iterator<Item = &'a String>) -> u64 {
    codes.map(|code| product_code(code)).collect::<HashSet<_>>().len() as u64
}

/// The bars. indicatif draws nothing where stderr is no terminal.
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
                "{prefix:>8} {bar:40} {human_pos:>8} of {human_len:8} {per_sec:>14}",
            );
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(length).with_style(style).with_prefix(name))
        };
        let (fed, stored) = (bar("commands", expected.commands), bar("stored", expected.events));
        let (relayed, applied) = (bar("relayed", expected.events), bar("applied", expected.taken));
        Self { all, fed, stored, relayed, applied }
    }

    /// Says something to the user, above the bars.
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
        // What has been drawn stays; a line of an error message must not run into it.
        for bar in [&self.fed, &self.stored, &self.relayed, &self.applied] {
            bar.abandon();
        }
    }
}
