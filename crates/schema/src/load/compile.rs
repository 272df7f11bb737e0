//! From a parsed Avro schema to a [`Layout`]; what the product cannot carry is refused here, with the place.

use std::collections::HashMap;
use std::sync::Arc;

use aqueduct_avro::{LogicalType, Schema, Type, TypeId};

use crate::layout::invalid::InvalidSchema;
use crate::layout::json_kind::JsonKind;
use crate::layout::shape::{DecimalType, Enum, Fixed, Shape, TimeUnit, Union, UuidForm};
use crate::layout::type_name::TypeName;
use crate::layout::types::{Field, Layout, Record, UnknownFields};
use crate::limits::MAX_EVENT_BYTES;
use crate::load::attributes;
use crate::load::defaults::{self, RawDefault};
use crate::mapping::decimal::MAX_PRECISION;

/// Where a schema is from, which says how much of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A schema file: everything.
    File,
    /// A schema that values are read as. Attributes of this product's names are someone else's there.
    Reader,
    /// A schema that values were written with: its defaults do not count either.
    Writer,
}

/// Compiles the schema of an event, which must be a record.
pub(crate) fn compile(schema: &Schema, origin: Origin) -> Result<Layout, InvalidSchema> {
    let Type::Record(event) = schema.get(schema.root()) else {
        return Err(InvalidSchema::new("the schema", "is not a record: an event must be one"));
    };
    let mut compiler = Compiler {
        schema,
        origin,
        records: Vec::new(),
        named: HashMap::new(),
        defaults: Vec::new(),
        unknown_fields: UnknownFields::Error,
    };
    compiler.record(schema.root(), event)?;
    let defaults = compiler.defaults;
    let mut layout = Layout { full_name: event.name.full().into(), records: compiler.records };
    // Only now, since a default may be of a record type that is defined further down.
    for default in &defaults {
        let value = defaults::compile(&layout, default)?;
        layout.records[default.record].fields[default.field].default = Some(value);
    }
    Ok(layout)
}

struct Compiler<'s> {
    schema: &'s Schema,
    origin: Origin,
    records: Vec<Record>,
    /// Types with a name, for references.
    named: HashMap<TypeId, Shape>,
    defaults: Vec<RawDefault<'s>>,
    /// What the enclosing record does with unknown fields.
    unknown_fields: UnknownFields,
}

impl<'s> Compiler<'s> {
    fn record(&mut self, id: TypeId, schema: &'s aqueduct_avro::Record) -> Result<usize, InvalidSchema> {
        let index = self.records.len();
        self.named.insert(id, Shape::Record(index));
        let place = format!("record {}", schema.name);
        let unknown_fields = match self.origin {
            Origin::File => {
                attributes::unknown_fields(self.schema.attributes(id), self.unknown_fields, &place)?
            }
            Origin::Reader | Origin::Writer => UnknownFields::Error,
        };
        let enclosing = std::mem::replace(&mut self.unknown_fields, unknown_fields);
        // In its place before its fields are compiled, since they may refer to it.
        self.records.push(Record {
            name: type_name(&schema.name, &schema.aliases),
            doc: schema.doc.clone(),
            fields: Vec::new(),
            unknown_fields,
            by_stored_name: HashMap::new(),
        });
        let mut fields = Vec::with_capacity(schema.fields.len());
        for (position, field) in schema.fields.iter().enumerate() {
            let place = format!("field {} of {}", field.name, schema.name);
            let shape = self.shape(field.field_type, &place)?;
            fields.push(self.field(field, shape, &place)?);
            if let Some(json) = field.default.as_ref().filter(|_| self.origin != Origin::Writer) {
                self.defaults.push(RawDefault { record: index, field: position, json });
            }
        }
        self.unknown_fields = enclosing;
        let record = &mut self.records[index];
        record.by_stored_name = attributes::fields_by_stored_name(&fields, &record.name.full)?;
        record.fields = fields;
        attributes::check_keeper(record)?;
        Ok(index)
    }

    /// A field, without its default.
    fn field(
        &self,
        schema: &aqueduct_avro::Field,
        shape: Shape,
        place: &str,
    ) -> Result<Field, InvalidSchema> {
        let mut field = Field {
            name: schema.name.clone(),
            doc: schema.doc.clone(),
            aliases: schema.aliases.clone(),
            stored_names: vec![schema.name.clone()],
            keeps_unknown: false,
            shape,
            default: None,
            rule: None,
        };
        if self.origin == Origin::File {
            field.keeps_unknown = attributes::keeps_unknown(schema, &field.shape, place)?;
            field.stored_names = attributes::stored_names(schema, place)?;
            field.rule = attributes::rule(schema, place)?;
        }
        Ok(field)
    }

    fn shape(&mut self, id: TypeId, place: &str) -> Result<Shape, InvalidSchema> {
        if let Some(known) = self.named.get(&id) {
            return Ok(known.clone());
        }
        let schema = self.schema;
        let shape = match schema.get(id) {
            Type::Null => Shape::Null,
            Type::Boolean => Shape::Boolean,
            Type::Int(None) => Shape::Int,
            Type::Long(None) => Shape::Long,
            Type::Float => Shape::Float,
            Type::Double => Shape::Double,
            Type::Bytes(None) => Shape::Bytes,
            Type::String(None) => Shape::String,
            Type::Int(Some(logical))
            | Type::Long(Some(logical))
            | Type::Bytes(Some(logical))
            | Type::String(Some(logical)) => logical_shape(*logical, None, place)?,
            Type::Fixed(fixed) => fixed_shape(fixed, place)?,
            Type::Enum(schema) => Shape::Enum(Arc::new(Enum {
                name: type_name(&schema.name, &schema.aliases),
                doc: schema.doc.clone(),
                symbols: schema.symbols.clone(),
                default: schema.default.clone(),
            })),
            Type::Array(items) => Shape::Array(Box::new(self.shape(*items, place)?)),
            Type::Map(values) => Shape::Map(Box::new(self.shape(*values, place)?)),
            Type::Record(record) => return Ok(Shape::Record(self.record(id, record)?)),
            Type::Union(branches) => self.union(branches, place)?,
        };
        if schema.get(id).name().is_some() {
            self.named.insert(id, shape.clone());
        }
        Ok(shape)
    }

    fn union(&mut self, types: &[TypeId], place: &str) -> Result<Shape, InvalidSchema> {
        let mut branches: Vec<Shape> = Vec::new();
        for id in types {
            let branch = self.shape(*id, place)?;
            if let Some(twin) = branches.iter().find(|other| other.kind() == branch.kind()) {
                return Err(InvalidSchema::new(place, indistinct(twin, &branch)));
            }
            branches.push(branch);
        }
        Ok(Shape::Union(Union { branches }))
    }
}

fn fixed_shape(schema: &aqueduct_avro::Fixed, place: &str) -> Result<Shape, InvalidSchema> {
    if schema.size > MAX_EVENT_BYTES {
        let problem = format!("a fixed of {} bytes is larger than any event may be", schema.size);
        return Err(InvalidSchema::new(place, problem));
    }
    let fixed = Arc::new(Fixed { name: type_name(&schema.name, &schema.aliases), size: schema.size });
    match schema.logical {
        Some(logical) => logical_shape(logical, Some(fixed), place),
        None => Ok(Shape::Fixed(fixed)),
    }
}

/// The Avro layer takes a logical type only for one on a type that can carry it.
fn logical_shape(
    logical: LogicalType,
    fixed: Option<Arc<Fixed>>,
    place: &str,
) -> Result<Shape, InvalidSchema> {
    Ok(match logical {
        LogicalType::Decimal { precision, scale } => {
            if precision as usize > MAX_PRECISION {
                let problem =
                    format!("decimal({precision}, {scale}) is not supported: at most {MAX_PRECISION} digits");
                return Err(InvalidSchema::new(place, problem));
            }
            Shape::Decimal(DecimalType { precision: precision as usize, scale, fixed })
        }
        LogicalType::Uuid if fixed.is_some() => Shape::Uuid(UuidForm::Fixed),
        LogicalType::Uuid => Shape::Uuid(UuidForm::Text),
        LogicalType::Date => Shape::Date,
        LogicalType::TimeMillis => Shape::TimeOfDay(TimeUnit::Millis),
        LogicalType::TimeMicros => Shape::TimeOfDay(TimeUnit::Micros),
        LogicalType::TimestampMillis => Shape::Timestamp(TimeUnit::Millis),
        LogicalType::TimestampMicros => Shape::Timestamp(TimeUnit::Micros),
        LogicalType::TimestampNanos => Shape::Timestamp(TimeUnit::Nanos),
        LogicalType::LocalTimestampMillis => Shape::LocalTimestamp(TimeUnit::Millis),
        LogicalType::LocalTimestampMicros => Shape::LocalTimestamp(TimeUnit::Micros),
        LogicalType::LocalTimestampNanos => Shape::LocalTimestamp(TimeUnit::Nanos),
        LogicalType::BigDecimal => return Err(unsupported(place, "big-decimal")),
        LogicalType::Duration => return Err(unsupported(place, "duration")),
    })
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

fn type_name(name: &aqueduct_avro::Name, aliases: &[String]) -> TypeName {
    TypeName { full: name.full().to_owned(), aliases: aliases.to_vec() }
}

fn unsupported(place: &str, logical_type: &str) -> InvalidSchema {
    InvalidSchema::new(
        place,
        format!("the type {logical_type} is not supported; see the mapping in the schema policy"),
    )
}
