//! Values of a schema.

use aqueduct_avro::{Schema, Type, TypeId, Value};
use fastrand::Rng;

/// One in so many values is an edge case of its type, where it has any.
const EDGES: usize = 3;
/// A value has about so many parts at most: beyond, lists are empty and unions take their shallowest branch.
const MOST_PARTS: usize = 2_000;
/// Below this, lists are empty and unions take their shallowest branch, so that a type that contains itself ends.
const DEEPEST: usize = 6;
const MOST_ITEMS: usize = 3;

const INTS: [i32; 5] = [0, 1, -1, i32::MAX, i32::MIN];
const LONGS: [i64; 7] = [0, 1, -1, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1];
const DOUBLES: [f64; 7] = [0.0, -0.0, 1.5, f64::MAX, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
const TEXTS: [&str; 6] = ["", " ", "0", "ä€𝄞", "\u{0}", "\"\\\n"];

/// A value of a schema; the same for the same state of `random`. `None`: every value of it is too deep.
pub(crate) fn value(schema: &Schema, random: &mut Rng) -> Option<Value> {
    Generator { schema, random, levels: 40, parts: MOST_PARTS }.value(schema.root(), 0)
}

struct Generator<'a> {
    schema: &'a Schema,
    random: &'a mut Rng,
    /// How many levels may follow.
    levels: usize,
    /// How many parts may follow, before it gets as small as it can.
    parts: usize,
}

impl Generator<'_> {
    fn value(&mut self, id: TypeId, depth: usize) -> Option<Value> {
        if depth >= self.levels {
            return None;
        }
        self.parts = self.parts.saturating_sub(1);
        Some(match self.schema.get(id) {
            Type::Null => Value::Null,
            Type::Boolean => Value::Boolean(self.random.bool()),
            Type::Int(_) => Value::Int(self.edge(&INTS).unwrap_or_else(|| self.random.i32(-1000..1000))),
            Type::Long(_) => Value::Long(self.edge(&LONGS).unwrap_or_else(|| self.random.i64(..))),
            Type::Float => {
                let edge = self.edge(&DOUBLES).map(|edge| edge as f32);
                Value::Float(edge.unwrap_or_else(|| self.random.f32() * 1000.0))
            }
            Type::Double => Value::Double(self.edge(&DOUBLES).unwrap_or_else(|| self.random.f64() * 1000.0)),
            Type::Bytes(_) => {
                let length = self.random.usize(..=MOST_ITEMS);
                Value::Bytes(self.bytes(length))
            }
            Type::String(_) => Value::String(match self.edge(&TEXTS) {
                Some(text) => text.to_owned(),
                None => (0..self.random.usize(1..=8)).map(|_| self.random.alphanumeric()).collect(),
            }),
            // A fixed may be as large as the JVM's longest array.
            Type::Fixed(fixed) if fixed.size > 1 << 16 => return None,
            Type::Fixed(fixed) => Value::Fixed(self.bytes(fixed.size)),
            Type::Enum(of) if of.symbols.is_empty() => return None,
            Type::Enum(of) => Value::Enum(self.random.usize(..of.symbols.len())),
            Type::Array(items) => {
                let length = self.length(depth);
                Value::Array((0..length).map(|_| self.value(*items, depth + 1)).collect::<Option<_>>()?)
            }
            Type::Map(values) => {
                let length = if self.may_grow(depth) { MOST_ITEMS } else { 0 };
                let entry = |index| Some((format!("k{index}"), self.value(*values, depth + 1)?));
                Value::Map((0..length).map(entry).collect::<Option<_>>()?)
            }
            Type::Record(record) => {
                let fields = record.fields.iter().map(|field| self.value(field.field_type, depth + 1));
                Value::Record(fields.collect::<Option<_>>()?)
            }
            Type::Union(branches) => self.branch(branches, depth)?,
        })
    }

    /// Any branch; deep down the first one that ends.
    fn branch(&mut self, branches: &[TypeId], depth: usize) -> Option<Value> {
        if self.may_grow(depth) && !branches.is_empty() {
            let index = self.random.usize(..branches.len());
            if let Some(value) = self.value(branches[index], depth + 1) {
                return Some(Value::Union(index, Box::new(value)));
            }
        }
        let mut open = branches.iter().enumerate();
        open.find_map(|(index, branch)| Some(Value::Union(index, Box::new(self.value(*branch, depth + 1)?))))
    }

    fn length(&mut self, depth: usize) -> usize {
        if self.may_grow(depth) { self.random.usize(..=MOST_ITEMS) } else { 0 }
    }

    fn may_grow(&self, depth: usize) -> bool {
        depth < DEEPEST && self.parts > 0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.random.u8(..)).collect()
    }

    fn edge<T: Copy>(&mut self, edges: &[T]) -> Option<T> {
        let is_edge = self.random.usize(..EDGES) == 0;
        is_edge.then(|| self.random.choice(edges).copied()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_one_of_its_schema() {
        let schema = Schema::parse(
            r#"{"type": "record", "name": "R", "fields": [
                {"name": "next", "type": ["R", "null"]},
                {"name": "children", "type": {"type": "map", "values": {"type": "array", "items": "R"}}},
                {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
                {"name": "f", "type": {"type": "fixed", "name": "F", "size": 3}},
                {"name": "n", "type": ["int", "long", "float", "double", "bytes", "string", "boolean"]}]}"#,
        )
        .unwrap();
        let mut random = Rng::with_seed(1);
        for _ in 0..20 {
            let value = value(&schema, &mut random).unwrap();
            schema.encode(&value, &mut Vec::new()).unwrap();
        }
    }

    /// Records of maps of records grow by a factor with each level.
    #[test]
    fn a_value_is_bounded() {
        let maps: Vec<String> = (0..200)
            .map(|n| format!(r#"{{"name": "m{n}", "type": {{"type": "map", "values": "R"}}}}"#))
            .collect();
        let text = format!(r#"{{"type": "record", "name": "R", "fields": [{}]}}"#, maps.join(","));
        let schema = Schema::parse(&text).unwrap();
        let value = value(&schema, &mut Rng::with_seed(1)).unwrap();
        let mut bytes = Vec::new();
        schema.encode(&value, &mut bytes).unwrap();
        assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    }

    #[test]
    fn a_type_without_end_has_no_value() {
        let schema =
            Schema::parse(r#"{"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]}"#);
        assert!(value(&schema.unwrap(), &mut Rng::with_seed(1)).is_none());
    }
}
