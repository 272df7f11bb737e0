package consumer;

import java.util.Locale;

/** What receive decides on a record. */
enum Result {
    NEW, UNJUDGED, DUPLICATE, GAP, BLOCKED, INVALID, CONFLICT, UNDECIDABLE;

    static Result of(String text) {
        return valueOf(text.toUpperCase(Locale.ROOT));
    }

    String text() {
        return name().toLowerCase(Locale.ROOT);
    }

    boolean isApplied() {
        return this == NEW || this == UNJUDGED;
    }

    boolean isParked() {
        return !isApplied() && this != DUPLICATE;
    }
}
