//! Rows of the inbox and of the read models.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use crate::inbox::{Inbox, InboxOffset, InboxStream, ParkedEvent};
use crate::table::{Cells, Table};

/// Postgres cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("postgres: {what} cannot be read; is it running, reachable and migrated?")]
pub struct DatabaseError {
    what: String,
    source: sqlx::Error,
}

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer may take; the server itself ends the statement before.
const STATEMENT: Duration = Duration::from_secs(330);

/// A checker that is frozen or cut off must not hold back vacuum or a migration: the server ends its session.
const SESSION: [(&str, &str); 7] = [
    ("statement_timeout", "5min"),
    ("lock_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("application_name", "aqueduct-verify"),
];

/// A connection that only reads, and sees one state of the database.
pub(crate) struct Database(PgConnection);

impl Database {
    pub(crate) async fn connect(url: &str) -> Result<Self, DatabaseError> {
        let failed = |source| DatabaseError { what: "the database".to_owned(), source };
        let options: sqlx::postgres::PgConnectOptions = url.parse().map_err(failed)?;
        let options = options.options(SESSION).disable_statement_logging();
        let connection = tokio::time::timeout(PATIENCE, options.connect()).await;
        let mut connection = connection.unwrap_or_else(|_| Err(silent())).map_err(failed)?;
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
            "select i.projection, i.source, i.topic, i.stream, i.revision from aqueduct.inbox i \
             where i.generation = (select max(g.generation) from aqueduct.inboxes g \
                                   where g.projection = i.projection)",
            |row| {
                Ok(InboxStream {
                    projection: row.try_get(0)?,
                    source: row.try_get(1)?,
                    topic: row.try_get(2)?,
                    stream: row.try_get(3)?,
                    revision: row.try_get(4)?,
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
            "select p.projection, p.source, p.topic, p.stream, p.revision, p.state = 'discarded', \
                    p.verdict || ': ' || p.reason \
             from aqueduct.parked p \
             where p.generation = (select max(g.generation) from aqueduct.inboxes g \
                                   where g.projection = p.projection) \
             order by p.id",
            |row| {
                Ok(ParkedEvent {
                    projection: row.try_get(0)?,
                    source: row.try_get(1)?,
                    topic: row.try_get(2)?,
                    stream: row.try_get(3)?,
                    revision: row.try_get(4)?,
                    is_discarded: row.try_get(5)?,
                    reason: row.try_get(6)?,
                })
            },
        );
        let parked = parked.await?;
        Ok(Inbox { streams, offsets, parked })
    }

    /// By projection, which of these topics it has read.
    pub(crate) async fn projections(
        &mut self,
        topics: impl IntoIterator<Item = &String>,
    ) -> Result<BTreeMap<String, Vec<String>>, DatabaseError> {
        let what = "aqueduct.offsets";
        // A database whose tables were never created has no projections.
        let is_there: Vec<bool> = self
            .rows("the database", "select to_regclass('aqueduct.offsets') is not null", |row| row.try_get(0))
            .await?;
        let mut projections = BTreeMap::new();
        if is_there != [true] {
            return Ok(projections);
        }
        let rows = self.rows(what, "select distinct projection, topic from aqueduct.offsets", |row| {
            Ok((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?))
        });
        let topics: Vec<&String> = topics.into_iter().collect();
        for (projection, topic) in rows.await?.into_iter().filter(|(_, topic)| topics.contains(&topic)) {
            projections.entry(projection).or_insert_with(Vec::new).push(topic);
        }
        Ok(projections)
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
        let rows = tokio::time::timeout(STATEMENT, sqlx::query(query).fetch_all(&mut self.0)).await;
        let rows = rows.unwrap_or_else(|_| Err(silent())).map_err(failed)?;
        rows.iter().map(&read).collect::<Result<_, _>>().map_err(failed)
    }
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server did not answer in time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_is_not_there_is_reported() {
        let error = Database::connect("postgres://127.0.0.1:9/x").await.err().expect("nothing is there");
        assert!(error.to_string().starts_with("postgres: the database cannot be read"), "{error}");
    }
}
