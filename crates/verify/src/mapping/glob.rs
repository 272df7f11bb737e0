//! Globs that take a name and a version out of a stored type.

const EVENT: &str = "{event}";
const VERSION: &str = "{version}";

/// A part of a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `*`
    Any,
    /// `{event}`
    Event,
    /// `{version}`
    Version,
}

/// What a glob has taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken<'t> {
    pub(super) event: Option<&'t str>,
    pub(super) version: Option<&'t str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Piece>);

impl Glob {
    pub(super) fn parse(mut pattern: &str) -> Self {
        let mut pieces = Vec::new();
        while let Some(first) = pattern.chars().next() {
            let special = [("*", Piece::Any), (EVENT, Piece::Event), (VERSION, Piece::Version)];
            let found = special.into_iter().find(|(text, _)| pattern.starts_with(text));
            let (length, piece) = match (found, pieces.last_mut()) {
                (Some((text, piece)), _) => (text.len(), piece),
                (None, Some(Piece::Text(text))) => {
                    text.push(first);
                    pattern = &pattern[first.len_utf8()..];
                    continue;
                }
                (None, _) => (first.len_utf8(), Piece::Text(first.into())),
            };
            pieces.push(piece);
            pattern = &pattern[length..];
        }
        Self(pieces)
    }

    /// Whether it is a name without anything special.
    pub(super) fn is_exact(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// What it takes of a name that it matches as a whole: of several ways the one whose pieces are shortest, from
    /// left to right.
    pub(super) fn take<'t>(&self, name: &'t str) -> Option<Taken<'t>> {
        let failed = vec![vec![false; name.len() + 1]; self.0.len() + 1];
        let mut search = Search { name, failed, taken: Taken::default() };
        search.matches(&self.0, 0).then_some(search.taken)
    }
}

struct Search<'t> {
    name: &'t str,
    /// By the number of pieces that were left, and the place, whether they did not match the rest.
    failed: Vec<Vec<bool>>,
    taken: Taken<'t>,
}

impl Search<'_> {
    fn matches(&mut self, pieces: &[Piece], at: usize) -> bool {
        let Some((piece, rest)) = pieces.split_first() else { return at == self.name.len() };
        if self.failed[pieces.len()][at] {
            return false;
        }
        let name = self.name;
        let bytes = &name.as_bytes()[at..];
        let found = match piece {
            Piece::Text(text) => bytes
                .starts_with(text.as_bytes())
                .then_some(text.len())
                .filter(|n| self.matches(rest, at + n)),
            Piece::Any => (0..=bytes.len()).find(|n| self.matches(rest, at + n)),
            Piece::Event => {
                let longest = bytes.iter().take_while(|byte| is_name(**byte)).count();
                let begins = bytes.first().is_some_and(|first| is_word(*first) && !first.is_ascii_digit());
                let ends = |n: &usize| begins && is_word(bytes[n - 1]);
                (1..=longest).filter(ends).find(|n| self.matches(rest, at + n))
            }
            Piece::Version => {
                let longest = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
                (1..=longest).find(|n| self.matches(rest, at + n))
            }
        };
        let Some(length) = found else {
            self.failed[pieces.len()][at] = true;
            return false;
        };
        match piece {
            Piece::Event => self.taken.event = name.get(at..at + length),
            Piece::Version => self.taken.version = name.get(at..at + length),
            Piece::Text(_) | Piece::Any => {}
        }
        true
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_name(byte: u8) -> bool {
    is_word(byte) || byte == b'.' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_pieces_from_the_left_win() {
        for (pattern, name, expected) in [
            ("V{version}.{event}", "V1.RoomBooked", Some((Some("RoomBooked"), Some("1")))),
            ("{event}.v{version}", "a.v1.v2", Some((Some("a.v1"), Some("2")))),
            ("{event}{version}", "Placed12", Some((Some("Placed"), Some("12")))),
            ("{event}*", "Größe", Some((Some("G"), None))),
            ("*v{version}*", "v1v22", Some((None, Some("1")))),
            ("*.{event}, *", "Acme.Orders.Placed, Acme", Some((Some("Orders.Placed"), None))),
            ("a*b", "ab", Some((None, None))),
            ("{event}", "room.", None),
            ("{event}", "1room", None),
            ("V{version}", "V", None),
            ("é*", "e", None),
        ] {
            let taken = Glob::parse(pattern).take(name).map(|taken| (taken.event, taken.version));
            assert_eq!(taken, expected, "{pattern} {name}");
        }
        assert!(Glob::parse("a{b}").is_exact() && !Glob::parse("a{event}").is_exact());
    }

    #[test]
    fn a_search_ends_soon() {
        let pattern = "*a".repeat(100) + "b{event}c";
        assert_eq!(Glob::parse(&pattern).take(&"a".repeat(200)), None);
    }
}
