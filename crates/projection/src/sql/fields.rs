//! The fields of `data` that statements read. The others are neither decoded nor sent.

mod seed;
mod uses;

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::sql::fields::uses::uses;

/// The fields of `data` that statements read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fields {
    /// It is not known which.
    All,
    /// Only these.
    Named(BTreeMap<String, Part>),
}

/// What is read of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The number of its elements, if it is an array.
    Length,
    Whole,
}

/// Whether what a statement calls `->`, `->>` and `jsonb_array_length` is what Postgres has under these names. Its own
/// operators and functions have numbers below 16384.
const HAVE_THEIR_MEANING: &str = "
    select not exists (select from pg_catalog.pg_operator o
                        where o.oprname in ('->', '->>') and o.oid >= 16384
                          and o.oprleft = 'pg_catalog.jsonb'::pg_catalog.regtype)
       and not exists (select from pg_catalog.pg_proc p where p.proname = 'jsonb_array_length' and p.oid >= 16384)";

impl Fields {
    /// The fields that a statement reads in the database of a connection.
    pub(crate) async fn read_by(sql: &str, connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let Some(uses) = uses(sql) else { return Ok(Self::All) };
        let is_known: bool = sqlx::query_scalar(HAVE_THEIR_MEANING).fetch_one(connection).await?;
        Ok(if is_known { Self::Named(uses) } else { Self::All })
    }

    /// The fields that one of several statements reads.
    pub(crate) fn union<'f>(of_statements: impl IntoIterator<Item = &'f Self>) -> Self {
        let mut union = BTreeMap::new();
        for fields in of_statements {
            let Self::Named(named) = fields else { return Self::All };
            for (name, part) in named {
                let known = union.entry(name.clone()).or_insert(*part);
                *known = (*known).max(*part);
            }
        }
        Self::Named(union)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(fields: &[(&str, Part)]) -> Fields {
        Fields::Named(fields.iter().map(|(name, part)| ((*name).to_owned(), *part)).collect())
    }

    #[test]
    fn a_union_has_as_much_of_a_field_as_any() {
        let length = named(&[("a", Part::Length), ("b", Part::Length)]);
        let whole = named(&[("b", Part::Whole), ("c", Part::Whole)]);
        let both = named(&[("a", Part::Length), ("b", Part::Whole), ("c", Part::Whole)]);
        assert_eq!(Fields::union([&length, &whole]), both);
        assert_eq!(Fields::union([&whole, &length]), both);
        assert_eq!(Fields::union([&whole, &Fields::All]), Fields::All);
        assert_eq!(Fields::union([]), named(&[]));
    }
}
