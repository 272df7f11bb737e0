//! One version's part of what is decided for all versions.
//!
//! The type of each path is decided once, from the events of all versions, so that every version resolves to the
//! next. A version has the fields that were met in it or before; a field is required only if every event up to that
//! version has it.

use std::borrow::Cow;

use super::objects::field_node;
use crate::infer::draft::{DraftField, DraftRecord, DraftType, Slot};
use crate::infer::evidence::Node;

/// The evidence up to a version, followed by that up to each later version. A path that was not met yet has the form
/// in which it will be met first.
type Met<'m> = Vec<Cow<'m, Node>>;

/// The record of the version to which the first of `met` belongs.
pub(super) fn project(record: &DraftRecord, met: &[&Node]) -> DraftRecord {
    project_record(record, &met.iter().map(|node| Cow::Borrowed(*node)).collect())
}

fn project_record(record: &DraftRecord, met: &Met<'_>) -> DraftRecord {
    let Some(first) = met.iter().position(|node| node.objects.is_some()) else { return record.clone() };
    let met = &met[first..];
    let Some(objects) = &met[0].objects else { return record.clone() };
    let mut fields = Vec::new();
    for field in &record.fields {
        let Some(node) = field_node(objects, &field.stored) else { continue };
        let required = node.values >= objects.seen.count && node.nulls.values == 0;
        let later = met[1..].iter().filter_map(|node| field_node(node.objects.as_ref()?, &field.stored));
        let below: Met<'_> = std::iter::once(node).chain(later).map(Cow::Owned).collect();
        fields.push(DraftField {
            name: field.name.clone(),
            stored: field.stored.clone(),
            slot: Slot { nullable: !required, of: project_type(&field.slot.of, &below) },
        });
    }
    DraftRecord { name: record.name.clone(), fields }
}

fn project_type(of: &DraftType, met: &Met<'_>) -> DraftType {
    let slot = |slot: &Slot, met: &Met<'_>| {
        Box::new(Slot { nullable: slot.nullable, of: project_type(&slot.of, met) })
    };
    match of {
        DraftType::Record(record) => DraftType::Record(project_record(record, met)),
        DraftType::Array(items) => {
            let below = met.iter().filter_map(|node| node.arrays.items.as_deref().map(Cow::Borrowed));
            DraftType::Array(slot(items, &below.collect()))
        }
        DraftType::Map(values) => {
            let below = met.iter().filter_map(|node| Some(Cow::Owned(node.objects.as_ref()?.values())));
            DraftType::Map(slot(values, &below.collect()))
        }
        DraftType::Union(kinds) => {
            DraftType::Union(kinds.iter().map(|kind| project_type(kind, met)).collect())
        }
        _ => of.clone(),
    }
}
