//! What the catalog says of the tables that a statement writes.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use crate::sql::plan::Target;

/// The tables that a statement writes: its target with its partitions, and those that foreign keys change with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) oid: i64,
    /// As `schema.table`.
    pub(crate) tables: BTreeSet<String>,
    /// Whether a row is written as the statement says, and nothing else happens with it: no trigger sees rows, there is
    /// no row security, and none of the functions reads tables that the statement may write.
    pub(crate) is_predictable: bool,
    /// Whether the target is an ordinary table without rules, partitions, parents and children.
    pub(crate) is_plain: bool,
    /// Another value: a unique index of the target was changed.
    pub(crate) unique_indexes: Option<String>,
}

/// The value of [`Written::unique_indexes`], as an expression.
pub(crate) fn unique_indexes(table: &str) -> String {
    format!(
        "(select pg_catalog.string_agg(pg_catalog.concat(i.indexrelid, ':', i.xmin), ' ' order by i.indexrelid) \
            from pg_catalog.pg_index i where i.indrelid = {table} and i.indisunique)"
    )
}

/// A function that is neither immutable nor one of Postgres's own that reads no table and no state of the session. Postgres
/// declares every aggregate immutable. Its own functions have numbers below 16384.
const UNPREDICTABLE_FUNCTION: &str = "
    select from pg_proc p
     where p.proname = any($3) and (
           p.provolatile <> 'i'
           and not (p.oid < 16384 and (p.provolatile = 's' and p.proname !~ '_to_xml'
                                        or p.proname in ('random', 'gen_random_uuid', 'clock_timestamp', 'nextval')))
        or p.prokind = 'a' and p.oid >= 16384)";

/// A plan does not name the functions of operators and casts. Those that extensions write in C (13) read no table.
const UNPREDICTABLE_OPERATOR: &str = "
    select from pg_proc p
     where p.provolatile <> 'i' and p.oid >= 16384 and p.prolang <> 13
       and (exists (select from pg_operator o where o.oprcode = p.oid)
            or exists (select from pg_cast c where c.castfunc = p.oid))";

/// As it is read.
struct Row {
    oid: i64,
    tables: Vec<String>,
    is_predictable: bool,
    is_plain: bool,
    unique_indexes: Option<String>,
}
crate::from_row!(Row { oid, tables, is_predictable, is_plain, unique_indexes });

impl Written {
    /// `None` if the table does not exist. `functions` are the names of those that the statement may call.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        target: &Target<'_>,
        functions: BTreeSet<String>,
    ) -> Result<Option<Self>, sqlx::Error> {
        let unique_indexes = unique_indexes("t.oid");
        let sql = format!(
            "with recursive target as (
                select c.* from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = $1 and c.relname = $2),
             written (oid) as (
                select t.oid from target t
                 union
                select next.oid from written w cross join lateral (
                    select k.conrelid as oid from pg_constraint k
                     where k.contype = 'f' and k.confrelid = w.oid
                       and (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd'))
                     union all
                    select i.inhrelid from pg_inherits i where i.inhparent = w.oid) as next),
             tables as (
                select c.oid, n.nspname || '.' || c.relname as name, c.relkind, c.relrowsecurity
                  from written w join pg_class c on c.oid = w.oid join pg_namespace n on n.oid = c.relnamespace)
             select t.oid::bigint as oid,
                    array(select name from tables) as tables,
                    not exists (select from tables s where s.relrowsecurity or s.relkind not in ('r', 'p'))
                    and not exists (select from pg_trigger g join tables s on s.oid = g.tgrelid
                                     where not g.tgisinternal
                                       and (g.tgtype & 1 = 1 or g.tgoldtable is not null or g.tgnewtable is not null))
                    and not exists ({UNPREDICTABLE_FUNCTION})
                    and not exists ({UNPREDICTABLE_OPERATOR}) as is_predictable,
                    t.relkind = 'r' and not t.relhasrules
                    and not exists (select from pg_inherits i where t.oid in (i.inhrelid, i.inhparent)) as is_plain,
                    {unique_indexes} as unique_indexes
               from target t"
        );
        let functions: Vec<String> = functions.into_iter().collect();
        let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(target.schema)
            .bind(target.table)
            .bind(functions)
            .fetch_optional(connection)
            .await?;
        Ok(row.map(|Row { oid, tables, is_predictable, is_plain, unique_indexes }| Self {
            oid,
            tables: tables.into_iter().collect(),
            is_predictable,
            is_plain,
            unique_indexes,
        }))
    }
}
