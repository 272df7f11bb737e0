package consumer;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.Decoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.util.Utf8;

/** Reads values in Avro that were written with one schema as another one. */
final class ValueReader {
    private static final GenericData DATA = new GenericData();

    static {
        // Longer values in a broken body are refused before memory is reserved for them. Kafka takes records of 1 MB by
        // default.
        System.setProperty("org.apache.avro.limits.bytes.maxLength", String.valueOf(16 << 20));
        System.setProperty("org.apache.avro.limits.string.maxLength", String.valueOf(16 << 20));
        System.setProperty("org.apache.avro.limits.collectionItems.maxLength", String.valueOf(1 << 20));
        DATA.addLogicalTypeConversion(new Conversions.DecimalConversion());
        DATA.addLogicalTypeConversion(new Conversions.UUIDConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.DateConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimeMillisConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimeMicrosConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.LocalTimestampMillisConversion());
        DATA.addLogicalTypeConversion(new TimeConversions.LocalTimestampMicrosConversion());
        // It would not call StrictReader.
        DATA.setFastReaderEnabled(false);
    }

    private final StrictReader reader;

    ValueReader(Schema writer, Schema reader) {
        this.reader = new StrictReader(writer, reader);
    }

    /**
     * Reads all bytes from the offset on.
     *
     * <p>Avro 1.12.2 fails on arrays in a byte array if their items are longer in the reader's schema, such as by a field
     * with a default: it compares that length with the bytes that are left. Of a stream it does not know how many these are.
     */
    GenericRecord read(byte[] bytes, int offset) throws IOException {
        var stream = new ByteArrayInputStream(bytes, offset, bytes.length - offset);
        var value = reader.read(null, DecoderFactory.get().directBinaryDecoder(stream, null));
        if (stream.available() > 0) {
            throw new IOException(stream.available() + " bytes are left after it");
        }
        return value;
    }

    /** Refuses a text that is not UTF-8, where Avro would replace the bytes. */
    private static final class StrictReader extends GenericDatumReader<GenericRecord> {
        StrictReader(Schema writer, Schema reader) {
            super(writer, reader, DATA);
        }

        @Override
        protected Object readString(Object old, Schema expected, Decoder in) throws IOException {
            var text = in.readString((Utf8) null);
            var bytes = ByteBuffer.wrap(text.getBytes(), 0, text.getByteLength());
            return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
        }
    }
}
