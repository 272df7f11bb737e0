//! Whether two schemas are the same, as the reference compares them: but for documentation, aliases and the defaults of enums.

use std::collections::HashSet;

use crate::schema::{Field, Schema, Type, TypeId};

/// Compares two schemas.
pub(crate) fn are_equal(one: &Schema, other: &Schema) -> bool {
    let (mut open, mut seen) = (vec![(one.root, other.root)], HashSet::new());
    while let Some(pair) = open.pop() {
        if !seen.insert(pair) {
            continue;
        }
        let (one_type, other_type) = (one.get(pair.0), other.get(pair.1));
        let has_attributes = one.attributes(pair.0) == other.attributes(pair.1);
        match parts_to_compare(one_type, other_type).filter(|_| has_attributes) {
            Some(parts) => open.extend(parts),
            None => return false,
        }
    }
    true
}

/// What two types that are the same without their parts consist of. `None`: they differ.
pub(crate) fn parts_to_compare(one: &Type, other: &Type) -> Option<Vec<(TypeId, TypeId)>> {
    if one.name() != other.name() {
        return None;
    }
    let is_same = match (one, other) {
        (Type::Record(one), Type::Record(other)) => {
            one.fields.len() == other.fields.len()
                && one.fields.iter().zip(&other.fields).all(|(one, other)| is_same_field(one, other))
        }
        (Type::Enum(one), Type::Enum(other)) => one.symbols == other.symbols,
        (Type::Fixed(one), Type::Fixed(other)) => one.size == other.size,
        (Type::Union(one), Type::Union(other)) => one.len() == other.len(),
        _ => one.kind() == other.kind(),
    };
    is_same.then(|| one.parts().into_iter().zip(other.parts()).collect())
}

fn is_same_field(one: &Field, other: &Field) -> bool {
    one.name == other.name
        && one.default == other.default
        && one.order == other.order
        && one.attributes == other.attributes
}
