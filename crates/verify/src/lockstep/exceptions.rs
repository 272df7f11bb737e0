//! Events that a route selects and that are not in its topic, as the relay has recorded them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aqueduct_core::{Position, Revision, StreamName};
use serde::{Deserialize, Deserializer};

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Parked,
    Skipped,
    Discarded,
}

/// An exception as it is stored, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    version: u32,
    pub(super) state: State,
    pub(super) code: Box<str>,
    #[serde(rename = "reason", deserialize_with = "nothing")]
    _reason: (),
    pub(super) position: Position,
    /// The record before it, `Some(None)` where it says that there is none.
    #[serde(default, deserialize_with = "given")]
    pub(super) last: Option<Option<Revision>>,
    /// What was found of it when its event was read.
    #[serde(skip)]
    pub(super) verdict: Verdict,
}

/// Whether an exception is right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its event was not read since it was written.
    #[default]
    Open,
    /// Its reason holds.
    Holds,
    /// Its reason is one that only the relay can give.
    NotCompared,
    /// The store no longer has its event.
    Gone,
    /// Why not.
    Wrong(Box<str>),
}

/// A text that must be there and is not kept.
fn nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    String::deserialize(deserializer).map(|_| ())
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Revision>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The exceptions of a stream.
#[derive(Debug, Default)]
struct OfStream {
    by_revision: BTreeMap<Revision, Exception>,
    /// Those that are parked: a stream may have a million skipped events before a parked one.
    parked: BTreeSet<Revision>,
}

/// The exceptions of a topic. Memory: about 200 bytes for each.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    by_stream: HashMap<StreamName, OfStream>,
    /// Streams of which an exception was removed.
    replayed: HashSet<StreamName>,
}

impl Exceptions {
    /// Takes a record of their topic. `Err` says why it is not one.
    pub(super) fn take(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), String> {
        let key = key.and_then(|key| str::from_utf8(key).ok()).and_then(|key| key.split_once('@'));
        let event = key.and_then(|(revision, stream)| Some((revision.parse().ok()?, stream)));
        let (revision, stream): (Revision, _) = event.ok_or("its key is not revision@stream")?;
        let stream = StreamName::from(stream);
        let Some(value) = value else {
            self.remove(&stream, revision);
            return Ok(());
        };
        let exception: Exception = serde_json::from_slice(value)
            .map_err(|error| format!("the exception of {revision}@{stream} cannot be read: {error}"))?;
        if exception.version != 1 {
            return Err(format!("the exception of {revision}@{stream} has version {}", exception.version));
        }
        let of_stream = self.by_stream.entry(stream).or_default();
        if exception.state == State::Parked {
            of_stream.parked.insert(revision);
        } else {
            of_stream.parked.remove(&revision);
        }
        of_stream.by_revision.insert(revision, exception);
        Ok(())
    }

    /// The event was relayed by a replay.
    pub(super) fn remove(&mut self, stream: &StreamName, revision: Revision) {
        let Some(of_stream) = self.by_stream.get_mut(stream) else { return };
        of_stream.parked.remove(&revision);
        if of_stream.by_revision.remove(&revision).is_some() {
            self.replayed.insert(stream.clone());
        }
        if of_stream.by_revision.is_empty() {
            self.by_stream.remove(stream);
        }
    }

    /// Whether an exception of the stream was removed.
    pub(super) fn was_replayed(&self, stream: &StreamName) -> bool {
        self.replayed.contains(stream)
    }

    pub(super) fn get(&self, stream: &StreamName, revision: Revision) -> Option<&Exception> {
        self.by_stream.get(stream)?.by_revision.get(&revision)
    }

    /// Keeps what was found of an exception.
    pub(super) fn judged(&mut self, stream: &StreamName, revision: Revision, verdict: Verdict) {
        let of_stream = self.by_stream.get_mut(stream);
        let exception = of_stream.and_then(|of_stream| of_stream.by_revision.get_mut(&revision));
        if let Some(exception) = exception {
            exception.verdict = verdict;
        }
    }

    /// Whether an event of the stream before this one is parked.
    pub(super) fn is_blocked(&self, stream: &StreamName, before: Revision) -> bool {
        let first = self.by_stream.get(stream).and_then(|of_stream| of_stream.parked.first());
        first.is_some_and(|first| *first < before)
    }

    /// Whether an event of the stream was parked before this one: it may have been replayed or discarded.
    pub(super) fn was_blocked(&self, stream: &StreamName, before: Revision) -> bool {
        let has_earlier = |of_stream: &OfStream| of_stream.by_revision.range(..before).next().is_some();
        self.was_replayed(stream) || self.by_stream.get(stream).is_some_and(has_earlier)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&StreamName, Revision, &Exception)> {
        self.by_stream.iter().flat_map(|(stream, of_stream)| {
            of_stream.by_revision.iter().map(move |(revision, exception)| (stream, *revision, exception))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = r#"{"version":1,"state":"parked","code":"payload","reason":"x",
        "position":{"commit":9,"prepare":8},"last":null}"#;

    fn take(exceptions: &mut Exceptions, key: &str, value: Option<&str>) -> Result<(), String> {
        exceptions.take(Some(key.as_bytes()), value.map(str::as_bytes))
    }

    #[test]
    fn the_last_record_of_an_event_counts() {
        let mut exceptions = Exceptions::default();
        let stream = StreamName::from("order-1@2");
        take(&mut exceptions, "7@order-1@2", Some(VALUE)).unwrap();
        let found = exceptions.get(&stream, 7).unwrap();
        assert_eq!((found.state, found.last, found.position.prepare), (State::Parked, Some(None), 8));
        assert!(exceptions.is_blocked(&stream, 8) && !exceptions.is_blocked(&stream, 7));
        let absent = VALUE.replace(",\"last\":null", "").replace("parked", "skipped");
        take(&mut exceptions, "7@order-1@2", Some(&absent)).unwrap();
        assert_eq!(exceptions.get(&stream, 7).unwrap().last, None);
        assert!(!exceptions.is_blocked(&stream, 8));
        take(&mut exceptions, "7@order-1@2", None).unwrap();
        assert_eq!(exceptions.all().count(), 0);
    }

    #[test]
    fn what_is_not_an_exception_is_refused() {
        let mut exceptions = Exceptions::default();
        for (key, value) in [
            ("order-1", VALUE.to_owned()),
            ("x@order-1", VALUE.to_owned()),
            ("7@order-1", VALUE.replace("\"version\":1", "\"version\":2")),
            ("7@order-1", VALUE.replace("parked", "lost")),
            ("7@order-1", VALUE.replace("\"reason\":\"x\",", "")),
            ("7@order-1", VALUE.replace("reason", "why")),
        ] {
            take(&mut exceptions, key, Some(&value)).expect_err(&value);
        }
        assert!(exceptions.take(None, None).is_err());
        assert_eq!(exceptions.all().count(), 0);
    }
}
