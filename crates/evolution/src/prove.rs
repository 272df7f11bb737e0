//! Whether events of every version become the latest one.

use std::fmt;
use std::path::Path;

use aqueduct_avro::{Resolution, Value};
use aqueduct_core::CodecProblem;
use aqueduct_schema::SchemaSet;
use fastrand::Rng;
use serde::Serialize;
use serde_json::Value as Json;

use crate::catalogue::{Catalogue, Event, EventVersion};
use crate::golden::{Golden, GoldenError};
use crate::version::VersionId;

/// What was proven.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Proof {
    /// Generated events that became the latest version.
    pub proven: u64,
    /// Generated events that an upcast rule refused: what a rule asks of a text or a number, a generator does not know. The examples of
    /// the rule show what it does.
    pub refused_by_rules: u64,
    /// Golden events that are encoded and read as when they were released.
    pub golden: u64,
    /// What is wrong; of each version and problem the shortest event.
    pub failures: Vec<ProofFailure>,
}

/// An event that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProofFailure {
    /// Its version, `orders/OrderCreated v1`.
    pub version: String,
    /// What is wrong.
    pub problem: String,
    /// The event as it is stored.
    pub event: Json,
}

/// Generates `values` events of every version, brings them to the latest one, and reads the result. Where no rule is on the way, the
/// result must be that of Avro's resolution, version by version. Then compares the golden events of the folder. The same `seed`
/// generates the same events.
pub fn prove(
    set: &SchemaSet,
    catalogue: &Catalogue,
    folder: &Path,
    values: u64,
    seed: u64,
) -> Result<Proof, GoldenError> {
    let mut proof = Proof::default();
    for event in catalogue.events.values() {
        for version in &event.versions {
            let chain = Chain::new(set, event, version);
            for number in 0..values {
                // Each of its own, so that one can be generated again alone.
                let mut random = Rng::with_seed(seed.wrapping_add(number));
                chain.prove(&mut random, &mut proof);
            }
            for golden in Golden::read(folder, &version.id)?.into_iter().flatten() {
                match golden.difference(&version.id, set) {
                    None => proof.golden += 1,
                    Some(problem) => {
                        proof.fail(&version.id, format!("a golden event: {problem}"), golden.event)
                    }
                }
            }
        }
    }
    Ok(proof)
}

/// The way from a version to the latest one.
struct Chain<'a> {
    set: &'a SchemaSet,
    version: &'a EventVersion,
    latest: &'a EventVersion,
    has_rules: bool,
    /// Avro's resolution, step by step.
    steps: Vec<(Resolution, &'a EventVersion)>,
}

impl<'a> Chain<'a> {
    fn new(set: &'a SchemaSet, event: &'a Event, version: &'a EventVersion) -> Self {
        let from = event.versions.iter().position(|it| it.id == version.id).unwrap_or_default();
        let way = &event.versions[from..];
        let step = |pair: &'a [EventVersion]| (Resolution::new(&pair[0].schema, &pair[1].schema), &pair[1]);
        Self {
            set,
            version,
            latest: event.versions.last().unwrap_or(version),
            has_rules: way.iter().skip(1).any(|version| version.fingerprints.rules.is_some()),
            steps: way.windows(2).map(step).collect(),
        }
    }

    fn prove(&self, random: &mut Rng, proof: &mut Proof) {
        let id = &self.version.id;
        let sample = self.set.event(&id.event_type).map(|event| event.sample_of(id.version, random));
        let event = match sample {
            Some(Ok(event)) => event,
            Some(Err(problem)) => {
                return proof.fail(
                    id,
                    format!("an event that plain JSON does not have: {problem}"),
                    Json::Null,
                );
            }
            None => return,
        };
        match self.judge(event.to_string().as_bytes()) {
            Outcome::Proven => proof.proven += 1,
            Outcome::RefusedByRule => proof.refused_by_rules += 1,
            Outcome::Wrong(problem) => proof.fail(id, problem, event),
        }
    }

    fn judge(&self, json: &[u8]) -> Outcome {
        let VersionId { event_type, version, .. } = &self.version.id;
        let avro = match self.set.to_avro(event_type, *version, json) {
            Ok(avro) => avro,
            Err(error) if self.has_rules && error.category == CodecProblem::Upcast => {
                return Outcome::RefusedByRule;
            }
            Err(error) => return Outcome::Wrong(error.to_string()),
        };
        let read = self.set.from_avro::<Json>(event_type, self.latest.id.version, &avro);
        let again = read.and_then(|json| {
            self.set.encode_as(event_type, self.latest.id.version, json.to_string().as_bytes())
        });
        match again {
            Ok(again) if again == avro => {}
            Ok(_) => {
                return Outcome::Wrong("the result is another one after it was read and encoded".to_owned());
            }
            Err(error) => return Outcome::Wrong(format!("the result cannot be read and encoded: {error}")),
        }
        if self.has_rules {
            return Outcome::Proven;
        }
        match self.resolved(json) {
            Ok(expected) => match self.latest.schema.decode(&avro) {
                Ok(value) if value == expected => Outcome::Proven,
                Ok(_) => Outcome::Wrong("the result is not that of Avro's resolution".to_owned()),
                Err(error) => Outcome::Wrong(format!("Avro does not read the result: {error}")),
            },
            Err(problem) => Outcome::Wrong(format!("Avro's resolution fails: {problem}")),
        }
    }

    /// What Avro's resolution makes of an event.
    fn resolved(&self, json: &[u8]) -> Result<Value, String> {
        let VersionId { event_type, version, .. } = &self.version.id;
        let mut avro = self.set.encode_as(event_type, *version, json).map_err(|error| error.to_string())?;
        for (resolution, reached) in &self.steps {
            let value = resolution.decode(&avro).map_err(|error| error.to_string())?;
            avro.clear();
            reached.schema.encode(&value, &mut avro).map_err(|error| error.to_string())?;
        }
        self.latest.schema.decode(&avro).map_err(|error| error.to_string())
    }
}

enum Outcome {
    Proven,
    RefusedByRule,
    Wrong(String),
}

impl Proof {
    /// Of the failures of a version for one reason, the shortest event is kept.
    fn fail(&mut self, id: &VersionId, problem: String, event: Json) {
        let version = id.to_string();
        let same = |failure: &&mut ProofFailure| failure.version == version && failure.problem == problem;
        match self.failures.iter_mut().find(same) {
            Some(known) if known.event.to_string().len() <= event.to_string().len() => {}
            Some(known) => known.event = event,
            None => self.failures.push(ProofFailure { version, problem, event }),
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ProofFailure { version, problem, event } in &self.failures {
            writeln!(f, "{version}: {problem}\n  event: {event}")?;
        }
        writeln!(
            f,
            "{} generated events became the latest version, {} were refused by upcast rules; {} golden events; {} failures",
            self.proven,
            self.refused_by_rules,
            self.golden,
            self.failures.len()
        )
    }
}
