//! What stored types are called.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::glob::{Glob, Taken};
use super::scalar::version_of_digits;

/// Longest stored type that has a name, in bytes.
const LONGEST: usize = 1024;

/// Lines of a stored type, exact or a glob, and the event that it is: `"V{version}.{event}" = "{event}"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, String>")]
pub struct TypeMap {
    exact: BTreeMap<String, String>,
    /// By their text.
    globs: BTreeMap<String, (Glob, String)>,
}

impl From<BTreeMap<String, String>> for TypeMap {
    fn from(lines: BTreeMap<String, String>) -> Self {
        let mut map = Self::default();
        for (stored, event) in lines {
            let glob = Glob::parse(&stored);
            if glob.is_exact() {
                map.exact.insert(stored, event);
            } else {
                map.globs.insert(stored, (glob, event));
            }
        }
        map
    }
}

/// Name and version of an event.
pub(crate) type Named = (String, Option<u32>);

impl TypeMap {
    /// This map, and the lines of another where this one has none of the same text.
    pub(crate) fn or(&self, others: &Self) -> Self {
        let mut map = others.clone();
        map.exact.extend(self.exact.clone());
        map.globs.extend(self.globs.clone());
        map
    }

    /// The event that a stored type is. `Err` says why it is none.
    pub(crate) fn name(&self, stored: &str) -> Result<Named, String> {
        if stored.len() > LONGEST {
            return Err(format!("its type is longer than {LONGEST} bytes"));
        }
        if let Some(event) = self.exact.get(stored) {
            return target(event, Taken::default());
        }
        let mut found: Option<Named> = None;
        for (glob, event) in self.globs.values() {
            let Some(taken) = glob.take(stored) else { continue };
            let named = target(event, taken)?;
            if found.as_ref().is_some_and(|found| *found != named) {
                return Err(format!("the type map makes different events of its type {stored:?}"));
            }
            found = Some(named);
        }
        match found {
            Some(named) => Ok(named),
            None => Ok((event_name(stored)?, None)),
        }
    }
}

/// What a line makes of what its glob has taken.
fn target(event: &str, taken: Taken<'_>) -> Result<Named, String> {
    let (name, stated) = event.split_once('@').map_or((event, None), |(name, version)| (name, Some(version)));
    let name = event_name(&name.replace("{event}", taken.event.unwrap_or_default()))?;
    let version = match taken.version.or(stated) {
        Some(digits) => Some(version_of_digits(digits).ok_or("the version in its type is not a version")?),
        None => None,
    };
    Ok((name, version))
}

/// An Avro name; what is not one becomes one at its dots and dashes, `ticket.opened` for example.
fn event_name(text: &str) -> Result<String, String> {
    if is_avro_name(text) {
        return Ok(text.to_owned());
    }
    let mut name = String::new();
    let mut begins_word = true;
    for character in text.chars() {
        match character {
            '.' | '-' => begins_word = true,
            _ if begins_word => {
                name.push(character.to_ascii_uppercase());
                begins_word = false;
            }
            _ => name.push(character),
        }
    }
    if is_avro_name(&name) { Ok(name) } else { Err(format!("its type {text:?} is not an event name")) }
}

fn is_avro_name(text: &str) -> bool {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.chars().all(is_word) && text.chars().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&str, &str)]) -> TypeMap {
        let lines = lines.iter().map(|(stored, event)| ((*stored).to_owned(), (*event).to_owned()));
        lines.collect::<BTreeMap<_, _>>().into()
    }

    fn name(lines: &[(&str, &str)], stored: &str) -> Option<String> {
        let (name, version) = map(lines).name(stored).ok()?;
        Some(version.map_or(name.clone(), |version| format!("{name}@{version}")))
    }

    #[test]
    fn lines_name_types() {
        let lines = [
            ("V{version}.{event}", "{event}"),
            ("{event}.v{version}", "{event}@{version}"),
            ("Acme.Orders.{event}, Acme.Orders", "{event}"),
            ("a.v1", "Special@3"),
            ("V1.*", "RoomBooked@1"),
        ];
        for (stored, expected) in [
            ("V2.RoomBooked", Some("RoomBooked@2")),
            ("V1.RoomBooked", Some("RoomBooked@1")),
            ("V1.RoomFreed", None),
            ("V0.RoomBooked", None),
            ("ticket.opened.v007", Some("TicketOpened@7")),
            ("Acme.Orders.OrderPlaced, Acme.Orders", Some("OrderPlaced")),
            ("Acme.Orders.OrderPlaced, Other", None),
            ("a.v1", Some("Special@3")),
            ("order-placed", Some("OrderPlaced")),
            ("order_placed", Some("order_placed")),
            ("2nd", None),
            ("", None),
        ] {
            assert_eq!(name(&lines, stored).as_deref(), expected, "{stored}");
        }
        assert_eq!(name(&[], &"a".repeat(1025)), None);
    }

    #[test]
    fn a_line_of_the_route_replaces_one_of_the_same_text() {
        let both = map(&[("a", "B"), ("*x", "Y")]).or(&map(&[("a", "C"), ("*x", "Z"), ("d", "D")]));
        let names = ["a", "xx", "d"].map(|stored| both.name(stored).unwrap().0);
        assert_eq!(names, ["B", "Y", "D"]);
    }
}
