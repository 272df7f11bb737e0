use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
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

    /// Why `new` does not fit `earlier`, as `apache-avro` sees it; nothing where it fits.
    ///
    /// That check is a good guide but not the last word: it judges some pairs differently from Avro's reference
    /// implementation.
    pub(super) fn complaints(self, new: &Schema, earlier: &Schema) -> Vec<String> {
        let (backward, forward) = match self {
            Self::None => (false, false),
            Self::Backward | Self::BackwardTransitive => (true, false),
            Self::Forward | Self::ForwardTransitive => (false, true),
            Self::Full | Self::FullTransitive => (true, true),
        };
        let mut complaints = Vec::new();
        if backward {
            complaints.extend(unreadable(earlier, new).map(|why| format!("new cannot read old: {why}")));
        }
        if forward {
            complaints.extend(unreadable(new, earlier).map(|why| format!("old cannot read new: {why}")));
        }
        complaints
    }
}

fn unreadable(writer: &Schema, reader: &Schema) -> Option<String> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => None,
        Ok(Compatibility::Partial) => Some("some values of the one do not fit the other".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}
