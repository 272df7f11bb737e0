//! From a folder of `.avsc` files to a [`SchemaSet`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use apache_avro::schema::Schema;
use cel::Env;
use serde_json::Value;

use crate::layout::invalid::InvalidSchema;
use crate::layout::types::Layout;
use crate::limits::MAX_AVRO_ALLOCATION;
use crate::load::compile::compile;
use crate::load::{attributes, logical};
use crate::set::{EventSchemas, SchemaSet, Version};
use crate::upcast::{UpcastStep, environment};

/// Why the schemas can't be used. Names the file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct LoadError {
    /// File or folder that the problem is in.
    pub path: PathBuf,
    /// What is wrong and where in the file: a schema that does not parse, a gap in the versions, an event
    /// type that two contexts have, a union that can't be told apart, a type that is not supported, a field
    /// that older events lack, a bad upcast rule.
    pub problem: String,
    /// The error underneath, where there is one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl LoadError {
    fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), source: None }
    }

    fn caused(
        path: &Path,
        problem: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), source: Some(Box::new(source)) }
    }

    /// Always [`Stop`](aqueduct_core::ErrorKind::Stop): the files must be corrected.
    pub fn kind(&self) -> aqueduct_core::ErrorKind {
        aqueduct_core::ErrorKind::Stop
    }
}

impl SchemaSet {
    /// Reads `<context>/<Event>/vN.avsc` under `folder`. See [`LoadError`] for what is refused.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, LoadError> {
        load(folder.as_ref())
    }
}

fn load(folder: &Path) -> Result<SchemaSet, LoadError> {
    bound_allocations();
    let env = environment().map_err(|error| LoadError::caused(folder, "the rules' functions", error))?;
    let mut events: BTreeMap<String, EventSchemas> = BTreeMap::new();
    for (context, path) in folders(folder)? {
        for (event_type, path) in folders(&path)? {
            let event = load_event(&env, &context, &event_type, &path)?;
            if let Some(other) = events.insert(event_type.clone(), event) {
                let problem = format!(
                    "context {} has an event type of the same name: rename one of them",
                    other.context
                );
                return Err(LoadError::new(&path, problem));
            }
        }
    }
    if events.is_empty() {
        Err(LoadError::new(folder, "contains no schemas; expected <context>/<Event>/vN.avsc"))
    } else {
        Ok(SchemaSet { events })
    }
}

fn load_event(
    env: &Arc<Env>,
    context: &str,
    event_type: &str,
    path: &Path,
) -> Result<EventSchemas, LoadError> {
    let mut versions: Vec<Version> = Vec::new();
    for (number, file) in (1_usize..).zip(version_files(path)?) {
        let version = load_version(env, event_type, versions.last(), &file)?;
        let full_name = |version: &Version| version.layout.full_name.clone();
        if let Some(first) = versions.first().map(full_name).filter(|first| *first != full_name(&version)) {
            let problem =
                format!("version {number} has the name {}, version 1 has {first}", full_name(&version));
            return Err(LoadError::new(&file, problem));
        }
        versions.push(version);
    }
    Ok(EventSchemas { event_type: event_type.to_owned(), context: context.to_owned(), versions })
}

fn load_version(
    env: &Arc<Env>,
    event_type: &str,
    before: Option<&Version>,
    file: &Path,
) -> Result<Version, LoadError> {
    let text = fs::read_to_string(file).map_err(|error| LoadError::caused(file, "can't be read", error))?;
    let mut json: Value = serde_json::from_str(&text)
        .map_err(|error| LoadError::caused(file, format!("not JSON: {error}"), error))?;
    logical::check(&json)
        .and_then(|()| attributes::check_places(&json))
        .map_err(|invalid| LoadError::new(file, invalid.to_string()))?;
    let schema = Schema::parse(&json)
        .map_err(|error| LoadError::caused(file, format!("not an Avro schema: {error}"), error))?;
    let layout = compile(&schema).map_err(|invalid| LoadError::new(file, invalid.to_string()))?;
    let name = layout.event().name.simple();
    if name != event_type {
        return Err(LoadError::new(
            file,
            format!("its record has the name {name}, its folder {event_type}: they must be the same"),
        ));
    }
    let step = match before {
        Some(before) => Some(UpcastStep::new(env, &before.layout, &layout)),
        None => first_version(&layout).map(Err),
    };
    let step = step.transpose().map_err(|invalid| LoadError::new(file, invalid.to_string()))?;
    attributes::strip(&mut json);
    Ok(Version { layout, schema: json.to_string().into(), step })
}

/// What is wrong with a rule in version 1: there is nothing to make it from.
fn first_version(layout: &Layout) -> Option<InvalidSchema> {
    let fields =
        layout.records.iter().flat_map(|record| record.fields.iter().map(move |field| (record, field)));
    let (record, field) = fields.into_iter().find(|(_, field)| field.rule.is_some())?;
    let place = format!("field {} of {}", field.name, record.name.full);
    Some(InvalidSchema::new(&place, "its upcast rule has no older version to start from"))
}

/// The files `v1.avsc`, `v2.avsc` … in this order.
fn version_files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut found = BTreeMap::new();
    for (name, path) in entries(folder)? {
        let number = name.strip_prefix('v').and_then(|rest| rest.strip_suffix(".avsc"));
        let number = number.filter(|digits| !digits.starts_with('0')).and_then(|digits| digits.parse().ok());
        let number: u32 =
            number.ok_or_else(|| LoadError::new(&path, "expected a file v1.avsc, v2.avsc …"))?;
        found.insert(number, path);
    }
    let gap = (1..).zip(found.keys()).find(|(expected, number)| expected != *number);
    match gap {
        Some((missing, _)) => Err(LoadError::new(&folder.join(format!("v{missing}.avsc")), "is missing")),
        None if found.is_empty() => Err(LoadError::new(&folder.join("v1.avsc"), "is missing")),
        None => Ok(found.into_values().collect()),
    }
}

/// The folders in a folder. Files next to them, a README for example, are ignored.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, LoadError> {
    let mut found = entries(folder)?;
    found.retain(|(_, path)| path.is_dir());
    Ok(found)
}

/// What is in a folder, by name; hidden entries are left out.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, LoadError> {
    let unreadable = |error| LoadError::caused(folder, "can't be read", error);
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

/// The Avro crate takes its limit once per process; whoever set one before has the say.
fn bound_allocations() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let limit = apache_avro::util::max_allocation_bytes(MAX_AVRO_ALLOCATION);
        if limit != MAX_AVRO_ALLOCATION {
            tracing::warn!(limit, "the allocation limit for Avro schemas was set elsewhere");
        }
    });
}
