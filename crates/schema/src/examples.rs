//! The examples of upcast rules: `vN.examples.json` next to `vN.avsc`.
//!
//! A file is a list of objects with two members: `input`, an event of version N − 1, and `result`, what version N makes of
//! it. Both are JSON as it is stored, in any accepted form.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::layout::types::{Layout, Names};
use crate::load::SchemaFiles;
use crate::mapping::decode;
use crate::mapping::encode::encode;
use crate::mapping::json::Json;
use crate::set::{EventSchemas, SchemaSet, Version};
use crate::upcast::upcast_once;

/// What came of the examples.
#[derive(Debug, Default)]
pub struct ExamplesReport {
    /// How many gave their result.
    pub passed: usize,
    /// Those that did not, and files that cannot be used.
    pub failures: Vec<ExampleFailure>,
    /// Rules that no example runs.
    pub rules_without: Vec<RuleWithoutExample>,
}

/// An example that does not give its result, or a file that is not one of examples.
#[derive(Debug, PartialEq, Eq)]
pub struct ExampleFailure {
    /// The file of examples.
    pub path: PathBuf,
    /// The example's place in the file, from 0; `None` where it is the file that is wrong.
    pub index: Option<usize>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for ExampleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        if let Some(index) = self.index {
            write!(f, "example {index}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// A rule that no example runs.
#[derive(Debug, PartialEq, Eq)]
pub struct RuleWithoutExample {
    /// The schema file.
    pub path: PathBuf,
    /// The full name of the record.
    pub record: String,
    /// The field that the rule is on.
    pub field: String,
}

impl fmt::Display for RuleWithoutExample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, record, field } = self;
        write!(f, "{}: field {field} of {record}: no example runs its upcast rule", path.display())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    input: Value,
    result: Value,
}

/// Runs the examples of the files on the schemas that were compiled from them.
pub fn check_examples(files: &SchemaFiles, set: &SchemaSet) -> ExamplesReport {
    let mut report = ExamplesReport::default();
    for event in set.events() {
        let path = files.path(event.context(), event.event_type());
        for (number, version) in (1..).zip(&event.versions) {
            let text = files.examples_of(event, number);
            let file = path.join(format!("v{number}.examples.json"));
            let run = text.map(|text| run_file(event, number, &file, text, &mut report));
            let path = path.join(format!("v{number}.avsc"));
            rules_without(version, &path, &run.unwrap_or_default(), &mut report.rules_without);
        }
        for number in files.examples_beyond(event) {
            let problem = format!("there is no version {number} of {}", event.event_type());
            let path = path.join(format!("v{number}.examples.json"));
            report.failures.push(ExampleFailure { path, index: None, problem });
        }
    }
    report
}

impl SchemaFiles {
    fn examples_of(&self, event: &EventSchemas, version: u32) -> Option<&str> {
        let name = (event.context().to_owned(), event.event_type().to_owned());
        self.examples.get(&name)?.get(&version).map(String::as_str)
    }

    fn examples_beyond(&self, event: &EventSchemas) -> impl Iterator<Item = u32> {
        let name = (event.context().to_owned(), event.event_type().to_owned());
        let versions = self.examples.get(&name).into_iter().flat_map(|texts| texts.keys());
        versions.copied().filter(|number| event.version(*number).is_none())
    }
}

/// The records that the examples made, as indices into the newer layout.
fn run_file(
    event: &EventSchemas,
    number: u32,
    file: &Path,
    text: &str,
    report: &mut ExamplesReport,
) -> BTreeSet<usize> {
    let failure =
        |index: Option<usize>, problem: String| ExampleFailure { path: file.to_owned(), index, problem };
    let mut made = BTreeSet::new();
    let examples: Vec<Example> = match serde_json::from_str(text) {
        Ok(examples) => examples,
        Err(error) => {
            let problem = format!("expected a list of objects with the members input and result: {error}");
            report.failures.push(failure(None, problem));
            return made;
        }
    };
    let versions = event.version(number.saturating_sub(1)).zip(event.version(number));
    let Some((old, new)) = versions else {
        let problem = "the first version has no older one to make examples of".to_owned();
        report.failures.push(failure(None, problem));
        return made;
    };
    for (index, example) in examples.iter().enumerate() {
        match run(old, new, example) {
            Ok(records) => {
                made.extend(records);
                report.passed += 1;
            }
            Err(problem) => report.failures.push(failure(Some(index), problem)),
        }
    }
    made
}

fn run(old: &Version, new: &Version, example: &Example) -> Result<BTreeSet<usize>, String> {
    let input = avro_of(&old.layout, &example.input).map_err(|problem| format!("input: {problem}"))?;
    let expected = avro_of(&new.layout, &example.result).map_err(|problem| format!("result: {problem}"))?;
    let next = new.next().ok_or("the version has no step")?;
    let (found, records) = upcast_once(&old.layout, &next, &input).map_err(|error| error.to_string())?;
    if found == expected {
        return Ok(records);
    }
    let json = |avro: &[u8]| {
        decode::decode(&new.layout, avro, Names::Stored).map_err(|mismatch| mismatch.to_string())
    };
    Err(difference("", &json(&expected)?, &json(&found)?)
        .unwrap_or_else(|| "gives another result".to_owned()))
}

fn avro_of(layout: &Layout, json: &Value) -> Result<Vec<u8>, String> {
    let encoded = encode(layout, &Json::from(json), Names::Stored);
    encoded.map(|encoded| encoded.avro).map_err(|mismatch| mismatch.to_string())
}

/// The first place where two values differ.
fn difference(place: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) if expected.keys().eq(found.keys()) => {
            expected.iter().zip(found).find_map(|((key, expected), (_, found))| {
                let separator = if place.is_empty() { "" } else { "." };
                difference(&format!("{place}{separator}{key}"), expected, found)
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut items = expected.iter().zip(found).enumerate();
            items.find_map(|(index, (expected, found))| {
                difference(&format!("{place}[{index}]"), expected, found)
            })
        }
        _ if expected == found => None,
        _ => Some(format!("{place}: expected {expected}, found {found}")),
    }
}

fn rules_without(
    version: &Version,
    path: &Path,
    made: &BTreeSet<usize>,
    without: &mut Vec<RuleWithoutExample>,
) {
    for (index, record) in version.layout.records.iter().enumerate() {
        let rules = record.fields.iter().filter(|field| field.rule.is_some() && !made.contains(&index));
        without.extend(rules.map(|field| RuleWithoutExample {
            path: path.to_owned(),
            record: record.name.full.clone(),
            field: field.name.clone(),
        }));
    }
}
