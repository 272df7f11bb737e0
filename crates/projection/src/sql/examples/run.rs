//! Runs the examples of a projection.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aqueduct_core::with_causes;
use aqueduct_schema::TopicSchemas;
use sqlx::{Acquire as _, PgConnection};

use crate::model::handler::{Handler as _, Treatment};
use crate::record::envelope::Envelope;
use crate::sql::definition::SqlProjection;
use crate::sql::events::SqlEvent;
use crate::sql::examples::example::{Example, GivenEvent};
use crate::sql::examples::report::{ExampleReport, ExamplesError};
use crate::sql::examples::rows::differences;
use crate::sql::handler::SqlHandler;

/// The directory with the files.
const DIRECTORY: &str = "examples";
/// Statements that come before the examples: what exists without the projection.
const SET_UP: &str = "setup.sql";

/// How the events of an example are applied.
#[derive(Debug, Clone, Copy)]
enum Mode {
    OneBatch,
    EventByEvent,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::OneBatch => "as one batch",
            Self::EventByEvent => "event by event",
        }
    }
}

impl SqlProjection {
    /// Runs the projection's examples, each as one batch and event by event; in the order of their names. The tables must exist
    /// and be empty; what the examples write is rolled back, but not what `examples/setup.sql` does.
    ///
    /// # Errors
    /// The projection cannot run, or Postgres fails. A wrong example is not an error but has problems in its report.
    pub async fn run_examples(
        &self,
        connection: &mut PgConnection,
        schemas: &TopicSchemas,
    ) -> Result<Vec<ExampleReport>, ExamplesError> {
        let directory = self.directory.join(DIRECTORY);
        let paths = files(&directory)?;
        let set_up = directory.join(SET_UP);
        if set_up.exists() {
            let statements =
                sqlx::raw_sql(sqlx::AssertSqlSafe(read(&set_up)?)).execute(&mut *connection).await;
            statements.map_err(|source| ExamplesError::SetUp { path: set_up, source })?;
        }
        let topics: Vec<_> = self.topics.iter().map(|topic| (*topic).to_owned()).collect();
        let pins = self.pin(schemas, &topics).await?;
        let handler = SqlHandler::new(connection, Arc::new(self.clone()), pins).await?;
        let mut reports = Vec::with_capacity(paths.len());
        for path in paths {
            let problems = match serde_saphyr::from_str::<Example>(&read(&path)?) {
                Ok(example) => run(&handler, &mut *connection, self.topics, example).await?,
                Err(error) => vec![error.to_string()],
            };
            reports.push(ExampleReport { path, problems });
        }
        Ok(reports)
    }
}

/// The files of a directory in the order of their names; none if it does not exist.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ExamplesError> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |source| ExamplesError::Read { path: directory.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, ExamplesError> {
    fs::read_to_string(path).map_err(|source| ExamplesError::Read { path: path.to_owned(), source })
}

/// Applies the events of an example in each mode. Returns how the rows differ from those that are expected.
async fn run(
    handler: &SqlHandler,
    connection: &mut PgConnection,
    topics: &[&str],
    Example { given, expected }: Example,
) -> Result<Vec<String>, sqlx::Error> {
    if expected.is_empty() {
        return Ok(vec!["expected names no table, so that every result would be right".to_owned()]);
    }
    let events = match events(handler, topics, given) {
        Ok(events) => events,
        Err(problem) => return Ok(vec![problem]),
    };
    let mut problems = Vec::new();
    for mode in [Mode::OneBatch, Mode::EventByEvent] {
        let mut problem = |problem: String| problems.push(format!("{}: {problem}", mode.name()));
        let mut transaction = connection.begin().await?;
        match apply(handler, &mut transaction, &events, mode).await {
            Err(failed) => problem(failed),
            Ok(()) => {
                for (table, rows) in &expected {
                    let mut savepoint = transaction.begin().await?;
                    match differences(&mut savepoint, table, rows).await? {
                        Ok(lines) if lines.is_empty() => {}
                        Ok(lines) => problem(format!("{table}\n{}", lines.join("\n"))),
                        Err(wrong) => problem(wrong),
                    }
                    savepoint.rollback().await?;
                }
            }
        }
        transaction.rollback().await?;
    }
    Ok(problems)
}

/// The events that the projection applies, numbered by stream.
fn events(
    handler: &SqlHandler,
    topics: &[&str],
    given: Vec<GivenEvent>,
) -> Result<Vec<(SqlEvent, Envelope)>, String> {
    let mut revisions: HashMap<String, u64> = HashMap::new();
    let mut events = Vec::with_capacity(given.len());
    for (number, event) in (1..).zip(given) {
        let described = format!("event {number} ({} of {})", event.event_type, event.stream);
        let revision = revisions.entry(event.stream.clone()).or_default();
        let current = *revision;
        *revision += 1;
        match handler.treats(&event.event_type) {
            Treatment::Ignores => continue,
            Treatment::Unknown => {
                return Err(format!("{described}: the projection neither handles nor ignores its type"));
            }
            Treatment::Applies => {}
        }
        let (pinned, fields) = (handler.pinned(&event.event_type), handler.fields(&event.event_type));
        let topic = topics.first().copied().unwrap_or_default();
        let event = event.event(number, current, topic, pinned, fields);
        events.push(event.map_err(|problem| format!("{described}: {problem}"))?);
    }
    Ok(events)
}

/// An error says which event cannot be applied.
async fn apply(
    handler: &SqlHandler,
    connection: &mut PgConnection,
    events: &[(SqlEvent, Envelope)],
    mode: Mode,
) -> Result<(), String> {
    let events: Vec<_> = events.iter().map(|(event, envelope)| (event, envelope)).collect();
    match mode {
        Mode::OneBatch => handler.apply(connection, &events).await.map_err(|error| with_causes(&error)),
        Mode::EventByEvent => {
            for (event, envelope) in events {
                let applied = handler.apply(&mut *connection, &[(event, envelope)]).await;
                applied.map_err(|error| {
                    let (event_type, id) = (envelope.event_type(), &envelope.id);
                    format!("{event_type} {id}: {}", with_causes(&error))
                })?;
            }
            Ok(())
        }
    }
}
