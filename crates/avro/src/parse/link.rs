//! Connects names with the types that were defined after them.

use std::collections::BTreeSet;

use crate::parse::parser::{Parser, Slot, Unresolved};
use crate::parse::{ParseError, Problem};
use crate::schema::{Schema, Type, TypeId};

impl Parser<'_> {
    /// Finds the types that were named before they were defined.
    pub(super) fn link(self, root: TypeId) -> Result<Schema, ParseError> {
        let mut targets: Vec<_> = (0..self.types.len()).map(|index| TypeId(index as u32)).collect();
        for Unresolved { id, name, pointer } in self.unresolved {
            match self.named.get(&name) {
                Some(named) => targets[id.index()] = named.id,
                None => return Err(ParseError { pointer, problem: Problem::Unknown(name) }),
            }
        }
        let mut types: Vec<_> = self
            .types
            .into_iter()
            .map(|slot| match slot {
                Slot::Type(known) => known,
                // Nothing names it any more.
                Slot::Open => Type::Null,
            })
            .collect();
        for each in &mut types {
            let children = match each {
                Type::Array(items) | Type::Map(items) => std::slice::from_mut(items),
                Type::Union(branches) => branches,
                Type::Record(record) => {
                    record
                        .fields
                        .iter_mut()
                        .for_each(|field| field.field_type = targets[field.field_type.index()]);
                    continue;
                }
                _ => continue,
            };
            children.iter_mut().for_each(|child| *child = targets[child.index()]);
        }
        for (id, pointer) in self.unions {
            if let Some(name) = duplicate_branch(&types, id) {
                return Err(ParseError { pointer, problem: Problem::DuplicateBranch(name.to_owned()) });
            }
        }
        Ok(Schema { types: types.into(), root: targets[root.index()] })
    }
}

/// A union has each named type, and each kind of the others, once.
fn duplicate_branch(types: &[Type], union: TypeId) -> Option<&str> {
    let Type::Union(branches) = &types[union.index()] else { return None };
    let mut names = BTreeSet::new();
    branches.iter().map(|branch| types[branch.index()].branch_name()).find(|name| !names.insert(*name))
}
