//! The headers that the envelope is read from.

macro_rules! known_headers {
    ($($header:ident $name:literal),+ $(,)?) => {
        /// A header that the envelope is read from.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum KnownHeader { $($header),+ }

        impl KnownHeader {
            pub(crate) const COUNT: usize = [$(Self::$header),+].len();

            pub(crate) fn of(name: &[u8]) -> Option<Self> {
                $(if name == $name.as_bytes() {
                    return Some(Self::$header);
                })+
                None
            }

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$header => $name),+ }
            }
        }
    };
}

known_headers! {
    SpecVersion "ce_specversion",
    Id "ce_id",
    EventId "ce_eventid",
    Type "ce_type",
    Source "ce_source",
    Subject "ce_subject",
    Time "ce_time",
    Revision "ce_revision",
    PreviousRevision "ce_previousrevision",
    Position "ce_position",
    SchemaVersion "ce_schemaversion",
    CorrelationId "ce_correlationid",
    CausationId "ce_causationid",
    TraceParent "traceparent",
}
