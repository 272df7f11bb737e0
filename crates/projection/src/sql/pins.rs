//! The versions that the files of a projection are written for.

use std::collections::BTreeMap;
use std::fmt;

use aqueduct_core::ErrorKind;
use aqueduct_schema::{ReadError, ReaderSchema, RecordValue, TopicSchemas};

use crate::model::error::TableError;
use crate::record::decode::DecodeError;
use crate::sql::definition::SqlProjection;
use crate::sql::error::DefinitionError;
use crate::sql::fields::Fields;
use crate::sql::paths::{self, PathProblem};
use crate::sql::statement::{Statement, line};

/// The version that the files of an event type are written for.
#[derive(Debug)]
pub(crate) struct PinnedVersion {
    event_type: String,
    pub(crate) version: u32,
    pub(crate) schema: ReaderSchema,
    /// The file that names it.
    named_in: String,
}

impl PinnedVersion {
    /// Fields of the data in the plain JSON mapping of this version. An error that halts the projection if the writer's schema
    /// does not resolve to it.
    pub(crate) fn read(&self, value: &RecordValue<'_>, fields: &Fields) -> Result<String, DecodeError> {
        match self.schema.read(value, fields) {
            Ok(json) => Ok(json.to_string()),
            Err(ReadError::Value(error)) => {
                Err(DecodeError::not_of_type(&self.event_type, &error.to_string()))
            }
            Err(ReadError::Unresolvable { id, problem }) => Err(DecodeError {
                kind: ErrorKind::Stop,
                problem: format!(
                    "the writer's schema (id {id} of the registry) does not resolve to that: {problem}; write the SQL files for a \
                     version to which it resolves, and name that"
                ),
                source: None,
            }),
        }
    }
}

/// `version 2 of OrderCreated, which projections/orders/projection.toml names`.
impl fmt::Display for PinnedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event_type, version, named_in, .. } = self;
        write!(f, "version {version} of {event_type}, which {named_in} names")
    }
}

/// What the schemas say of a projection.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    pub(crate) versions: BTreeMap<String, PinnedVersion>,
    /// Where it is not known which fields of an event a statement reads.
    pub(crate) warnings: Vec<String>,
}

impl SqlProjection {
    /// Fetches the versions that the files are written for, and compares with them the fields that the statements read,
    /// and the event types of the topics with those of the projection. `topics` are the names on the cluster.
    pub(crate) async fn pin(&self, schemas: &TopicSchemas, topics: &[String]) -> Result<Pins, TableError> {
        self.refuse_unknown_types(schemas, topics).await?;
        let mut pins = Pins::default();
        for (event_type, files) in &self.types {
            let Some(version) = files.version else { continue };
            let schema = schemas.version(topics, event_type, version).await;
            let schema = schema.map_err(|source| TableError::Version { path: self.file(), source })?;
            for statement in &files.statements {
                pins.warnings.extend(read_fields(statement, event_type, version, &schema)?);
            }
            let (event_type, named_in) = (event_type.clone(), self.file().display().to_string());
            pins.versions.insert(event_type.clone(), PinnedVersion { event_type, version, schema, named_in });
        }
        Ok(pins)
    }

    async fn refuse_unknown_types(
        &self,
        schemas: &TopicSchemas,
        topics: &[String],
    ) -> Result<(), TableError> {
        for topic in topics {
            let known = schemas.event_types(topic).await;
            let known =
                known.map_err(|source| TableError::Version { path: self.file(), source: source.into() })?;
            let is_unknown = |event_type: &String| {
                !self.types.contains_key(event_type) && !self.ignored.contains(event_type)
            };
            let unknown: Vec<_> = known.into_iter().flatten().filter(is_unknown).collect();
            if !unknown.is_empty() {
                let (path, topic, types) = (self.file(), topic.clone(), unknown.join(", "));
                return Err(TableError::UnknownTypes { path, topic, types });
            }
        }
        Ok(())
    }
}

/// Compares the fields that a statement reads with the schema. Returns what is not known of them.
fn read_fields(
    statement: &Statement,
    event_type: &str,
    version: u32,
    schema: &ReaderSchema,
) -> Result<Vec<String>, DefinitionError> {
    let mut warnings = Vec::new();
    for PathProblem { at, problem, is_error } in paths::check(statement, schema.event()) {
        let (path, line) = (statement.path.clone(), line(&statement.text, at));
        if is_error {
            let problem = format!("{problem} (version {version} of {event_type})");
            return Err(DefinitionError::Statement { path, line, problem });
        }
        warnings.push(format!("{}, line {line}: {problem}", path.display()));
    }
    warnings.dedup();
    Ok(warnings)
}
