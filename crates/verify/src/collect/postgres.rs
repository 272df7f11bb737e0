//! Rows of the inbox and of the read models.

use sqlx::postgres::PgRow;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use crate::inbox::{Inbox, InboxOffset, InboxStream, ParkedEvent};
use crate::table::{Cells, Table};

/// Postgres can't be read.
#[derive(Debug, thiserror::Error)]
#[error("postgres: {what} can't be read; is it running, reachable and migrated?")]
pub struct DatabaseError {
    what: String,
    source: sqlx::Error,
}

/// A connection that only reads, and sees one state of the database.
pub(crate) struct Database(PgConnection);

impl Database {
    pub(crate) async fn connect(url: &str) -> Result<Self, DatabaseError> {
        let failed = |source| DatabaseError { what: "the database".to_owned(), source };
        let options: sqlx::postgres::PgConnectOptions = url.parse().map_err(failed)?;
        let mut connection = options.disable_statement_logging().connect().await.map_err(failed)?;
        sqlx::raw_sql("begin isolation level repeatable read read only")
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        Ok(Self(connection))
    }

    /// The newest generation of each projection.
    pub(crate) async fn inbox(&mut self) -> Result<Inbox, DatabaseError> {
        let streams = self.rows(
            "aqueduct.inbox",
            "select i.projection, i.topic, i.stream, i.revision from aqueduct.inbox i \
             where i.generation = (select max(g.generation) from aqueduct.inboxes g \
                                   where g.projection = i.projection)",
            |row| {
                Ok(InboxStream {
                    projection: row.try_get(0)?,
                    topic: row.try_get(1)?,
                    stream: row.try_get(2)?,
                    revision: row.try_get(3)?,
                })
            },
        );
        let streams = streams.await?;
        let offsets = self.rows(
            "aqueduct.offsets",
            "select o.projection, o.topic, o.partition, o.next_offset from aqueduct.offsets o \
             where o.generation = (select max(g.generation) from aqueduct.offsets g \
                                   where g.projection = o.projection)",
            |row| {
                Ok(InboxOffset {
                    projection: row.try_get(0)?,
                    topic: row.try_get(1)?,
                    partition: row.try_get(2)?,
                    next: row.try_get(3)?,
                })
            },
        );
        let offsets = offsets.await?;
        let parked = self.rows(
            "aqueduct.parked",
            "select projection, stream, revision, verdict || ': ' || reason from aqueduct.parked order by id",
            |row| {
                Ok(ParkedEvent {
                    projection: row.try_get(0)?,
                    stream: row.try_get(1)?,
                    revision: row.try_get(2)?,
                    reason: row.try_get(3)?,
                })
            },
        );
        let parked = parked.await?;
        Ok(Inbox { streams, offsets, parked })
    }

    /// The rows of a read model as text.
    pub(crate) async fn table(&mut self, table: &Table) -> Result<Vec<Cells>, DatabaseError> {
        self.rows(table.name, table.query, |row| (0..row.len()).map(|column| row.try_get(column)).collect())
            .await
    }

    /// Ends the transaction and the connection.
    pub(crate) async fn close(self) -> Result<(), DatabaseError> {
        self.0.close().await.map_err(|source| DatabaseError { what: "the database".to_owned(), source })
    }

    async fn rows<T>(
        &mut self,
        what: &str,
        query: &'static str,
        read: impl Fn(&PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, DatabaseError> {
        let failed = |source| DatabaseError { what: what.to_owned(), source };
        let rows = sqlx::query(query).fetch_all(&mut self.0).await.map_err(failed)?;
        rows.iter().map(&read).collect::<Result<_, _>>().map_err(failed)
    }
}
