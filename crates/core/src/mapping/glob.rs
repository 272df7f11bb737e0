//! Globs over names, matched in bounded time and without backtracking.

/// Longest glob in bytes.
pub(crate) const MAX_BYTES: usize = 1024;
const EVENT: &str = "{event}";
const VERSION: &str = "{version}";

/// A glob: `*` is any text, the rest is literal. A [capturing](Self::capturing) glob also has `{event}`, a name,
/// and `{version}`, digits. It matches a whole name, and of several matches the one whose parts are shortest
/// from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// Any text, also none.
    Any,
    /// A letter or `_`, then letters, digits, `_`, `.` and `-`, up to a letter, digit or `_`.
    Event,
    /// One digit or more.
    Version,
}

/// What the placeholders of a glob took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Captures<'t> {
    pub(crate) event: Option<&'t str>,
    pub(crate) version: Option<&'t str>,
}

impl Glob {
    /// A glob in which only `*` is special.
    pub(crate) fn plain(pattern: &str) -> Self {
        Self::parse(pattern, &[("*", Segment::Any)])
    }

    /// A glob with `*`, `{event}` and `{version}`; the error says which placeholder occurs twice.
    pub(crate) fn capturing(pattern: &str) -> Result<Self, String> {
        for placeholder in [EVENT, VERSION] {
            if pattern.matches(placeholder).count() > 1 {
                return Err(format!("{placeholder} occurs twice, once is allowed"));
            }
        }
        let special = [("*", Segment::Any), (EVENT, Segment::Event), (VERSION, Segment::Version)];
        Ok(Self::parse(pattern, &special))
    }

    fn parse(mut pattern: &str, special: &[(&str, Segment)]) -> Self {
        let mut segments = Vec::new();
        let next = |pattern: &str| {
            let found =
                special.iter().filter_map(|(text, segment)| Some((pattern.find(text)?, *text, segment)));
            found
                .min_by_key(|(place, ..)| *place)
                .map(|(place, text, segment)| (place, text.len(), segment.clone()))
        };
        while let Some((place, length, segment)) = next(pattern) {
            if place > 0 {
                segments.push(Segment::Literal(pattern[..place].into()));
            }
            // Two stars in a row are one.
            if segment != Segment::Any || segments.last() != Some(&Segment::Any) {
                segments.push(segment);
            }
            pattern = &pattern[place + length..];
        }
        if !pattern.is_empty() {
            segments.push(Segment::Literal(pattern.into()));
        }
        Self { segments }
    }

    /// Whether the pattern is a name without anything special.
    pub(crate) fn is_literal(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment, Segment::Literal(_)))
    }

    pub(crate) fn has_event(&self) -> bool {
        self.segments.contains(&Segment::Event)
    }

    pub(crate) fn has_version(&self) -> bool {
        self.segments.contains(&Segment::Version)
    }

    /// Whether it matches a name, for a plain glob. Allocates nothing.
    pub(crate) fn is_match(&self, name: &str) -> bool {
        let mut rest = name;
        let mut floating = false;
        for (n, segment) in self.segments.iter().enumerate() {
            let Segment::Literal(literal) = segment else {
                floating = true;
                continue;
            };
            let is_last = n + 1 == self.segments.len();
            let place = match (floating, is_last) {
                (false, _) => rest.starts_with(&**literal).then_some(0),
                (true, true) => rest.ends_with(&**literal).then(|| rest.len() - literal.len()),
                // The first place leaves the most to the segments after it.
                (true, false) => rest.find(&**literal),
            };
            let Some(place) = place else { return false };
            rest = &rest[place + literal.len()..];
            floating = false;
        }
        floating || rest.is_empty()
    }

    /// What the placeholders take of a name that the glob matches. Time and memory grow with the length of the
    /// glob times the length of the name.
    pub(crate) fn captures<'t>(&self, name: &'t str) -> Option<Captures<'t>> {
        if !self.has_event() && !self.has_version() {
            return self.is_match(name).then(Captures::default);
        }
        if !self.ends_match(name) {
            return None;
        }
        let text = name.as_bytes();
        let can = self.suffixes(text);
        let mut captures = Captures::default();
        let mut place = 0;
        if !can[0][0] {
            return None;
        }
        for (segment, after) in self.segments.iter().zip(&can[1..]) {
            // The shortest part after which the rest can match.
            let end = (segment.shortest(place)..=text.len())
                .find(|&end| after[end] && segment.takes(&text[place..end]))?;
            match segment {
                Segment::Event => captures.event = name.get(place..end),
                Segment::Version => captures.version = name.get(place..end),
                Segment::Literal(_) | Segment::Any => {}
            }
            place = end;
        }
        Some(captures)
    }

    /// A cheap check that excludes most names: the literals at both ends.
    fn ends_match(&self, name: &str) -> bool {
        let literal = |segment: Option<&Segment>, is_there: &dyn Fn(&str) -> bool| match segment {
            Some(Segment::Literal(literal)) => is_there(literal),
            _ => true,
        };
        literal(self.segments.first(), &|literal| name.starts_with(literal))
            && literal(self.segments.last(), &|literal| name.ends_with(literal))
    }

    /// For each segment and each place in the text whether the segments from there on match the rest.
    fn suffixes(&self, text: &[u8]) -> Vec<Vec<bool>> {
        let mut end = vec![false; text.len() + 1];
        end[text.len()] = true;
        let mut all = vec![end];
        for segment in self.segments.iter().rev() {
            let next = &all[all.len() - 1];
            let this = segment.suffixes(text, next);
            all.push(this);
        }
        all.reverse();
        all
    }
}

impl Segment {
    fn suffixes(&self, text: &[u8], next: &[bool]) -> Vec<bool> {
        let mut this = vec![false; text.len() + 1];
        match self {
            Self::Literal(literal) => {
                for place in 0..=text.len() {
                    this[place] =
                        text[place..].starts_with(literal.as_bytes()) && next[place + literal.len()];
                }
            }
            Self::Any => {
                let mut can = false;
                for place in (0..=text.len()).rev() {
                    can |= next[place];
                    this[place] = can;
                }
            }
            Self::Event => {
                // Whether a name that has begun can go on with this character.
                let mut goes_on = false;
                for (place, &character) in text.iter().enumerate().rev() {
                    let ends = is_word(character) && next[place + 1];
                    goes_on = is_name(character) && (ends || goes_on);
                    this[place] = goes_on && is_first(character);
                }
            }
            Self::Version => {
                let mut goes_on = false;
                for (place, character) in text.iter().enumerate().rev() {
                    goes_on = character.is_ascii_digit() && (next[place + 1] || goes_on);
                    this[place] = goes_on;
                }
            }
        }
        this
    }

    /// Where a part that begins at a place ends at the earliest.
    fn shortest(&self, place: usize) -> usize {
        match self {
            Self::Literal(literal) => place + literal.len(),
            Self::Any => place,
            Self::Event | Self::Version => place + 1,
        }
    }

    /// Whether a part that is known to begin rightly can end where it ends.
    fn takes(&self, part: &[u8]) -> bool {
        match self {
            Self::Literal(_) | Self::Any | Self::Version => true,
            Self::Event => part.last().copied().is_some_and(is_word),
        }
    }
}

fn is_first(character: u8) -> bool {
    character.is_ascii_alphabetic() || character == b'_'
}

fn is_word(character: u8) -> bool {
    character.is_ascii_alphanumeric() || character == b'_'
}

fn is_name(character: u8) -> bool {
    is_word(character) || matches!(character, b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captures<'t>(pattern: &str, name: &'t str) -> Option<(Option<&'t str>, Option<&'t str>)> {
        let found = Glob::capturing(pattern).unwrap().captures(name)?;
        Some((found.event, found.version))
    }

    #[test]
    fn placeholders_take_names_and_digits() {
        assert_eq!(captures("V{version}.{event}", "V1.RoomBooked"), Some((Some("RoomBooked"), Some("1"))));
        assert_eq!(
            captures("{event}.v{version}", "ticket.opened.v12"),
            Some((Some("ticket.opened"), Some("12")))
        );
        assert_eq!(
            captures("Acme.Orders.{event}, *", "Acme.Orders.OrderPlaced, Acme.Orders"),
            Some((Some("OrderPlaced"), None))
        );
        let generic =
            "Acme.Orders.Envelope`1[[Acme.Orders.PriceChanged, Acme.Orders, Version=1.0.0.0]], Acme.Orders";
        assert_eq!(captures("Acme.Orders.{event}, *", generic), None);
        assert_eq!(captures("*[[Acme.Orders.{event}, *", generic), Some((Some("PriceChanged"), None)));
        assert_eq!(captures("V{version}.{event}", "Vx.RoomBooked"), None);
        assert_eq!(captures("V{version}.{event}", "V1."), None);
        assert_eq!(captures("{event}", "Room Booked"), None);
        assert_eq!(captures("{event}", "1Room"), None);
        assert_eq!(captures("{event}", "room."), None);
        assert_eq!(captures("{event}*", "Größe"), Some((Some("G"), None)));
    }

    #[test]
    fn the_shortest_match_from_the_left_wins() {
        assert_eq!(
            captures("*.{event}, *", "Acme.Orders.OrderPlaced, Acme.Orders"),
            Some((Some("Orders.OrderPlaced"), None))
        );
        assert_eq!(captures("{event}{version}", "Placed12"), Some((Some("Placed"), Some("12"))));
        assert_eq!(captures("{event}*", "Placed12"), Some((Some("P"), None)));
        assert_eq!(captures("V{version}{event}", "V12a"), Some((Some("a"), Some("12"))));
        assert_eq!(captures("{event}.v{version}", "a.v1.v2"), Some((Some("a.v1"), Some("2"))));
        assert_eq!(captures("*v{version}*", "v1v22"), Some((None, Some("1"))));
    }

    #[test]
    fn only_the_star_is_special() {
        let is_match = |pattern: &str, name: &str| Glob::plain(pattern).is_match(name);
        assert!(is_match("a?[b]{c}\\.+", "a?[b]{c}\\.+"));
        assert!(!is_match("a?", "ab"));
        assert!(is_match("{event}", "{event}") && !is_match("{event}", "Placed"));
        assert!(is_match("*", "") && is_match("**", "anything"));
        assert!(is_match("a*b*b", "abb") && !is_match("a*b*b", "ab"));
        assert!(is_match("*é", "né") && !is_match("", "x") && is_match("", ""));
        assert!(Glob::plain("a{event}").is_literal() && !Glob::plain("a*").is_literal());
        assert_eq!(Glob::plain("a***b"), Glob::plain("a*b"));
    }

    #[test]
    fn a_placeholder_occurs_once() {
        assert!(Glob::capturing("{event}.{event}").unwrap_err().contains("{event} occurs twice"));
        assert!(Glob::capturing("{version}{version}").unwrap_err().contains("{version} occurs twice"));
    }

    #[test]
    fn time_does_not_explode() {
        let pattern = "*a".repeat(500) + "{event}b{version}c";
        let name = "a".repeat(1024);
        let begin = std::time::Instant::now();
        assert_eq!(Glob::capturing(&pattern).unwrap().captures(&(name.clone() + "c")), None);
        assert!(!Glob::plain(&("*a".repeat(500) + "b*")).is_match(&name));
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    /// All matches, in the order of their parts' lengths from left to right: the definition, word by word.
    fn naive<'t>(segments: &[Segment], name: &'t str) -> Option<Captures<'t>> {
        let Some((segment, rest)) = segments.split_first() else {
            return name.is_empty().then(Captures::default);
        };
        (0..=name.len()).filter(|&end| name.is_char_boundary(end)).find_map(|end| {
            let (part, after) = name.split_at(end);
            let bytes = part.as_bytes();
            let fits = match segment {
                Segment::Literal(literal) => part == &**literal,
                Segment::Any => true,
                Segment::Version => !part.is_empty() && bytes.iter().all(u8::is_ascii_digit),
                Segment::Event => {
                    bytes.first().copied().is_some_and(is_first)
                        && bytes.last().copied().is_some_and(is_word)
                        && bytes.iter().copied().all(is_name)
                }
            };
            let mut captures = fits.then(|| naive(rest, after))??;
            match segment {
                Segment::Event => captures.event = Some(part),
                Segment::Version => captures.version = Some(part),
                Segment::Literal(_) | Segment::Any => {}
            }
            Some(captures)
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            parts in prop::collection::vec(prop_oneof!["\\*", "[ab1.é]", "[.v]"], 0..5),
            placeholders in prop::sample::subsequence(vec![EVENT, VERSION], 0..=2),
            places in prop::collection::vec(0_usize..6, 2),
            name in "[ab1.vé]{0,9}",
        ) {
            let mut parts = parts;
            for (placeholder, place) in placeholders.into_iter().zip(places) {
                parts.insert(place.min(parts.len()), placeholder.to_owned());
            }
            let pattern = parts.concat();
            let glob = Glob::capturing(&pattern).unwrap();
            prop_assert_eq!(glob.captures(&name), naive(&glob.segments, &name), "{} on {}", pattern, name);
        }

        #[test]
        fn a_plain_glob_agrees_with_the_definition(pattern in "[ab*]{0,7}", name in "[ab]{0,9}") {
            let glob = Glob::plain(&pattern);
            prop_assert_eq!(glob.is_match(&name), naive(&glob.segments, &name).is_some(), "{} on {}", pattern, name);
        }
    }
}
