//! Sensors: data that is not a JSON object, whatever its content type says.

use super::random::Random;
use super::{Quality, Written};

/// `Reading`: bytes, nothing, an array, a text, broken JSON.
pub(super) fn reading(random: &mut Random) -> Written {
    const JSON: &str = "application/json";
    const BYTES: &str = "application/octet-stream";
    let (content_type, data) = match random.below(5) {
        0 => (BYTES, random.bytes()),
        1 => (JSON, Vec::new()),
        2 => (JSON, format!("[{},{}]", random.below(100), random.below(100)).into_bytes()),
        3 => (JSON, b"\"heartbeat\"".to_vec()),
        _ => (JSON, br#"{"value":1,"#.to_vec()),
    };
    Written {
        event_type: "Reading".to_owned(),
        data,
        metadata: Vec::new(),
        content_type,
        quality: Quality::NotAnObject,
        is_last: false,
    }
}
