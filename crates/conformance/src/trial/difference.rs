//! What is wrong in the end, and the records that show it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::Error;
use crate::record::StreamId;
use crate::report::{Failure, RowDifference};
use crate::tables::Tables;
use crate::trial::Trial;
use crate::written::{Place, Written};

const MAX_ROWS: usize = 20;
const MAX_RECORDS: usize = 20;
const MAX_STREAMS: usize = 3;

impl Trial<'_> {
    /// Compares tables and parked records with what a correct consumer has. None: nothing is wrong.
    pub(super) async fn compare(&self, expected: &Tables) -> Result<Option<Failure>, Error> {
        let found = Tables::read(&self.database, self.setup.definition).await?;
        let rows = expected.differences(&found, MAX_ROWS);
        if rows.is_empty() {
            return self.wrongly_parked().await;
        }
        let streams = self.streams_of(&rows);
        let failure = self.failure("the tables differ from those of an undisturbed run".to_owned());
        Ok(Some(Failure { rows, records: self.sent_of(&streams), ..failure }))
    }

    /// Records that are parked and should not be, or the reverse.
    pub(super) async fn wrongly_parked(&self) -> Result<Option<Failure>, Error> {
        let parked = self.parked().await?;
        let mut problems = Vec::new();
        let mut streams = BTreeSet::new();
        for written in self.written.iter().filter(|written| written.is_committed) {
            let problem = match (written.is_parked, parked.get(&written.place)) {
                (true, None) => "is not parked, and cannot be applied".to_owned(),
                (false, Some(reason)) => format!("is parked, and can be applied: {reason}"),
                _ => continue,
            };
            problems.push(format!("{} {problem}", self.described(written)));
            streams.insert(written.record.stream_id());
        }
        let Some(first) = problems.first() else { return Ok(None) };
        let others = match problems.len() {
            1 => String::new(),
            number => format!("; {} other records are parked wrongly, or not parked", number - 1),
        };
        let streams: Vec<_> = streams.into_iter().collect();
        let failure = self.failure(format!("{first}{others}"));
        Ok(Some(Failure { records: self.sent_of(&streams), ..failure }))
    }

    /// The parked records, with the reasons.
    pub(super) async fn parked(&self) -> Result<BTreeMap<Place, String>, Error> {
        let rows: Vec<(String, i32, i64, String)> = sqlx::query_as(
            "select topic, partition, \"offset\", reason from aqueduct.parked \
              where projection = $1 and state = 'parked'",
        )
        .bind(&self.setup.definition.projection)
        .fetch_all(&self.database)
        .await
        .map_err(Error::postgres("read the parked records"))?;
        let place = |(topic, partition, offset, reason): (String, i32, i64, String)| {
            let topic = self.topics.iter().position(|it| *it == topic)?;
            Some((Place { topic, partition, offset }, reason))
        };
        Ok(rows.into_iter().filter_map(place).collect())
    }

    /// The streams whose id is a value of one of the rows; without any: the disturbed ones.
    fn streams_of(&self, rows: &[RowDifference]) -> Vec<StreamId> {
        let values: BTreeSet<String> = rows.iter().flat_map(|row| texts(row.row.get())).collect();
        let is_named = |written: &&Written| {
            let name = &written.record.stream;
            let id = name.split_once('-').map_or(name.as_str(), |(_, id)| id);
            values.contains(id) || values.contains(name)
        };
        let is_disturbed = |written: &&Written| {
            written.is_parked || !written.is_committed || written.record.damage.is_some()
        };
        let ids = |written: &Written| written.record.stream_id();
        let named: BTreeSet<_> = self.written.iter().filter(is_named).map(ids).collect();
        if named.is_empty() {
            self.written.iter().filter(is_disturbed).map(ids).collect::<BTreeSet<_>>().into_iter().collect()
        } else {
            named.into_iter().collect()
        }
    }

    /// What was sent of the first of the streams, as lines.
    fn sent_of(&self, streams: &[StreamId]) -> Vec<String> {
        let streams = &streams[..streams.len().min(MAX_STREAMS)];
        let of_streams = self.written.iter().filter(|it| streams.contains(&it.record.stream_id()));
        of_streams.take(MAX_RECORDS).map(|written| self.described(written)).collect()
    }

    fn described(&self, Written { place, record, is_committed, .. }: &Written) -> String {
        let Place { topic, partition, offset } = place;
        let damage = record.damage.map(|damage| format!(" ({damage})")).unwrap_or_default();
        let aborted = if *is_committed { "" } else { ", in an aborted transaction" };
        format!(
            "{}/{partition}@{offset}: revision {} of {}, {}{damage}{aborted}",
            self.setup.definition.topics[*topic], record.revision, record.stream, record.event_type
        )
    }
}

/// The texts of a row.
fn texts(row: &str) -> Vec<String> {
    let row: BTreeMap<String, Value> = serde_json::from_str(row).unwrap_or_default();
    row.into_values().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
