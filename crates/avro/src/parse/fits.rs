//! Whether a default has the JSON that its type needs: the reference asks for no more.

use serde_json::Value as Json;

use crate::parse::Problem;
use crate::schema::{Type, TypeId};

/// How many values the defaults of a schema may have; those of a union count for each branch that is tried.
const MAX_VALUES: usize = 1 << 20;
/// How deep they may be nested.
const MAX_DEPTH: usize = 200;

/// How much may still be checked.
pub(super) struct Budget {
    values: usize,
    depth: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { values: MAX_VALUES, depth: MAX_DEPTH }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fits {
    Yes,
    No,
    /// Its type is not defined yet.
    WhenDefined,
}

impl From<bool> for Fits {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// `lookup` returns a type, or whether it is one that is being read, instead of one that is not defined yet.
pub(super) fn fits<'t>(
    lookup: &impl Fn(TypeId) -> Result<&'t Type, bool>,
    id: TypeId,
    json: &Json,
    budget: &mut Budget,
) -> Result<Fits, Problem> {
    budget.values = budget.values.checked_sub(1).ok_or(Problem::LargeDefaults)?;
    budget.depth = budget.depth.checked_sub(1).ok_or(Problem::LargeDefaults)?;
    let fits = fits_type(lookup, id, json, budget)?;
    budget.depth += 1;
    Ok(fits)
}

fn fits_type<'t>(
    lookup: &impl Fn(TypeId) -> Result<&'t Type, bool>,
    id: TypeId,
    json: &Json,
    budget: &mut Budget,
) -> Result<Fits, Problem> {
    let of = match lookup(id) {
        Ok(of) => of,
        Err(false) if json.is_object() => return Ok(Fits::WhenDefined),
        Err(true) if json.is_object() => return Err(Problem::EndlessDefault),
        Err(_) => return Ok(Fits::No),
    };
    Ok(match of {
        Type::Null => json.is_null().into(),
        Type::Boolean => json.is_boolean().into(),
        Type::Int(_) => json.as_i64().is_some_and(|it| i32::try_from(it).is_ok()).into(),
        Type::Long(_) => json.as_i64().is_some().into(),
        Type::Float | Type::Double => json.is_number().into(),
        Type::Bytes(_) | Type::String(_) | Type::Enum(_) | Type::Fixed(_) => json.is_string().into(),
        Type::Array(items) => match json.as_array() {
            Some(values) => return all_fit(lookup, values.iter().map(|value| (*items, value)), budget),
            None => Fits::No,
        },
        Type::Map(items) => match json.as_object() {
            Some(values) => return all_fit(lookup, values.values().map(|value| (*items, value)), budget),
            None => Fits::No,
        },
        Type::Union(branches) => {
            for branch in branches {
                match fits(lookup, *branch, json, budget)? {
                    Fits::No => {}
                    found => return Ok(found),
                }
            }
            Fits::No
        }
        Type::Record(record) => {
            let Some(values) = json.as_object() else { return Ok(Fits::No) };
            let mut parts = Vec::with_capacity(record.fields.len());
            for field in &record.fields {
                match values.get(&field.name) {
                    Some(value) => parts.push((field.field_type, value)),
                    // That was checked where the field is defined.
                    None if field.default.is_some() => {}
                    None => return Ok(Fits::No),
                }
            }
            return all_fit(lookup, parts.into_iter(), budget);
        }
    })
}

fn all_fit<'t, 'j>(
    lookup: &impl Fn(TypeId) -> Result<&'t Type, bool>,
    parts: impl Iterator<Item = (TypeId, &'j Json)>,
    budget: &mut Budget,
) -> Result<Fits, Problem> {
    let mut result = Fits::Yes;
    for (id, value) in parts {
        match fits(lookup, id, value, budget)? {
            Fits::Yes => {}
            Fits::No => return Ok(Fits::No),
            Fits::WhenDefined => result = Fits::WhenDefined,
        }
    }
    Ok(result)
}
