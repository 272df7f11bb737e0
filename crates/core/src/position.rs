//! The place of an event in `$all`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Place of an event in `$all`, in bytes of the store's log. Ordered by commit, then by prepare, as `$all` is;
/// positions grow, with gaps.
///
/// Events that an old TCP client wrote in one explicit transaction share a commit position and differ in the
/// prepare position. For every other event the two are equal.
///
/// Displayed as the commit position, which is what the header `ce_position` carries. In JSON a position is a
/// plain number where both are equal, else an object: `{"commit":120,"prepare":80}`. Both forms are read,
/// wherever a position is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    // The derived order depends on the order of the fields.
    /// Where the write that made the event visible was committed.
    pub commit: u64,
    /// Where the event itself was written, at or before the commit.
    pub prepare: u64,
}

impl Position {
    /// The position of an event that was written outside explicit transactions, and of every event in a store
    /// that knows one number only.
    pub const fn at(offset: u64) -> Self {
        Self { commit: offset, prepare: offset }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.commit.fmt(f)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    commit: u64,
    prepare: u64,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a position: a number, or an object with the numbers commit and prepare")]
enum Form {
    Offset(u64),
    Pair(Pair),
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { commit, prepare } = *self;
        if commit == prepare {
            serializer.serialize_u64(commit)
        } else {
            Pair { commit, prepare }.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Offset(offset) => Self::at(offset),
            Form::Pair(Pair { commit, prepare }) => Self { commit, prepare },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_TRANSACTION: Position = Position { commit: 120, prepare: 80 };

    #[test]
    fn positions_are_ordered_by_commit_then_prepare() {
        let next = Position { commit: 120, prepare: 100 };
        assert!(Position::at(100) < IN_TRANSACTION && IN_TRANSACTION < next && next < Position::at(120));
    }

    #[test]
    fn a_position_is_displayed_as_its_commit_position() {
        assert_eq!(IN_TRANSACTION.to_string(), "120");
    }

    #[test]
    fn json_is_a_number_unless_the_two_positions_differ() {
        for (position, json) in [
            (Position::at(u64::MAX), "18446744073709551615"),
            (IN_TRANSACTION, r#"{"commit":120,"prepare":80}"#),
        ] {
            assert_eq!(serde_json::to_string(&position).unwrap(), json);
            assert_eq!(serde_json::from_str::<Position>(json).unwrap(), position);
        }
        assert_eq!(serde_json::from_str::<Position>(r#"{"commit":7,"prepare":7}"#).unwrap(), Position::at(7));
    }

    #[test]
    fn what_is_not_a_position_is_refused() {
        for json in ["-1", "1.5", "null", "\"7\"", r#"{"commit":7}"#, r#"{"commit":7,"prepare":7,"x":1}"#] {
            let error = serde_json::from_str::<Position>(json).unwrap_err();
            assert!(error.to_string().contains("commit and prepare"), "{json}: {error}");
        }
    }
}
