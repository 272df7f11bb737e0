//! JSON pointers into an event.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Deepest pointer. A document is scanned once per level, so the bound is also one on time.
const MAX_TOKENS: usize = 16;
/// Longest pointer in bytes.
const MAX_BYTES: usize = 1024;

/// A part of a stored event that holds JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The event's metadata.
    Metadata,
    /// The event's data.
    Data,
}

impl Part {
    fn prefix(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Data => "data",
        }
    }
}

/// Where a value is in an event: a part and a JSON pointer (RFC 6901) into it, as text `metadata:/eventVersion`
/// or `data:/order/id`. In a field name `/` is written `~1` and `~` is written `~0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventPointer {
    part: Part,
    tokens: Vec<String>,
}

/// A text that is not an [`EventPointer`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a pointer into an event: {problem}")]
pub struct PointerError {
    /// The text as configured.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

impl EventPointer {
    /// The part it points into.
    pub fn part(&self) -> Part {
        self.part
    }

    /// The field names or array indices on the way to the value, unescaped. Never empty.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// A pointer to a field of the metadata, for the mapping's built-in pointers.
    pub(crate) fn metadata(field: &str) -> Self {
        Self { part: Part::Metadata, tokens: vec![field.to_owned()] }
    }
}

impl FromStr for EventPointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        let error = |problem: &str| PointerError { text: text.to_owned(), problem: problem.to_owned() };
        if text.len() > MAX_BYTES {
            return Err(PointerError {
                text: text.chars().take(40).chain(['…']).collect(),
                problem: format!("it is longer than {MAX_BYTES} bytes"),
            });
        }
        let (part, pointer) = text
            .split_once(':')
            .and_then(|(part, pointer)| match part {
                "metadata" => Some((Part::Metadata, pointer)),
                "data" => Some((Part::Data, pointer)),
                _ => None,
            })
            .ok_or_else(|| error("write metadata:/field or data:/field"))?;
        let path = pointer
            .strip_prefix('/')
            .ok_or_else(|| error("the path must begin with a slash, as in metadata:/field"))?;
        let tokens: Vec<String> = path
            .split('/')
            .map(unescape)
            .collect::<Option<_>>()
            .ok_or_else(|| error("write ~0 for a tilde and ~1 for a slash in a field name"))?;
        if tokens.len() > MAX_TOKENS {
            return Err(error(&format!("it is deeper than {MAX_TOKENS} levels")));
        }
        Ok(Self { part, tokens })
    }
}

/// A reference token of RFC 6901, or nothing where a tilde is followed by neither 0 nor 1.
fn unescape(token: &str) -> Option<String> {
    let mut name = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        match character {
            '~' => match characters.next()? {
                '0' => name.push('~'),
                '1' => name.push('/'),
                _ => return None,
            },
            other => name.push(other),
        }
    }
    Some(name)
}

impl fmt::Display for EventPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.part.prefix())?;
        for token in &self.tokens {
            write!(f, "/{}", token.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for EventPointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for EventPointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_examples_of_rfc_6901() {
        let tokens = |text: &str| text.parse::<EventPointer>().unwrap().tokens;
        assert_eq!(tokens("data:/foo/0"), ["foo", "0"]);
        assert_eq!(tokens("data:/"), [""]);
        assert_eq!(tokens("data:/a~1b"), ["a/b"]);
        assert_eq!(tokens("data:/m~0n"), ["m~n"]);
        assert_eq!(tokens("data:/~01"), ["~1"]);
        assert_eq!(tokens("data:/i\\j/k\"l/ "), ["i\\j", "k\"l", " "]);
        assert_eq!(tokens("metadata:/a:b"), ["a:b"]);
    }

    #[test]
    fn prints_what_it_parsed() {
        for text in ["metadata:/$correlationId", "data:/a~1b/~0/0", "data:/", "metadata:/a//b"] {
            assert_eq!(text.parse::<EventPointer>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_other_texts_and_says_what_to_write() {
        let problem = |text: &str| text.parse::<EventPointer>().unwrap_err().to_string();
        assert!(problem("/eventVersion").contains("write metadata:/field or data:/field"));
        assert!(problem("headers:/x").contains("write metadata:/field or data:/field"));
        assert!(problem("metadata:").contains("begin with a slash"));
        assert!(problem("metadata:eventVersion").contains("begin with a slash"));
        assert!(problem("metadata:/a~2").contains("~0 for a tilde"));
        assert!(problem("metadata:/a~").contains("~0 for a tilde"));
        assert!(problem(&format!("metadata:{}", "/a".repeat(17))).contains("deeper than 16"));
        assert!(problem(&format!("metadata:/{}", "a".repeat(1024))).contains("longer than 1024"));
    }
}
