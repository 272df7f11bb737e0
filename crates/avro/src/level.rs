//! Compatibility levels, as schema registries have them.

use serde::{Deserialize, Serialize};

use crate::compatibility::{Incompatibility, compatibility};
use crate::schema::Schema;

/// What a new version of a schema must be able to do beside earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Level {
    /// Nothing.
    None,
    /// Read what the version before wrote.
    Backward,
    /// Read what any earlier version wrote.
    BackwardTransitive,
    /// Be read by the version before.
    Forward,
    /// Be read by any earlier version.
    ForwardTransitive,
    /// Both, with the version before.
    Full,
    /// Both, with any earlier version.
    FullTransitive,
}

/// One schema does not read what another one wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The new one does not read the earlier one's.
    Backward,
    /// The earlier one does not read the new one's.
    Forward,
}

impl Level {
    /// All levels.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// Its name in a registry.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Whether all earlier versions count, not only the one before.
    pub fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    /// The earlier versions that count, of all in their order.
    pub fn counting<T>(self, earlier: &[T]) -> &[T] {
        let from = if self.is_transitive() { 0 } else { earlier.len().saturating_sub(1) };
        earlier.get(from..).unwrap_or_default()
    }

    /// What it asks of two versions.
    pub fn directions(self) -> &'static [Direction] {
        match self {
            Self::None => &[],
            Self::Backward | Self::BackwardTransitive => &[Direction::Backward],
            Self::Forward | Self::ForwardTransitive => &[Direction::Forward],
            Self::Full | Self::FullTransitive => &[Direction::Backward, Direction::Forward],
        }
    }

    /// Why a new version does not fit an earlier one; empty where it fits.
    pub fn complaints(self, new: &Schema, earlier: &Schema) -> Vec<(Direction, Incompatibility)> {
        let of_direction = |direction: &Direction| {
            let (reader, writer) = match direction {
                Direction::Backward => (new, earlier),
                Direction::Forward => (earlier, new),
            };
            let found = compatibility(reader, writer).incompatibilities;
            found.into_iter().map(|found| (*direction, found)).collect::<Vec<_>>()
        };
        self.directions().iter().flat_map(of_direction).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_asks_for_its_directions_of_the_versions_that_count() {
        let [one, two] = ["int", "long"].map(|of| Schema::parse(&format!("\"{of}\"")).unwrap());
        let complaints = |level: Level| {
            let found = level.complaints(&two, &one).into_iter();
            found.map(|(direction, _)| direction).collect::<Vec<_>>()
        };
        for level in Level::ALL {
            // A long is not read as an int.
            let expected = level.directions().iter().filter(|it| **it == Direction::Forward).copied();
            assert_eq!(complaints(level), expected.collect::<Vec<_>>(), "{level:?}");
            assert_eq!(level.counting(&[1, 2, 3]).len(), if level.is_transitive() { 3 } else { 1 });
            assert_eq!(serde_json::to_value(level).unwrap(), level.name());
        }
        assert!(Level::Full.counting::<u8>(&[]).is_empty());
    }
}
