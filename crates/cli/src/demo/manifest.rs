//! What a kept data directory is a run of.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::latency::Latency;

const FILE: &str = "run.json";

/// A run can be resumed only as the run that it is: another number of orders means other deliveries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// How many orders were asked for; none for all.
    pub(crate) orders: Option<usize>,
    /// Lines and bytes of the input, enough to tell one file from another by mistake.
    pub(crate) input: String,
    /// Latency, once it was measured: a run that is resumed has nothing new to measure.
    pub(crate) latency: Option<Latency>,
}

/// The directory cannot hold this run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("{path} cannot be used as a data directory")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} is not the manifest of a run: name a directory of its own with --data")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{path} holds a run with {held}: ask for the same, or name another directory with --data")]
    OtherRun { path: PathBuf, held: String },
}

impl Manifest {
    /// Takes up the run that the directory holds, or begins one.
    pub(crate) fn open(directory: &Path, wanted: Self) -> Result<Self, ManifestError> {
        let path = directory.join(FILE);
        match fs::read(&path) {
            Ok(json) => {
                let held: Self = serde_json::from_slice(&json)
                    .map_err(|source| ManifestError::Json { path: path.clone(), source })?;
                if (held.orders, &held.input) != (wanted.orders, &wanted.input) {
                    let orders = held.orders.map_or_else(|| "all".to_owned(), |orders| orders.to_string());
                    let held = format!("--orders {orders} of an input of {}", held.input);
                    return Err(ManifestError::OtherRun { path, held });
                }
                Ok(held)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                wanted.save(directory)?;
                Ok(wanted)
            }
            Err(source) => Err(ManifestError::Io { path, source }),
        }
    }

    /// Writes the manifest; a crash leaves the old one or the new one.
    pub(crate) fn save(&self, directory: &Path) -> Result<(), ManifestError> {
        let (path, new) = (directory.join(FILE), directory.join("run.json.new"));
        let json = serde_json::to_vec_pretty(self)
            .map_err(|source| ManifestError::Json { path: path.clone(), source })?;
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&new, json))
            .and_then(|()| fs::File::open(&new)?.sync_all())
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|source| ManifestError::Io { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_takes_up_only_the_run_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let run = Manifest { orders: Some(300), input: "9 lines, 99 bytes".into(), latency: None };
        assert_eq!(Manifest::open(directory.path(), run.clone()).unwrap(), run);
        assert_eq!(Manifest::open(directory.path(), run.clone()).unwrap(), run);

        let other = Manifest { orders: None, ..run };
        let error = Manifest::open(directory.path(), other).unwrap_err().to_string();
        assert!(error.contains("--orders 300") && error.contains("--data"), "{error}");
    }
}
