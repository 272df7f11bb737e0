//! The events that a statement reads.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres};

use crate::postgres::text_array::TextArray;
use crate::record::envelope::Envelope;
use crate::sql::columns::Column;

/// The name of the events in a statement, without the dollar sign.
pub(crate) const EVENTS: &str = "events";

/// The alias by which a plan shows that it reads the events.
pub(crate) const SCAN: &str = "aqueduct_event";

/// An event for a statement.
#[derive(Debug)]
pub(crate) struct SqlEvent {
    pub(crate) topic: Arc<str>,
    /// The version of the schema of `data`, where that is not the record's.
    pub(crate) version: Option<u32>,
    /// The data in the plain JSON mapping.
    pub(crate) data: String,
}

/// An event and its metadata.
pub(crate) type Event<'e> = (&'e SqlEvent, &'e Envelope);

/// What stands for `$events` in a statement: a subquery with a row for each event, with the columns that the statement reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventRows {
    columns: Vec<Column>,
    /// The subquery. Its parameters are the columns' arrays, in their order.
    pub(crate) subquery: String,
}

impl EventRows {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        let list = |part: &dyn Fn(usize, &Column) -> String| -> String {
            columns.iter().enumerate().map(|(at, column)| part(at, column)).collect()
        };
        let selected = list(&|_, column| format!("{}, ", column.selected()));
        let names = list(&|_, column| format!("{}, ", column.name()));
        let arrays: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| format!("${}::{}", at + 1, column.array()))
            .collect();
        // `offset 0` keeps Postgres from merging the subquery with the statement, where it would parse `data` again for each
        // field that is read. `ordinal` counts the events from 1.
        let subquery = format!(
            "(select {selected}ordinal from unnest({}) with ordinality as {SCAN} ({names}ordinal) offset 0)",
            arrays.join(", ")
        );
        Self { columns, subquery }
    }

    /// A statement with the columns of these events as its parameters.
    pub(crate) fn bind<'q>(&self, sql: &Arc<str>, events: &[Event<'_>]) -> Query<'q, Postgres, PgArguments> {
        let query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
        self.columns.iter().fold(query, |query, column| bind(query, *column, events))
    }
}

fn bind<'q>(
    query: Query<'q, Postgres, PgArguments>,
    column: Column,
    events: &[Event<'_>],
) -> Query<'q, Postgres, PgArguments> {
    let numbers = |value: fn(&SqlEvent, &Envelope) -> Option<i64>| -> Vec<Option<i64>> {
        events.iter().map(|(event, envelope)| value(event, envelope)).collect()
    };
    match column {
        Column::Version => query
            .bind(numbers(|event, envelope| Some(event.version.unwrap_or(envelope.schema_version).into()))),
        Column::Revision => query.bind(numbers(|_, envelope| Some(envelope.revision.cast_signed()))),
        Column::Position => query.bind(numbers(|_, envelope| envelope.position.map(u64::cast_signed))),
        _ => {
            let mut texts = TextArray::default();
            events.iter().for_each(|(event, envelope)| push_text(&mut texts, column, event, envelope));
            query.bind(texts)
        }
    }
}

fn push_text(texts: &mut TextArray, column: Column, event: &SqlEvent, envelope: &Envelope) {
    match column {
        Column::Type => texts.push(Some(envelope.event_type())),
        Column::EventId => texts.push(envelope.event_id.as_deref()),
        Column::Source => texts.push(Some(&envelope.source)),
        Column::Topic => texts.push(Some(&event.topic)),
        Column::Stream => texts.push(Some(envelope.stream.as_str())),
        Column::Time => texts.push(Some(&envelope.time.to_string())),
        Column::CorrelationId => texts.push(envelope.correlation_id.as_deref()),
        Column::CausationId => texts.push(envelope.causation_id.as_deref()),
        Column::Data => texts.push(Some(&event.data)),
        Column::Version | Column::Revision | Column::Position => {}
    }
}
