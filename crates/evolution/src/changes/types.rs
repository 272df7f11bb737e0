//! Types in words, and how Avro pairs them.

use aqueduct_avro::{Fixed, LogicalType, Schema, Type, TypeId};

/// The logical type of a type.
pub(super) fn logical(of: &Type) -> Option<LogicalType> {
    match of {
        Type::Int(logical) | Type::Long(logical) | Type::Bytes(logical) | Type::String(logical) => *logical,
        Type::Fixed(Fixed { logical, .. }) => *logical,
        _ => None,
    }
}

/// A type as people call it.
pub(super) fn describe(schema: &Schema, id: TypeId) -> String {
    let of = schema.get(id);
    match (of, logical(of)) {
        (_, Some(logical)) => describe_logical(logical),
        (Type::Array(items), _) => format!("a list of {}", describe(schema, *items)),
        (Type::Map(values), _) => format!("a map of {}", describe(schema, *values)),
        (Type::Union(branches), _) => {
            let branches: Vec<_> = branches.iter().map(|branch| describe(schema, *branch)).collect();
            branches.join(" or ")
        }
        _ => match of.name() {
            Some(name) => format!("{} {name}", of.kind()),
            None => of.kind().to_owned(),
        },
    }
}

pub(super) fn describe_logical(logical: LogicalType) -> String {
    match logical {
        LogicalType::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
        LogicalType::BigDecimal => "big-decimal".to_owned(),
        LogicalType::Uuid => "uuid".to_owned(),
        LogicalType::Date => "date".to_owned(),
        LogicalType::Duration => "duration".to_owned(),
        time => match time_of(time) {
            Some((kind, unit)) => format!("{kind} in {unit}"),
            None => "another logical type".to_owned(),
        },
    }
}

/// What a time counts, and in which unit.
pub(super) fn time_of(logical: LogicalType) -> Option<(&'static str, &'static str)> {
    let [millis, micros, nanos] = ["milliseconds", "microseconds", "nanoseconds"];
    Some(match logical {
        LogicalType::TimeMillis => ("time", millis),
        LogicalType::TimeMicros => ("time", micros),
        LogicalType::TimestampMillis => ("timestamp", millis),
        LogicalType::TimestampMicros => ("timestamp", micros),
        LogicalType::TimestampNanos => ("timestamp", nanos),
        LogicalType::LocalTimestampMillis => ("local timestamp", millis),
        LogicalType::LocalTimestampMicros => ("local timestamp", micros),
        LogicalType::LocalTimestampNanos => ("local timestamp", nanos),
        _ => return None,
    })
}

/// The newer branch as which Avro reads a value of an older type: one of the same kind and name, else the first to which it is promoted.
pub(super) fn branch_for(newer: &Schema, branches: &[TypeId], older: &Type) -> Option<TypeId> {
    let same = |branch: &&TypeId| is_same(newer.get(**branch), older);
    let promoted = |branch: &&TypeId| is_promotion(older, newer.get(**branch));
    branches.iter().find(same).or_else(|| branches.iter().find(promoted)).copied()
}

/// Of one kind, and for a named type of one name but for its namespace or by an alias.
pub(super) fn is_same(newer: &Type, older: &Type) -> bool {
    newer.kind() == older.kind()
        && match (newer.name(), older.name()) {
            (Some(name), Some(older)) => {
                let is_alias = |alias: &String| alias == older.full();
                name.simple() == older.simple() || newer.aliases().iter().any(is_alias)
            }
            _ => true,
        }
}

fn is_promotion(from: &Type, to: &Type) -> bool {
    matches!(
        (from.kind(), to.kind()),
        ("int", "long" | "float" | "double")
            | ("long", "float" | "double")
            | ("float", "double")
            | ("string", "bytes")
            | ("bytes", "string")
    )
}
