package consumer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import consumer.Envelope.Parked;
import consumer.Envelope.ParkedHeader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;

/**
 * The SQL functions of the schema aqueduct_consumer, each called in the caller's transaction.
 *
 * @param epochs the partitions that this instance has claimed
 */
record Contract(Connection connection, Map<TopicPartition, Long> epochs) {
    private static final int GENERATION = 1;
    /** The role owns no projection, or the functions are not installed in this database. */
    private static final Set<String> FORBIDDEN = Set.of("42501", "3F000");
    private static final JsonMapper JSON =
            JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

    sealed interface Claim {
        record Claimed(long epoch, long nextOffset) implements Claim {}

        record Halted(String problem) implements Claim {}
    }

    /** A parked event whose turn it is. */
    record Held(long id, ConsumerRecord<byte[], byte[]> record) {}

    record Judgement(Result result, String reason) {}

    private record Partition(String topic, int partition, long epoch) {}

    private record NextOffset(String topic, int partition, long epoch, long nextOffset) {}

    private record FailedHeld(long id, String code, String reason) {}

    private record FailedRecord(int ordinal, String code, String reason) {}

    /** Makes this consumer the partition's owner. Its transaction must be committed, whatever the result is. */
    static Claim claim(Connection connection, TopicPartition partition, Cluster.Offsets kafka, String consumer)
            throws SQLException {
        var parameters = "?::text, ?::text, ?::integer, ?::bigint, ?::bigint, ?::bigint, ?::text";
        try (var statement = prepare(connection, "claim", parameters, partition.topic(), kafka.topicId(),
                        partition.partition(), kafka.earliest(), kafka.latest(), kafka.committed(), consumer);
                var row = statement.executeQuery()) {
            row.next();
            return row.getString("result").equals("claimed")
                    ? new Claim.Claimed(row.getLong("epoch"), row.getLong("next_offset"))
                    : new Claim.Halted(row.getString("problem"));
        } catch (SQLException error) {
            if (!FORBIDDEN.contains(error.getSQLState())) {
                throw error;
            }
            var problem = "role \"%s\" may not act for projection \"%s\" (%s): run aqueduct projection install %s --owner ROLE, "
                    + "with a role of which it is a member";
            throw new Interruption.Halted(
                    problem.formatted(connection.getMetaData().getUserName(), ReadModels.PROJECTION, error.getMessage(),
                            ReadModels.PROJECTION),
                    error);
        }
    }

    /** Parked events whose turn it is. Those in failed, by their ids, stay parked. */
    List<Held> nextHeld(int limit, Map<Long, Problem> failed) throws SQLException {
        var failures = failed.entrySet().stream()
                .map(it -> new FailedHeld(it.getKey(), it.getValue().code(), it.getValue().reason()))
                .toList();
        var held = new ArrayList<Held>();
        try (var statement = prepare(connection, "next_held", "?::jsonb, ?::integer, ?::jsonb",
                        json(partitions()), limit, json(failures));
                var row = statement.executeQuery()) {
            while (row.next()) {
                held.add(new Held(row.getLong("id"), record(row)));
            }
        }
        return held;
    }

    private static ConsumerRecord<byte[], byte[]> record(ResultSet row) throws SQLException {
        var headers = new RecordHeaders();
        for (var header : fromJson(row.getString("headers"), ParkedHeader[].class)) {
            headers.add(header.name(), header.value());
        }
        return new ConsumerRecord<>(row.getString("topic"), row.getInt("partition"), row.getLong("offset"),
                ConsumerRecord.NO_TIMESTAMP, TimestampType.NO_TIMESTAMP_TYPE, ConsumerRecord.NULL_SIZE,
                ConsumerRecord.NULL_SIZE, bytes(row.getString("key")), bytes(row.getString("value")), headers,
                Optional.empty());
    }

    /** A judgement for each record, in their order. Those in failed, by their indexes, cannot be applied. */
    List<Judgement> receive(List<Map<String, Object>> envelopes, Map<Integer, Problem> failed) throws SQLException {
        var failures = failed.entrySet().stream()
                .map(it -> new FailedRecord(it.getKey() + 1, it.getValue().code(), it.getValue().reason()))
                .toList();
        var judgements = new ArrayList<Judgement>();
        try (var statement = prepare(connection, "receive", "?::jsonb, ?::jsonb, ?::jsonb",
                        json(partitions()), json(envelopes), json(failures));
                var row = statement.executeQuery()) {
            while (row.next()) {
                judgements.add(new Judgement(Result.of(row.getString("result")), row.getString("reason")));
            }
        }
        return judgements;
    }

    void park(List<ConsumerRecord<byte[], byte[]>> records) throws SQLException {
        try (var statement = prepare(connection, "park", "?::jsonb", json(records.stream().map(Parked::of).toList()))) {
            statement.execute();
        }
    }

    void advance(Map<TopicPartition, OffsetAndMetadata> next) throws SQLException {
        var offsets = next.entrySet().stream()
                .map(it -> new NextOffset(it.getKey().topic(), it.getKey().partition(), epochs.get(it.getKey()),
                        it.getValue().offset()))
                .toList();
        try (var statement = prepare(connection, "advance", "?::jsonb", json(offsets))) {
            statement.execute();
        }
    }

    private List<Partition> partitions() {
        return epochs.entrySet().stream()
                .map(it -> new Partition(it.getKey().topic(), it.getKey().partition(), it.getValue()))
                .toList();
    }

    private static PreparedStatement prepare(Connection connection, String function, String parameters, Object... values)
            throws SQLException {
        var statement = connection.prepareStatement(
                "select * from aqueduct_consumer." + function + "(?::text, ?::integer, " + parameters + ")");
        statement.setString(1, ReadModels.PROJECTION);
        statement.setInt(2, GENERATION);
        for (int i = 0; i < values.length; i++) {
            statement.setObject(i + 3, values[i]);
        }
        return statement;
    }

    private static byte[] bytes(String base64) {
        // Postgres breaks it into lines.
        return base64 == null ? null : Base64.getMimeDecoder().decode(base64);
    }

    private static String json(Object value) {
        try {
            return JSON.writeValueAsString(value);
        } catch (JsonProcessingException error) {
            throw new IllegalStateException(error);
        }
    }

    private static <T> T fromJson(String text, Class<T> type) {
        try {
            return JSON.readValue(text, type);
        } catch (JsonProcessingException error) {
            throw new IllegalStateException(error);
        }
    }
}
