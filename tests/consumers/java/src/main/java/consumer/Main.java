package consumer;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.slf4j.LoggerFactory;

/** Keeps the projection of {@link ReadModels}. Environment variables and exit codes: README.md. */
public final class Main {
    private static final int FAILED = 1;
    private static final int HALTED = 2;

    private Main() {}

    /** The signals are handled before anything else is loaded: until then, one ends the JVM with an exit code of its own. */
    public static void main(String[] arguments) {
        var stopping = new CountDownLatch(1);
        var status = new CompletableFuture<Integer>();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping.countDown();
            // After a signal the JVM would not wait for the main thread, and exit with 128 and the signal's number.
            Runtime.getRuntime().halt(status.join());
        }));
        status.complete(run(stopping));
        System.exit(status.join());
    }

    private static int run(CountDownLatch stopping) {
        var log = LoggerFactory.getLogger(Main.class);
        try {
            var configuration = Configuration.of(System.getenv());
            Metrics.serve(configuration.metricsAddress());
            try (var application = new Application(configuration, stopping)) {
                application.run();
            }
            log.info("stopped");
            return 0;
        } catch (Interruption.Halted halted) {
            log.error("halted: {}", halted.getMessage());
            return HALTED;
        } catch (Throwable error) {
            log.error("an error that does not pass: {}", error.toString(), error);
            return FAILED;
        }
    }
}
