//! Delete, after which a stream can be opened again, and Tombstone, after which it cannot.

use std::sync::Arc;

use tonic::Status;

use super::{
    append::expected_revision,
    errors::{self, invalid},
    names::stream_name,
    proto::event_store::client::streams::{
        DeleteReq, DeleteResp, TombstoneReq, TombstoneResp,
        delete_req::options::ExpectedStreamRevision as DeleteExpected, delete_resp,
        tombstone_req::options::ExpectedStreamRevision as TombstoneExpected, tombstone_resp,
    },
};
use crate::change::Change;
use crate::expected::Expected;
use crate::writer::Writer;

pub(super) async fn delete(writer: &Writer, request: DeleteReq) -> Result<DeleteResp, Status> {
    let options = request.options.ok_or_else(no_options)?;
    let expected = match options.expected_stream_revision.ok_or_else(no_revision)? {
        DeleteExpected::Revision(revision) => expected_revision(revision)?,
        DeleteExpected::NoStream(_) => Expected::NoStream,
        DeleteExpected::Any(_) => Expected::Any,
        DeleteExpected::StreamExists(_) => Expected::StreamExists,
    };
    let position = write(writer, stream_name(options.stream_identifier)?, expected, Change::Delete).await?;
    let position = delete_resp::Position { commit_position: position, prepare_position: position };
    Ok(DeleteResp { position_option: Some(delete_resp::PositionOption::Position(position)) })
}

pub(super) async fn tombstone(writer: &Writer, request: TombstoneReq) -> Result<TombstoneResp, Status> {
    let options = request.options.ok_or_else(no_options)?;
    let expected = match options.expected_stream_revision.ok_or_else(no_revision)? {
        TombstoneExpected::Revision(revision) => expected_revision(revision)?,
        TombstoneExpected::NoStream(_) => Expected::NoStream,
        TombstoneExpected::Any(_) => Expected::Any,
        TombstoneExpected::StreamExists(_) => Expected::StreamExists,
    };
    let position =
        write(writer, stream_name(options.stream_identifier)?, expected, Change::Tombstone).await?;
    let position = tombstone_resp::Position { commit_position: position, prepare_position: position };
    Ok(TombstoneResp { position_option: Some(tombstone_resp::PositionOption::Position(position)) })
}

async fn write(writer: &Writer, stream: Arc<str>, expected: Expected, change: Change) -> Result<u64, Status> {
    let written = writer
        .write(stream.clone(), expected, change)
        .await
        .map_err(|refused| errors::refused(&stream, expected, refused))?;
    // Its id is made by the server, so a deletion is never a repetition and always has a position.
    written.position.ok_or_else(|| Status::internal("a deletion was written at no position"))
}

fn no_options() -> Status {
    invalid("a deletion has options")
}

fn no_revision() -> Status {
    invalid("a deletion says which revision it expects")
}
