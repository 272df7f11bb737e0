//! What a stream's metadata stream `$$name` says about reading it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::event::{Record, TOMBSTONE_REVISION};
use crate::storage::{Direction, StorageError, Store};

/// The rules in force for a stream: the last event of its metadata stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamMetadata {
    pub(crate) max_count: Option<u64>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) truncate_before: Option<u64>,
}

/// The stream that holds the metadata of `stream`.
pub(crate) fn metadata_stream(stream: &str) -> String {
    format!("$${stream}")
}

/// The stream that `stream` is the metadata of.
pub(crate) fn described_by(stream: &str) -> Option<&str> {
    stream.strip_prefix("$$")
}

impl StreamMetadata {
    /// Metadata of a metadata stream cannot be set: its last event is the only one that counts.
    pub(crate) fn of_metadata_stream() -> Self {
        Self { max_count: Some(1), ..Self::default() }
    }

    pub(crate) fn load(store: &dyn Store, stream: &str) -> Result<Self, StorageError> {
        if described_by(stream).is_some() {
            return Ok(Self::of_metadata_stream());
        }
        let last = store.stream(&metadata_stream(stream), 0, u64::MAX, Direction::Backwards, 1)?;
        Ok(last.first().map_or_else(Self::default, |record| Self::parse(record)))
    }

    /// One invalid value invalidates the whole event, as on the real server.
    pub(crate) fn parse(record: &Record) -> Self {
        if !record.is_json || record.is_tombstone() {
            return Self::default();
        }
        Self::from_json(&record.data).unwrap_or_default()
    }

    fn from_json(data: &[u8]) -> Option<Self> {
        let object = object(data)?;
        if let Some(acl) = object.get("$acl") {
            is_acl(acl).then_some(())?;
        }
        positive(&object, "$cacheControl")?;
        Some(Self {
            max_count: positive(&object, "$maxCount")?,
            max_age: positive(&object, "$maxAge")?.map(Duration::from_secs),
            truncate_before: match object.get("$tb") {
                None => None,
                Some(value) => Some(u64::try_from(value.as_i64()?).ok()?),
            },
        })
    }

    /// Soft-deleted: the next append reopens the stream.
    pub(crate) fn is_soft_deleted(&self) -> bool {
        self.truncate_before == Some(TOMBSTONE_REVISION)
    }

    /// The first revision that may be read of a stream whose last event is at `last`.
    pub(crate) fn first_readable(&self, last: u64) -> u64 {
        let by_count = self.max_count.map_or(0, |count| (last + 1).saturating_sub(count));
        by_count.max(self.truncate_before.unwrap_or(0))
    }

    /// Whether an event has outlived `$maxAge` at the time `now` (in ticks).
    pub(crate) fn is_too_old(&self, record: &Record, now: i64) -> bool {
        self.max_age.is_some_and(|age| {
            let age = i64::try_from(age.as_nanos() / 100).unwrap_or(i64::MAX);
            record.created < now.saturating_sub(age)
        })
    }
}

/// Metadata that deletes its stream until the next append.
pub(crate) fn soft_delete() -> Vec<u8> {
    format!("{{\"$tb\":{TOMBSTONE_REVISION}}}").into_bytes()
}

/// `data` with the truncation point moved to `first`; `None` if it is not a JSON object.
pub(crate) fn reopen(data: &[u8], first: u64) -> Option<Vec<u8>> {
    let mut object = object(data)?;
    object.insert("$tb".to_owned(), first.into());
    serde_json::to_vec(&object).ok()
}

/// The object at the beginning of `data`; the rest is ignored.
fn object(data: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::Deserializer::from_slice(data).into_iter().next()?.ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// `Some(None)` if it is missing, `None` if it is invalid.
fn positive(object: &Map<String, Value>, key: &str) -> Option<Option<u64>> {
    match object.get(key) {
        None => Some(None),
        Some(value) => match value.as_i64() {
            Some(number) if number > 0 => Some(Some(number as u64)),
            _ => None,
        },
    }
}

fn is_acl(value: &Value) -> bool {
    let is_role = |role: &Value| match role {
        Value::String(_) => true,
        Value::Array(roles) => roles.iter().all(Value::is_string),
        _ => false,
    };
    value.as_object().is_some_and(|acl| {
        ["$r", "$w", "$d", "$mr", "$mw"].iter().all(|right| acl.get(*right).is_none_or(is_role))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> StreamMetadata {
        StreamMetadata::from_json(text.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn rules_are_read() {
        let metadata = parse(r#"{"$maxCount":3,"$maxAge":2,"$tb":1,"own":[1]}"#);
        assert_eq!(metadata.max_count, Some(3));
        assert_eq!(metadata.max_age, Some(Duration::from_secs(2)));
        assert_eq!(metadata.truncate_before, Some(1));
        assert_eq!(metadata.first_readable(9), 7);
        assert_eq!(metadata.first_readable(2), 1);
    }

    #[test]
    fn one_wrong_value_voids_all() {
        for wrong in [
            r#"{"$maxCount":0,"$tb":3}"#,
            r#"{"$maxAge":-1,"$tb":3}"#,
            r#"{"$maxCount":"x","$tb":3}"#,
            r#"{"$maxCount":1.5,"$tb":3}"#,
            r#"{"$tb":-1}"#,
            r#"{"$acl":7,"$tb":3}"#,
            r#"[1]"#,
            "not json",
            "",
        ] {
            assert_eq!(parse(wrong), StreamMetadata::default(), "{wrong}");
        }
    }

    #[test]
    fn a_reopened_stream_keeps_its_other_metadata() {
        let data = reopen(br#"{"$tb":9223372036854775807,"own":1}"#, 5).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&data).unwrap(), serde_json::json!({"$tb": 5, "own": 1}));
        assert_eq!(reopen(b"not json", 5), None);
    }
}
