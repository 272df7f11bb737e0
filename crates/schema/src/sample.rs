//! Random events, for tests of what reads them.

use fastrand::Rng;
use serde_json::Value;

use crate::layout::shape::{DecimalType, Shape, TimeUnit, UuidForm};
use crate::layout::types::{Layout, Names};
use crate::mapping::decode::decode;
use crate::mapping::encode::append_varint;
use crate::set::EventSchemas;

/// A record within so many others has lists without elements, and null where it may.
const DEEPEST: usize = 4;
/// Most elements of a list.
const MOST_ELEMENTS: usize = 3;
/// One of so many values is an edge case of its type.
const EDGES: usize = 3;

const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 1970-01-01 to 2100-01-01.
const DAYS: i64 = 47_482;
/// The first day, the one before it, a leap day, and the last one of the mapping, 9999-12-31.
const DAY_EDGES: [i64; 4] = [0, -1, 19_782, 2_932_896];
/// In seconds: 1970, the second before, and the first one that does not fit 32 bits.
const SECOND_EDGES: [i64; 3] = [0, -1, 1 << 31];

/// Each has something that JSON, SQL, a shell or a display gives a meaning. U+0000 is left out: Postgres cannot store it.
const TEXTS: [&str; 10] = [
    "",
    " ",
    "null",
    "'quoted' \"twice\" \\",
    "{\"a\": [1]}",
    "line\nbreak\tand tab",
    "Zürich, Łódź, 東京",
    "👩‍👩‍👧 e\u{301}",
    "\u{202e}right to left",
    "%s ${x} $1 -- ;",
];

impl EventSchemas {
    /// A random event of the latest version as it is stored: values of each type, a third of them edge cases. The same
    /// generator gives the same event.
    ///
    /// # Errors
    /// The schema has a value that plain JSON does not have.
    pub fn sample(&self, random: &mut Rng) -> Result<Value, String> {
        sample(&self.last().layout, random)
    }

    /// [`sample`](Self::sample) of any version.
    ///
    /// # Errors
    /// There is no such version, or it has a value that plain JSON does not have.
    pub fn sample_of(&self, version: u32, random: &mut Rng) -> Result<Value, String> {
        let known = self.version(version).ok_or_else(|| format!("there is no version {version}"))?;
        sample(&known.layout, random)
    }
}

fn sample(layout: &Layout, random: &mut Rng) -> Result<Value, String> {
    let mut sampler = Sampler { layout, random, avro: Vec::new() };
    sampler.value(&Shape::Record(Layout::EVENT), 0);
    let avro = sampler.avro;
    decode(layout, &avro, Names::Stored).map_err(|mismatch| mismatch.to_string())
}

/// Writes Avro: what plain JSON the bytes are is for the mapping to say.
struct Sampler<'a> {
    layout: &'a Layout,
    random: &'a mut Rng,
    avro: Vec<u8>,
}

impl Sampler<'_> {
    fn value(&mut self, shape: &Shape, depth: usize) {
        match shape {
            Shape::Null => {}
            Shape::Boolean => {
                let value = self.random.bool();
                self.avro.push(value.into());
            }
            Shape::Int => {
                let random = self.random.i32(..).into();
                self.edge_or(&[0, 1, -1, i32::MAX.into(), i32::MIN.into()], random);
            }
            Shape::Long => {
                let random = self.random.i64(..);
                self.edge_or(&[0, 1, -1, (1 << 53) + 1, i64::MAX, i64::MIN], random);
            }
            Shape::Float => {
                let random = self.random.f32() * 1000.0;
                let value = self.one_of(&[0.0, -1.5, f32::MAX, f32::MIN_POSITIVE]).unwrap_or(random);
                self.avro.extend(value.to_le_bytes());
            }
            Shape::Double => {
                let random = self.random.f64() * 1000.0;
                let value = self.one_of(&[0.0, -1.5, 0.1, f64::MAX, f64::MIN_POSITIVE]).unwrap_or(random);
                self.avro.extend(value.to_le_bytes());
            }
            Shape::Bytes => {
                let length = self.random.usize(..=8);
                self.length(length);
                self.bytes(length);
            }
            Shape::Fixed(fixed) => self.bytes(fixed.size),
            Shape::String => self.text(),
            Shape::Enum(of) => {
                let index = self.random.usize(..of.symbols.len());
                self.length(index);
            }
            Shape::Array(items) => {
                for _ in 0..self.begin_list(depth) {
                    self.value(items, depth + 1);
                }
                self.length(0);
            }
            Shape::Map(values) => {
                for key in 0..self.begin_list(depth) {
                    self.block(format!("key {key}").as_bytes());
                    self.value(values, depth + 1);
                }
                self.length(0);
            }
            Shape::Record(index) => self.record(*index, depth),
            Shape::Union(union) => {
                let find = |test: &dyn Fn(&Shape) -> bool| union.branches.iter().position(test);
                let flat = find(&|branch| matches!(branch, Shape::Null))
                    .or_else(|| find(&|branch| !matches!(branch, Shape::Record(_))));
                let random = self.random.usize(..union.branches.len());
                let index = flat.filter(|_| depth >= DEEPEST).unwrap_or(random);
                self.length(index);
                self.value(&union.branches[index], depth);
            }
            Shape::Decimal(of) => self.decimal(of),
            Shape::Uuid(form) => self.uuid(*form),
            Shape::Date => {
                let random = self.random.i64(0..DAYS);
                self.edge_or(&DAY_EDGES, random);
            }
            Shape::TimeOfDay(unit) => {
                let day = SECONDS_PER_DAY * per_second(*unit);
                let random = self.random.i64(0..day);
                self.edge_or(&[0, day - 1], random);
            }
            Shape::Timestamp(unit) | Shape::LocalTimestamp(unit) => {
                let second = per_second(*unit);
                let random = self.random.i64(0..DAYS * SECONDS_PER_DAY * second);
                self.edge_or(&SECOND_EDGES.map(|edge| edge * second), random);
            }
        }
    }

    fn record(&mut self, index: usize, depth: usize) {
        for field in &self.layout.records[index].fields {
            if field.keeps_unknown {
                // A map of what no schema has.
                self.length(0);
            } else {
                self.value(&field.shape, depth + 1);
            }
        }
    }

    /// Chooses the number of a list's elements, and writes it where there are any: then they are a block.
    fn begin_list(&mut self, depth: usize) -> usize {
        let elements = if depth < DEEPEST { self.random.usize(..=MOST_ELEMENTS) } else { 0 };
        if elements > 0 {
            self.length(elements);
        }
        elements
    }

    /// From the smallest to the largest of its precision.
    fn decimal(&mut self, of: &DecimalType) {
        // Types of more digits than 128 bits hold are refused when they are loaded.
        let largest = 10_i128.pow(of.precision as u32) - 1;
        let random = self.random.i128(-largest..=largest);
        let unscaled = self.one_of(&[0, 1, -1, largest, -largest]).unwrap_or(random).to_be_bytes();
        match &of.fixed {
            None => self.block(&unscaled),
            Some(fixed) => {
                let sign = if unscaled[0] >= 0x80 { 0xff } else { 0 };
                let missing = fixed.size.saturating_sub(unscaled.len());
                self.avro.extend(std::iter::repeat_n(sign, missing));
                self.avro.extend(&unscaled[unscaled.len().saturating_sub(fixed.size)..]);
            }
        }
    }

    fn uuid(&mut self, form: UuidForm) {
        let value = uuid::Builder::from_random_bytes(self.random.u128(..).to_be_bytes()).into_uuid();
        match form {
            UuidForm::Text => self.block(value.to_string().as_bytes()),
            UuidForm::Fixed => self.avro.extend(value.as_bytes()),
        }
    }

    fn text(&mut self) {
        match self.one_of(&TEXTS) {
            Some(text) => self.block(text.as_bytes()),
            None => {
                let length = self.random.usize(1..=12);
                let text: String = (0..length).map(|_| self.random.alphanumeric()).collect();
                self.block(text.as_bytes());
            }
        }
    }

    /// One of the edge cases, or none of them.
    fn one_of<T: Copy>(&mut self, edges: &[T]) -> Option<T> {
        let is_edge = self.random.usize(..EDGES) == 0;
        is_edge.then(|| self.random.choice(edges).copied()).flatten()
    }

    fn edge_or(&mut self, edges: &[i64], otherwise: i64) {
        let number = self.one_of(edges).unwrap_or(otherwise);
        self.long(number);
    }

    fn bytes(&mut self, length: usize) {
        for _ in 0..length {
            let byte = self.random.u8(..);
            self.avro.push(byte);
        }
    }

    fn block(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.avro.extend(bytes);
    }

    fn length(&mut self, length: usize) {
        self.long(i64::try_from(length).unwrap_or(i64::MAX));
    }

    fn long(&mut self, number: i64) {
        append_varint(&mut self.avro, number);
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Millis => 1_000,
        TimeUnit::Micros => 1_000_000,
        TimeUnit::Nanos => 1_000_000_000,
    }
}
