//! Fingerprints of schemas and rules.

use std::fmt;
use std::str::FromStr;

use aqueduct_avro::Schema;
use sha2::{Digest as _, Sha256};

/// SHA-256 of what a schema or its rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of all that a schema says but its documentation: names, defaults, aliases, order, logical types and the attributes of others.
    /// Unlike Avro's own fingerprint, which leaves out whatever does not change the bytes of a value.
    pub fn of_schema(schema: &Schema) -> Self {
        Self::of_text(&schema.to_json_without_doc().to_string())
    }

    /// Of the upcast rules of a version, by the fields that have them.
    pub fn of_rules<'a>(rules: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_unstable();
        let rules = rules.into_iter().map(|(field, rule)| [field, rule].to_vec());
        Self::of_text(&serde_json::Value::from_iter(rules).to_string())
    }

    /// Of a text, whatever it says.
    pub fn of_text(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_hexadecimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 64 || !is_hexadecimal {
            return Err(());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| ())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| ())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str) -> Fingerprint {
        let text = format!(r#"{{"type": "record", "name": "R", "namespace": "n", "fields": [{fields}]}}"#);
        Fingerprint::of_schema(&Schema::parse(&text).unwrap())
    }

    #[test]
    fn documentation_spaces_and_the_order_of_keys_do_not_count_and_all_else_does() {
        let field = r#"{"name": "a", "type": ["null", "int"], "default": null}"#;
        let same = r#"{"default":null, "doc": "d", "type": ["null", {"type": "int"}], "name": "a"}"#;
        assert_eq!(of(field), of(same));
        for other in [
            r#"{"name": "b", "type": ["null", "int"], "default": null}"#,
            r#"{"name": "a", "type": ["null", "long"], "default": null}"#,
            r#"{"name": "a", "type": ["null", "int"]}"#,
            r#"{"name": "a", "type": ["null", "int"], "default": null, "order": "ignore"}"#,
            r#"{"name": "a", "type": ["null", "int"], "default": null, "aliases": ["b"]}"#,
            r#"{"name": "a", "type": ["null", "int"], "default": null, "pii": true}"#,
            r#"{"name": "a", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null}"#,
        ] {
            assert_ne!(of(field), of(other), "{other}");
        }
    }

    #[test]
    fn rules_count_by_field_and_text() {
        let one = Fingerprint::of_rules([("R.a", "old.a"), ("R.b", "old.b")]);
        assert_eq!(one, Fingerprint::of_rules([("R.b", "old.b"), ("R.a", "old.a")]));
        assert_ne!(one, Fingerprint::of_rules([("R.a", "old.b"), ("R.b", "old.a")]));
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_eq!("x".repeat(64).parse::<Fingerprint>(), Err(()));
    }
}
