//! Names of types and fields.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// Names of the types without a name of their own: no named type may have one of them as its full name.
pub(crate) const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

#[expect(clippy::expect_used, reason = "the pattern is a constant, which a test compiles")]
static PATTERN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}_][\p{L}\p{Nd}_]*$").expect("a valid pattern"));

/// The longest full name, in bytes.
const MAX_LENGTH: usize = 1024;

/// A text that cannot be the name of a type, a field or a symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It has other characters.
    #[error("{0:?} is not a name: a letter or _ must come first, then letters, digits and _")]
    Characters(String),
    /// It is that of a primitive type.
    #[error("a type cannot have the name {0:?} of a primitive type")]
    Primitive(String),
    /// It is too long.
    #[error("a name with its namespace has {0} bytes, more than {MAX_LENGTH}")]
    TooLong(usize),
}

/// The full name of a type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    full: String,
    /// Where the name without its namespace begins.
    simple: usize,
}

impl Name {
    /// The name of a type as a schema gives it: one with dots has its namespace itself, any other has `namespace`, `None` for no
    /// namespace.
    ///
    /// # Errors
    /// It is empty, too long, has other characters than letters, digits and `_`, or is that of a primitive type.
    pub fn new(name: &str, namespace: Option<&str>) -> Result<Self, NameError> {
        let name = Self::of_alias(name, namespace)?;
        name.namespace().map_or(Ok(()), |namespace| namespace.split('.').try_for_each(validate))?;
        if PRIMITIVES.contains(&name.full.as_str()) { Err(NameError::Primitive(name.full)) } else { Ok(name) }
    }

    /// The name of an alias, which may be that of a primitive type, and whose own namespace may have any characters.
    pub(crate) fn of_alias(name: &str, namespace: Option<&str>) -> Result<Self, NameError> {
        let (namespace, simple) = match name.rsplit_once('.') {
            Some((namespace, simple)) => (Some(namespace), simple),
            None => (namespace, name),
        };
        validate(simple)?;
        let length = simple.len() + namespace.map_or(0, str::len);
        if length > MAX_LENGTH {
            Err(NameError::TooLong(length))
        } else {
            Ok(Self::qualified(simple, namespace))
        }
    }

    /// A name that was full before.
    pub(crate) fn from_full(full: &str) -> Self {
        let simple = full.rfind('.').map_or(0, |dot| dot + 1);
        Self { full: full.to_owned(), simple }
    }

    fn qualified(simple: &str, namespace: Option<&str>) -> Self {
        let full = qualify(simple, namespace);
        Self { simple: full.len() - simple.len(), full }
    }

    /// With its namespace.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// Without its namespace.
    pub fn simple(&self) -> &str {
        &self.full[self.simple..]
    }

    /// Its namespace, if it has one.
    pub fn namespace(&self) -> Option<&str> {
        self.simple.checked_sub(1).map(|end| &self.full[..end])
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// The full name of a reference.
pub(crate) fn qualify(name: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() && !name.contains('.') => format!("{namespace}.{name}"),
        _ => name.to_owned(),
    }
}

/// Checks a name without a namespace. Letters of all scripts, as in the reference, which knows none beyond U+FFFF.
pub(crate) fn validate(name: &str) -> Result<(), NameError> {
    if PATTERN.is_match(name) && name.chars().all(|character| character <= '\u{FFFF}') {
        Ok(())
    } else {
        Err(NameError::Characters(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_dots_has_its_own_namespace() {
        let name = Name::new("a.b.R", Some("ignored")).unwrap();
        assert_eq!((name.full(), name.simple(), name.namespace()), ("a.b.R", "R", Some("a.b")));
        let name = Name::new("R", Some("n")).unwrap();
        assert_eq!((name.full(), name.simple(), name.namespace()), ("n.R", "R", Some("n")));
        let name = Name::new(".R", Some("n")).unwrap();
        assert_eq!((name.full(), name.simple(), name.namespace()), ("R", "R", None));
        let name = Name::new("R", Some("")).unwrap();
        assert_eq!((name.full(), name.namespace()), ("R", None));
    }

    #[test]
    fn other_characters_and_primitive_types_are_refused() {
        for name in ["", "a-b", "1a", "a b", "😀", "Ⅰ", "int", ".", "a-b.R", "a..R", "..R"] {
            Name::new(name, None).unwrap_err();
        }
        Name::new("R", Some("a-b")).unwrap_err();
        Name::new("R", Some(&"n".repeat(2000))).unwrap_err();
        Name::new("int", Some("n")).unwrap();
        Name::new("café", None).unwrap();
    }
}
