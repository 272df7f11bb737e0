//! Draft schemas from stored events.
//!
//! [`History`] reads the events of a store as the routes select and map them. Its [`Evidence`] keeps bounded statistics of each event type, version and path. [`infer`] decides
//! from them: it makes a draft of one schema file per version, and a [`Report`] that says from how many events each
//! decision comes. [`Check`] encodes events by the drafts and counts what does not fit. Everything but
//! [`write_new`] is pure and synchronous; whoever calls reads the store and the folder.
//!
//! The rules:
//!
//! - A field that every event has is required, any other nullable with the default null. Versions share the type of
//!   a field; a field that is new in a version, or gone from it, is nullable there.
//! - Numbers are longs, beyond 64 bits decimals; with a fraction decimals of the largest scale met, but doubles where
//!   a number has an exponent, or a fraction and more than 15 significant digits. Texts of digits among numbers are
//!   numbers, unless one has a leading zero.
//! - Texts are UUIDs, dates or timestamps if every one is; a timestamp needs a zone and must fit its unit. Few texts
//!   that recur are an enum.
//! - Objects are records, or maps where their keys are too many or no names.
//! - Kinds of JSON values that recur in one field are a union. A kind that conflicts in at most 3 events, or 1 in
//!   1,000 of a type with 1,000 events or more, has no say; where no kind recurs, there is no file.

mod blocked;
mod check;
mod counts;
mod decide;
mod draft;
mod evidence;
mod history;
mod map_lines;
mod names;
mod report;
mod values;

pub use check::{Check, CheckReport, Refused};
pub use draft::{Change, DraftFile, FileState, write_new};
pub use evidence::Evidence;
pub use history::{History, HistoryRoute, Pass};
pub use map_lines::{MapLine, missing_map_lines};
pub use report::{Dirt, Fact, Finding, NoRecord, Problem, Report, TypeReport, Unread, VersionReport};

use self::decide::decide;
use self::draft::{compare, namespace_of, schema_text};
use self::names::TypeNames;
use crate::load::SchemaFiles;

/// Drafts the schemas of all event types that were observed, as files of the context `context` (a folder) in the
/// Avro namespace `namespace`. A file of `existing` is reported, not drafted over. An event type that has files in
/// another context stays there, in its namespace.
///
/// The same evidence gives the same draft.
pub fn infer(evidence: &Evidence, context: &str, namespace: &str, existing: &SchemaFiles) -> Report {
    let mut names = TypeNames::reserving(evidence.types.keys().map(String::as_str));
    let mut report = Report::default();
    for (event_type, seen) in &evidence.types {
        let decided = decide(event_type, seen, &mut names);
        let found = existing.find(event_type);
        let context = found.map_or(context, |(context, _)| context);
        let namespace = found.map_or_else(|| namespace.to_owned(), |(_, text)| namespace_of(text));
        for (version, record) in &decided.versions {
            let text = schema_text(record, &namespace);
            let state = compare(existing.text(context, event_type, *version), &text);
            report.files.push(DraftFile::new(context, event_type, *version, text, state));
        }
        report.types.push(decided.report);
    }
    report
}

#[cfg(test)]
mod tests;
