//! From a folder of `.avsc` files to a [`SchemaSet`].

use std::collections::BTreeMap;
use std::path::Path;

use aqueduct_avro::Schema;
use serde_json::Value;

use crate::layout::invalid::InvalidSchema;
use crate::layout::types::Layout;
use crate::load::compile::{Origin, compile};
use crate::load::error::LoadError;
use crate::load::texts::SchemaFiles;
use crate::load::{attributes, endless, ignored};
use crate::mapping::json::parse::parse;
use crate::set::{EventSchemas, SchemaSet, Version};
use crate::upcast::{UpcastStep, on_parser_stack};

impl SchemaSet {
    /// Reads `<context>/<Event>/vN.avsc` under `folder`. See [`LoadError`] for what is refused.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::compile(&SchemaFiles::read(folder)?)
    }

    /// [`load`](Self::load) for files whose texts were read, or are not written yet.
    pub fn compile(files: &SchemaFiles) -> Result<Self, LoadError> {
        let compiled = on_parser_stack(|| Self::compile_all(files));
        compiled.map_err(|error| LoadError::caused(files.folder(), "no thread to load schemas in", error))?
    }

    fn compile_all(files: &SchemaFiles) -> Result<Self, LoadError> {
        let mut events: BTreeMap<String, EventSchemas> = BTreeMap::new();
        for ((context, event_type), versions) in &files.events {
            let path = files.path(context, event_type);
            let event = load_event(context, event_type, &path, versions)?;
            if let Some(other) = events.insert(event_type.clone(), event) {
                let problem = format!(
                    "context {} has an event type of the same name: rename one of them",
                    other.context
                );
                return Err(LoadError::new(&path, problem));
            }
        }
        if events.is_empty() {
            let problem = "contains no schemas; expected <context>/<Event>/vN.avsc";
            Err(LoadError::new(files.folder(), problem))
        } else {
            Ok(Self { events })
        }
    }
}

fn load_event(
    context: &str,
    event_type: &str,
    path: &Path,
    texts: &BTreeMap<u32, String>,
) -> Result<EventSchemas, LoadError> {
    check_numbers(path, texts)?;
    let mut versions: Vec<Version> = Vec::new();
    for (number, text) in texts {
        let file = path.join(format!("v{number}.avsc"));
        let version = load_version(event_type, versions.last(), &file, text)?;
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

/// The versions begin at 1 and have no gap.
fn check_numbers(path: &Path, texts: &BTreeMap<u32, String>) -> Result<(), LoadError> {
    let gap = (1..).zip(texts.keys()).find(|(expected, number)| expected != *number);
    let missing = if texts.is_empty() { Some(1) } else { gap.map(|(missing, _)| missing) };
    match missing {
        Some(missing) => Err(LoadError::new(&path.join(format!("v{missing}.avsc")), "is missing")),
        None => Ok(()),
    }
}

fn load_version(
    event_type: &str,
    before: Option<&Version>,
    file: &Path,
    text: &str,
) -> Result<Version, LoadError> {
    let refused = |invalid: InvalidSchema| LoadError::new(file, invalid.to_string());
    let mut json: Value = serde_json::from_str(text)
        .map_err(|error| LoadError::caused(file, format!("not JSON: {error}"), error))?;
    // Of a key that occurs twice, other readers of schemas take the one or the other.
    parse(text.as_bytes()).map_err(|error| LoadError::new(file, format!("not JSON: {error}")))?;
    let schema = Schema::parse(text)
        .map_err(|error| LoadError::caused(file, format!("not an Avro schema: {error}"), error))?;
    ignored::check(&schema).map_err(refused)?;
    let layout = compile(&schema, Origin::File).map_err(refused)?;
    endless::check(&layout).map_err(refused)?;
    let name = layout.event().name.simple();
    if name != event_type {
        return Err(LoadError::new(
            file,
            format!("its record has the name {name}, its folder {event_type}: they must be the same"),
        ));
    }
    let step = match before {
        Some(before) => Some(UpcastStep::new(&before.layout, &layout)),
        None => first_version(&layout).map(Err),
    };
    let step = step.transpose().map_err(refused)?;
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
