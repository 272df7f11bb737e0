//! The schema files of a system: they say what a registered schema does not, how stored JSON looks.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::schema::Schema;

/// The schema files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct FilesError {
    path: PathBuf,
    problem: String,
}

/// `<context>/<Event>/vN.avsc`, by the name of the event.
#[derive(Debug, Default)]
pub(crate) struct Files(HashMap<String, EventFiles>);

/// The versions of an event.
#[derive(Debug)]
pub(crate) struct EventFiles(Vec<Schema>);

impl Files {
    pub(crate) fn read(directory: &Path) -> Result<Self, FilesError> {
        let mut events = HashMap::new();
        for context in folders(directory)? {
            for event in folders(&context)? {
                let name = event.file_name().unwrap_or_default().to_string_lossy().into_owned();
                events.insert(name, EventFiles::read(&event)?);
            }
        }
        Ok(Self(events))
    }

    /// From texts, by event in the order of their versions.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn of_texts(
        events: impl IntoIterator<Item = (String, Vec<String>)>,
    ) -> Result<Self, FilesError> {
        let read = |(name, texts): (String, Vec<String>)| {
            let parse = |text: &String| {
                let path = PathBuf::from(&name);
                Schema::parse(text).map_err(|error| FilesError { path, problem: error.to_string() })
            };
            let versions = texts.iter().map(parse).collect::<Result<_, _>>()?;
            Ok((name, EventFiles(versions)))
        };
        events.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The versions of an event, if it has any.
    pub(crate) fn event(&self, name: &str) -> Option<&EventFiles> {
        self.0.get(name)
    }
}

impl EventFiles {
    fn read(directory: &Path) -> Result<Self, FilesError> {
        let mut versions = Vec::new();
        loop {
            let path = directory.join(format!("v{}.avsc", versions.len() + 1));
            if !path.exists() {
                return Ok(Self(versions));
            }
            let text = fs::read_to_string(&path);
            let text = text.map_err(|error| FilesError { path: path.clone(), problem: error.to_string() })?;
            let schema = Schema::parse(&text);
            versions.push(schema.map_err(|error| FilesError { path, problem: error.to_string() })?);
        }
    }

    /// The last version.
    pub(crate) fn latest(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// A version, from 1 on.
    pub(crate) fn version(&self, version: u32) -> Option<&Schema> {
        self.0.get(usize::try_from(version.checked_sub(1)?).ok()?)
    }
}

fn folders(directory: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let failed = |error: std::io::Error| FilesError { path: directory.into(), problem: error.to_string() };
    let mut folders = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.path().is_dir() && !is_hidden {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}
