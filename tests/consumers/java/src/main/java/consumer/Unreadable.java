package consumer;

/** A part of a record that cannot be read. */
final class Unreadable extends Exception {
    private final String code;

    /** The code is one of {@link Problem}. */
    Unreadable(String code, String reason) {
        super(reason);
        this.code = code;
    }

    Problem problem() {
        return new Problem(code, getMessage());
    }
}
