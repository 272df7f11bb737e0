//! The least that could do a projection's work in Postgres: three statements a batch.

use bytes::Bytes;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgPool, Postgres};

use super::read_models::{Column, ReadModel};

/// What the dedup, the offsets and the rows of a batch are.
pub(super) struct Batch {
    /// Stream and revision of each record.
    pub(super) streams: Vec<String>,
    pub(super) revisions: Vec<i64>,
    /// The next offset of each partition.
    pub(super) partitions: Vec<i32>,
    pub(super) next_offsets: Vec<i64>,
    /// The rows, a column each, for the side that does not decode.
    pub(super) rows: Vec<Column>,
    /// The records' values, for the side that does.
    pub(super) payloads: Vec<Bytes>,
}

const TABLES: &str = "
    create table inbox (stream text collate \"C\" primary key, revision bigint not null)
        with (fillfactor = 80);
    create table offsets (partition integer primary key, next_offset bigint not null)
        with (fillfactor = 50);
    insert into offsets select partition, 0 from generate_series(0, 3) as partition;";

const DEDUP: &str = "
    insert into inbox as t (stream, revision)
    select stream, max(revision) from unnest($1::text[], $2::bigint[]) as r (stream, revision)
     group by stream order by stream
        on conflict (stream) do update set revision = excluded.revision where t.revision < excluded.revision";

const OFFSETS: &str = "
    update offsets o set next_offset = p.next_offset
      from unnest($1::integer[], $2::bigint[]) as p (partition, next_offset)
     where o.partition = p.partition";

/// A baseline's own tables, in a schema of its own next to the product's.
pub(super) struct BareSql {
    pool: PgPool,
}

impl BareSql {
    /// Makes the tables in the database of the product's.
    pub(super) async fn create(database: &str, schema: &str, model: &ReadModel) -> sqlx::Result<Self> {
        // The statements name no schema: each baseline has the same ones.
        let options: PgConnectOptions = database.parse()?;
        let options = options.options([("search_path", schema)]);
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("create schema {schema}"))).execute(&pool).await?;
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        sqlx::raw_sql(model.table).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Writes a batch with these rows in one transaction.
    pub(super) async fn write(&self, model: &ReadModel, batch: &Batch, rows: &[Column]) -> sqlx::Result<()> {
        let Batch { streams, revisions, partitions, next_offsets, .. } = batch;
        let mut transaction = self.pool.begin().await?;
        sqlx::query(DEDUP).bind(streams).bind(revisions).execute(&mut *transaction).await?;
        rows.iter().fold(sqlx::query(model.upsert), bind).execute(&mut *transaction).await?;
        sqlx::query(OFFSETS).bind(partitions).bind(next_offsets).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Counts the rows in which the table differs from the product's, and disconnects.
    pub(super) async fn differences(self, model: &ReadModel) -> sqlx::Result<i64> {
        let differences = sqlx::query_scalar(model.differences).fetch_one(&self.pool).await?;
        self.pool.close().await;
        Ok(differences)
    }
}

fn bind<'q>(query: Query<'q, Postgres, PgArguments>, column: &'q Column) -> Query<'q, Postgres, PgArguments> {
    match column {
        Column::Text(values) => query.bind(values),
        Column::Number(values) => query.bind(values),
    }
}
