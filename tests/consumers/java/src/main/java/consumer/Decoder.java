package consumer;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.avro.Schema;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Makes events of records: Confluent's wire format, the schema registry, and the versions of {@link EventData}. */
final class Decoder {
    private final Registry registry;
    private final Map<String, Schema> readers = new HashMap<>();
    private final Map<Integer, Writer> writers = new HashMap<>();

    Decoder(Registry registry, Path schemas) throws IOException {
        this.registry = registry;
        for (var type : EventData.TYPES.entrySet()) {
            var file = schemas.resolve(type.getValue().schema());
            var schema = new Schema.Parser().parse(Files.readString(file));
            for (var component : type.getValue().data().getRecordComponents()) {
                if (schema.getField(component.getName()) == null) {
                    throw new IllegalArgumentException("%s has no field \"%s\", which %s names"
                            .formatted(file, component.getName(), type.getValue().data().getSimpleName()));
                }
            }
            readers.put(type.getKey(), schema);
        }
    }

    /**
     * Events of records.
     *
     * @param events by the index of their record; those of ignored types are left out
     * @param problems why others have none
     */
    record Decoded(SortedMap<Integer, Event> events, SortedMap<Integer, Problem> problems) {}

    /** Throws {@link Interruption}: the registry is not available, or has a schema that cannot be read. */
    Decoded decode(List<ConsumerRecord<byte[], byte[]>> records) {
        var decoded = new Decoded(new TreeMap<>(), new TreeMap<>());
        for (int i = 0; i < records.size(); i++) {
            try {
                var data = data(records.get(i));
                if (data != null) {
                    decoded.events.put(i, event(records.get(i), data));
                }
            } catch (Unreadable unreadable) {
                decoded.problems.put(i, unreadable.problem());
            }
        }
        return decoded;
    }

    private static Event event(ConsumerRecord<byte[], byte[]> record, EventData data) {
        var subject = Envelope.readableHeader(record, "ce_subject");
        var key = record.key() == null ? "" : new String(record.key(), StandardCharsets.UTF_8);
        return new Event(data, subject == null ? key : subject, number(record, "ce_revision"),
                number(record, "ce_position"), Envelope.readableHeader(record, "traceparent"));
    }

    /** Null: the record does not have it, or receive will refuse it. */
    private static Long number(ConsumerRecord<byte[], byte[]> record, String name) {
        try {
            var text = Envelope.readableHeader(record, name);
            return text == null ? null : Long.valueOf(text);
        } catch (NumberFormatException error) {
            return null;
        }
    }

    /** The event's data; null: its type is ignored. */
    private EventData data(ConsumerRecord<byte[], byte[]> record) throws Unreadable {
        var value = record.value();
        if (value == null) {
            throw new Unreadable(Problem.PAYLOAD, "the value is null");
        }
        if (value.length < 5 || value[0] != 0) {
            var start = HexFormat.of().formatHex(value, 0, Math.min(5, value.length));
            throw new Unreadable(Problem.PAYLOAD, "the value does not begin with a zero byte and a schema id: " + start);
        }
        int id = ByteBuffer.wrap(value).getInt(1);
        var writer = writers.get(id);
        if (writer == null) {
            writer = writer(id, registry.schema(id), record);
            writers.put(id, writer);
        }
        if (EventData.IGNORED.contains(writer.type)) {
            return null;
        }
        if (writer.reader == null) {
            throw new Unreadable(Problem.UNKNOWN_TYPE, "type \"" + writer.type + "\" is neither handled nor ignored");
        }
        try {
            return RecordMapper.map(writer.reader.read(value, 5), EventData.TYPES.get(writer.type).data());
        } catch (IOException | RuntimeException error) { // Broken bytes raise whatever they happen to break.
            throw new Unreadable(Problem.PAYLOAD,
                    "the value cannot be read as \"" + writer.type + "\", written with schema " + id + ": " + error);
        }
    }

    /** A schema of the registry; the reader is null if its type is not handled. */
    private record Writer(String type, ValueReader reader) {}

    private Writer writer(int id, String text, ConsumerRecord<byte[], byte[]> record) {
        var place = "%s/%d@%d: schema %d of the registry".formatted(record.topic(), record.partition(), record.offset(), id);
        Schema writer;
        try {
            writer = new Schema.Parser().parse(text);
        } catch (RuntimeException error) { // Not all are of one class.
            var handled = EventData.TYPES.get(Objects.toString(Envelope.readableHeader(record, "ce_type"), ""));
            throw new Interruption.Halted("%s cannot be parsed to read it as %s: %s; update the Avro library".formatted(
                    place, handled == null ? "any schema" : handled.schema(), error.getMessage()), error);
        }
        var type = writer.getFullName();
        var reader = readers.get(type);
        if (reader == null) {
            return new Writer(type, null);
        }
        var problems = Resolution.problems(writer, reader);
        if (!problems.isEmpty()) {
            throw new Interruption.Halted(place + " does not resolve to " + EventData.TYPES.get(type).schema() + ": "
                    + String.join(", ", problems) + "; write the program for a version to which it resolves", null);
        }
        return new Writer(type, new ValueReader(writer, reader));
    }
}
