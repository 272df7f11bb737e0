//! From a parsed Avro schema to a [`Layout`]; what the product cannot carry is refused here, with the place.

use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::schema::{
    Alias, DecimalSchema, EnumSchema, FixedSchema, InnerDecimalSchema, Name, RecordSchema, Schema,
    UnionSchema, UuidSchema,
};

use crate::layout::invalid::InvalidSchema;
use crate::layout::json_kind::JsonKind;
use crate::layout::shape::{DecimalType, Enum, Fixed, Shape, TimeUnit, Union, UuidForm};
use crate::layout::type_name::TypeName;
use crate::layout::types::{Field, Layout, Record, UnknownFields};
use crate::limits::MAX_EVENT_BYTES;
use crate::load::attributes;
use crate::load::defaults::{self, RawDefault};
use crate::mapping::decimal::MAX_PRECISION;

/// Compiles the schema of an event, which must be a record.
pub(crate) fn compile(schema: &Schema) -> Result<Layout, InvalidSchema> {
    let Schema::Record(event) = schema else {
        return Err(InvalidSchema::new("the schema", "is not a record: an event must be one"));
    };
    let mut compiler = Compiler {
        records: Vec::new(),
        named: HashMap::new(),
        defaults: Vec::new(),
        unknown_fields: UnknownFields::Error,
    };
    compiler.record(event, None)?;
    let defaults = compiler.defaults;
    let mut layout = Layout {
        full_name: event.name.fullname(None).into(),
        renames: compiler.records.iter().flat_map(|record| &record.fields).any(is_renamed),
        records: compiler.records,
    };
    // Only now, since a default may be of a record type that is defined further down.
    for default in &defaults {
        let value = defaults::compile(&layout, default)?;
        layout.records[default.record].fields[default.field].default = Some(value);
    }
    Ok(layout)
}

struct Compiler {
    records: Vec<Record>,
    /// Types by full name, for references.
    named: HashMap<String, Shape>,
    defaults: Vec<RawDefault>,
    /// What the enclosing record does with unknown fields.
    unknown_fields: UnknownFields,
}

fn is_renamed(field: &Field) -> bool {
    field.stored_names.as_slice() != std::slice::from_ref(&field.name)
}

impl Compiler {
    fn record(&mut self, schema: &RecordSchema, namespace: Option<&str>) -> Result<usize, InvalidSchema> {
        let name = type_name(&schema.name, schema.aliases.as_deref(), namespace);
        let index = self.records.len();
        self.named.insert(name.full.clone(), Shape::Record(index));
        let inner = name.full.rsplit_once('.').map(|(namespace, _)| namespace.to_owned());
        let place = format!("record {}", name.full);
        let unknown_fields = attributes::unknown_fields(schema, self.unknown_fields, &place)?;
        let enclosing = std::mem::replace(&mut self.unknown_fields, unknown_fields);
        // In its place before its fields are compiled, since they may refer to it.
        let (doc, by_stored_name) = (schema.doc.clone(), HashMap::new());
        self.records.push(Record { name, doc, fields: Vec::new(), unknown_fields, by_stored_name });
        let mut fields = Vec::with_capacity(schema.fields.len());
        let mut keepers = Vec::new();
        for (position, field) in schema.fields.iter().enumerate() {
            let place = format!("field {} of {}", field.name, self.records[index].name.full);
            let shape = self.shape(&field.schema, inner.as_deref(), &place)?;
            let keeps_unknown = attributes::keeps_unknown(field, &shape, &place)?;
            if keeps_unknown {
                keepers.push(position);
            }
            fields.push(Field {
                name: field.name.clone(),
                doc: field.doc.clone(),
                aliases: field.aliases.clone(),
                stored_names: attributes::stored_names(field, &place)?,
                keeps_unknown,
                shape,
                default: None,
                rule: attributes::rule(field, &place)?,
            });
            if let Some(json) = &field.default {
                self.defaults.push(RawDefault { record: index, field: position, json: json.clone() });
            }
        }
        self.unknown_fields = enclosing;
        let record = &mut self.records[index];
        record.by_stored_name = attributes::fields_by_stored_name(&fields, &record.name.full)?;
        record.fields = fields;
        attributes::check_keeper(record, &keepers)?;
        Ok(index)
    }

    fn shape(
        &mut self,
        schema: &Schema,
        namespace: Option<&str>,
        place: &str,
    ) -> Result<Shape, InvalidSchema> {
        Ok(match schema {
            Schema::Null => Shape::Null,
            Schema::Boolean => Shape::Boolean,
            Schema::Int => Shape::Int,
            Schema::Long => Shape::Long,
            Schema::Float => Shape::Float,
            Schema::Double => Shape::Double,
            Schema::Bytes => Shape::Bytes,
            Schema::String => Shape::String,
            Schema::Fixed(fixed) => Shape::Fixed(self.fixed(fixed, namespace, place)?),
            Schema::Enum(schema) => self.enum_shape(schema, namespace, place)?,
            Schema::Array(array) => Shape::Array(Box::new(self.shape(&array.items, namespace, place)?)),
            Schema::Map(map) => Shape::Map(Box::new(self.shape(&map.types, namespace, place)?)),
            Schema::Record(record) => Shape::Record(self.record(record, namespace)?),
            Schema::Union(union) => self.union(union, namespace, place)?,
            Schema::Ref { name } => {
                let full = name.fullname(namespace);
                let known = self.named.get(&full).cloned();
                known.ok_or_else(|| {
                    InvalidSchema::new(place, format!("the type {full} is not defined before"))
                })?
            }
            Schema::Decimal(decimal) => self.decimal(decimal, namespace, place)?,
            Schema::Uuid(UuidSchema::String) => Shape::Uuid(UuidForm::Text),
            Schema::Uuid(UuidSchema::Bytes) => Shape::Uuid(UuidForm::Bytes),
            Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                self.named_shape(&fixed.name, namespace, Shape::Uuid(UuidForm::Fixed))
            }
            Schema::Date => Shape::Date,
            Schema::TimeMillis => Shape::TimeOfDay(TimeUnit::Millis),
            Schema::TimeMicros => Shape::TimeOfDay(TimeUnit::Micros),
            Schema::TimestampMillis => Shape::Timestamp(TimeUnit::Millis),
            Schema::TimestampMicros => Shape::Timestamp(TimeUnit::Micros),
            Schema::TimestampNanos => Shape::Timestamp(TimeUnit::Nanos),
            Schema::LocalTimestampMillis => Shape::LocalTimestamp(TimeUnit::Millis),
            Schema::LocalTimestampMicros => Shape::LocalTimestamp(TimeUnit::Micros),
            Schema::LocalTimestampNanos => Shape::LocalTimestamp(TimeUnit::Nanos),
            Schema::BigDecimal => return Err(unsupported(place, "big-decimal")),
            Schema::Duration(_) => return Err(unsupported(place, "duration")),
        })
    }

    fn union(
        &mut self,
        union: &UnionSchema,
        namespace: Option<&str>,
        place: &str,
    ) -> Result<Shape, InvalidSchema> {
        let mut branches: Vec<Shape> = Vec::new();
        for variant in union.variants() {
            let branch = self.shape(variant, namespace, place)?;
            if let Some(twin) = branches.iter().find(|other| other.kind() == branch.kind()) {
                return Err(InvalidSchema::new(place, indistinct(twin, &branch)));
            }
            branches.push(branch);
        }
        Ok(Shape::Union(Union { branches }))
    }

    fn enum_shape(
        &mut self,
        schema: &EnumSchema,
        namespace: Option<&str>,
        place: &str,
    ) -> Result<Shape, InvalidSchema> {
        if let Some(default) = schema.default.as_ref().filter(|default| !schema.symbols.contains(default)) {
            return Err(InvalidSchema::new(place, format!("the default {default:?} is none of the symbols")));
        }
        let shape = Shape::Enum(Arc::new(Enum {
            name: type_name(&schema.name, schema.aliases.as_deref(), namespace),
            doc: schema.doc.clone(),
            symbols: schema.symbols.clone(),
            default: schema.default.clone(),
        }));
        Ok(self.named_shape(&schema.name, namespace, shape))
    }

    fn fixed(
        &mut self,
        schema: &FixedSchema,
        namespace: Option<&str>,
        place: &str,
    ) -> Result<Arc<Fixed>, InvalidSchema> {
        if schema.size > MAX_EVENT_BYTES {
            let problem = format!("a fixed of {} bytes is larger than any event may be", schema.size);
            return Err(InvalidSchema::new(place, problem));
        }
        let name = type_name(&schema.name, schema.aliases.as_deref(), namespace);
        let fixed = Arc::new(Fixed { name, size: schema.size });
        self.named_shape(&schema.name, namespace, Shape::Fixed(Arc::clone(&fixed)));
        Ok(fixed)
    }

    fn decimal(
        &mut self,
        schema: &DecimalSchema,
        namespace: Option<&str>,
        place: &str,
    ) -> Result<Shape, InvalidSchema> {
        let (precision, scale) = (schema.precision, u32::try_from(schema.scale).unwrap_or(u32::MAX));
        if precision > MAX_PRECISION || schema.scale > precision {
            let problem = format!(
                "decimal({precision}, {scale}) is not supported: at most {MAX_PRECISION} digits, and no \
                 more decimals than digits"
            );
            return Err(InvalidSchema::new(place, problem));
        }
        let InnerDecimalSchema::Fixed(inner) = &schema.inner else {
            return Ok(Shape::Decimal(DecimalType { precision, scale, fixed: None }));
        };
        let fixed = Some(self.fixed(inner, namespace, place)?);
        let shape = Shape::Decimal(DecimalType { precision, scale, fixed });
        Ok(self.named_shape(&inner.name, namespace, shape))
    }

    fn named_shape(&mut self, name: &Name, namespace: Option<&str>, shape: Shape) -> Shape {
        self.named.insert(name.fullname(namespace), shape.clone());
        shape
    }
}

/// What is wrong with two branches of a union that are written as JSON values of one kind.
fn indistinct(one: &Shape, other: &Shape) -> String {
    let kind = one.kind().map_or("the same", JsonKind::name);
    let decimal = |shape: &&Shape| matches!(shape, Shape::Decimal(_));
    let hint = if [one, other].iter().any(decimal) { " (a decimal is always a string there)" } else { "" };
    format!(
        "the union's branches {} and {} are both {kind} in JSON{hint}: wrap one in a record, or make two fields of \
         them",
        one.describe(),
        other.describe(),
    )
}

fn type_name(name: &Name, aliases: Option<&[Alias]>, namespace: Option<&str>) -> TypeName {
    let full = name.fullname(namespace);
    // An alias without a namespace is in the namespace of its type.
    let own = full.rsplit_once('.').map(|(namespace, _)| namespace);
    let aliases = aliases.unwrap_or_default().iter().map(|alias| alias.fullname(own)).collect();
    TypeName { full, aliases }
}

fn unsupported(place: &str, logical_type: &str) -> InvalidSchema {
    InvalidSchema::new(
        place,
        format!("the type {logical_type} is not supported; see the mapping in the schema policy"),
    )
}
