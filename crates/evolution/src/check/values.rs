//! Whether values are read as the schemas promise: some faults show only in a value.

use aqueduct_avro::{Direction, Level, Resolution, Schema, Value, compatibility};
use fastrand::Rng;

use crate::catalogue::EventVersion;
use crate::check::OnTopic;
use crate::finding::{Affected, Finding, FindingName};
use crate::generate::value;

/// How many values of each earlier version are read.
const VALUES: usize = 8;
/// The same values each time, so that a finding comes again.
const SEED: u64 = 1;

pub(super) fn check(on_topic: &OnTopic<'_>, level: Level) -> Vec<Finding> {
    let OnTopic { version, earlier, .. } = on_topic;
    let mut findings = Vec::new();
    for (index, one) in earlier.iter().enumerate() {
        for direction in level.directions() {
            findings.extend(match direction {
                Direction::Backward => decodes(one, version, version, Affected::NewerReaders),
                Direction::Forward => decodes(version, one, version, Affected::OlderReaders),
            });
        }
        let between = earlier.get(index + 1..).unwrap_or_default();
        if !between.is_empty() && level.directions().contains(&Direction::Backward) {
            findings.extend(steps(one, between, version));
        }
    }
    findings
}

/// Reads values of a writer, where the schemas say that they can be read.
fn decodes(
    writer: &EventVersion,
    reader: &EventVersion,
    about: &EventVersion,
    affected: Affected,
) -> Option<Finding> {
    if !compatibility(&reader.schema, &writer.schema).is_compatible() {
        return None;
    }
    let resolution = Resolution::new(&writer.schema, &reader.schema);
    let failed = values(&writer.schema).find_map(|(value, bytes)| {
        let error = resolution.decode(&bytes).err()?;
        Some((shown(&value, &writer.schema), error))
    })?;
    let (writer, reader) = (writer.id.version, reader.id.version);
    let problem = format!(
        "v{reader} does not read every value of v{writer}, although the schemas are compatible: {}: {}",
        failed.1, failed.0
    );
    let finding = Finding::of_version(&about.id, FindingName::DoesNotDecode, problem);
    Some(
        finding
            .breaks(&[affected])
            .remedy("choose a type that holds every value that the other version writes"),
    )
}

/// Reads values of a writer directly, and through the versions between, as an event is brought to the latest version.
fn steps(writer: &EventVersion, between: &[&EventVersion], reader: &EventVersion) -> Option<Finding> {
    let direct = Resolution::new(&writer.schema, &reader.schema);
    let path: Vec<_> = [writer].into_iter().chain(between.iter().copied()).chain([reader]).collect();
    let is_readable =
        |pair: &[&EventVersion]| compatibility(&pair[1].schema, &pair[0].schema).is_compatible();
    if !path.windows(2).all(is_readable) || !compatibility(&reader.schema, &writer.schema).is_compatible() {
        return None;
    }
    let plans: Vec<_> =
        path.windows(2).map(|pair| Resolution::new(&pair[0].schema, &pair[1].schema)).collect();
    let example = values(&writer.schema).find_map(|(value, bytes)| {
        let direct = direct.decode(&bytes).ok()?;
        let mut step_bytes = bytes;
        let mut last = None;
        for (plan, reached) in plans.iter().zip(&path[1..]) {
            let value = plan.decode(&step_bytes).ok()?;
            step_bytes.clear();
            reached.schema.encode(&value, &mut step_bytes).ok()?;
            last = Some(value);
        }
        let stepwise = last.filter(|stepwise| *stepwise != direct)?;
        let [direct, stepwise] = [direct, stepwise].map(|value| shown(&value, &reader.schema));
        Some(format!("{} is {direct} directly and {stepwise} in steps", shown(&value, &writer.schema)))
    })?;
    let problem = format!(
        "records of v{} are read differently directly than through the versions between: {example}",
        writer.id.version
    );
    let finding = Finding::of_version(&reader.id, FindingName::StepsDiffer, problem);
    Some(finding.breaks(&[Affected::NewerReaders, Affected::Relay]).remedy(
        "what was dropped in between comes back for readers of older records: give it another name, or keep it in every version",
    ))
}

/// Values with their bytes.
fn values(schema: &Schema) -> impl Iterator<Item = (Value, Vec<u8>)> {
    let mut random = Rng::with_seed(SEED);
    (0..VALUES).filter_map(move |_| {
        let value = value(schema, &mut random)?;
        let mut bytes = Vec::new();
        schema.encode(&value, &mut bytes).ok()?;
        Some((value, bytes))
    })
}

fn shown(value: &Value, schema: &Schema) -> String {
    const LONGEST: usize = 300;
    let text = value.to_json(schema).map_or_else(|error| error.to_string(), |json| json.to_string());
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
