//! The plain mapping both ways, on made-up schemas: JSON → Avro → JSON is an identity on canonical JSON, and
//! the bytes are those of the Avro crate's own encoder.

use apache_avro::Decimal as AvroDecimal;
use apache_avro::schema::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::layout::types::{Layout, Names};
use crate::load::compile::{Origin, compile};
use crate::mapping::decode::decode;
use crate::mapping::encode::encode;
use crate::mapping::json::Json;

#[derive(Debug, Clone)]
enum Type {
    /// A schema without parts: its text and the way its values are made.
    Scalar(Value, Scalar),
    Fixed(usize),
    Enum(usize),
    DecimalFixed,
    Nullable(Box<Type>),
    /// null, a whole number, text, a list: all told apart by their kind in JSON.
    Wide(Box<Type>),
    Array(Box<Type>),
    Map(Box<Type>),
    Record(Vec<Type>),
}

#[derive(Debug, Clone, Copy)]
enum Scalar {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Decimal,
    Uuid,
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    LocalTimestampMillis,
    LocalTimestampMicros,
}

const PRECISION: u32 = 18;
const SCALE: usize = 3;

fn scalar() -> impl Strategy<Value = Type> {
    let logical = |base: &str, name: &str| json!({"type": base, "logicalType": name});
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": PRECISION, "scale": SCALE});
    prop::sample::select(vec![
        Type::Scalar(json!("null"), Scalar::Null),
        Type::Scalar(json!("boolean"), Scalar::Boolean),
        Type::Scalar(json!("int"), Scalar::Int),
        Type::Scalar(json!("long"), Scalar::Long),
        Type::Scalar(json!("float"), Scalar::Float),
        Type::Scalar(json!("double"), Scalar::Double),
        Type::Scalar(json!("bytes"), Scalar::Bytes),
        Type::Scalar(json!("string"), Scalar::String),
        Type::Scalar(decimal, Scalar::Decimal),
        Type::Scalar(logical("string", "uuid"), Scalar::Uuid),
        Type::Scalar(logical("int", "date"), Scalar::Date),
        Type::Scalar(logical("int", "time-millis"), Scalar::TimeMillis),
        Type::Scalar(logical("long", "time-micros"), Scalar::TimeMicros),
        Type::Scalar(logical("long", "timestamp-millis"), Scalar::TimestampMillis),
        Type::Scalar(logical("long", "timestamp-micros"), Scalar::TimestampMicros),
        Type::Scalar(logical("long", "local-timestamp-millis"), Scalar::LocalTimestampMillis),
        Type::Scalar(logical("long", "local-timestamp-micros"), Scalar::LocalTimestampMicros),
        Type::Fixed(5),
        Type::Enum(3),
        Type::DecimalFixed,
    ])
}

fn a_type() -> impl Strategy<Value = Type> {
    scalar().prop_recursive(3, 20, 4, |inner| {
        let not_null = inner.clone().prop_filter("a union within a union", |inner| {
            !matches!(inner, Type::Nullable(_) | Type::Wide(_) | Type::Scalar(_, Scalar::Null))
        });
        prop_oneof![
            not_null.prop_map(|inner| Type::Nullable(Box::new(inner))),
            inner.clone().prop_map(|items| Type::Wide(Box::new(items))),
            inner.clone().prop_map(|items| Type::Array(Box::new(items))),
            inner.clone().prop_map(|values| Type::Map(Box::new(values))),
            vec(inner, 0..4).prop_map(Type::Record),
        ]
    })
}

/// The schema's text; named types are numbered.
fn schema(of: &Type, names: &mut usize) -> Value {
    let mut name = |prefix: &str| {
        *names += 1;
        format!("{prefix}{names}")
    };
    match of {
        Type::Scalar(schema, _) => schema.clone(),
        Type::Fixed(size) => json!({"type": "fixed", "name": name("Fixed"), "size": size}),
        Type::Enum(symbols) => {
            let symbols: Vec<_> = (0..*symbols).map(|n| format!("S{n}")).collect();
            json!({"type": "enum", "name": name("Enum"), "symbols": symbols})
        }
        Type::DecimalFixed => json!({
            "type": "fixed", "name": name("Money"), "size": 9,
            "logicalType": "decimal", "precision": PRECISION, "scale": SCALE,
        }),
        Type::Nullable(inner) => json!(["null", schema(inner, names)]),
        Type::Wide(items) => {
            json!(["long", {"type": "array", "items": schema(items, names)}, "null", "string", "boolean"])
        }
        Type::Array(items) => json!({"type": "array", "items": schema(items, names)}),
        Type::Map(values) => json!({"type": "map", "values": schema(values, names)}),
        Type::Record(fields) => {
            let name = name("Record");
            let fields: Vec<_> = fields
                .iter()
                .enumerate()
                .map(|(n, field)| json!({"name": format!("f{n}"), "type": schema(field, names)}))
                .collect();
            json!({"type": "record", "name": name, "fields": fields})
        }
    }
}

/// A value in canonical plain JSON and as the Avro crate has it.
type Both = (Value, Avro);

fn value(of: &Type) -> BoxedStrategy<Both> {
    match of {
        Type::Scalar(_, scalar) => scalar_value(*scalar),
        Type::Fixed(size) => vec(any::<u8>(), *size)
            .prop_map(|bytes| (BASE64.encode(&bytes).into(), Avro::Fixed(bytes.len(), bytes)))
            .boxed(),
        Type::Enum(symbols) => (0..*symbols)
            .prop_map(|n| (format!("S{n}").into(), Avro::Enum(n as u32, format!("S{n}"))))
            .boxed(),
        Type::DecimalFixed => unscaled()
            .prop_map(|unscaled| {
                let bytes = (i128::from(unscaled)).to_be_bytes()[7..].to_vec();
                (decimal_text(unscaled).into(), Avro::Decimal(AvroDecimal::from(bytes)))
            })
            .boxed(),
        Type::Nullable(inner) => {
            let some = value(inner).prop_map(|(json, avro)| (json, Avro::Union(1, Box::new(avro))));
            prop_oneof![Just((Value::Null, Avro::Union(0, Box::new(Avro::Null)))), some].boxed()
        }
        Type::Wide(items) => {
            let branch = |n: u32| move |(json, avro): Both| (json, Avro::Union(n, Box::new(avro)));
            prop_oneof![
                any::<i64>().prop_map(|n| (n.into(), Avro::Long(n))).prop_map(branch(0)),
                list(items).prop_map(branch(1)),
                scalar_value(Scalar::Null).prop_map(branch(2)),
                scalar_value(Scalar::String).prop_map(branch(3)),
                scalar_value(Scalar::Boolean).prop_map(branch(4)),
            ]
            .boxed()
        }
        Type::Array(items) => list(items),
        // One entry at most: the order of a map's entries is not defined.
        Type::Map(values) => btree_map("[a-z]{0,3}", value(values), 0..2)
            .prop_map(|entries| {
                let json = entries.iter().map(|(key, (json, _))| (key.clone(), json.clone())).collect();
                let avro = entries.into_iter().map(|(key, (_, avro))| (key, avro)).collect();
                (Value::Object(json), Avro::Map(avro))
            })
            .boxed(),
        Type::Record(fields) => fields
            .iter()
            .map(value)
            .collect::<Vec<_>>()
            .prop_map(|fields| {
                let named = fields.into_iter().enumerate().map(|(n, both)| (format!("f{n}"), both));
                let (json, avro) =
                    named.map(|(name, (json, avro))| ((name.clone(), json), (name, avro))).unzip();
                (Value::Object(json), Avro::Record(avro))
            })
            .boxed(),
    }
}

fn list(items: &Type) -> BoxedStrategy<Both> {
    let unzip = |items: Vec<Both>| {
        let (json, avro) = items.into_iter().unzip();
        (Value::Array(json), Avro::Array(avro))
    };
    vec(value(items), 0..4).prop_map(unzip).boxed()
}

fn unscaled() -> impl Strategy<Value = i64> {
    let limit = 10_i64.pow(PRECISION);
    prop_oneof![-200_i64..200, (1 - limit)..limit, Just(limit - 1), Just(1 - limit)]
}

fn decimal_text(unscaled: i64) -> String {
    let digits = format!("{:0>1$}", unscaled.unsigned_abs(), SCALE + 1);
    let (whole, fraction) = digits.split_at(digits.len() - SCALE);
    format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
}

/// Milliseconds and microseconds within the years 0 to 9999, with the text in seconds.
fn times(unit: i64) -> impl Strategy<Value = (i64, DateTime)> {
    let (first, last) = (-62_167_219_200 * unit, 253_402_207_200 * unit - 1);
    prop_oneof![first..=last, Just(first), Just(last), -5_i64..5].prop_map(move |units| {
        let nanos = i128::from(units) * i128::from(1_000_000_000 / unit);
        let since = SignedDuration::new(
            i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap(),
            i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap(),
        );
        (units, DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(since).unwrap())
    })
}

fn scalar_value(scalar: Scalar) -> BoxedStrategy<Both> {
    const MAX_SAFE: u64 = (1 << 53) - 1;
    let number = |number: i64| match number.unsigned_abs() {
        0..=MAX_SAFE => json!(number),
        _ => json!(number.to_string()),
    };
    let edges = prop::sample::select(vec![0, (1 << 53) - 1, 1 << 53, -(1 << 53), i64::MIN, i64::MAX]);
    match scalar {
        Scalar::Null => Just((Value::Null, Avro::Null)).boxed(),
        Scalar::Boolean => any::<bool>().prop_map(|flag| (flag.into(), Avro::Boolean(flag))).boxed(),
        Scalar::Int => any::<i32>().prop_map(|n| (n.into(), Avro::Int(n))).boxed(),
        Scalar::Long => {
            prop_oneof![any::<i64>(), edges].prop_map(move |n| (number(n), Avro::Long(n))).boxed()
        }
        Scalar::Float => any::<f32>()
            .prop_map(|n| {
                let json = if n.is_finite() {
                    json!(n.to_string().parse::<f64>().unwrap())
                } else {
                    special(n.into())
                };
                (json, Avro::Float(n))
            })
            .boxed(),
        Scalar::Double => {
            let any = prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(-f64::INFINITY)];
            any.prop_map(|n| (if n.is_finite() { json!(n) } else { special(n) }, Avro::Double(n))).boxed()
        }
        Scalar::Bytes => vec(any::<u8>(), 0..20)
            .prop_map(|bytes| (BASE64.encode(&bytes).into(), Avro::Bytes(bytes)))
            .boxed(),
        Scalar::String => any::<String>().prop_map(|text| (text.clone().into(), Avro::String(text))).boxed(),
        Scalar::Decimal => unscaled()
            .prop_map(|unscaled| {
                let number = num_bigint::BigInt::from(unscaled);
                (decimal_text(unscaled).into(), Avro::Decimal(AvroDecimal::from(number.to_signed_bytes_be())))
            })
            .boxed(),
        Scalar::Uuid => any::<[u8; 16]>()
            .prop_map(|bytes| {
                let uuid = uuid::Uuid::from_bytes(bytes);
                (uuid.to_string().into(), Avro::Uuid(uuid))
            })
            .boxed(),
        Scalar::Date => times(1)
            .prop_map(|(seconds, time)| {
                let days = i32::try_from(seconds.div_euclid(86_400)).unwrap();
                (time.date().to_string().into(), Avro::Date(days))
            })
            .boxed(),
        Scalar::TimeMillis => (0..86_400_000_i32)
            .prop_map(|n| (clock(i64::from(n) * 1_000, 3).into(), Avro::TimeMillis(n)))
            .boxed(),
        Scalar::TimeMicros => {
            (0..86_400_000_000_i64).prop_map(|n| (clock(n, 6).into(), Avro::TimeMicros(n))).boxed()
        }
        Scalar::TimestampMillis => {
            times(1_000).prop_map(|(n, time)| (utc(time, 3), Avro::TimestampMillis(n))).boxed()
        }
        Scalar::TimestampMicros => {
            times(1_000_000).prop_map(|(n, time)| (utc(time, 6), Avro::TimestampMicros(n))).boxed()
        }
        Scalar::LocalTimestampMillis => times(1_000)
            .prop_map(|(n, time)| (format!("{time:.3}").into(), Avro::LocalTimestampMillis(n)))
            .boxed(),
        Scalar::LocalTimestampMicros => times(1_000_000)
            .prop_map(|(n, time)| (format!("{time:.6}").into(), Avro::LocalTimestampMicros(n)))
            .boxed(),
    }
}

fn special(number: f64) -> Value {
    json!(if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    })
}

fn utc(time: DateTime, digits: usize) -> Value {
    let instant: Timestamp = jiff::tz::TimeZone::UTC.to_timestamp(time).unwrap();
    format!("{instant:.digits$}").into()
}

fn clock(micros: i64, digits: usize) -> String {
    let (seconds, fraction) = (micros / 1_000_000, format!("{:06}", micros % 1_000_000));
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{}", seconds % 60, &fraction[..digits])
}

pub(super) fn event_and_value() -> impl Strategy<Value = (Value, Both)> {
    vec(a_type(), 1..5).prop_flat_map(|fields| {
        let event = Type::Record(fields);
        (Just(schema(&event, &mut 0)), value(&event))
    })
}

fn layout(schema: &Value) -> Layout {
    compile(&aqueduct_avro::Schema::from_json(schema).unwrap(), Origin::File).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn json_to_avro_and_back((schema, (json, avro)) in event_and_value()) {
        let layout = layout(&schema);
        let schema = Schema::parse(&schema).unwrap();
        let encoded = encode(&layout, &Json::from(&json), Names::Stored).unwrap_or_else(|error| panic!("{error}"));
        let reference = GenericDatumWriter::builder(&schema).build().unwrap();
        prop_assert_eq!(&encoded.avro, &reference.write_value_to_vec(avro).unwrap());
        prop_assert!(encoded.canonical, "{json}");
        prop_assert_eq!(decode(&layout, &encoded.avro, Names::Stored).unwrap_or_else(|error| panic!("{error}")), json);
    }

    /// Whatever the bytes, there is an answer: no panic, no endless loop, no memory for what is not there.
    #[test]
    fn any_bytes_decode_or_are_refused((schema, _) in event_and_value(), bytes in vec(any::<u8>(), 0..64)) {
        let layout = layout(&schema);
        if let Ok(json) = decode(&layout, &bytes, Names::Stored) {
            // A boolean or a map's order may have been written in another way, but the value must be the same.
            let again = encode(&layout, &Json::from(&json), Names::Stored).unwrap_or_else(|error| panic!("{error}"));
            prop_assert!(again.canonical, "{json}");
            prop_assert_eq!(decode(&layout, &again.avro, Names::Stored).unwrap_or_else(|error| panic!("{error}")), json);
        }
    }
}
