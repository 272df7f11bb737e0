//! Sending what a producer has gathered.

use rdkafka::ClientContext;
use rdkafka::bindings::rd_kafka_flush;
use rdkafka::client::Client;

/// How long librdkafka is told to flush: its threads must see the flag meanwhile, also on a busy machine.
const MILLISECONDS: i32 = 1;

/// Makes a producer send what it has gathered without waiting for `linger.ms`. Takes a millisecond where delivery reports are
/// outstanding, as it cannot handle them.
///
/// rdkafka's own `flush` sets the flag and clears it again at once, so that librdkafka's threads may miss it.
pub fn send_now<C: ClientContext>(client: &Client<C>) {
    // SAFETY: the client lives as long as it is borrowed, and librdkafka only waits.
    let _not_all_delivered = unsafe { rd_kafka_flush(client.native_ptr(), MILLISECONDS) };
}
