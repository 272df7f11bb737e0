//! `vN.golden.jsonl`: events of a version with the bytes that they had when it was released.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use aqueduct_core::CodecError;
use aqueduct_schema::{EventSchemas, SchemaSet};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::version::VersionId;

/// How many events a release writes for each version.
const EVENTS: u64 = 16;

/// An event with its Avro of the same version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// As it is stored.
    pub event: Json,
    /// In hexadecimal, without a header.
    pub avro: String,
}

/// Golden events cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoldenError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no golden event.
    #[error("{}, line {line}: {source}; restore the file from version control", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The schema has a value that plain JSON does not have.
    #[error("{id}: {problem}")]
    Sample {
        /// The version.
        id: VersionId,
        /// The value.
        problem: String,
    },
    /// A generated event is refused by its own schema.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Golden {
    /// Those of a version; `None` if it has no file.
    pub fn read(folder: &Path, id: &VersionId) -> Result<Option<Vec<Self>>, GoldenError> {
        let path = path(folder, id);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(GoldenError::File { path, source }),
        };
        let line = |(number, line)| {
            serde_json::from_str(line).map_err(|source| GoldenError::Line {
                path: path.clone(),
                line: number + 1,
                source,
            })
        };
        text.lines().enumerate().map(line).collect::<Result<_, _>>().map(Some)
    }

    /// Writes those of a version, unless it has a file: nothing ever rewrites one.
    pub fn write_new(folder: &Path, id: &VersionId, set: &SchemaSet) -> Result<(), GoldenError> {
        let Some(event) = set.event(&id.event_type) else { return Ok(()) };
        let path = path(folder, id);
        let failed = |source| GoldenError::File { path: path.clone(), source };
        if path.try_exists().map_err(failed)? {
            return Ok(());
        }
        let mut text = String::new();
        for number in 0..EVENTS {
            let golden = Self::generate(event, id, set, number)?;
            text.push_str(&serde_json::to_string(&golden).map_err(|error| failed(error.into()))?);
            text.push('\n');
        }
        let mut file = fs::File::create_new(&path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)
    }

    fn generate(
        event: &EventSchemas,
        id: &VersionId,
        set: &SchemaSet,
        seed: u64,
    ) -> Result<Self, GoldenError> {
        let sample = event.sample_of(id.version, &mut Rng::with_seed(seed));
        let event = sample.map_err(|problem| GoldenError::Sample { id: id.clone(), problem })?;
        let avro = set.encode_as(&id.event_type, id.version, event.to_string().as_bytes())?;
        Ok(Self { event, avro: hexadecimal(&avro) })
    }

    /// What differs from when it was written; `None`: nothing.
    pub(crate) fn difference(&self, id: &VersionId, set: &SchemaSet) -> Option<String> {
        let encoded = set.encode_as(&id.event_type, id.version, self.event.to_string().as_bytes());
        match encoded.map(|avro| hexadecimal(&avro)) {
            Ok(avro) if avro == self.avro => {}
            Ok(avro) => return Some(format!("its bytes are {avro}, and were {}", self.avro)),
            Err(error) => return Some(error.to_string()),
        }
        let Some(avro) = bytes(&self.avro) else { return Some("its bytes are not hexadecimal".to_owned()) };
        match set.from_avro::<Json>(&id.event_type, id.version, &avro) {
            Ok(event) if event == self.event => None,
            Ok(event) => Some(format!("its bytes are read as {event}")),
            Err(error) => Some(error.to_string()),
        }
    }
}

fn path(folder: &Path, id: &VersionId) -> PathBuf {
    let VersionId { context, event_type, version } = id;
    folder.join(context).join(event_type).join(format!("v{version}.golden.jsonl"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
