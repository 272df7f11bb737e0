//! Types for generated code whose plain JSON form is not that of a Rust type. They are what the mapping calls
//! canonical when written, and take all that it accepts when read.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::mapping::json::Json;
use crate::mapping::{number, text};

/// A long: a number up to 2^53, a string beyond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Long(pub i64);

/// A float or double: a number, or `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Double(pub f64);

/// Bytes: base64.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", text::bytes_text(&self.0))
    }
}

macro_rules! plain {
    ($name:ident, $inner:ty, $read:path, $write:expr) => {
        impl From<$inner> for $name {
            fn from(inner: $inner) -> Self {
                Self(inner)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$inner) -> Value = $write;
                write(&self.0).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let json = Value::deserialize(deserializer)?;
                $read(&Json::from(&json)).map(Self).map_err(D::Error::custom)
            }
        }
    };
}

plain!(Long, i64, number::long, |number| number::long_to_json(*number));
plain!(Double, f64, number::double, |number| number::double_to_json(*number));
plain!(Bytes, Vec<u8>, text::bytes, |bytes| text::bytes_text(bytes).into());
