package consumer;

import java.nio.charset.StandardCharsets;

/** Why a record cannot be applied, as receive and next_held want to know it. */
record Problem(String code, String reason) {
    static final String HEADERS = "headers";
    static final String PAYLOAD = "payload";
    static final String UNKNOWN_TYPE = "unknown_type";
    static final String ROW = "row";

    private static final int LONGEST_REASON = 1000;

    Problem {
        reason = storable(reason.substring(0, Math.min(reason.length(), LONGEST_REASON)));
    }

    /** Replaces what Postgres cannot store: U+0000, and half a character. */
    static String storable(String text) {
        return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8).replace('\0', '\ufffd');
    }
}
