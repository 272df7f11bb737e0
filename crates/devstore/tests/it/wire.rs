//! Appends without a client library: no connection handling, no retries, nothing in between.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Value, json};
use tonic::{Status, transport::Channel};
use uuid::Uuid;

use crate::player::call::{Protocol, Received};

const APPEND: &str = "event_store.client.streams.Streams/Append";

/// Appends events with these ids to a stream in any state. Returns the last revision and position.
pub(crate) async fn append(channel: &Channel, stream: &str, ids: &[Uuid]) -> Result<(u64, u64), Status> {
    let mut call = Protocol::new(channel.clone()).open(APPEND, None);
    call.send(
        &json!({ "options": { "stream_identifier": { "stream_name": BASE64.encode(stream) }, "any": {} } }),
    );
    for id in ids {
        let metadata = json!({ "type": "happened", "content-type": "application/json" });
        let message = json!({ "id": { "string": id }, "metadata": metadata, "data": BASE64.encode("{}") });
        call.send(&json!({ "proposed_message": message }));
    }
    call.half_close();
    match call.next().await {
        Received::Message(answer) => {
            let success = &answer["success"];
            let number = |value: &Value| value.as_str().map_or(0, |text| text.parse().unwrap());
            Ok((number(&success["current_revision"]), number(&success["position"]["commit_position"])))
        }
        Received::End(status) => Err(status),
    }
}

pub(crate) fn new_ids(count: usize) -> Vec<Uuid> {
    (0..count).map(|_| Uuid::new_v4()).collect()
}
