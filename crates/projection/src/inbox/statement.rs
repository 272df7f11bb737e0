//! The single statement that writes a batch.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{AssertSqlSafe, Postgres};

use crate::inbox::GENERATION;
use crate::inbox::chain::{Chain, Link};
use crate::inbox::ownership::NextOffset;
use crate::postgres::text_array::TextArray;

/// Number of the first parameter after those of the inbox.
pub(crate) const FIRST_PARAMETER: usize = 16;

/// The statement that moves the offsets and the inbox and writes a table. It is a transaction of its own: everything is
/// written or nothing. Returns the transaction's id, the `xmin` of the rows that it has written.
///
/// `table` are further parts of the `with` clause, each after a comma. They read `fence`, so that they lock their rows after
/// the partitions: Postgres runs the parts in no fixed order. `is_complete` is a condition that holds if they wrote what they
/// had to.
pub(crate) fn statement(table: &str, is_complete: &str) -> Arc<str> {
    format!(
        "with fence as materialized ( \
             select aqueduct.batch_fence($1, $2, $3, $4, $5, $6) as is_held \
         ), moved as ( \
             update aqueduct.inbox_streams t \
                set revision = r.revision, event_id = r.event_id, event_revision = r.revision \
               from fence, unnest($7::integer[], $8::text[], $9::bigint[], $10::bigint[], $11::text[]) \
                           as r (inbox, stream, expected, revision, event_id) \
              where fence.is_held and t.inbox = r.inbox and t.stream = r.stream collate \"C\" \
                and t.revision = r.expected and not t.blocked \
             returning 1 \
         ), begun as ( \
             insert into aqueduct.inbox_streams (inbox, stream, revision, blocked, event_id, event_revision) \
             select r.inbox, r.stream, r.revision, false, r.event_id, r.revision \
               from fence, unnest($12::integer[], $13::text[], $14::bigint[], $15::text[]) \
                           as r (inbox, stream, revision, event_id) \
              where fence.is_held \
                 on conflict do nothing \
             returning 1 \
         ){table} \
         select pg_current_xact_id()::xid::text \
          where aqueduct.batch_check( \
                    (select count(*) from moved) = cardinality($8::text[]) \
                    and (select count(*) from begun) = cardinality($13::text[]) and {is_complete})"
    )
    .into()
}

/// The statement with the parameters of the inbox.
pub(crate) fn bind<'q>(
    statement: Arc<str>,
    projection: &'static str,
    offsets: &'q [NextOffset],
    chain: &'q Chain<'_>,
) -> QueryScalar<'q, Postgres, String, PgArguments> {
    let partitions = || offsets.iter().map(|next| &next.partition);
    let Chain { known, new } = chain;
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(projection)
        .bind(GENERATION)
        .bind(partitions().map(|owned| &*owned.topic).collect::<Vec<_>>())
        .bind(partitions().map(|owned| owned.partition).collect::<Vec<_>>())
        .bind(partitions().map(|owned| owned.epoch).collect::<Vec<_>>())
        .bind(offsets.iter().map(|next| next.next_offset).collect::<Vec<_>>())
        .bind(inboxes(known))
        .bind(streams(known))
        .bind(known.iter().map(|link| link.expected).collect::<Vec<_>>())
        .bind(revisions(known))
        .bind(event_ids(known))
        .bind(inboxes(new))
        .bind(streams(new))
        .bind(revisions(new))
        .bind(event_ids(new))
}

fn inboxes(links: &[Link<'_>]) -> Vec<i32> {
    links.iter().map(|link| link.inbox).collect()
}

fn streams(links: &[Link<'_>]) -> TextArray {
    let mut streams = TextArray::default();
    links.iter().for_each(|link| streams.push(Some(link.stream)));
    streams
}

fn event_ids(links: &[Link<'_>]) -> TextArray {
    let mut ids = TextArray::default();
    links.iter().for_each(|link| ids.push(link.event_id));
    ids
}

fn revisions(links: &[Link<'_>]) -> Vec<i64> {
    links.iter().map(|link| link.revision).collect()
}
