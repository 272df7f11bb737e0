//! Whether an event is in the exceptions for a good reason.

use aqueduct_core::RecordedEvent;

use super::compare::Previous;
use super::exceptions::{Exception, State, Verdict};
use super::stored::{Problem, Stored};
use crate::payload::Files;

/// Codes of which only the schema files can tell whether they hold.
const OF_SCHEMAS: [&str; 4] = ["unknown_type", "unknown_version", "payload", "upcast"];

/// What is known of the event of an exception.
pub(super) struct Circumstances<'a> {
    pub(super) event: &'a RecordedEvent,
    pub(super) stored: &'a Result<Stored<'a>, Vec<Problem>>,
    /// The schema files; none where the system is asked instead, or nothing is known.
    pub(super) files: Option<&'a Files>,
    /// An earlier event of its stream is parked.
    pub(super) is_blocked: bool,
    /// One is or was, and may have been replayed or discarded: a replay takes several transactions.
    pub(super) was_blocked: bool,
    /// The record before it, where that is known.
    pub(super) previous: Option<Previous>,
    /// The largest record that the relay writes.
    pub(super) max_record_bytes: Option<usize>,
}

/// Derives the reason of an exception again.
pub(super) fn judge(exception: &Exception, of: &Circumstances<'_>) -> Verdict {
    let wrong = |text: String| Verdict::Wrong(text.into());
    if exception.position != of.event.position {
        return wrong(format!("says position {}, the event is at {}", exception.position, of.event.position));
    }
    if let Some((last, previous)) = exception.last.zip(of.previous)
        && !of.is_blocked
        && !previous.allows(last, of.event.revision)
    {
        let last = last.map_or_else(|| "none".to_owned(), |last| last.to_string());
        return wrong(format!("says that the record before it is {last}, which it is not"));
    }
    let code = &*exception.code;
    let is_derived = match code {
        "requested" => return Verdict::Holds,
        "blocked" if of.was_blocked || exception.state != State::Parked => return Verdict::Holds,
        "blocked" => return wrong("no earlier event of its stream is parked".to_owned()),
        "too_large" => return too_large(of),
        code => of.files.is_some() || !OF_SCHEMAS.contains(&code),
    };
    match of.stored {
        Err(problems) if problems.iter().any(|problem| problem.codes.contains(&code)) => Verdict::Holds,
        _ if !is_derived => Verdict::NotCompared,
        Err(problems) => {
            let texts: Vec<_> = problems.iter().map(|problem| problem.text.as_str()).collect();
            wrong(format!("is not so: {}", texts.join("; ")))
        }
        Ok(stored) if code == "upcast" => upcast(stored, of.files),
        Ok(_) => wrong("nothing is wrong with the event".to_owned()),
    }
}

/// A rule may fail, and what it does is not known here.
fn upcast(stored: &Stored<'_>, files: Option<&Files>) -> Verdict {
    let event = files.and_then(|files| files.event(&stored.name));
    match event.map(|event| stored.in_version(event, event.latest())) {
        Some(Ok(Some(_))) => Verdict::Wrong("no rule is involved, and the event fits".into()),
        _ => Verdict::NotCompared,
    }
}

/// The data as Avro is nearly always smaller than as JSON; the rest of a record are short texts.
fn too_large(of: &Circumstances<'_>) -> Verdict {
    const MOST_AROUND: usize = 16 * 1024;
    let event = of.event;
    let size = 4 * event.data.len() + event.metadata.len() + event.stream.as_str().len() + MOST_AROUND;
    match of.max_record_bytes {
        Some(most) if size < most => Verdict::Wrong("its record cannot be as large as that".into()),
        _ => Verdict::Holds,
    }
}
