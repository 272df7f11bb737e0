//! The least that could do a projection's work in Postgres: three statements a batch.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgPool, Postgres};

use super::read_models::{Column, ReadModel};

/// What the dedup, the offsets and the rows of a batch are, all of it computed beforehand.
pub(super) struct Batch {
    /// Stream and revision of each record.
    pub(super) streams: Vec<String>,
    pub(super) revisions: Vec<i64>,
    /// The next offset of each partition.
    pub(super) partitions: Vec<i32>,
    pub(super) next_offsets: Vec<i64>,
    /// The rows, a column each.
    pub(super) rows: Vec<Column>,
}

const TABLES: &str = "
    create schema bare;
    create table bare.inbox (stream text collate \"C\" primary key, revision bigint not null)
        with (fillfactor = 80);
    create table bare.offsets (partition integer primary key, next_offset bigint not null)
        with (fillfactor = 50);
    insert into bare.offsets select partition, 0 from generate_series(0, 3) as partition;";

const DEDUP: &str = "
    insert into bare.inbox as t (stream, revision)
    select stream, max(revision) from unnest($1::text[], $2::bigint[]) as r (stream, revision)
     group by stream order by stream
        on conflict (stream) do update set revision = excluded.revision where t.revision < excluded.revision";

const OFFSETS: &str = "
    update bare.offsets o set next_offset = p.next_offset
      from unnest($1::integer[], $2::bigint[]) as p (partition, next_offset)
     where o.partition = p.partition";

/// Makes the tables.
pub(super) async fn create(pool: &PgPool, model: &ReadModel) -> sqlx::Result<()> {
    sqlx::raw_sql(TABLES).execute(pool).await?;
    sqlx::raw_sql(model.table).execute(pool).await?;
    Ok(())
}

/// Takes the batches through, one transaction each.
pub(super) async fn run(pool: &PgPool, model: &ReadModel, batches: &[Batch]) -> sqlx::Result<()> {
    for Batch { streams, revisions, partitions, next_offsets, rows } in batches {
        let mut transaction = pool.begin().await?;
        sqlx::query(DEDUP).bind(streams).bind(revisions).execute(&mut *transaction).await?;
        rows.iter().fold(sqlx::query(model.upsert), bind).execute(&mut *transaction).await?;
        sqlx::query(OFFSETS).bind(partitions).bind(next_offsets).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

fn bind<'q>(query: Query<'q, Postgres, PgArguments>, column: &'q Column) -> Query<'q, Postgres, PgArguments> {
    match column {
        Column::Text(values) => query.bind(values),
        Column::Number(values) => query.bind(values),
    }
}
