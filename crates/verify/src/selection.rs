//! Which events go to a topic.

use aqueduct_core::StreamName;
use serde::Deserialize;

/// The type of a link event, which only refers to an event of another stream.
const LINK: &str = "$>";

/// The events of a topic: those that match one value of each key that is given, and none of the exclusions.
///
/// Links are never selected; events of the server itself (type or stream begins with `$`) only where
/// `event_types` names their exact type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Categories of streams: what is before the first dash of the name, or the whole name.
    pub categories: Vec<String>,
    /// What the name of the stream begins with.
    pub stream_prefixes: Vec<String>,
    /// Stored event types, or globs of them, in which `*` is any text.
    pub event_types: Vec<String>,
    /// Events that match any value of any key of it are not selected.
    pub exclude: Exclusions,
}

/// What a topic leaves out: events that match any value of any key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exclusions {
    /// Categories of streams.
    pub categories: Vec<String>,
    /// What the name of the stream begins with.
    pub stream_prefixes: Vec<String>,
    /// Stored event types, or globs of them.
    pub event_types: Vec<String>,
}

impl Selection {
    /// All events of these categories.
    pub fn of_categories<S: Into<String>>(categories: impl IntoIterator<Item = S>) -> Self {
        Self { categories: categories.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Whether events of this stream can be selected, whatever their type.
    pub(crate) fn may_select(&self, stream: &StreamName) -> bool {
        (!stream.is_system() || self.event_types.iter().any(|named| !named.contains('*')))
            && (self.categories.is_empty() || has_category(&self.categories, stream))
            && (self.stream_prefixes.is_empty() || has_prefix(&self.stream_prefixes, stream))
            && !has_category(&self.exclude.categories, stream)
            && !has_prefix(&self.exclude.stream_prefixes, stream)
    }

    /// Whether an event of this stream and type is selected.
    pub fn selects(&self, stream: &StreamName, event_type: &str) -> bool {
        if event_type == LINK {
            return false;
        }
        let given = [&self.categories, &self.stream_prefixes, &self.event_types];
        let is_exact = |named: &String| named == event_type && !named.contains('*');
        let is_of_server = stream.is_system() || event_type.starts_with('$');
        given.iter().any(|values| !values.is_empty())
            && (!is_of_server || self.event_types.iter().any(is_exact))
            && (self.categories.is_empty() || has_category(&self.categories, stream))
            && (self.stream_prefixes.is_empty() || has_prefix(&self.stream_prefixes, stream))
            && (self.event_types.is_empty() || has_type(&self.event_types, event_type))
            && !has_category(&self.exclude.categories, stream)
            && !has_prefix(&self.exclude.stream_prefixes, stream)
            && !has_type(&self.exclude.event_types, event_type)
    }
}

fn has_category(categories: &[String], stream: &StreamName) -> bool {
    categories.iter().any(|category| category == stream.category())
}

fn has_prefix(prefixes: &[String], stream: &StreamName) -> bool {
    prefixes.iter().any(|prefix| stream.as_str().starts_with(prefix.as_str()))
}

/// Whether a stored type is one of these, or matches one of these globs.
pub(crate) fn has_type(globs: &[String], event_type: &str) -> bool {
    globs.iter().any(|glob| matches(glob, event_type))
}

/// Whether the text is what the glob says: only `*` is special.
fn matches(glob: &str, text: &str) -> bool {
    let Some((start, rest)) = glob.split_once('*') else { return glob == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The leftmost place of each part leaves the most text for those after it.
    for part in middle.split('*') {
        let Some(found) = text.find(part) else { return false };
        text = &text[found + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn selected(selection: &Selection, stream: &str, event_type: &str) -> bool {
        selection.selects(&StreamName::from(stream), event_type)
    }

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn one_value_of_each_key_and_no_exclusion() {
        let selection = Selection {
            categories: texts(&["order", "return"]),
            stream_prefixes: texts(&["order-eu", "return"]),
            event_types: texts(&["Order*", "Closed"]),
            exclude: Exclusions {
                stream_prefixes: texts(&["order-eu-test"]),
                event_types: texts(&["*Noted"]),
                ..Exclusions::default()
            },
        };
        let cases = [
            ("order-eu-1", "OrderPlaced", true),
            ("return-7", "Closed", true),
            ("return", "Closed", true),
            ("order-us-1", "OrderPlaced", false),
            ("orders-eu-1", "OrderPlaced", false),
            ("order-eu-1", "Placed", false),
            ("order-eu-test1", "OrderPlaced", false),
            ("order-eu-1", "OrderNoted", false),
        ];
        for (stream, event_type, expected) in cases {
            assert_eq!(selected(&selection, stream, event_type), expected, "{stream} {event_type}");
        }
        let may = |stream: &str| selection.may_select(&StreamName::from(stream));
        assert!(
            may("order-eu-1") && may("return") && !may("order-eu-test1") && !may("order-us-1") && !may("$x")
        );
        assert!(!selected(&Selection::default(), "order-1", "OrderPlaced"));
    }

    #[test]
    fn events_of_the_server_need_their_exact_type() {
        let any = Selection { event_types: texts(&["*"]), ..Selection::default() };
        assert!(!selected(&any, "order-1", "$>") && !selected(&any, "$$order-1", "$metadata"));
        let metadata = Selection { event_types: texts(&["$metadata", "$>"]), ..Selection::default() };
        assert!(selected(&metadata, "$$order-1", "$metadata"));
        assert!(!selected(&metadata, "order-1", "$>"));
        let of_orders = Selection {
            categories: texts(&["order"]),
            exclude: Exclusions { event_types: texts(&["$b*"]), ..Exclusions::default() },
            event_types: texts(&["$a", "$b"]),
            ..Selection::default()
        };
        let selected = |stream: &str, event_type: &str| selected(&of_orders, stream, event_type);
        assert!(selected("order-1", "$a") && !selected("order-1", "$b") && !selected("user-1", "$a"));
    }

    /// Every way to split the text, one character at a time.
    fn naive(glob: &[char], text: &[char]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|from| naive(rest, &text[from..])),
            Some((first, rest)) => {
                text.split_first().is_some_and(|(it, text)| it == first && naive(rest, text))
            }
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_as_a_naive_search_does(glob in "[ab*]{0,7}", text in "[ab]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&glob, &text), naive(&chars(&glob), &chars(&text)));
        }
    }
}
