//! Append: options, then events, then one answer.

use std::sync::Arc;

use tonic::{Status, Streaming};

use super::{
    errors::{self, MAX_APPEND_BYTES, invalid, missing_metadata},
    names::{event_id, stream_name},
    proto::event_store::client::{
        Empty,
        streams::{
            AppendReq, AppendResp, append_req,
            append_req::options::ExpectedStreamRevision,
            append_resp::{self, success, wrong_expected_version as wrong},
        },
    },
};
use crate::change::{Change, NewEvent, Refused, Written};
use crate::expected::Expected;
use crate::writer::Writer;

pub(super) async fn append(
    writer: &Writer,
    mut requests: Streaming<AppendReq>,
) -> Result<AppendResp, Status> {
    let Some(AppendReq { content: Some(append_req::Content::Options(options)) }) = requests.message().await?
    else {
        return Err(invalid("an append starts with its options"));
    };
    let stream = stream_name(options.stream_identifier)?;
    let wanted = options
        .expected_stream_revision
        .ok_or_else(|| invalid("an append says which revision it expects"))?;
    let expected = match &wanted {
        ExpectedStreamRevision::Revision(revision) => expected_revision(*revision)?,
        ExpectedStreamRevision::NoStream(_) => Expected::NoStream,
        ExpectedStreamRevision::Any(_) => Expected::Any,
        ExpectedStreamRevision::StreamExists(_) => Expected::StreamExists,
    };
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(request) = requests.message().await? {
        let Some(append_req::Content::ProposedMessage(message)) = request.content else {
            return Err(invalid("after its options an append holds only events"));
        };
        // Only the data counts, not the metadata: so does the real server.
        bytes += message.data.len();
        if bytes > MAX_APPEND_BYTES {
            return Err(errors::append_too_large());
        }
        events.push(new_event(message)?);
    }
    match writer.write(stream.clone(), expected, Change::Append(events)).await {
        Ok(written) => Ok(AppendResp { result: Some(append_resp::Result::Success(success(written))) }),
        Err(Refused::WrongVersion { current }) => {
            let answer = wrong_expected_version(current, wanted);
            Ok(AppendResp { result: Some(append_resp::Result::WrongExpectedVersion(answer)) })
        }
        Err(refused) => Err(errors::refused(&stream, expected, refused)),
    }
}

/// An expected revision as a number; the largest one stands for "no stream".
pub(super) fn expected_revision(revision: u64) -> Result<Expected, Status> {
    match i64::try_from(revision) {
        Ok(_) => Ok(Expected::Revision(revision)),
        Err(_) if revision == u64::MAX => Ok(Expected::NoStream),
        Err(_) => Err(invalid(format!("the expected revision {revision} is out of range"))),
    }
}

fn new_event(mut message: append_req::ProposedMessage) -> Result<NewEvent, Status> {
    let id = event_id(message.id)?;
    let kind: Arc<str> = message.metadata.remove("type").ok_or_else(|| missing_metadata("type"))?.into();
    let content_type =
        message.metadata.remove("content-type").ok_or_else(|| missing_metadata("content-type"))?;
    if kind.is_empty() {
        return Err(invalid("an event's type is empty"));
    }
    Ok(NewEvent {
        id,
        kind,
        is_json: content_type == "application/json",
        custom_metadata: message.custom_metadata,
        data: message.data,
    })
}

fn success(written: Written) -> append_resp::Success {
    append_resp::Success {
        current_revision_option: Some(match written.revision {
            Some(revision) => success::CurrentRevisionOption::CurrentRevision(revision),
            None => success::CurrentRevisionOption::NoStream(Empty {}),
        }),
        position_option: Some(match written.position {
            Some(position) => success::PositionOption::Position(append_resp::Position {
                commit_position: position,
                prepare_position: position,
            }),
            None => success::PositionOption::NoPosition(Empty {}),
        }),
    }
}

/// Everything twice: clients from before 20.6.1 read other fields than later ones.
fn wrong_expected_version(
    current: Option<u64>,
    expected: ExpectedStreamRevision,
) -> append_resp::WrongExpectedVersion {
    use wrong::{
        CurrentRevisionOption as Current, CurrentRevisionOption2060 as OldCurrent,
        ExpectedRevisionOption as Exp, ExpectedRevisionOption2060 as OldExp,
    };
    let (old_expected, new_expected) = match expected {
        ExpectedStreamRevision::Revision(revision) => {
            (OldExp::ExpectedRevision2060(revision), Exp::ExpectedRevision(revision))
        }
        ExpectedStreamRevision::NoStream(_) => {
            (OldExp::ExpectedRevision2060(u64::MAX), Exp::ExpectedNoStream(Empty {}))
        }
        ExpectedStreamRevision::Any(_) => (OldExp::Any2060(Empty {}), Exp::ExpectedAny(Empty {})),
        ExpectedStreamRevision::StreamExists(_) => {
            (OldExp::StreamExists2060(Empty {}), Exp::ExpectedStreamExists(Empty {}))
        }
    };
    let (old_current, new_current) = match current {
        Some(revision) => (OldCurrent::CurrentRevision2060(revision), Current::CurrentRevision(revision)),
        None => (OldCurrent::NoStream2060(Empty {}), Current::CurrentNoStream(Empty {})),
    };
    append_resp::WrongExpectedVersion {
        current_revision_option_20_6_0: Some(old_current),
        expected_revision_option_20_6_0: Some(old_expected),
        current_revision_option: Some(new_current),
        expected_revision_option: Some(new_expected),
    }
}
