package consumer;

/** Why work ends early, other than by the data of an event or by a defect. */
abstract sealed class Interruption extends RuntimeException {
    private Interruption(String message, Throwable cause) {
        super(message, cause);
    }

    /** Passes without help: repeat the transaction. */
    static final class Unavailable extends Interruption {
        Unavailable(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** What Kafka has assigned to this instance is no longer valid: leave the group and join it again. */
    static final class Rejoin extends Interruption {
        Rejoin(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Lasts until a person has acted. */
    static final class Halted extends Interruption {
        Halted(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Asked to stop while it waited. */
    static final class Stopped extends Interruption {
        Stopped() {
            super("stopped", null);
        }
    }
}
