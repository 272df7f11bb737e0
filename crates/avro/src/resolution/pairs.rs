//! Which types of the reader the types of the writer are read as.

use std::collections::HashSet;

use crate::resolution::{Action, FieldStep, Resolution};
use crate::schema::{Schema, Type, TypeId};

/// A type of the writer, and the type of the reader that its values become. Neither is a union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// In the writer's schema.
    pub writer: TypeId,
    /// In the reader's schema.
    pub reader: TypeId,
    /// The innermost field that it is a value or a part of: the reader's record, and the field's position in it.
    pub field: Option<(TypeId, usize)>,
}

impl Resolution {
    /// The pairs of types, for whoever judges what Avro does not compare: logical types, for example. `reader` is the schema that
    /// the plan was made for. Types that are not read, or that cannot be, are left out.
    pub fn pairs(&self, reader: &Schema) -> Vec<Pair> {
        let mut pairs = Vec::new();
        let mut seen = HashSet::new();
        let root = Pair { writer: self.writer.root, reader: reader.root, field: None };
        let mut open = vec![(self.root, root)];
        while let Some((action, pair)) = open.pop() {
            if !seen.insert((action, pair.writer, pair.reader)) {
                continue;
            }
            let (written, read) = (self.writer.get(pair.writer), reader.get(pair.reader));
            match (&self.actions[action.0], written, read) {
                (Action::Branches(actions), Type::Union(branches), _) => {
                    let branches = actions.iter().zip(branches);
                    open.extend(branches.map(|(action, branch)| (*action, Pair { writer: *branch, ..pair })));
                    continue;
                }
                (Action::IntoBranch(index, action), _, Type::Union(branches)) => {
                    open.push((*action, Pair { reader: branches[*index], ..pair }));
                    continue;
                }
                (Action::Array(action), Type::Array(writer), Type::Array(reader))
                | (Action::Map(action), Type::Map(writer), Type::Map(reader)) => {
                    open.push((*action, Pair { writer: *writer, reader: *reader, ..pair }));
                }
                (Action::Record(plan), Type::Record(written), Type::Record(read)) => {
                    for (step, field) in plan.steps.iter().zip(&written.fields) {
                        let FieldStep::Read(position, action) = step else { continue };
                        let reader = read.fields[*position].field_type;
                        let field_of = Some((pair.reader, *position));
                        open.push((*action, Pair { writer: field.field_type, reader, field: field_of }));
                    }
                }
                (Action::Fail(_), ..) => continue,
                _ => {}
            }
            pairs.push(pair);
        }
        pairs
    }
}
