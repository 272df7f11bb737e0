//! Examples of what a projection makes of events.

mod example;
pub(crate) mod report;
mod rows;
mod run;
