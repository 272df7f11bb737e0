package consumer;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * What receive wants to know of a record.
 *
 * @param problem why a part of it cannot be read, which is then left out
 */
record Envelope(Map<String, Object> fields, Optional<Problem> problem) {
    private static final List<String> HEADERS = List.of(
            "ce_source", "ce_subject", "ce_id", "ce_eventid", "ce_revision", "ce_previousrevision", "ce_time");

    static Envelope of(ConsumerRecord<byte[], byte[]> record) {
        var fields = new LinkedHashMap<String, Object>();
        fields.put("topic", record.topic());
        fields.put("partition", record.partition());
        fields.put("offset", record.offset());
        if (record.timestamp() >= 0) {
            fields.put("timestamp", record.timestamp());
        }
        Problem problem = null;
        try {
            fields.put("key", record.key() == null ? null : text(record.key(), "the key"));
        } catch (Unreadable unreadable) {
            problem = unreadable.problem();
        }
        for (var name : HEADERS) {
            try {
                fields.put(name, header(record, name));
            } catch (Unreadable unreadable) {
                problem = unreadable.problem();
            }
        }
        return new Envelope(fields, Optional.ofNullable(problem));
    }

    /** The first header of this name; null: the record does not have it. */
    static String header(ConsumerRecord<byte[], byte[]> record, String name) throws Unreadable {
        for (var header : record.headers().headers(name)) {
            if (header.value() != null) {
                return text(header.value(), "header " + name);
            }
        }
        return null;
    }

    /** A header; null: it is missing or cannot be read. */
    static String readableHeader(ConsumerRecord<byte[], byte[]> record, String name) {
        try {
            return header(record, name);
        } catch (Unreadable unreadable) {
            return null;
        }
    }

    /** A text that Postgres can store. */
    private static String text(byte[] value, String what) throws Unreadable {
        try {
            var text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value)).toString();
            if (text.indexOf('\0') >= 0) {
                throw new Unreadable(Problem.HEADERS, what + " contains U+0000, which Postgres cannot store");
            }
            return text;
        } catch (CharacterCodingException error) {
            throw new Unreadable(Problem.HEADERS, what + " is not UTF-8");
        }
    }

    /** A record as park wants it: JSON has bytes in base64. */
    record Parked(
            String topic, int partition, long offset, String eventType, byte[] key, byte[] value,
            List<ParkedHeader> headers) {
        static Parked of(ConsumerRecord<byte[], byte[]> record) {
            var headers = StreamSupport.stream(record.headers().spliterator(), false)
                    .map(header -> new ParkedHeader(Problem.storable(header.key()), header.value()))
                    .toList();
            return new Parked(record.topic(), record.partition(), record.offset(), readableHeader(record, "ce_type"),
                    record.key(), record.value(), headers);
        }
    }

    record ParkedHeader(String name, byte[] value) {}
}
