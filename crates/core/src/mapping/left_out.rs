//! What of an event's metadata is left out, and how often.

/// Why an event has no metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoMetadata {
    /// Zero bytes.
    Empty,
    /// The JSON value null.
    Null,
    /// JSON, but not an object.
    NotAnObject,
    /// Not JSON.
    NotJson,
}

/// What of an event's metadata could not be used although it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// All of the metadata, and why.
    pub metadata: Option<NoMetadata>,
    /// The correlation id has a wrong form.
    pub correlation_id: bool,
    /// The causation id has a wrong form.
    pub causation_id: bool,
    /// The trace context has a wrong form.
    pub trace_context: bool,
}

/// How often something was left out, over many events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetadataCounts {
    counts: [u64; REASONS.len()],
}

/// Names of the counts, as metrics and reports show them.
const REASONS: [&str; 7] = [
    "metadata_empty",
    "metadata_null",
    "metadata_not_an_object",
    "metadata_not_json",
    "correlation_id",
    "causation_id",
    "trace_context",
];

impl MetadataCounts {
    /// Adds what was left out of one event.
    pub fn add(&mut self, left_out: LeftOut) {
        let no_metadata = left_out.metadata.map(|reason| match reason {
            NoMetadata::Empty => 0,
            NoMetadata::Null => 1,
            NoMetadata::NotAnObject => 2,
            NoMetadata::NotJson => 3,
        });
        let flags = [left_out.correlation_id, left_out.causation_id, left_out.trace_context];
        let fields = (4..).zip(flags).filter(|(_, is_left_out)| *is_left_out).map(|(place, _)| place);
        for place in no_metadata.into_iter().chain(fields) {
            self.counts[place] += 1;
        }
    }

    /// The counts that are not zero, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_reason_under_its_name() {
        let mut counts = MetadataCounts::default();
        for reason in [NoMetadata::Empty, NoMetadata::Null, NoMetadata::NotAnObject, NoMetadata::NotJson] {
            counts.add(LeftOut { metadata: Some(reason), ..LeftOut::default() });
        }
        counts.add(LeftOut { trace_context: true, ..LeftOut::default() });
        counts.add(LeftOut { trace_context: true, causation_id: true, correlation_id: true, metadata: None });
        counts.add(LeftOut::default());
        let expected = [
            ("metadata_empty", 1),
            ("metadata_null", 1),
            ("metadata_not_an_object", 1),
            ("metadata_not_json", 1),
            ("correlation_id", 1),
            ("causation_id", 1),
            ("trace_context", 2),
        ];
        assert_eq!(counts.iter().collect::<Vec<_>>(), expected);
        assert_eq!(MetadataCounts::default().iter().next(), None);
    }
}
