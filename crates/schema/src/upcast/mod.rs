//! From one version of an event to the next: Avro's resolution on plain JSON, and rules where that is not
//! enough.

mod functions;
mod plan;
mod renames;
mod rule;
mod step;
mod values;

pub(crate) use functions::environment;
pub(crate) use step::UpcastStep;
