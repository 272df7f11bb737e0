//! The events that the consumer is fed with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Most bytes of a file.
const MAX_BYTES: u64 = 64 << 20;
pub(crate) const MAX_EVENTS: usize = 20_000;

/// The file of the events cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {problem}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct HistoryError {
    path: PathBuf,
    line: Option<usize>,
    problem: String,
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: String,
    stream: String,
    #[serde(rename = "type")]
    event_type: String,
    version: Option<u32>,
    time: Timestamp,
    data: Box<RawValue>,
}

/// An event as a store would have it.
#[derive(Debug)]
pub(crate) struct Event {
    /// Number of the line, from 1.
    pub(crate) line: usize,
    /// Index of the topic in the consumer's definition.
    pub(crate) topic: usize,
    pub(crate) stream: String,
    /// The stream's events are counted from 0.
    pub(crate) revision: u64,
    pub(crate) event_type: String,
    /// Version of the schema of the data; none: the latest.
    pub(crate) version: Option<u32>,
    pub(crate) time: Timestamp,
    /// A JSON object.
    pub(crate) data: Box<RawValue>,
}

/// Reads the file. `topics` are those of the definition.
pub(crate) fn read(path: &Path, topics: &[String]) -> Result<Vec<Event>, HistoryError> {
    let refused = |line, problem: String| HistoryError { path: path.to_owned(), line, problem };
    let io = |error: std::io::Error| refused(None, format!("cannot be read: {error}"));
    if fs::metadata(path).map_err(io)?.len() > MAX_BYTES {
        return Err(refused(None, format!("is larger than {} MiB", MAX_BYTES >> 20)));
    }
    let text = fs::read_to_string(path).map_err(io)?;
    let mut revisions: BTreeMap<(usize, String), u64> = BTreeMap::new();
    let mut events = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let refused = |problem| refused(Some(index + 1), problem);
        let Line { topic, stream, event_type, version, time, data } =
            serde_json::from_str(line).map_err(|error| refused(error.to_string()))?;
        let topic = topics.iter().position(|it| *it == topic).ok_or_else(|| {
            refused(format!("topic \"{topic}\" is not one of the definition's: {}", topics.join(", ")))
        })?;
        let next = revisions.entry((topic, stream.clone())).or_default();
        let revision = std::mem::replace(next, *next + 1);
        events.push(Event { line: index + 1, topic, stream, revision, event_type, version, time, data });
    }
    match events.len() {
        0 => Err(refused(None, "has no events".to_owned())),
        number if number > MAX_EVENTS => Err(refused(None, format!("has more than {MAX_EVENTS} events"))),
        _ => Ok(events),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Event>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        fs::write(&path, text).unwrap();
        read(&path, &["a".to_owned(), "b".to_owned()]).map_err(|error| error.to_string())
    }

    fn line(topic: &str, stream: &str) -> String {
        format!(
            r#"{{"topic":"{topic}","stream":"{stream}","type":"T","time":"2011-01-01T00:00:00Z","data":{{}}}}"#
        )
    }

    #[test]
    fn revisions_count_the_events_of_a_stream_in_its_topic() {
        let text = [line("a", "s-1"), line("b", "s-1"), String::new(), line("a", "s-1")].join("\n");
        let events = read_text(&text).unwrap();
        let places: Vec<_> = events.iter().map(|it| (it.line, it.topic, it.revision)).collect();
        assert_eq!(places, [(1, 0, 0), (2, 1, 0), (4, 0, 1)]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, expected) in [
            (format!("{}\n{{}}", line("a", "s-1")), "line 2: missing field"),
            (line("c", "s-1"), "line 1: topic \"c\" is not one of the definition's: a, b"),
            (String::new(), "has no events"),
        ] {
            let problem = read_text(&text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
