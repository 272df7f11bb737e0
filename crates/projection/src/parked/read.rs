//! Reading the next parked events of a stream, and checking them against the last revision applied.

use std::sync::Arc;

use crate::batch::error::BatchError;
use crate::batch::runner::BatchRunner;
use crate::inbox::entry::{Content, Entry, Fault, previous_number};
use crate::inbox::ownership::OwnedPartition;
use crate::inbox::reason_code::ReasonCode;
use crate::model::handler::Handler;
use crate::parked::event::ParkedState;
use crate::parked::replay_batch::{FailedRow, ReplayBatch, ReplayRow};
use crate::parked::steps::{NextRows, Row, StreamStep};
use crate::record::Record;
use crate::record::headers::Headers;

/// The record of a row, read again.
#[expect(clippy::large_enum_variant, reason = "it is moved into the batch at once, or ends the step")]
enum RecordRead<E> {
    Readable(Entry<E>),
    /// Its headers, which are needed to apply it, cannot be read.
    Unreadable(Fault),
}

/// What a row needs, before its record is read.
enum RowCheck {
    /// Its record must be read and applied.
    Apply,
    /// It was discarded or applied before: the last revision of the stream after it.
    Passed(i64),
    /// It was discarded, but an event before it is missing.
    BehindGap(Fault),
}

/// Reads rows up to the first event that cannot be applied. Returns `None` if the process is shutting down.
pub(crate) async fn read_batch<H: Handler>(
    runner: &BatchRunner<H>,
    StreamStep { partition, inbox, .. }: StreamStep<'_>,
    NextRows { applied_before, rows }: NextRows,
) -> Result<Option<ReplayBatch<H::Event>>, BatchError> {
    let mut batch = ReplayBatch::new(applied_before);
    for row in rows {
        match row.check(partition, batch.revision()) {
            RowCheck::Passed(revision) => {
                batch.rows.push(ReplayRow { id: row.id, revision, entry: None });
            }
            RowCheck::BehindGap(fault) => {
                batch.failed = Some(FailedRow { id: row.id, fault, was_discarded: true });
            }
            RowCheck::Apply => {
                let (id, offset) = (row.id, row.offset);
                match runner.bounded(read_record(runner, partition, inbox, row)).await? {
                    None => return Ok(None),
                    Some(RecordRead::Readable(entry)) => batch.add(id, offset, entry),
                    Some(RecordRead::Unreadable(fault)) => batch.fail(id, fault),
                }
            }
        }
        if batch.failed.is_some() {
            break;
        }
    }
    Ok(Some(batch))
}

/// Reads the record of a row again.
async fn read_record<H: Handler>(
    runner: &BatchRunner<H>,
    partition: &OwnedPartition,
    inbox: i32,
    row: Row,
) -> Result<RecordRead<H::Event>, BatchError> {
    let Some(headers) = Headers::from_json(&row.headers) else {
        let reason = "its stored headers cannot be read".to_owned();
        return Ok(RecordRead::Unreadable(Fault { code: ReasonCode::Headers, reason }));
    };
    let record = Record {
        topic: Arc::clone(&partition.topic),
        partition: row.partition,
        offset: row.offset,
        epoch: partition.epoch,
        key: row.key.map(Into::into),
        payload: row.payload.map(Into::into),
        headers,
    };
    let (_, envelope, content) = runner.read(&record).await?;
    Ok(match (&envelope, &content) {
        (None, Content::Invalid(fault)) => {
            let reason = format!("{record}: {}", fault.reason);
            RecordRead::Unreadable(Fault { code: fault.code, reason })
        }
        _ => RecordRead::Readable(Entry::new(record, inbox, envelope, content)),
    })
}

impl Row {
    /// Checks the row against the last revision of its stream before it.
    fn check(&self, partition: &OwnedPartition, revision: i64) -> RowCheck {
        if self.state == ParkedState::Discarded.as_str() {
            match self.missing_before(revision) {
                Some(missing) => RowCheck::BehindGap(self.behind_gap(partition, missing)),
                None => RowCheck::Passed(self.revision.map_or(revision, |own| own.max(revision))),
            }
        } else if self.revision.is_some_and(|own| own <= revision) {
            RowCheck::Passed(revision)
        } else {
            RowCheck::Apply
        }
    }

    /// The previous revision of a discarded row, if the stream has not reached it. `None` also where the row was
    /// known to be behind a gap, which was then discarded with it, and where its headers cannot be read.
    fn missing_before(&self, revision: i64) -> Option<i64> {
        if self.code == ReasonCode::Gap.as_str() {
            return None;
        }
        let envelope = Headers::from_json(&self.headers)?.envelope(self.key.as_deref()).ok()?;
        previous_number(envelope.previous).filter(|previous| *previous > revision)
    }

    /// Whoever discarded the event could not know that another one is missing before it.
    fn behind_gap(&self, partition: &OwnedPartition, missing: i64) -> Fault {
        let (topic, number, offset) = (&partition.topic, self.partition, self.offset);
        let reason = format!(
            "{topic}/{number}@{offset}: it was discarded and is parked again, because revision {missing} before it is \
             missing: discard it again to skip both, or wait until the missing event arrives"
        );
        Fault { code: ReasonCode::Gap, reason }
    }
}
