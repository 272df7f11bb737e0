package consumer;

import org.slf4j.Logger;
import org.slf4j.spi.LoggingEventBuilder;

/** Shows in the log to which trace a message belongs. */
final class Tracing {
    private Tracing() {}

    /** The traceparent is null if the event has none. */
    static LoggingEventBuilder atWarn(Logger log, String traceparent) {
        return traceparent == null ? log.atWarn() : log.atWarn().addKeyValue("traceparent", traceparent);
    }
}
