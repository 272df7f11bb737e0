//! The part of a transaction in which the statements of a projection run.

use std::sync::LazyLock;

use sqlx::{Executor as _, PgConnection};

use crate::postgres::options::PLANNER_SETTINGS;

const SAVEPOINT: &str = "savepoint aqueduct_step";
const RELEASE: &str = "release savepoint aqueduct_step";
const ROLLBACK: &str = "rollback to savepoint aqueduct_step";

/// The values of the role, the database or the server.
static THEIR_SETTINGS: LazyLock<String> = LazyLock::new(|| {
    PLANNER_SETTINGS.iter().map(|(name, _)| format!("set local {name} to default; ")).collect()
});

static OUR_SETTINGS: LazyLock<String> = LazyLock::new(|| {
    PLANNER_SETTINGS.iter().map(|(name, value)| format!("set local {name} = {value}; ")).collect()
});

/// Sets the planner as the statements of users expect it, and the savepoints between them. What follows one another without
/// a statement in between is sent at once.
pub(crate) struct StatementsPart<'c> {
    connection: &'c mut PgConnection,
    /// What must be sent before the next statement.
    pending: String,
    has_savepoint: bool,
}

impl<'c> StatementsPart<'c> {
    pub(crate) fn begin(connection: &'c mut PgConnection) -> Self {
        Self { connection, pending: THEIR_SETTINGS.clone(), has_savepoint: false }
    }

    /// The connection for a statement.
    pub(crate) async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(pending))).await?;
        }
        Ok(self.connection)
    }

    /// Sets a savepoint in place of the one before.
    pub(crate) fn set_savepoint(&mut self) {
        if self.has_savepoint {
            self.pending += RELEASE;
            self.pending += "; ";
        }
        self.pending += SAVEPOINT;
        self.pending += "; ";
        self.has_savepoint = true;
    }

    /// Undoes what was done after the savepoint.
    pub(crate) fn roll_back(&mut self) {
        self.pending += ROLLBACK;
        self.pending += "; ";
    }

    pub(crate) async fn end(mut self) -> Result<(), sqlx::Error> {
        if self.has_savepoint {
            self.pending += RELEASE;
            self.pending += "; ";
        }
        self.pending += &OUR_SETTINGS;
        self.connection().await.map(drop)
    }
}
