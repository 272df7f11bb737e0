//! A writer's schema with the names that a reader's aliases give to its types and fields.

use std::collections::{BTreeSet, HashMap};

use crate::equality::are_equal;
use crate::name::Name;
use crate::schema::{Field, Node, Record, Schema, Type};

/// Two parts of the writer's schema have one name after they were renamed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("by the aliases of the reader, {0} has {1:?} twice")]
pub(crate) struct Clash(String, String);

/// The writer's schema as the reader's aliases name it. They are applied twice, as in the reference, unless the schemas are the same.
pub(crate) fn apply(writer: &Schema, reader: &Schema) -> Result<Schema, Clash> {
    let mut renamed = writer.clone();
    let renames = Renames::of(reader);
    if renames.types.is_empty() && renames.fields.is_empty() {
        return Ok(renamed);
    }
    for _ in 0..2 {
        if !are_equal(&renamed, reader) {
            renamed = renames.apply(&renamed)?;
        }
    }
    Ok(renamed)
}

/// What a reader's aliases rename. Of two types or fields with one alias the last one has it.
#[derive(Debug, Default)]
struct Renames {
    /// Full names of types.
    types: HashMap<String, String>,
    /// Names of fields, by the full name of the reader's record.
    fields: HashMap<String, HashMap<String, String>>,
}

impl Renames {
    fn of(reader: &Schema) -> Self {
        let mut renames = Self::default();
        let (mut open, mut seen) = (vec![reader.root], BTreeSet::new());
        while let Some(id) = open.pop() {
            let of = reader.get(id);
            // Each time that the type comes, as in the reference: the last one counts.
            if let Some(name) = of.name() {
                let aliases = of.aliases().iter().map(|alias| (alias.clone(), name.full().to_owned()));
                renames.types.extend(aliases);
            }
            if seen.insert(id) {
                if let Type::Record(record) = of {
                    renames.add_fields(record);
                }
                open.extend(of.parts().into_iter().rev());
            }
        }
        renames
    }

    fn add_fields(&mut self, record: &Record) {
        let aliases = record
            .fields
            .iter()
            .flat_map(|field| field.aliases.iter().map(|alias| (alias.clone(), field.name.clone())));
        let aliases: Vec<_> = aliases.collect();
        if !aliases.is_empty() {
            self.fields.entry(record.name.full().to_owned()).or_default().extend(aliases);
        }
    }

    fn apply(&self, writer: &Schema) -> Result<Schema, Clash> {
        let nodes = writer.nodes.iter().map(|node| {
            let of = self.renamed(&node.of)?;
            Ok(Node { of, attributes: node.attributes.clone() })
        });
        let renamed = Schema { nodes: nodes.collect::<Result<_, _>>()?, root: writer.root };
        for node in &*renamed.nodes {
            if let Type::Union(branches) = &node.of {
                let names = branches.iter().map(|branch| renamed.get(*branch).branch_name());
                check_distinct("a union", names)?;
            }
        }
        Ok(renamed)
    }

    fn renamed(&self, of: &Type) -> Result<Type, Clash> {
        let mut of = of.clone();
        match &mut of {
            Type::Record(record) => {
                self.rename(&mut record.name);
                let Some(renames) = self.fields.get(record.name.full()) else { return Ok(of) };
                for Field { name, .. } in &mut record.fields {
                    if let Some(renamed) = renames.get(name) {
                        renamed.clone_into(name);
                    }
                }
                let names = record.fields.iter().map(|field| field.name.as_str());
                check_distinct(record.name.full(), names)?;
            }
            Type::Enum(it) => self.rename(&mut it.name),
            Type::Fixed(it) => self.rename(&mut it.name),
            _ => {}
        }
        Ok(of)
    }

    fn rename(&self, name: &mut Name) {
        if let Some(renamed) = self.types.get(name.full()) {
            *name = Name::from_full(renamed);
        }
    }
}

fn check_distinct<'n>(of: &str, names: impl Iterator<Item = &'n str>) -> Result<(), Clash> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Clash(of.to_owned(), name.to_owned()));
        }
    }
    Ok(())
}
