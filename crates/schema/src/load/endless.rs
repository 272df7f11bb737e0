//! Types without a value: records that contain themselves, and not only in a list, a map, or next to null.

use crate::layout::invalid::InvalidSchema;
use crate::layout::shape::Shape;
use crate::layout::types::Layout;

/// Refuses a record whose values would have no end.
pub(crate) fn check(layout: &Layout) -> Result<(), InvalidSchema> {
    let mut ends = vec![false; layout.records.len()];
    let mut is_changed = true;
    while is_changed {
        is_changed = false;
        // A record comes after the one that it is in, so that one pass is mostly enough.
        for (index, record) in layout.records.iter().enumerate().rev() {
            if !ends[index] && record.fields.iter().all(|field| has_end(&field.shape, &ends)) {
                ends[index] = true;
                is_changed = true;
            }
        }
    }
    let Some(index) = ends.iter().position(|ends| !ends) else { return Ok(()) };
    let record = &layout.records[index];
    let field = record.fields.iter().find(|field| !has_end(&field.shape, &ends));
    let field = field.map_or("", |field| &field.name);
    Err(InvalidSchema::new(
        &format!("field {field} of {}", record.name.full),
        "no value of its type has an end, because it contains its own type again: make it a union with null, or a list",
    ))
}

fn has_end(shape: &Shape, ends: &[bool]) -> bool {
    match shape {
        Shape::Record(index) => ends[*index],
        Shape::Union(union) => union.branches.iter().any(|branch| has_end(branch, ends)),
        _ => true,
    }
}
