//! Logical types: what a value means beyond its type.

use serde_json::{Map, Value as Json};

/// A logical type that Avro knows, on a type that can carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum LogicalType {
    Decimal {
        /// Number of decimal digits.
        precision: u32,
        /// How many of them come after the point.
        scale: u32,
    },
    BigDecimal,
    Uuid,
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    TimestampNanos,
    LocalTimestampMillis,
    LocalTimestampMicros,
    LocalTimestampNanos,
    Duration,
}

/// The types that can carry a logical type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Int,
    Long,
    Bytes,
    String,
    Fixed(usize),
}

impl LogicalType {
    /// Its name in a schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decimal { .. } => "decimal",
            Self::BigDecimal => "big-decimal",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::TimeMillis => "time-millis",
            Self::TimeMicros => "time-micros",
            Self::TimestampMillis => "timestamp-millis",
            Self::TimestampMicros => "timestamp-micros",
            Self::TimestampNanos => "timestamp-nanos",
            Self::LocalTimestampMillis => "local-timestamp-millis",
            Self::LocalTimestampMicros => "local-timestamp-micros",
            Self::LocalTimestampNanos => "local-timestamp-nanos",
            Self::Duration => "duration",
        }
    }

    /// The one that these attributes name. `None`: none, or one that this type cannot carry, which Avro ignores.
    pub(crate) fn of(attributes: &Map<String, Json>, carrier: Carrier) -> Option<Self> {
        let name = attributes.get("logicalType")?.as_str()?;
        let number =
            |name: &str| attributes.get(name).map(|it| it.as_u64().and_then(|it| u32::try_from(it).ok()));
        match (name, carrier) {
            ("decimal", Carrier::Bytes | Carrier::Fixed(_)) => {
                let precision = number("precision")??;
                let scale = number("scale").unwrap_or(Some(0))?;
                let fits = match carrier {
                    Carrier::Fixed(size) => u64::from(precision) <= digits(size),
                    _ => true,
                };
                (precision > 0 && scale <= precision && fits).then_some(Self::Decimal { precision, scale })
            }
            ("big-decimal", Carrier::Bytes) => Some(Self::BigDecimal),
            ("uuid", Carrier::String | Carrier::Fixed(16)) => Some(Self::Uuid),
            ("date", Carrier::Int) => Some(Self::Date),
            ("time-millis", Carrier::Int) => Some(Self::TimeMillis),
            ("time-micros", Carrier::Long) => Some(Self::TimeMicros),
            ("timestamp-millis", Carrier::Long) => Some(Self::TimestampMillis),
            ("timestamp-micros", Carrier::Long) => Some(Self::TimestampMicros),
            ("timestamp-nanos", Carrier::Long) => Some(Self::TimestampNanos),
            ("local-timestamp-millis", Carrier::Long) => Some(Self::LocalTimestampMillis),
            ("local-timestamp-micros", Carrier::Long) => Some(Self::LocalTimestampMicros),
            ("local-timestamp-nanos", Carrier::Long) => Some(Self::LocalTimestampNanos),
            ("duration", Carrier::Fixed(12)) => Some(Self::Duration),
            _ => None,
        }
    }
}

/// How many decimal digits a signed number of so many bytes has at least.
fn digits(size: usize) -> u64 {
    let bits = (8 * size as u64).saturating_sub(1);
    // Of log10(2), to more digits than any size has.
    (u128::from(bits) * 30_102_999_566_398 / 100_000_000_000_000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_holds_the_decimals_that_its_bytes_can_count_to() {
        assert_eq!([0, 1, 2, 4, 8, 16].map(digits), [0, 2, 4, 9, 18, 38]);
    }
}
