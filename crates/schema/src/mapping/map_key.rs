//! Keys of maps and names of fields, as serde sees them.

use serde::de::{Deserializer, IntoDeserializer as _, Visitor};
use serde::forward_to_deserialize_any;

use crate::mapping::mismatch::Mismatch;

/// Text that also is a number or a boolean if it is asked for one, as JSON's keys are.
pub(crate) struct MapKey<'k>(pub(crate) &'k str);

impl MapKey<'_> {
    /// Rust reads more as a number than JSON does: a plus sign, zeros in front, infinity.
    fn is_json_number(&self) -> bool {
        let digits = self.0.strip_prefix('-').unwrap_or(self.0).as_bytes();
        match digits {
            [b'0', rest @ ..] => !rest.first().is_some_and(u8::is_ascii_digit),
            [first, ..] => first.is_ascii_digit(),
            [] => false,
        }
    }
}

macro_rules! parsed {
    ($($method:ident: $visit:ident),+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            match self.0.parse() {
                Ok(value) if self.is_json_number() => visitor.$visit(value),
                _ => visitor.visit_str(self.0),
            }
        })+
    };
}

impl<'de> Deserializer<'de> for MapKey<'_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0.parse() {
            Ok(value) => visitor.visit_bool(value),
            Err(_) => visitor.visit_str(self.0),
        }
    }

    parsed! {
        deserialize_i8: visit_i8, deserialize_i16: visit_i16, deserialize_i32: visit_i32,
        deserialize_i64: visit_i64, deserialize_i128: visit_i128,
        deserialize_u8: visit_u8, deserialize_u16: visit_u16, deserialize_u32: visit_u32,
        deserialize_u64: visit_u64, deserialize_u128: visit_u128,
        deserialize_f32: visit_f32, deserialize_f64: visit_f64
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
