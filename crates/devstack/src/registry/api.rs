use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aqueduct_avro::Level;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::schemas::{Reference, Sent};
use super::store::{Found, Store, Which};

/// The largest request in bytes; a larger one is refused with 413.
const LARGEST: usize = 1024 * 1024;
/// Bytes of a too large request that are still read, so that the client can read the error: beyond them the
/// connection is closed.
const READ: usize = 8 * LARGEST;

/// Several workers serve requests; the store changes under one lock, its write to disk included.
type Shared = Arc<Mutex<Store>>;
type Answered<T> = Result<Answer<T>, Refusal>;

pub(super) fn routes(store: Shared) -> Router {
    Router::new()
        .route("/", get(async || Answer(json!({}))))
        .route("/mode", get(async || Answer(json!({ "mode": "READWRITE" }))))
        .route("/schemas/types", get(async || Answer(["AVRO"])))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/schema", get(schema_text))
        .route("/schemas/ids/{id}/versions", get(usages))
        .route("/schemas/ids/{id}/subjects", get(usage_subjects))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(look_up).delete(delete_subject))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version).delete(delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_text))
        .route("/config", get(level).put(set_level))
        .route("/config/{subject}", get(subject_level).put(set_subject_level).delete(drop_subject_level))
        .route("/compatibility/subjects/{subject}/versions", post(fits_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(fits_one))
        .fallback(async || Refusal::NoResource)
        .layer(DefaultBodyLimit::max(READ))
        .with_state(store)
}

/// A panic while the lock is held leaves the store as it was: a change is applied only after its write, by code
/// that does not panic.
fn lock(store: &Shared) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    if body.len() > LARGEST {
        return Err(Refusal::TooLarge(LARGEST));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    permanent: bool,
    #[serde(default)]
    verbose: bool,
    #[serde(default)]
    default_to_global: bool,
    #[serde(default)]
    subject_prefix: String,
}

#[derive(Debug, Serialize)]
struct Identified {
    id: u32,
}

#[derive(Debug, Serialize)]
struct Content {
    schema: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<Reference>,
}

#[derive(Debug, Serialize)]
struct Registered {
    subject: String,
    version: u32,
    id: u32,
    #[serde(flatten)]
    content: Content,
}

impl From<&Sent> for Content {
    fn from(sent: &Sent) -> Self {
        Self { schema: sent.schema.clone(), references: sent.references.clone() }
    }
}

impl Registered {
    fn new(subject: String, Found { version, id, sent }: Found<'_>) -> Self {
        Self { subject, version, id, content: sent.into() }
    }
}

impl Which {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text.parse::<i64>() {
            _ if text == "latest" => Ok(Self::Latest),
            Ok(-1) => Ok(Self::Latest),
            Ok(number @ 1..=0x7fff_ffff) => Ok(Self::Number(u32::try_from(number).unwrap_or(u32::MAX))),
            _ => Err(Refusal::InvalidVersion(text.to_owned())),
        }
    }
}

async fn schema(State(store): State<Shared>, Path(id): Path<u32>) -> Answered<Content> {
    Ok(Answer(lock(&store).schema(id)?.into()))
}

async fn schema_text(State(store): State<Shared>, Path(id): Path<u32>) -> Answered<Value> {
    text(lock(&store).schema(id)?)
}

fn text(sent: &Sent) -> Answered<Value> {
    serde_json::from_str(&sent.schema).map(Answer).map_err(|error| Refusal::InvalidSchema(error.to_string()))
}

async fn usages(State(store): State<Shared>, Path(id): Path<u32>) -> Answered<Vec<Value>> {
    let store = lock(&store);
    let usages = store.usages(id)?.into_iter();
    Ok(Answer(usages.map(|(subject, version)| json!({ "subject": subject, "version": version })).collect()))
}

async fn usage_subjects(State(store): State<Shared>, Path(id): Path<u32>) -> Answered<Vec<String>> {
    let store = lock(&store);
    let mut subjects: Vec<String> =
        store.usages(id)?.into_iter().map(|(subject, _)| subject.to_owned()).collect();
    subjects.dedup();
    Ok(Answer(subjects))
}

async fn subjects(State(store): State<Shared>, Query(asked): Query<Asked>) -> Answer<Vec<String>> {
    let store = lock(&store);
    let subjects = store.subjects(asked.deleted).into_iter();
    Answer(subjects.filter(|subject| subject.starts_with(&asked.subject_prefix)).map(str::to_owned).collect())
}

async fn versions(
    State(store): State<Shared>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
) -> Answered<Vec<u32>> {
    Ok(Answer(lock(&store).versions(&subject, asked.deleted)?))
}

async fn version(
    State(store): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Answered<Registered> {
    let store = lock(&store);
    let found = store.version(&subject, Which::parse(&version)?, asked.deleted)?;
    Ok(Answer(Registered::new(subject, found)))
}

async fn version_text(
    State(store): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Answered<Value> {
    text(lock(&store).version(&subject, Which::parse(&version)?, asked.deleted)?.sent)
}

async fn register(
    State(store): State<Shared>,
    Path(subject): Path<String>,
    body: Bytes,
) -> Answered<Identified> {
    let sent = parse(&body)?;
    Ok(Answer(Identified { id: lock(&store).register(&subject, sent)? }))
}

async fn look_up(
    State(store): State<Shared>,
    Path(subject): Path<String>,
    body: Bytes,
) -> Answered<Registered> {
    let sent = parse(&body)?;
    let store = lock(&store);
    let found = store.look_up(&subject, &sent)?;
    Ok(Answer(Registered::new(subject, found)))
}

async fn delete_subject(
    State(store): State<Shared>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
) -> Answered<Vec<u32>> {
    Ok(Answer(lock(&store).delete_subject(&subject, asked.permanent)?))
}

async fn delete_version(
    State(store): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Answered<u32> {
    Ok(Answer(lock(&store).delete_version(&subject, Which::parse(&version)?, asked.permanent)?))
}

fn shown(level: Level) -> Value {
    json!({ "compatibilityLevel": level })
}

async fn level(State(store): State<Shared>) -> Answered<Value> {
    lock(&store).level(None).map(shown).map(Answer).ok_or(Refusal::NoResource)
}

async fn subject_level(
    State(store): State<Shared>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
) -> Answered<Value> {
    let store = lock(&store);
    let fallback = if asked.default_to_global { store.level(None) } else { None };
    store.level(Some(&subject)).or(fallback).map(shown).map(Answer).ok_or(Refusal::NoLevel(subject))
}

fn change_level(store: &Shared, subject: Option<&str>, body: &Bytes) -> Answered<Value> {
    #[derive(Deserialize)]
    struct Wanted {
        compatibility: Value,
    }
    let wanted: Wanted = parse(body)?;
    let level: Level = serde_json::from_value(wanted.compatibility).map_err(|_| Refusal::InvalidLevel)?;
    lock(store).set_level(subject, Some(level))?;
    Ok(Answer(json!({ "compatibility": level })))
}

async fn set_level(State(store): State<Shared>, body: Bytes) -> Answered<Value> {
    change_level(&store, None, &body)
}

async fn set_subject_level(
    State(store): State<Shared>,
    Path(subject): Path<String>,
    body: Bytes,
) -> Answered<Value> {
    change_level(&store, Some(&subject), &body)
}

async fn drop_subject_level(State(store): State<Shared>, Path(subject): Path<String>) -> Answered<Value> {
    let mut store = lock(&store);
    let level = store.level(Some(&subject)).ok_or_else(|| Refusal::NoLevel(subject.clone()))?;
    store.set_level(Some(&subject), None)?;
    Ok(Answer(json!({ "compatibility": level })))
}

async fn fits_all(
    State(store): State<Shared>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
    body: Bytes,
) -> Answered<Value> {
    fits(&store, &subject, None, &asked, &body)
}

async fn fits_one(
    State(store): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    body: Bytes,
) -> Answered<Value> {
    fits(&store, &subject, Some(Which::parse(&version)?), &asked, &body)
}

fn fits(
    store: &Shared,
    subject: &str,
    beside: Option<Which>,
    asked: &Asked,
    body: &Bytes,
) -> Answered<Value> {
    let complaints = lock(store).complaints(subject, &parse(body)?, beside)?;
    let mut answer = json!({ "is_compatible": complaints.is_empty() });
    if asked.verbose {
        answer["messages"] = json!(complaints);
    }
    Ok(Answer(answer))
}
