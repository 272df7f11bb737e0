//! The events that a statement reads.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres};

use crate::record::envelope::Envelope;

/// The name of the events in a statement, without the dollar sign.
pub(crate) const EVENTS: &str = "events";

/// The alias by which a plan shows that it reads the events.
pub(crate) const SCAN: &str = "aqueduct_event";

/// What stands for `$events`: a row for each event. `ordinal` counts them from 1. `offset 0` keeps Postgres from merging the
/// subquery with the statement, where it would parse `data` again for each field that is read.
pub(crate) const SUBQUERY: &str = "(select type, version, event_id, source, topic, stream, revision, position, \
    time::timestamptz as time, correlation_id, causation_id, data::jsonb as data, ordinal \
    from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], \
    $9::text[], $10::text[], $11::text[], $12::text[]) with ordinality as aqueduct_event (type, version, event_id, source, topic, \
    stream, revision, position, time, correlation_id, causation_id, data, ordinal) offset 0)";

/// An event for a statement.
#[derive(Debug)]
pub(crate) struct SqlEvent {
    pub(crate) topic: Arc<str>,
    /// The version of the schema of `data`, where that is not the record's.
    pub(crate) version: Option<u32>,
    /// The data in the plain JSON mapping.
    pub(crate) data: String,
}

/// The columns of `$events`.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    types: Vec<String>,
    versions: Vec<i64>,
    event_ids: Vec<Option<String>>,
    sources: Vec<String>,
    topics: Vec<String>,
    streams: Vec<String>,
    revisions: Vec<i64>,
    positions: Vec<i64>,
    times: Vec<String>,
    correlation_ids: Vec<Option<String>>,
    causation_ids: Vec<Option<String>>,
    data: Vec<String>,
}

impl Columns {
    /// The columns of these events, in their order.
    pub(crate) fn of(events: &[(&SqlEvent, &Envelope)]) -> Self {
        let mut columns = Self::default();
        events.iter().for_each(|(event, envelope)| columns.push(event, envelope));
        columns
    }

    /// Adds an event as the last row.
    fn push(&mut self, event: &SqlEvent, envelope: &Envelope) {
        self.types.push(envelope.event_type().to_owned());
        self.versions.push(event.version.unwrap_or(envelope.schema_version).into());
        self.event_ids.push(envelope.event_id.map(|id| id.to_string()));
        self.sources.push(envelope.source.clone());
        self.topics.push(event.topic.to_string());
        self.streams.push(envelope.stream.as_str().to_owned());
        self.revisions.push(envelope.revision.cast_signed());
        self.positions.push(envelope.position.cast_signed());
        self.times.push(envelope.time.to_string());
        self.correlation_ids.push(envelope.correlation_id.clone());
        self.causation_ids.push(envelope.causation_id.clone());
        self.data.push(event.data.clone());
    }

    /// A statement with the columns as its parameters.
    pub(crate) fn bind<'q>(self, sql: &Arc<str>) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(sql)))
            .bind(self.types)
            .bind(self.versions)
            .bind(self.event_ids)
            .bind(self.sources)
            .bind(self.topics)
            .bind(self.streams)
            .bind(self.revisions)
            .bind(self.positions)
            .bind(self.times)
            .bind(self.correlation_ids)
            .bind(self.causation_ids)
            .bind(self.data)
    }
}
