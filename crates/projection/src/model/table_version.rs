//! What a table is, and whether it was changed.

use sqlx::PgConnection;

use crate::model::table::split;

/// A table's version, and what depends on its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableVersion {
    pub(crate) oid: i64,
    /// Another value: the table, a column or a trigger was changed.
    pub(crate) version: String,
    /// Whether a row has, after it was written, the values that were written: an ordinary table without triggers, rules
    /// and row security.
    pub(crate) is_plain: bool,
}
crate::from_row!(TableVersion { oid, version, is_plain });

impl TableVersion {
    /// `None` if the table does not exist.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        name: &'static str,
    ) -> Result<Option<Self>, sqlx::Error> {
        let (schema, table) = split(name);
        sqlx::query_as(
            "select c.oid::bigint as oid, aqueduct.table_version(c.oid) as version, \
                    c.relkind = 'r' and not c.relhasrules and not c.relrowsecurity \
                    and not exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal) \
                    and not exists (select from pg_inherits i where c.oid in (i.inhrelid, i.inhparent)) as is_plain \
               from pg_class c \
               join pg_namespace n on n.oid = c.relnamespace \
              where n.nspname = $1 and c.relname = $2",
        )
        .bind(schema)
        .bind(table)
        .fetch_optional(connection)
        .await
    }
}
