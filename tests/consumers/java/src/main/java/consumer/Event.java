package consumer;

/**
 * A decoded record.
 *
 * @param revision its place in the stream; null, like position and traceparent, if the record does not have it
 */
record Event(EventData data, String stream, Long revision, Long position, String traceparent) {}
