//! Which version of which event type.

use std::fmt;
use std::str::FromStr;

/// A version of an event type: `orders/OrderCreated v2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId {
    /// The folder that contains the event type.
    pub context: String,
    /// The event type, which no other context has.
    pub event_type: String,
    /// The number of the file `vN.avsc`.
    pub version: u32,
}

impl VersionId {
    /// The path of its file in the folder of the schemas, `orders/OrderCreated/v2.avsc`.
    pub fn file(&self) -> String {
        let Self { context, event_type, version } = self;
        format!("{context}/{event_type}/v{version}.avsc")
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, event_type, version } = self;
        write!(f, "{context}/{event_type} v{version}")
    }
}

impl FromStr for VersionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (event, version) = text.split_once(" v").ok_or(())?;
        let (context, event_type) = event.split_once('/').ok_or(())?;
        let is_number = version.starts_with(|first: char| first.is_ascii_digit() && first != '0');
        let is_name = |name: &str| !name.is_empty() && !name.contains(['/', ' ']);
        if !is_number || !is_name(context) || !is_name(event_type) {
            return Err(());
        }
        let version = version.parse().map_err(|_| ())?;
        Ok(Self { context: context.to_owned(), event_type: event_type.to_owned(), version })
    }
}
