//! Connects names with the types that were defined after them.

use std::collections::BTreeSet;

use serde_json::Map;

use crate::parse::fits::{Fits, fits};
use crate::parse::parser::{Parser, Postponed, Slot, Unresolved};
use crate::parse::{MAX_DEPTH, ParseError, Problem};
use crate::schema::{Node, Schema, Type, TypeId};

impl Parser<'_> {
    /// Finds the types that were named before they were defined, and checks what needs them.
    pub(super) fn link(self, root: TypeId) -> Result<Schema, ParseError> {
        let Self { nodes, named, unresolved, unions, postponed, mut budget, .. } = self;
        let mut targets: Vec<_> = (0..nodes.len()).map(|index| TypeId(index as u32)).collect();
        for Unresolved { id, name, pointer } in unresolved {
            match named.get(&name) {
                Some(named) => targets[id.index()] = named.id,
                None => return Err(ParseError { pointer, problem: Problem::Unknown(name) }),
            }
        }
        let mut nodes: Vec<_> = nodes
            .into_iter()
            .map(|slot| match slot {
                Slot::Known(node) => node,
                // Nothing names it now.
                Slot::Open => Node { of: Type::Null, attributes: Map::new() },
            })
            .collect();
        nodes.iter_mut().for_each(|node| connect(&mut node.of, &targets));
        for (id, pointer) in unions {
            if let Some(name) = duplicate_branch(&nodes, id) {
                return Err(ParseError { pointer, problem: Problem::DuplicateBranch(name.to_owned()) });
            }
        }
        for Postponed { field_type, default, pointer } in postponed {
            let id = targets[field_type.index()];
            let lookup = |id: TypeId| Ok(&nodes[id.index()].of);
            match fits(&lookup, id, default, &mut budget) {
                Ok(Fits::Yes) => {}
                Ok(_) => {
                    let problem = Problem::Default(nodes[id.index()].of.branch_name().to_owned());
                    return Err(ParseError { pointer, problem });
                }
                Err(problem) => return Err(ParseError { pointer, problem }),
            }
        }
        let schema = Schema { nodes: nodes.into(), root: targets[root.index()] };
        if is_deeper(&schema, MAX_DEPTH) {
            return Err(ParseError { pointer: String::new(), problem: Problem::TooDeep });
        }
        Ok(schema)
    }
}

fn connect(of: &mut Type, targets: &[TypeId]) {
    let parts = match of {
        Type::Array(items) | Type::Map(items) => std::slice::from_mut(items),
        Type::Union(branches) => branches,
        Type::Record(record) => {
            record.fields.iter_mut().for_each(|field| field.field_type = targets[field.field_type.index()]);
            return;
        }
        _ => return,
    };
    parts.iter_mut().for_each(|part| *part = targets[part.index()]);
}

/// A union has each named type, and each kind of the others, once.
fn duplicate_branch(nodes: &[Node], union: TypeId) -> Option<&str> {
    let Type::Union(branches) = &nodes[union.index()].of else { return None };
    let mut names = BTreeSet::new();
    branches.iter().map(|branch| nodes[branch.index()].of.branch_name()).find(|name| !names.insert(*name))
}

/// Whether there is a longer chain of types on the way to types that were not met before.
fn is_deeper(schema: &Schema, depth: usize) -> bool {
    let mut seen = BTreeSet::from([schema.root]);
    let mut chain = vec![schema.get(schema.root).parts().into_iter()];
    while let Some(parts) = chain.last_mut() {
        match parts.next() {
            Some(part) if seen.insert(part) => chain.push(schema.get(part).parts().into_iter()),
            Some(_) => {}
            None => drop(chain.pop()),
        }
        if chain.len() > depth {
            return true;
        }
    }
    false
}
