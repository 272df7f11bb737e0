//! Lines that a type map lacks for the stored types that were met.

use std::collections::BTreeSet;
use std::fmt;

use aqueduct_core::mapping::TypeNames;
use serde::Serialize;

use super::names::{is_avro_name, pascal_case};

/// A line for the type map. Its `Display` is the line as it is written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MapLine {
    /// The stored type, or a glob for several.
    pub stored: String,
    /// The event that it is, `{event}` in a glob.
    pub event: String,
}

impl MapLine {
    /// Whether it takes the version from the stored type.
    pub(super) fn has_version(&self) -> bool {
        self.stored.contains("{version}")
    }
}

impl fmt::Display for MapLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} = {:?}", self.stored, self.event)
    }
}

/// Suggests lines for stored types that have no name by `names`, or whose name has a version that is not read yet:
/// `V1.RoomBooked`, `ticket.opened.v1`, `Acme.Orders.OrderPlaced, Acme.Orders`; and for names that would contain their
/// Java package. A stored type with characters that
/// are special in a glob gets none.
pub fn missing_map_lines<'t>(stored: impl IntoIterator<Item = &'t str>, names: &TypeNames) -> Vec<MapLine> {
    let lines: BTreeSet<MapLine> =
        stored.into_iter().filter_map(|stored| missing_line(stored, names)).collect();
    lines.into_iter().collect()
}

fn missing_line(stored: &str, names: &TypeNames) -> Option<MapLine> {
    if stored.contains(['*', '{', '}']) {
        return None;
    }
    let resolved = names.resolve(stored);
    if let Some(glob) =
        versioned(stored).filter(|_| resolved.as_ref().map_or(true, |mapped| mapped.version.is_none()))
    {
        return Some(line(glob, "{event}"));
    }
    if let Ok(mapped) = resolved {
        let is_default = TypeNames::default().resolve(stored).is_ok_and(|default| default == mapped);
        return of_package(stored).filter(|_| is_default).map(|glob| line(&glob, "{event}"));
    }
    if let Some(glob) = of_assembly(stored) {
        return Some(line(&glob, "{event}"));
    }
    let event = pascal_case(&clr_name(stored));
    is_avro_name(&event).then(|| line(stored, &event))
}

fn line(stored: &str, event: &str) -> MapLine {
    MapLine { stored: stored.to_owned(), event: event.to_owned() }
}

/// The glob for a type whose name has its version before or after it.
fn versioned(stored: &str) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (first, after) = stored.split_once('.')?;
    let (before, last) = stored.rsplit_once('.')?;
    let is_name = |text: &str| text.split(['.', '-']).all(is_avro_name);
    if first.strip_prefix('V').is_some_and(digits) && is_name(after) {
        Some("V{version}.{event}")
    } else if last.strip_prefix('v').is_some_and(digits) && is_name(before) {
        Some("{event}.v{version}")
    } else {
        None
    }
}

/// The glob for all types of a CLR namespace: `Acme.Orders.{event}, Acme.Orders` for `Acme.Orders.OrderPlaced,
/// Acme.Orders`.
fn of_assembly(stored: &str) -> Option<String> {
    let (name, assembly) = stored.split_once(", ")?;
    let (namespace, event) = name.rsplit_once('.')?;
    (is_avro_name(event) && namespace.split('.').all(is_avro_name))
        .then(|| format!("{namespace}.{{event}}, {assembly}"))
}

/// The glob for all types of a Java package: `com.acme.orders.{event}` for `com.acme.orders.OrderPlaced`. Without it
/// the package would be part of the event's name.
fn of_package(stored: &str) -> Option<String> {
    let (package, event) = stored.rsplit_once('.')?;
    let is_lower = |name: &str| is_avro_name(name) && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    let is_class = is_avro_name(event) && event.starts_with(|first: char| first.is_ascii_uppercase());
    (is_class && package.contains('.') && package.split('.').all(is_lower))
        .then(|| format!("{package}.{{event}}"))
}

/// The simple name of a CLR type; of a generic one with the names of its arguments: ``A.Envelope`1[[B.Paid, …]]``
/// is `Envelope of Paid`.
fn clr_name(stored: &str) -> String {
    let (generic, arguments) = stored.split_once("[[").unwrap_or((stored, ""));
    let simple = |name: &str| {
        let name = name.split([',', '`', '[', ']']).next().unwrap_or_default();
        name.rsplit(['.', '+']).next().unwrap_or_default().to_owned()
    };
    let mut name = simple(generic);
    if !arguments.is_empty() {
        let names: Vec<String> = arguments.split("],[").map(simple).collect();
        name = format!("{name} of {}", names.join(" and "));
    }
    name
}

#[cfg(test)]
mod tests {
    use aqueduct_core::mapping::TypeMap;

    use super::*;

    const ENVELOPE: &str = "Acme.Orders.Envelope`1[[Acme.Orders.PriceChanged, Acme.Orders, Version=1.0.0.0, \
                            Culture=neutral, PublicKeyToken=null]], Acme.Orders, Version=1.0.0.0, Culture=neutral, \
                            PublicKeyToken=null";

    #[test]
    fn each_form_has_its_line() {
        let stored = [
            "V1.RoomBooked",
            "V2.RoomBooked",
            "ticket.opened.v1",
            "Acme.Orders.OrderPlaced, Acme.Orders",
            "Acme.Orders.OrderShipped, Acme.Orders",
            ENVELOPE,
            "order placed",
            "OrderPlaced",
            "ticket.opened",
            "Ticket.Opened",
            "com.acme.orders.OrderPaid",
            "com.acme.orders.OrderClosed",
            "what*ever, else",
        ];
        let lines = missing_map_lines(stored, &TypeNames::default());
        let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let envelope = format!("{ENVELOPE:?} = \"EnvelopeOfPriceChanged\"");
        let expected = [
            envelope.as_str(),
            "\"Acme.Orders.{event}, Acme.Orders\" = \"{event}\"",
            "\"V{version}.{event}\" = \"{event}\"",
            "\"com.acme.orders.{event}\" = \"{event}\"",
            "\"order placed\" = \"OrderPlaced\"",
            "\"{event}.v{version}\" = \"{event}\"",
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn with_its_lines_nothing_is_missing() {
        let stored = [
            "V1.RoomBooked",
            "ticket.opened.v1",
            "Acme.Orders.OrderPlaced, Acme.Orders",
            ENVELOPE,
            "com.acme.orders.OrderPaid",
        ];
        let lines = missing_map_lines(stored, &TypeNames::default());
        let map: TypeMap = lines.iter().map(|line| (line.stored.clone(), line.event.clone())).collect();
        let names = map.compile().unwrap();
        assert_eq!(missing_map_lines(stored, &names), []);
        let resolved = stored.map(|stored| names.resolve(stored).unwrap().to_string());
        assert_eq!(
            resolved,
            ["RoomBooked@1", "TicketOpened@1", "OrderPlaced", "EnvelopeOfPriceChanged", "OrderPaid"]
        );
    }
}
