import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Keeps the tables of the template, row by row: a transaction for each record, no contract. Only for comparison. */
final class Naive {
    private static final String CREATE_ORDER = """
            insert into naive.orders
                (order_id, customer_id, placed_at, day, country, state, lines, total, revision, position)
            values (?, ?, ?, ?, ?, 'created', ?, ?, ?, ?)""";
    private static final String CONFIRM_ORDER =
            "update naive.orders set state = 'confirmed', confirmed = ?, revision = ?, position = ? where order_id = ?";
    private static final String CHANGE_ORDER =
            "update naive.orders set state = ?, revision = ?, position = ? where order_id = ?";
    private static final String ADD_REVENUE = """
            insert into naive.revenue as r (day, country, ordered, returned, confirmed) values (?, ?, ?, ?, ?)
                on conflict (day, country) do update
               set ordered = r.ordered + excluded.ordered, returned = r.returned + excluded.returned,
                   confirmed = r.confirmed + excluded.confirmed""";

    private final HttpClient http = HttpClient.newHttpClient();
    private final Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>();
    private final GenericData model = new GenericData();
    private final Connection connection;

    private Naive(Connection connection) {
        this.connection = connection;
        model.addLogicalTypeConversion(new Conversions.DecimalConversion());
        model.addLogicalTypeConversion(new TimeConversions.DateConversion());
        model.addLogicalTypeConversion(new TimeConversions.LocalTimestampMillisConversion());
    }

    public static void main(String[] arguments) throws Exception {
        var uri = URI.create(System.getenv("AQUEDUCT_POSTGRES__URL"));
        var login = uri.getRawUserInfo().split(":");
        var url = "jdbc:postgresql://%s:%d%s".formatted(uri.getHost(), uri.getPort(), uri.getRawPath());
        Map<String, Object> properties = Map.of(
                "bootstrap.servers", System.getenv("AQUEDUCT_KAFKA__BROKERS"),
                "group.id", System.getenv("AQUEDUCT_KAFKA__GROUP"),
                "isolation.level", "read_committed",
                "auto.offset.reset", "earliest");
        try (var connection = DriverManager.getConnection(url, login[0], login[1]);
                var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            connection.setAutoCommit(false);
            consumer.subscribe(List.of(System.getenv("AQUEDUCT_TOPICS").split(",")));
            var naive = new Naive(connection);
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    naive.apply(record);
                }
            }
        }
    }

    private void apply(ConsumerRecord<byte[], byte[]> record) throws Exception {
        int id = ByteBuffer.wrap(record.value()).getInt(1);
        if (!readers.containsKey(id)) {
            readers.put(id, reader(id));
        }
        var body = DecoderFactory.get().binaryDecoder(record.value(), 5, record.value().length - 5, null);
        var data = readers.get(id).read(null, body);
        long revision = Long.parseLong(header(record, "ce_revision"));
        long position = Long.parseLong(header(record, "ce_position"));
        var type = header(record, "ce_type");
        switch (type) {
            case "shop.orders.OrderCreated" -> {
                var placedAt = (LocalDateTime) data.get("placedAt");
                execute(CREATE_ORDER, text(data, "orderId"), text(data, "customerId"), placedAt, placedAt.toLocalDate(),
                        text(data, "country"), ((List<?>) data.get("lines")).size(), data.get("total"), revision, position);
                addRevenue(placedAt.toLocalDate(), data, data.get("total"), BigDecimal.ZERO, BigDecimal.ZERO);
            }
            case "shop.orders.OrderConfirmed" -> {
                execute(CONFIRM_ORDER, data.get("confirmed"), revision, position, text(data, "orderId"));
                addRevenue((LocalDate) data.get("day"), data, BigDecimal.ZERO, BigDecimal.ZERO, data.get("confirmed"));
            }
            case "shop.orders.OrderRejected", "shop.orders.OrderCancelled" -> {
                var state = type.substring("shop.orders.Order".length()).toLowerCase(Locale.ROOT);
                execute(CHANGE_ORDER, state, revision, position, text(data, "orderId"));
            }
            case "shop.orders.ReturnReceived" -> {
                var day = ((LocalDateTime) data.get("receivedAt")).toLocalDate();
                addRevenue(day, data, BigDecimal.ZERO, data.get("total"), BigDecimal.ZERO);
            }
            default -> throw new IllegalStateException(type);
        }
        connection.commit();
    }

    private void addRevenue(LocalDate day, GenericRecord data, Object ordered, Object returned, Object confirmed)
            throws SQLException {
        execute(ADD_REVENUE, day, text(data, "country"), ordered, returned, confirmed);
    }

    private void execute(String sql, Object... values) throws SQLException {
        try (var statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) {
                statement.setObject(i + 1, values[i]);
            }
            statement.executeUpdate();
        }
    }

    private static String text(GenericRecord data, String field) {
        return Objects.toString(data.get(field), null);
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }

    private GenericDatumReader<GenericRecord> reader(int id) throws Exception {
        var uri = URI.create(System.getenv("AQUEDUCT_REGISTRY__URL").replaceFirst("/+$", "") + "/schemas/ids/" + id);
        var response = http.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString());
        var schema = new Schema.Parser().parse(new ObjectMapper().readTree(response.body()).get("schema").textValue());
        return new GenericDatumReader<>(schema, schema, model);
    }
}
