use aqueduct_avro::{Schema, compatibility};
use serde::{Deserialize, Serialize};

/// The compatibility level of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Level {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Level {
    /// Whether all earlier versions are checked, not only the latest.
    pub(super) fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    /// Why `new` does not fit `earlier`; nothing where it fits.
    pub(super) fn complaints(self, new: &Schema, earlier: &Schema) -> Vec<String> {
        let (backward, forward) = match self {
            Self::None => (false, false),
            Self::Backward | Self::BackwardTransitive => (true, false),
            Self::Forward | Self::ForwardTransitive => (false, true),
            Self::Full | Self::FullTransitive => (true, true),
        };
        let mut complaints = Vec::new();
        if backward {
            complaints.extend(unreadable("new cannot read old", earlier, new));
        }
        if forward {
            complaints.extend(unreadable("old cannot read new", new, earlier));
        }
        complaints
    }
}

fn unreadable(problem: &str, writer: &Schema, reader: &Schema) -> Vec<String> {
    let found = compatibility(reader, writer).incompatibilities;
    found.iter().map(|incompatibility| format!("{problem}: {incompatibility}")).collect()
}
