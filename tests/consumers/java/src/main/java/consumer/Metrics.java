package consumer;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.LoggerFactory;

/** Metrics, in the text format of Prometheus. */
enum Metrics {
    RECORDS("consumer_records_total", "counter", "Records by the result of receive"),
    HELD("consumer_held_total", "counter", "Parked events that were applied later"),
    BATCHES("consumer_batches_total", "counter", "Committed transactions"),
    RETRIES("consumer_retries_total", "counter", "Attempts that failed and were repeated"),
    REJOINS("consumer_rejoins_total", "counter", "Times that the group was left and joined again"),
    PARTITIONS("consumer_partitions", "gauge", "Partitions that this instance owns");

    private final String name;
    private final String type;
    private final String help;
    private final Map<String, AtomicLong> values = new ConcurrentSkipListMap<>();

    Metrics(String name, String type, String help) {
        this.name = name;
        this.type = type;
        this.help = help;
    }

    void add(long count) {
        value("").addAndGet(count);
    }

    void count(Result result) {
        value("{result=\"" + result.text() + "\"}").incrementAndGet();
    }

    void set(long value) {
        value("").set(value);
    }

    private AtomicLong value(String labels) {
        return values.computeIfAbsent(labels, it -> new AtomicLong());
    }

    /** Serves them until the process ends. */
    static void serve(InetSocketAddress address) throws IOException {
        var server = HttpServer.create(address, 0);
        server.createContext("/metrics", exchange -> {
            try (exchange) {
                var body = text().getBytes(StandardCharsets.UTF_8);
                exchange.getResponseHeaders().set("content-type", "text/plain; version=0.0.4; charset=utf-8");
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }
        });
        server.start();
        var served = server.getAddress();
        LoggerFactory.getLogger(Metrics.class)
                .info("serving metrics on http://{}:{}/metrics", served.getHostString(), served.getPort());
    }

    private static String text() {
        var text = new StringBuilder();
        for (var it : values()) {
            text.append("# HELP %s %s%n# TYPE %s %s%n".formatted(it.name, it.help, it.name, it.type));
            it.values.forEach((labels, value) -> text.append("%s%s %d%n".formatted(it.name, labels, value.get())));
        }
        return text.toString();
    }
}
