//! The rules of expected revisions and of duplicate appends.

use uuid::Uuid;

use crate::event::TOMBSTONE_REVISION;
use crate::metadata::StreamMetadata;
use crate::recent::RecentIds;

/// What a writer expects a stream to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Any,
    NoStream,
    StreamExists,
    Revision(u64),
}

impl Expected {
    /// As one number, the way error trailers have it.
    pub(crate) fn as_number(self) -> i64 {
        match self {
            Self::Any => -2,
            Self::NoStream => -1,
            Self::StreamExists => -4,
            Self::Revision(revision) => i64::try_from(revision).unwrap_or(i64::MAX),
        }
    }

    /// The number of events before the ones to be written, where it was said.
    fn events_before(self) -> Option<u64> {
        match self {
            Self::Any | Self::StreamExists => None,
            Self::NoStream => Some(0),
            Self::Revision(revision) => Some(revision.saturating_add(1)),
        }
    }

    /// Whether more was written to a stream than the writer knows of: then it may be a duplicate.
    pub(crate) fn is_behind(self, head: &Head) -> bool {
        self.events_before().is_some_and(|before| before < head.events())
    }
}

/// The state of a stream that decides about appends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) last: Option<u64>,
    pub(crate) metadata: StreamMetadata,
}

impl Head {
    pub(crate) fn is_tombstoned(&self) -> bool {
        self.last == Some(TOMBSTONE_REVISION)
    }

    /// The number of events ever written, which is the next revision.
    pub(crate) fn events(&self) -> u64 {
        self.last.map_or(0, |last| last + 1)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write, and reopen the stream if it was soft-deleted.
    Write,
    /// All of it was written before, up to this revision.
    Duplicate {
        last: u64,
    },
    WrongVersion,
    Deleted,
}

/// Decides about an append of events with these ids.
///
/// `exists` says whether the stream has events or metadata; `id_at` gives the id of its event at a
/// revision and is asked only where a duplicate is possible.
pub(crate) fn decide<E>(
    stream: &str,
    head: &Head,
    expected: Expected,
    ids: &[Uuid],
    recent: &RecentIds,
    exists: bool,
    id_at: impl Fn(u64) -> Result<Option<Uuid>, E>,
) -> Result<Decision, E> {
    if head.is_tombstoned() {
        return Ok(Decision::Deleted);
    }
    if expected == Expected::StreamExists {
        if head.metadata.is_soft_deleted() {
            return Ok(Decision::Deleted);
        }
        if !exists {
            return Ok(Decision::WrongVersion);
        }
    }
    let Some(before) = expected.events_before() else {
        return Ok(by_recent_ids(stream, ids, recent));
    };
    if before > head.events() {
        return Ok(Decision::WrongVersion);
    }
    if before == head.events() {
        return Ok(Decision::Write);
    }
    for (revision, id) in (before..).zip(ids) {
        if recent.revision_in(stream, *id) == Some(revision) || id_at(revision)? == Some(*id) {
            continue;
        }
        let first = revision == before;
        let reopens = first && expected == Expected::NoStream && head.metadata.is_soft_deleted();
        return Ok(if reopens { Decision::Write } else { Decision::WrongVersion });
    }
    Ok(match ids.len() as u64 {
        0 => Decision::WrongVersion,
        count => Decision::Duplicate { last: before + count - 1 },
    })
}

/// Without a revision to go by, a duplicate is one if the server remembers every id. A new id after
/// known ones is neither a duplicate nor a new append.
fn by_recent_ids(stream: &str, ids: &[Uuid], recent: &RecentIds) -> Decision {
    let mut last = None;
    for id in ids {
        match (recent.revision_in(stream, *id), last) {
            (Some(revision), _) => last = Some(revision),
            (None, None) => return Decision::Write,
            (None, Some(_)) => return Decision::WrongVersion,
        }
    }
    last.map_or(Decision::Write, |last| Decision::Duplicate { last })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "s";

    fn ids(numbers: &[u128]) -> Vec<Uuid> {
        numbers.iter().copied().map(Uuid::from_u128).collect()
    }

    /// A stream of events with the ids 10, 11 and 12, of which the server remembers those given.
    fn decide_on(expected: Expected, remembered: &[u128], appended: &[u128]) -> Decision {
        let written = ids(&[10, 11, 12]);
        let mut recent = RecentIds::default();
        for id in ids(remembered) {
            let revision = written.iter().position(|known| *known == id).unwrap() as u64;
            recent.insert(&crate::event::Record {
                position: 1,
                stream: STREAM.into(),
                revision,
                id,
                kind: "happened".into(),
                is_json: true,
                created: 0,
                custom_metadata: Default::default(),
                data: Default::default(),
            });
        }
        let head = Head { last: Some(2), metadata: StreamMetadata::default() };
        let id_at = |revision: u64| Ok::<_, ()>(written.get(revision as usize).copied());
        decide(STREAM, &head, expected, &ids(appended), &recent, true, id_at).unwrap()
    }

    #[test]
    fn a_known_revision_needs_no_memory() {
        assert_eq!(decide_on(Expected::Revision(2), &[], &[10]), Decision::Write);
        assert_eq!(decide_on(Expected::Revision(0), &[], &[11, 12]), Decision::Duplicate { last: 2 });
        assert_eq!(decide_on(Expected::NoStream, &[], &[10]), Decision::Duplicate { last: 0 });
        assert_eq!(decide_on(Expected::Revision(0), &[], &[11, 99]), Decision::WrongVersion);
        assert_eq!(decide_on(Expected::Revision(1), &[], &[12, 99]), Decision::WrongVersion);
        assert_eq!(decide_on(Expected::Revision(3), &[], &[99]), Decision::WrongVersion);
    }

    #[test]
    fn without_one_only_remembered_ids_are_duplicates() {
        let all = [10, 11, 12];
        assert_eq!(decide_on(Expected::Any, &all, &[10, 11]), Decision::Duplicate { last: 1 });
        assert_eq!(decide_on(Expected::Any, &[], &[10, 11]), Decision::Write);
        assert_eq!(decide_on(Expected::StreamExists, &all, &[99, 10]), Decision::Write);
        assert_eq!(decide_on(Expected::Any, &all, &[10, 99]), Decision::WrongVersion);
    }
}
