package consumer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.math.BigDecimal;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Plays the golden vectors. AQUEDUCT_VECTORS and AQUEDUCT_SCHEMAS__DIRECTORY name their folders. */
@EnabledIfEnvironmentVariable(named = "AQUEDUCT_VECTORS", matches = ".+")
final class VectorsTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final DateTimeFormatter MILLISECONDS = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS");

    private static HttpServer registry;

    @BeforeAll
    static void startRegistry() throws IOException {
        registry = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        registry.createContext("/schemas/ids/", exchange -> {
            try (exchange) {
                var id = Path.of(exchange.getRequestURI().getPath()).getFileName();
                var avro = vectors().resolve("registry").resolve(id + ".avsc");
                var protobuf = vectors().resolve("registry").resolve(id + ".proto");
                if (Files.exists(avro)) {
                    answer(exchange, Map.of("schema", Files.readString(avro)));
                } else if (Files.exists(protobuf)) {
                    answer(exchange, Map.of("schema", Files.readString(protobuf), "schemaType", "PROTOBUF"));
                } else {
                    exchange.sendResponseHeaders(404, -1);
                }
            }
        });
        registry.start();
    }

    private static void answer(HttpExchange exchange, Map<String, String> schema) throws IOException {
        exchange.sendResponseHeaders(200, 0);
        exchange.getResponseBody().write(JSON.writeValueAsBytes(schema));
    }

    @AfterAll
    static void stopRegistry() {
        registry.stop(0);
    }

    private static Path vectors() {
        return Path.of(System.getenv("AQUEDUCT_VECTORS"));
    }

    static List<Path> files() throws IOException {
        try (var files = Files.list(vectors())) {
            return files.filter(it -> it.toString().endsWith(".json")).sorted().toList();
        }
    }

    @ParameterizedTest
    @MethodSource("files")
    void isReadAsItSays(Path file) throws IOException {
        var url = "http://127.0.0.1:" + registry.getAddress().getPort();
        var decoder = new Decoder(new Registry(url), Path.of(System.getenv("AQUEDUCT_SCHEMAS__DIRECTORY")));
        var vector = JSON.readTree(file.toFile());
        for (var step : vector.get("steps")) {
            for (var expected : step.path("batch")) {
                play(decoder, record(vector, expected), expected);
            }
        }
    }

    private static ConsumerRecord<byte[], byte[]> record(JsonNode vector, JsonNode expected) throws IOException {
        var headers = new RecordHeaders();
        for (var header : expected.get("headers")) {
            headers.add(header.get("name").textValue(), header.get("value").binaryValue());
        }
        return new ConsumerRecord<>(vector.get("topic").textValue(), vector.get("partition").intValue(),
                expected.get("offset").longValue(), expected.get("timestamp").longValue(), TimestampType.CREATE_TIME,
                ConsumerRecord.NULL_SIZE, ConsumerRecord.NULL_SIZE, expected.get("key").binaryValue(),
                expected.get("value").binaryValue(), headers, Optional.empty());
    }

    private static void play(Decoder decoder, ConsumerRecord<byte[], byte[]> record, JsonNode expected)
            throws IOException {
        var place = "offset " + record.offset();
        if (expected.path("halts").booleanValue()) {
            assertThrows(Interruption.Halted.class, () -> decoder.decode(List.of(record)), place);
            return;
        }
        var decoded = decoder.decode(List.of(record));
        var envelope = Envelope.of(record);
        var problem = envelope.problem().orElse(decoded.problems().get(0));
        assertEquals(expected.get("failed").textValue(), problem == null ? null : problem.code(), place);
        var event = decoded.events().get(0);
        // An event whose headers cannot be read is decoded all the same.
        if (event != null || envelope.problem().isEmpty()) {
            assertEquals(expected.get("type").textValue(), event == null ? null : typeOf(event.data()), place);
        }
        if (event != null) {
            compare((Record) event.data(), expected.get("data"), place);
        }
        var fields = new LinkedHashMap<>(envelope.fields());
        fields.values().removeIf(Objects::isNull);
        List.of("topic", "partition", "offset", "timestamp").forEach(fields::remove);
        assertEquals(expected.get("envelope"), JSON.readTree(JSON.writeValueAsString(fields)), place);
    }

    private static String typeOf(EventData data) {
        return EventData.TYPES.entrySet().stream()
                .filter(it -> it.getValue().data() == data.getClass())
                .findFirst()
                .orElseThrow()
                .getKey();
    }

    /** Compares the fields that a record of Java has with those of the plain JSON. */
    private static void compare(Record data, JsonNode expected, String place) {
        for (var component : data.getClass().getRecordComponents()) {
            var field = place + ", " + component.getName();
            var json = expected.get(component.getName());
            Object value;
            try {
                value = component.getAccessor().invoke(data);
            } catch (ReflectiveOperationException error) {
                throw new IllegalStateException(field, error);
            }
            if (value instanceof List<?> items) {
                assertEquals(json.size(), items.size(), field);
                for (int i = 0; i < items.size(); i++) {
                    compare((Record) items.get(i), json.get(i), field);
                }
            } else {
                assertEquals(json.textValue(), text(value), field);
            }
        }
    }

    private static String text(Object value) {
        if (value instanceof BigDecimal amount) {
            return amount.toPlainString();
        }
        return value instanceof LocalDateTime time ? time.format(MILLISECONDS) : value == null ? null : value.toString();
    }
}
