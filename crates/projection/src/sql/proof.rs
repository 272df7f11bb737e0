//! What shows that each of several events had its effect, and the same one as alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::PgConnection;

use crate::model::error::StatementError;
use crate::sql::fields::Fields;
use crate::sql::plan::{EXPLAIN, Plan, called};
use crate::sql::statement::Statement;
use crate::sql::statement_error::error_at;
use crate::sql::statement_kind::Verb;
use crate::sql::written::{Written, unique_indexes};

/// How a statement that runs once for several events shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// An event makes at most one row, so that as many rows as events are one of each.
    Count,
    /// The statement returns the ordinals of the events that deleted a row. Whichever of two events deletes a row, it is gone.
    Deleted {
        /// The statement with this `returning`.
        sql: Arc<str>,
    },
    /// An event finds at most one row, by a unique index. Of two events that find the same one, one updates it. The
    /// statement returns the ordinals of those that updated one, each with the unique indexes of the table.
    Updated {
        /// The statement with this `returning`.
        sql: Arc<str>,
        /// The indexes at the time of the proof.
        unique_indexes: String,
    },
}

/// A statement that Postgres has planned.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) statement: Statement,
    /// `None`: it runs event by event.
    pub(crate) proof: Option<Proof>,
    /// What it reads of the events' data.
    pub(crate) fields: Fields,
    /// The tables that it writes, as `schema.table`.
    writes: BTreeSet<String>,
    reads: BTreeSet<String>,
}

impl Checked {
    /// Has Postgres plan a statement, and looks for a proof. An error if it cannot be planned. Not to be called within a
    /// transaction, which such an error would end.
    pub(crate) async fn new(
        statement: Statement,
        connection: &mut PgConnection,
    ) -> Result<Self, StatementError> {
        let plan = Plan::of(&statement.sql, &statement.rows, connection).await;
        let plan = plan.map_err(|source| error_at(&statement, source, EXPLAIN.len()))?;
        let fields = Fields::read_by(&statement.text, connection).await;
        let fields = fields.map_err(|source| error_at(&statement, source, usize::MAX))?;
        let mut checked =
            Self { statement, proof: None, fields, writes: BTreeSet::new(), reads: BTreeSet::new() };
        let found = checked.find_proof(&plan, connection).await;
        found.map_err(|source| error_at(&checked.statement, source, usize::MAX))?;
        Ok(checked)
    }

    async fn find_proof(&mut self, plan: &Plan, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let statement = &self.statement;
        let target = plan.target(statement.verb).filter(|_| !statement.writes_within);
        let Some(target) = target else { return Ok(()) };
        let functions = plan.functions().into_iter().chain(called(&statement.sql)).collect();
        let Some(written) = Written::read(connection, &target, functions).await? else { return Ok(()) };
        self.reads = plan.reads(&target);
        if !written.is_predictable || !self.reads.is_disjoint(&written.tables) {
            return Ok(());
        }
        self.proof = match (statement.verb, &statement.returning) {
            (Verb::Insert, _) => (statement.any_rows || plan.is_row_by_row()).then_some(Proof::Count),
            (Verb::Delete, Some(sql)) => Plan::of(sql, &statement.rows, connection)
                .await
                .is_ok()
                .then(|| Proof::Deleted { sql: Arc::clone(sql) }),
            (Verb::Update, Some(sql)) => updated(statement, sql, &written, connection).await,
            _ => None,
        };
        self.writes = written.tables;
        Ok(())
    }

    /// Whether one reads or writes what another one writes: then what it does for an event may depend on what the other has
    /// done for another event.
    pub(crate) fn interfere(statements: &[Self]) -> bool {
        statements.iter().enumerate().any(|(at, one)| {
            let others = statements.iter().enumerate().filter(|(other, _)| *other != at);
            let mut written = others.flat_map(|(_, other)| &other.writes);
            written.any(|table| one.reads.contains(table) || one.writes.contains(table))
        })
    }
}

/// Asks whether an event finds at most one row of an update's target.
async fn updated(
    statement: &Statement,
    returning: &str,
    written: &Written,
    connection: &mut PgConnection,
) -> Option<Proof> {
    let matches = statement.matches.as_ref().filter(|_| written.is_plain)?;
    let target = sqlx::query_scalar("select to_regclass($1)::oid::bigint").bind(&matches.target);
    let target: Option<i64> = target.fetch_one(&mut *connection).await.ok()?;
    if target != Some(written.oid)
        || !Plan::of(&matches.query, &statement.rows, connection).await.ok()?.is_row_by_row()
    {
        return None;
    }
    let sql = format!("{returning}, {}", unique_indexes(&written.oid.to_string()));
    Plan::of(&sql, &statement.rows, connection).await.ok()?;
    Some(Proof::Updated { sql: sql.into(), unique_indexes: written.unique_indexes.clone()? })
}
