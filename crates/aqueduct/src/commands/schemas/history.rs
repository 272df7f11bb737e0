//! `schemas history`: whether the stored events are still readable.

use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_core::{Position, RecordedEvent};
use aqueduct_evolution::{Fingerprint, Replay, Tally};
use aqueduct_schema::infer::HistoryRoute;
use aqueduct_schema::{SchemaFiles, SchemaSet};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::log::{Log, progress_bar};
use super::source::{Selected, Source};
use crate::connections::Connections;
use crate::failure::Failure;

/// How many events are read in one task.
const LIST: usize = 256;
/// How often the state is saved.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Read every stored event by the schemas, as relay and aggregates do
///
/// Reads the event store through the routes and mappings of the configuration, brings every event to the latest version and encodes
/// it. Counts what is read by type and version, and groups what is not by reason.
///
/// With --candidate, judges the schemas of another folder: which events become unreadable, and of which the result changes.
///
/// Exit code 1 if an event cannot be read; with --candidate, if one cannot be read any more.
#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    #[command(flatten)]
    selected: Selected,
    /// Judge the schemas of this folder instead
    #[arg(long, value_name = "DIR")]
    candidate: Option<PathBuf>,
    /// Keep in a file how far the events were read: the same command continues there, after an interruption or with newer events
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// How far events were read, and by which schemas.
#[derive(Serialize, Deserialize)]
struct State {
    schemas: String,
    selected: String,
    position: Option<Position>,
    tally: Tally,
}

/// What the tasks share.
struct Shared {
    routes: Vec<HistoryRoute>,
    schemas: Arc<SchemaSet>,
    today: Option<Arc<SchemaSet>>,
}

/// Needs the event store.
#[expect(clippy::print_stdout, reason = "the counts are the command's output")]
pub(super) async fn run(arguments: &Arguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let configuration = connections.configuration();
    let source = Source::new(&arguments.selected, configuration)?;
    let folder = &configuration.schemas.directory;
    let shared = Arc::new(Shared {
        routes: source.history_routes()?,
        schemas: match &arguments.candidate {
            Some(candidate) => Arc::new(SchemaSet::load(candidate)?),
            None => connections.schemas()?,
        },
        today: arguments.candidate.is_some().then(|| connections.schemas()).transpose()?,
    });
    let log = Log::open(connections.event_store()?).await?;
    let mut state = State {
        schemas: fingerprint([Some(folder), arguments.candidate.as_ref()])?,
        selected: source.identity(&arguments.selected, &configuration.eventstore.source)?,
        position: None,
        tally: Tally::default(),
    };
    if let Some(file) = &arguments.resume {
        state.resume(file)?;
    }
    read(&log, &source, &shared, &mut state, arguments.resume.as_deref()).await?;
    let tally = state.tally;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&tally)?);
    } else {
        print!("{tally}");
        println!("{} events can be read, {} cannot", tally.read(), tally.failed());
    }
    let failed = if arguments.candidate.is_some() { tally.new_failures() } else { tally.failed() };
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the events after the state's position, and saves the state now and then and at the end.
async fn read(
    log: &Log,
    source: &Source,
    shared: &Arc<Shared>,
    state: &mut State,
    file: Option<&Path>,
) -> Result<(), Failure> {
    let bar = progress_bar("reading", log.end)?;
    let workers = thread::available_parallelism()?.get();
    let mut lists = std::pin::pin!(log.lists(state.position, LIST));
    // Merged in the order of the log, so that a state is that of all events up to its position.
    let mut running: VecDeque<(Position, JoinHandle<Tally>)> = VecDeque::new();
    let mut saved = Instant::now();
    loop {
        let list = lists.try_next().await?;
        let is_over = list.is_none();
        if let Some(last) = list.as_ref().and_then(|list| list.last()) {
            let position = last.position;
            let selected: Vec<RecordedEvent> =
                list.into_iter().flatten().filter(|event| source.includes(event)).collect();
            let shared = Arc::clone(shared);
            running.push_back((position, tokio::task::spawn_blocking(move || shared.judge(&selected))));
        }
        while running.len() >= if is_over { 1 } else { 2 * workers } {
            let Some((position, tally)) = running.pop_front() else { break };
            state.tally.merge(tally.await?);
            state.position = Some(position);
            bar.set_position(position.commit);
        }
        if let Some(file) = file.filter(|_| is_over || saved.elapsed() > SAVE_EVERY) {
            state.save(file)?;
            saved = Instant::now();
        }
        if is_over {
            bar.finish_and_clear();
            return Ok(());
        }
    }
}

impl Shared {
    fn judge(&self, events: &[RecordedEvent]) -> Tally {
        let Self { routes, schemas, today } = self;
        Replay { routes, schemas, today: today.as_deref() }.judge(events)
    }
}

impl State {
    /// Takes up what a file says.
    fn resume(&mut self, file: &Path) -> Result<(), Failure> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("{}: {error}", file.display()).into()),
        };
        let saved: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{}: is not the state of `schemas history`: {error}", file.display()))?;
        if (&saved.schemas, &saved.selected) != (&self.schemas, &self.selected) {
            let file = file.display();
            return Err(format!(
                "{file} is of other schemas or another selection: remove it to start from the beginning"
            )
            .into());
        }
        *self = saved;
        Ok(())
    }

    fn save(&self, file: &Path) -> Result<(), Failure> {
        let failed = |error| format!("{}: cannot be written: {error}", file.display());
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?).map_err(failed)?;
        Ok(fs::rename(&new, file).map_err(failed)?)
    }
}

/// Of the texts of all schema files.
fn fingerprint(folders: [Option<&PathBuf>; 2]) -> Result<String, Failure> {
    let mut texts = String::new();
    for folder in folders.into_iter().flatten() {
        for (name, text) in SchemaFiles::read(folder)?.texts() {
            texts.push_str(&name);
            texts.push_str(text);
        }
    }
    Ok(Fingerprint::of_text(&texts).to_string())
}
