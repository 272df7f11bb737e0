//! The texts of schema files, before they are compiled.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::load::error::LoadError;

/// The texts of the files `<context>/<Event>/vN.avsc` and `vN.examples.json` of a folder, and of files that may be added to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaFiles {
    folder: PathBuf,
    /// By context and event type.
    pub(super) events: BTreeMap<(String, String), BTreeMap<u32, String>>,
    /// The examples of the versions, by context and event type.
    pub(crate) examples: BTreeMap<(String, String), BTreeMap<u32, String>>,
}

impl SchemaFiles {
    /// No files yet; `folder` is where they belong.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), events: BTreeMap::new(), examples: BTreeMap::new() }
    }

    /// Reads all files of the folder. Files next to the folders, a README for example, are ignored.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, LoadError> {
        let mut files = Self::new(folder.as_ref());
        for (context, path) in folders(&files.folder)? {
            for (event_type, path) in folders(&path)? {
                let (versions, examples) = version_texts(&path)?;
                let event = (context.clone(), event_type);
                if !examples.is_empty() {
                    files.examples.insert(event.clone(), examples);
                }
                files.events.insert(event, versions);
            }
        }
        Ok(files)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The text of a file.
    pub fn text(&self, context: &str, event_type: &str, version: u32) -> Option<&str> {
        self.versions(context, event_type)?.get(&version).map(String::as_str)
    }

    /// The files, each with its path in the folder and its text.
    pub fn texts(&self) -> impl Iterator<Item = (String, &str)> {
        self.events.iter().flat_map(|((context, event_type), versions)| {
            let name = move |version| format!("{context}/{event_type}/v{version}.avsc");
            versions.iter().map(move |(version, text)| (name(version), text.as_str()))
        })
    }

    /// Adds a file, or replaces its text.
    pub fn insert(&mut self, context: &str, event_type: &str, version: u32, text: String) {
        let event = (context.to_owned(), event_type.to_owned());
        self.events.entry(event).or_default().insert(version, text);
    }

    /// Adds the examples of a version, or replaces their text.
    pub fn insert_examples(&mut self, context: &str, event_type: &str, version: u32, text: String) {
        let event = (context.to_owned(), event_type.to_owned());
        self.examples.entry(event).or_default().insert(version, text);
    }

    /// A context that has files of the event type, with the text of its first version.
    pub(crate) fn find(&self, event_type: &str) -> Option<(&str, &str)> {
        let mut events = self.events.iter().filter(|((_, name), _)| name == event_type);
        events.find_map(|((context, _), versions)| Some((&**context, versions.values().next()?.as_str())))
    }

    pub(crate) fn path(&self, context: &str, event_type: &str) -> PathBuf {
        self.folder.join(context).join(event_type)
    }

    fn versions(&self, context: &str, event_type: &str) -> Option<&BTreeMap<u32, String>> {
        self.events.get(&(context.to_owned(), event_type.to_owned()))
    }
}

/// The files `v1.avsc`, `v2.avsc` … and `v2.examples.json` … by version.
type VersionTexts = (BTreeMap<u32, String>, BTreeMap<u32, String>);

fn version_texts(folder: &Path) -> Result<VersionTexts, LoadError> {
    let (mut schemas, mut examples) = (BTreeMap::new(), BTreeMap::new());
    for (name, path) in entries(folder)? {
        // What `release` wrote: no schema depends on it.
        if name.ends_with(".golden.jsonl") {
            continue;
        }
        let of_version = name.strip_prefix('v').and_then(|rest| {
            let schema = rest.strip_suffix(".avsc").map(|number| (number, &mut schemas));
            schema.or(rest.strip_suffix(".examples.json").map(|number| (number, &mut examples)))
        });
        let numbered = of_version.filter(|(digits, _)| !digits.starts_with('0'));
        let numbered = numbered.and_then(|(digits, texts)| Some((digits.parse::<u32>().ok()?, texts)));
        let (number, texts) = numbered
            .ok_or_else(|| LoadError::new(&path, "expected a file v1.avsc, v2.avsc …, v2.examples.json …"))?;
        let text =
            fs::read_to_string(&path).map_err(|error| LoadError::caused(&path, "cannot be read", error))?;
        texts.insert(number, text);
    }
    Ok((schemas, examples))
}

fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, LoadError> {
    let mut found = entries(folder)?;
    found.retain(|(_, path)| path.is_dir());
    Ok(found)
}

/// What is in a folder, by name; hidden entries are left out.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, LoadError> {
    let unreadable = |error| LoadError::caused(folder, "cannot be read", error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}
