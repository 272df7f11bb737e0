//! From one version of an event to the next: Avro's resolution, and rules where that is not enough.
//!
//! An event is read once into typed values, goes through all steps, and is written once.

mod budget;
mod plan;
mod read;
mod renames;
mod rule;
mod step;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use rule::RULE_LANGUAGE_VERSION;
pub(crate) use rule::on_parser_stack;
pub(crate) use step::UpcastStep;

use std::collections::BTreeSet;

use bumpalo::Bump;

use crate::layout::types::Layout;
use crate::mapping::mismatch::Mismatch;
use budget::Budget;

/// A step and the layout that it leads to.
pub(crate) struct Next<'s> {
    pub(crate) step: &'s UpcastStep,
    pub(crate) layout: &'s Layout,
}

/// Why an event cannot be brought to the latest version: the step that failed, from 0, and what is wrong.
pub(crate) struct FailedStep {
    pub(crate) step: usize,
    pub(crate) problem: Mismatch,
}

/// Takes the Avro of an event through the steps, and returns that of the last layout.
pub(crate) fn upcast(old: &Layout, steps: &[Next<'_>], avro: &[u8]) -> Result<Vec<u8>, FailedStep> {
    let arena = Bump::with_capacity(avro.len().clamp(512, 1 << 16));
    let budget = Budget::new(&arena);
    let failed = |step: usize| move |problem: Mismatch| FailedStep { step, problem };
    let mut event = read::read(old, avro, &budget).map_err(failed(0))?;
    let mut layout = old;
    for (number, next) in steps.iter().enumerate() {
        event = next.step.run(layout, next.layout, event, &budget).map_err(failed(number))?;
        layout = next.layout;
    }
    write::write(layout, event, avro.len() + 64).map_err(failed(steps.len().saturating_sub(1)))
}

/// Takes the Avro of an event through one step, and returns that of the newer layout and the indices of the newer records
/// that the result contains.
pub(crate) fn upcast_once(
    old: &Layout,
    next: &Next<'_>,
    avro: &[u8],
) -> Result<(Vec<u8>, BTreeSet<usize>), Mismatch> {
    let arena = Bump::new();
    let budget = Budget::new(&arena);
    let event = read::read(old, avro, &budget)?;
    let event = next.step.run(old, next.layout, event, &budget)?;
    let mut records = BTreeSet::from([Layout::EVENT]);
    event.iter().for_each(|field| field.records(&mut records));
    Ok((write::write(next.layout, event, avro.len())?, records))
}
