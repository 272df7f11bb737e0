//! Values of a writer's schema as those of a reader's.

use aqueduct_avro::{Incompatibility, LogicalType, Pair, Resolution, Schema, Type, TypeId, compatibility};
use serde_json::Value;

use crate::layout::types::Names;
use crate::load::registered::RegisteredSchema;
use crate::mapping::decode::decode;

/// How many differences an error names.
const SHOWN: usize = 3;

/// Avro's own resolution, where it reads each value of the writer's schema, and as what was written: Avro compares no logical types,
/// and would read pence as pounds and milliseconds as microseconds.
#[derive(Debug)]
pub(crate) struct Resolved {
    resolution: Resolution,
}

impl Resolved {
    /// An error says where the schemas differ, and how.
    pub(crate) fn new(writer: &Schema, reader: &Schema) -> Result<Self, String> {
        let found = compatibility(reader, writer);
        if !found.is_compatible() {
            let problem = |found: &Incompatibility| {
                format!("{}{}: {}", place(reader, &found.pointer), found.kind, found.detail)
            };
            let problems: Vec<_> = found.incompatibilities.iter().take(SHOWN).map(problem).collect();
            return Err(problems.join("; "));
        }
        let resolution = Resolution::new(writer, reader);
        for pair in resolution.pairs(reader) {
            check_meaning(writer, reader, pair)?;
        }
        Ok(Self { resolution })
    }

    /// The value as plain JSON of the reader's schema, in canonical form.
    pub(crate) fn to_json(&self, reader: &RegisteredSchema, avro: &[u8]) -> Result<Value, String> {
        let value = self.resolution.decode(avro).map_err(|error| error.to_string())?;
        let mut resolved = Vec::with_capacity(avro.len());
        reader.avro.encode(&value, &mut resolved).map_err(|error| error.to_string())?;
        decode(&reader.layout, &resolved, Names::Avro).map_err(|mismatch| mismatch.to_string())
    }
}

/// Whether the same bytes mean the same to both. A decimal may gain digits, and a UUID may be read as its text.
fn check_meaning(writer: &Schema, reader: &Schema, pair: Pair) -> Result<(), String> {
    let (written, read) = (writer.get(pair.writer), reader.get(pair.reader));
    let is_same = match (logical_type(written), logical_type(read)) {
        (
            Some(LogicalType::Decimal { precision, scale }),
            Some(LogicalType::Decimal { precision: more, scale: same }),
        ) => scale == same && precision <= more,
        (Some(LogicalType::Uuid), None) => matches!(read, Type::String(_)),
        (written, read) => written == read,
    };
    if is_same {
        return Ok(());
    }
    let place = pair.field.map_or(String::new(), |(record, position)| field_place(reader, record, position));
    let (written, read) = (describe(written), describe(read));
    Err(format!("{place}{written} cannot be read as {read}, which means something else by the same bytes"))
}

/// The innermost field on the way of a JSON pointer into a schema.
fn place(schema: &Schema, pointer: &str) -> String {
    let (mut id, mut place) = (schema.root(), String::new());
    let mut parts = pointer.split('/');
    while let Some(part) = parts.next() {
        // The pointer does not name the branch of a union.
        let branches = match schema.get(id) {
            Type::Union(branches) => branches.clone(),
            _ => vec![id],
        };
        let position = parts.clone().next().and_then(|position| position.parse().ok());
        let next = branches.into_iter().find_map(|branch| match (part, schema.get(branch), position) {
            ("items", Type::Array(part), _) | ("values", Type::Map(part), _) => Some(*part),
            ("fields", Type::Record(record), Some(position)) => {
                place = field_place(schema, branch, position);
                record.fields.get(position).map(|field| field.field_type)
            }
            _ => None,
        });
        id = next.unwrap_or(id);
    }
    place
}

fn field_place(schema: &Schema, record: TypeId, position: usize) -> String {
    match schema.get(record) {
        Type::Record(record) => match record.fields.get(position) {
            Some(field) => format!("field {} of {}: ", field.name, record.name),
            None => String::new(),
        },
        _ => String::new(),
    }
}

fn logical_type(of: &Type) -> Option<LogicalType> {
    match of {
        Type::Int(logical) | Type::Long(logical) | Type::Bytes(logical) | Type::String(logical) => *logical,
        Type::Fixed(fixed) => fixed.logical,
        _ => None,
    }
}

fn describe(of: &Type) -> String {
    match logical_type(of) {
        Some(LogicalType::Decimal { precision, scale }) => format!("decimal({precision}, {scale})"),
        Some(logical) => logical.name().to_owned(),
        None => of.branch_name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::load::compile::Origin;
    use crate::mapping::encode::encode;
    use crate::mapping::json::Json;

    fn event(fields: &Value, origin: Origin) -> Result<RegisteredSchema, String> {
        let schema = json!({"type": "record", "name": "E", "namespace": "a", "fields": fields});
        RegisteredSchema::parse(&schema.to_string(), origin)
    }

    /// What a reader with its fields makes of an event that was written with others.
    fn read(written: Value, read: Value, event_json: &Value) -> Result<Value, String> {
        let (writer, reader) = (event(&written, Origin::Writer).unwrap(), event(&read, Origin::Reader)?);
        let avro = encode(&writer.layout, &Json::from(event_json), Names::Avro).unwrap().avro;
        Resolved::new(&writer.avro, &reader.avro)?.to_json(&reader, &avro)
    }

    fn x(of: &Value) -> Value {
        json!([{"name": "x", "type": of}])
    }

    /// The results are those of Avro's reference implementation.
    #[test]
    fn resolves_as_avro_does() {
        let a = json!([{"name": "a", "type": "int"}]);
        let added = |of: Value, default: Value| json!([{"name": "a", "type": "int"}, {"name": "b", "type": of, "default": default}]);
        let part = json!({"type": "record", "name": "P", "fields": [
            {"name": "x", "type": "int", "default": 1}, {"name": "y", "type": "int"}]});
        let record = |name: &str, namespace: &str, aliases: Value| {
            let of = json!({"type": "record", "name": name, "namespace": namespace, "aliases": aliases,
                "fields": [{"name": "n", "type": "int"}]});
            x(&of)
        };
        let nested = json!({"x": {"n": 1}});
        let one = json!({"a": 1});
        let cases = [
            (
                json!([{"name": "a", "type": "string"}]),
                json!([{"name": "b", "type": "string", "aliases": ["a"]},
                    {"name": "a", "type": "string", "default": "new"}]),
                json!({"a": "x"}),
                json!({"a": "new", "b": "x"}),
            ),
            // Renamed twice, and the name between forgotten.
            (
                a.clone(),
                json!([{"name": "c", "type": "int", "aliases": ["b"], "default": 7}]),
                one.clone(),
                json!({"c": 7}),
            ),
            (a.clone(), added(json!(["null", "string"]), json!("x")), one.clone(), json!({"a": 1, "b": "x"})),
            (a.clone(), added(json!("bytes"), json!("ÿ\u{0}")), one.clone(), json!({"a": 1, "b": "/wA="})),
            (a.clone(), added(part, json!({"y": 2})), one.clone(), json!({"a": 1, "b": {"x": 1, "y": 2}})),
            // Other namespaces, with an alias and without.
            (
                record("Old", "b", json!([])),
                record("New", "c", json!(["b.Old"])),
                nested.clone(),
                nested.clone(),
            ),
            (record("P", "b", json!([])), record("P", "c", json!([])), nested.clone(), nested),
            // To the nearest float at once, and to the double that a float is.
            (
                x(&json!("long")),
                x(&json!("float")),
                json!({"x": "18014399583223809"}),
                json!({"x": 18_014_400_000_000_000.0}),
            ),
            (x(&json!("float")), x(&json!("double")), json!({"x": 0.1}), json!({"x": f64::from(0.1_f32)})),
            (x(&json!("int")), x(&json!(["null", "long"])), json!({"x": 7}), json!({"x": 7})),
            (
                x(&json!({"type": "string", "logicalType": "uuid"})),
                x(&json!("string")),
                json!({"x": "67e55044-10b1-426f-9247-bb680e5fe0c8"}),
                json!({"x": "67e55044-10b1-426f-9247-bb680e5fe0c8"}),
            ),
        ];
        for (written, reader, event, expected) in cases {
            let resolved =
                read(written, reader.clone(), &event).unwrap_or_else(|error| panic!("{reader}: {error}"));
            assert_eq!(resolved, expected, "{reader}");
        }
    }

    #[test]
    fn what_would_become_another_value_is_refused() {
        let decimal = |precision: u32, scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
        let time = |unit: &str| json!({"type": "long", "logicalType": format!("timestamp-{unit}")});
        let cases = [
            (decimal(9, 2), decimal(9, 3), "decimal(9, 2) cannot be read as decimal(9, 3)"),
            (decimal(9, 2), decimal(8, 2), "decimal(9, 2) cannot be read as decimal(8, 2)"),
            (decimal(9, 2), json!("bytes"), "decimal(9, 2) cannot be read as bytes"),
            (time("millis"), time("micros"), "timestamp-millis cannot be read as timestamp-micros"),
            (json!("int"), time("millis"), "int cannot be read as timestamp-millis"),
            (
                json!("string"),
                json!({"type": "string", "logicalType": "uuid"}),
                "string cannot be read as uuid",
            ),
        ];
        for (written, reader, expected) in cases {
            for wrap in [
                |of: Value| of,
                |of: Value| json!(["null", of]),
                |of: Value| json!({"type": "map", "values": {"type": "array", "items": of}}),
            ] {
                let [writer, reader] = [(&written, Origin::Writer), (&reader, Origin::Reader)]
                    .map(|(of, origin)| event(&x(&wrap(of.clone())), origin).unwrap());
                let refused = Resolved::new(&writer.avro, &reader.avro).unwrap_err();
                assert!(refused.starts_with(&format!("field x of a.E: {expected}")), "{refused}");
            }
        }
        let uuid = |name: &str| json!({"type": "fixed", "name": name, "size": 16, "logicalType": "uuid"});
        let uuid_json = json!({"x": "67e55044-10b1-426f-9247-bb680e5fe0c8"});
        let renamed = read(x(&uuid("U")), x(&uuid("V")), &uuid_json).unwrap_err();
        assert_eq!(renamed, "field x of a.E: another name: a.U is not a.V");
        // The reference's answer depends on the order of the fields.
        let swapped = json!([{"name": "a", "type": "int", "aliases": ["b"]}, {"name": "b", "type": "int", "aliases": ["a"]}]);
        let written = json!([{"name": "a", "type": "int"}, {"name": "b", "type": "int"}]);
        let refused = read(written, swapped, &json!({"a": 1, "b": 2})).unwrap_err();
        assert!(refused.contains("a field reads several"), "{refused}");
        let large = json!([{"name": "x", "type": "float", "default": 1e39}]);
        let refused = event(&large, Origin::Reader).unwrap_err();
        assert!(refused.contains("its default does not fit"), "{refused}");
    }

    #[test]
    fn errors_name_the_field() {
        let part = |fields: Value| json!({"type": "array", "items": {"type": "record", "name": "P", "fields": fields}});
        let int = json!({"name": "n", "type": "int"});
        let cases = [
            (json!("int"), json!("string"), "field x of a.E: another type: int is not string"),
            (part(json!([])), part(json!([int])), "field n of a.P: a field without a default is new: n"),
            (
                part(json!([int])),
                part(json!([{"name": "n", "type": "string"}])),
                "field n of a.P: another type",
            ),
        ];
        for (written, reader, expected) in cases {
            let [writer, reader] = [(&written, Origin::Writer), (&reader, Origin::Reader)]
                .map(|(of, origin)| event(&x(of), origin).unwrap());
            let refused = Resolved::new(&writer.avro, &reader.avro).unwrap_err();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }

    /// As deep as an event may be: unions are not a level.
    #[test]
    fn deep_events_resolve() {
        let node = |fields: Value| x(&json!(["null", {"type": "record", "name": "N", "fields": fields}]));
        let next = json!({"name": "next", "type": ["null", "N"]});
        let nested = |inner: Value| (0..124).fold(inner, |inner, _| json!({"next": inner}));
        let writer = node(json!([next]));
        let reader = node(json!([next, {"name": "n", "type": "int", "default": 0}]));
        let event = json!({"x": nested(json!({"next": null}))});
        let resolved = read(writer, reader, &event).unwrap();
        assert_eq!(resolved["x"]["next"]["next"]["n"], 0);
    }
}
