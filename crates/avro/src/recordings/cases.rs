//! Judges the cases of each kind.

use serde_json::Value as Json;

use crate::recordings::{Kind, Outcome, Rule, rules};
use crate::{Level, Resolution, Schema, Value, compatibility};

/// Why a case has no outcome.
enum Failed {
    /// A schema of it cannot be read, or a value is not one of its schema.
    Refused(String),
    /// It lacks something.
    Malformed(String),
}

impl From<&str> for Failed {
    fn from(problem: &str) -> Self {
        Self::Malformed(problem.to_owned())
    }
}

/// Judges a case. The error says what it lacks.
pub(super) fn judge(kind: Kind, case: &Json) -> Result<Outcome, String> {
    match judge_kind(kind, case) {
        Ok(outcome) => Ok(outcome),
        Err(Failed::Refused(problem)) => Ok(Outcome::Wrong(problem)),
        Err(Failed::Malformed(problem)) => Err(problem),
    }
}

fn judge_kind(kind: Kind, case: &Json) -> Result<Outcome, Failed> {
    match kind {
        Kind::Compat => compat(case),
        Kind::Resolve => resolve(case),
        Kind::Encode => encode(case),
        Kind::Valid => valid(case),
        Kind::Invalid => Ok(match Schema::parse(text(case, "schema")?) {
            Ok(_) => Outcome::Wrong(format!("accepted; recorded: {}", case["error"])),
            Err(_) => Outcome::Equal,
        }),
        Kind::Registry => registry(case),
    }
}

fn text<'a>(case: &'a Json, name: &str) -> Result<&'a str, Failed> {
    case[name].as_str().ok_or_else(|| Failed::Malformed(format!("{name} is missing, or is not a text")))
}

fn flag(case: &Json, name: &str) -> Result<bool, Failed> {
    case[name].as_bool().ok_or_else(|| Failed::Malformed(format!("{name} is missing, or is not a boolean")))
}

fn schema(json: &Json) -> Result<Schema, Failed> {
    Schema::from_json(json).map_err(|error| Failed::Refused(format!("a schema cannot be read: {error}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Result<Vec<u8>, Failed> {
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes: Option<Vec<_>> = hex.as_bytes().chunks(2).map(byte).collect();
    bytes.filter(|_| hex.len().is_multiple_of(2)).ok_or(Failed::from("bytes are not hexadecimal numbers"))
}

fn compared(what: &str, given: &str, recorded: &str) -> Option<Outcome> {
    (given != recorded).then(|| Outcome::Wrong(format!("{what}: {given}; recorded: {recorded}")))
}

fn compat(case: &Json) -> Result<Outcome, Failed> {
    let found = compatibility(&schema(&case["reader"])?, &schema(&case["writer"])?);
    if found.is_compatible() == flag(case, "readable")? {
        return Ok(Outcome::Equal);
    }
    Ok(Outcome::Wrong(format!("{:?}; recorded: {}", found.incompatibilities, case["incompatibilities"])))
}

fn resolve(case: &Json) -> Result<Outcome, Failed> {
    let (writer, reader) = (schema(&case["writer"])?, schema(&case["reader"])?);
    let bytes = bytes(text(case, "bytes")?)?;
    let read = Resolution::new(&writer, &reader).decode(&bytes);
    let recorded = case["error"].is_null().then_some(&case["result"]);
    let expected = recorded.map(|result| Value::from_json(&reader, result)).transpose();
    let expected = expected.map_err(|error| Failed::Refused(format!("result: {error}")))?;
    if read.as_ref().ok() == expected.as_ref() {
        return Ok(Outcome::Equal);
    }
    Ok(match rules::of_resolution(&writer, &reader, &bytes, read.as_ref(), expected.as_ref()) {
        Some(rule) => Outcome::Departed(rule),
        None => {
            let read = match read {
                Ok(value) => {
                    value.to_json(&reader).map_or_else(|error| error.to_string(), |it| it.to_string())
                }
                Err(error) => error.to_string(),
            };
            Outcome::Wrong(format!("{read}; recorded: {} {}", case["result"], case["error"]))
        }
    })
}

fn encode(case: &Json) -> Result<Outcome, Failed> {
    let schema = schema(&case["schema"])?;
    let value = Value::from_json(&schema, &case["value"])
        .map_err(|error| Failed::Refused(format!("value: {error}")))?;
    let mut encoded = Vec::new();
    schema.encode(&value, &mut encoded).map_err(|error| Failed::Refused(format!("value: {error}")))?;
    if schema.decode(&encoded).as_ref() != Ok(&value) {
        return Ok(Outcome::Wrong("the bytes are not read as the value".to_owned()));
    }
    let differing = compared("bytes", &hex(&encoded), text(case, "bytes")?)
        .or(compared("canonical form", &schema.canonical_form(), text(case, "canonical")?))
        .or(compared("CRC-64", &hex(&schema.fingerprint_crc64()), text(case, "fingerprint_crc64")?))
        .or(compared("SHA-256", &hex(&schema.fingerprint_sha256()), text(case, "fingerprint_sha256")?));
    Ok(differing.unwrap_or(Outcome::Equal))
}

fn valid(case: &Json) -> Result<Outcome, Failed> {
    let canonical = text(case, "canonical")?;
    Ok(match Schema::parse(text(case, "schema")?) {
        Ok(schema) => {
            compared("canonical form", &schema.canonical_form(), canonical).unwrap_or(Outcome::Equal)
        }
        Err(error) => Outcome::Wrong(format!("refused: {error}")),
    })
}

fn registry(case: &Json) -> Result<Outcome, Failed> {
    let history = case["history"].as_array().ok_or("history is missing, or is not a list")?;
    let versions = history.iter().map(schema).collect::<Result<Vec<_>, _>>()?;
    let candidate = schema(&case["candidate"])?;
    let level: Level =
        serde_json::from_value(case["level"].clone()).map_err(|_| "level is missing, or is no level")?;
    let fits =
        |versions: &[Schema]| versions.iter().all(|version| level.complaints(&candidate, version).is_empty());
    let compatible = flag(case, "compatible")?;
    let given = fits(level.counting(&versions));
    if given != compatible {
        return Ok(Outcome::Wrong(format!("compatible: {given}; recorded: {compatible}")));
    }
    let latest = &versions[versions.len().saturating_sub(1)..];
    if let Some(recorded) = case["compatible_with_latest"].as_bool().filter(|it| *it != fits(latest)) {
        return Ok(Outcome::Wrong(format!("compatible with the latest version: {}", !recorded)));
    }
    Ok(match case["registered"].as_bool() {
        Some(true) if !compatible && rules::is_known(history, &case["candidate"]) => {
            Outcome::Departed(Rule::KnownSchema)
        }
        Some(registered) if registered != compatible => {
            Outcome::Wrong(format!("compatible: {given}; registered: {registered}"))
        }
        _ => Outcome::Equal,
    })
}
