//! The right-hand side of a type map's line.

use std::borrow::Cow;
use std::fmt;

use crate::mapping::glob::Glob;
use crate::mapping::value;

const EVENT: &str = "{event}";
const VERSION: &str = "{version}";

/// The event that a line of the type map names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    name: Name,
    version: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Literal(String),
    /// What the glob took, between two texts.
    Captured {
        before: String,
        after: String,
    },
}

impl Target {
    /// Parses the target of a glob or an exact name; the error says what is wrong with it.
    pub(crate) fn parse(text: &str, glob: &Glob) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let version =
            match version {
                None => None,
                Some(VERSION) if glob.has_version() => None,
                Some(VERSION) => return Err("the target has {version}, the stored type has not".to_owned()),
                Some(_) if glob.has_version() => {
                    return Err("both the stored type and the target give a version: remove one".to_owned());
                }
                Some(digits) => {
                    let version = value::digits(digits).filter(|version| *version > 0);
                    Some(version.ok_or_else(|| {
                        format!("the version after @ in {text:?} is not a number from 1 on")
                    })?)
                }
            };
        Ok(Self { name: Name::parse(name, glob)?, version })
    }

    /// The name with what the glob took.
    pub(crate) fn name(&self, captured: Option<&str>) -> Cow<'_, str> {
        match &self.name {
            Name::Literal(name) => Cow::Borrowed(name),
            Name::Captured { before, after } => {
                Cow::Owned([before, captured.unwrap_or_default(), after].concat())
            }
        }
    }

    /// The version that the line states itself.
    pub(crate) fn version(&self) -> Option<u32> {
        self.version
    }
}

impl Name {
    fn parse(name: &str, glob: &Glob) -> Result<Self, String> {
        let Some((before, after)) = name.split_once(EVENT) else {
            let literal = event_name(Cow::Borrowed(name));
            return match literal {
                Some(name) => Ok(Self::Literal(name.into_owned())),
                None => Err(format!(
                    "{name:?} is not an event name: write one such as OrderPlaced or OrderPlaced@2"
                )),
            };
        };
        if after.contains(EVENT) {
            return Err("the target has {event} twice".to_owned());
        }
        if !glob.has_event() {
            return Err("the target has {event}, the stored type has not".to_owned());
        }
        let sample = [before, "Event", after].concat();
        match event_name(Cow::Borrowed(&sample)) {
            Some(_) => Ok(Self::Captured { before: before.to_owned(), after: after.to_owned() }),
            None => Err(format!("{name:?} never makes an event name")),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name(Some(EVENT)))?;
        match self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

/// A text as an Avro name: as it is where it is one, in PascalCase at dots and dashes where that makes one.
pub(crate) fn event_name(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if is_avro_name(&text) {
        return Some(text);
    }
    let mut name = String::with_capacity(text.len());
    for word in text.split(['.', '-']) {
        let mut characters = word.chars();
        name.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(characters.as_str());
    }
    is_avro_name(&name).then_some(Cow::Owned(name))
}

fn is_avro_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_pascal_case_at_dots_and_dashes() {
        let name = |text| event_name(Cow::Borrowed(text)).map(Cow::into_owned);
        for (text, expected) in [
            ("OrderPlaced", "OrderPlaced"),
            ("order_placed", "order_placed"),
            ("_x", "_x"),
            ("ticket.opened", "TicketOpened"),
            ("order-placed", "OrderPlaced"),
            ("a..b--c", "ABC"),
            ("V1.RoomBooked", "V1RoomBooked"),
            ("order.2nd-line", "Order2ndLine"),
        ] {
            assert_eq!(name(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", ".", "Room Booked", "1st", "Envelope`1", "Größe", "A, B", "{event}"] {
            assert_eq!(name(text), None, "{text}");
        }
    }

    #[test]
    fn a_plain_name_is_not_copied() {
        assert!(matches!(event_name(Cow::Borrowed("OrderPlaced")), Some(Cow::Borrowed(_))));
    }
}
