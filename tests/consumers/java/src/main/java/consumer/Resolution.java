package consumer;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.avro.LogicalTypes.Decimal;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;

/** Whether values that were written with a schema can be read with another one. */
final class Resolution {
    private final List<String> problems = new ArrayList<>();
    private final Set<String> compared = new HashSet<>();

    private Resolution() {}

    /** None: all values can be read. */
    static List<String> problems(Schema writer, Schema reader) {
        var resolution = new Resolution();
        // Avro itself would fail on the values that do not resolve, and read the others.
        SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getResult().getIncompatibilities().forEach(it ->
                resolution.problems.add("%s at %s: %s".formatted(it.getType(), it.getLocation(), it.getMessage())));
        // It leaves out logical types: an amount with another scale would be read as another amount.
        resolution.compare(writer, reader, "");
        return resolution.problems;
    }

    private void compare(Schema writer, Schema reader, String place) {
        if (writer.isUnion() || reader.isUnion()) {
            for (var written : branches(writer)) {
                branches(reader).stream()
                        .filter(read -> reads(read, written))
                        .forEach(read -> compare(written, read, place));
            }
        } else if (!logicalType(writer).equals(logicalType(reader))) {
            problems.add("%s was written as %s and would be read as %s".formatted(place, writer, reader));
        } else if (writer.getType() == Schema.Type.ARRAY && reader.getType() == Schema.Type.ARRAY) {
            compare(writer.getElementType(), reader.getElementType(), place);
        } else if (writer.getType() == Schema.Type.MAP && reader.getType() == Schema.Type.MAP) {
            compare(writer.getValueType(), reader.getValueType(), place);
        } else if (writer.getType() == Schema.Type.RECORD && reader.getType() == Schema.Type.RECORD
                && compared.add(writer.getFullName() + " " + reader.getFullName())) {
            for (var field : reader.getFields()) {
                Stream.concat(Stream.of(field.name()), field.aliases().stream())
                        .map(writer::getField)
                        .filter(Objects::nonNull)
                        .findFirst()
                        .ifPresent(written -> compare(written.schema(), field.schema(), place + "/" + field.name()));
            }
        }
    }

    private static boolean reads(Schema reader, Schema writer) {
        var isNamed = switch (reader.getType()) {
            case RECORD, ENUM, FIXED -> true;
            default -> false;
        };
        return reader.getFullName().equals(writer.getFullName())
                || isNamed && reader.getAliases().contains(writer.getFullName());
    }

    private static List<Schema> branches(Schema schema) {
        return schema.isUnion() ? schema.getTypes() : List.of(schema);
    }

    private static String logicalType(Schema schema) {
        var type = schema.getLogicalType();
        if (type instanceof Decimal decimal) {
            return "decimal of scale " + decimal.getScale();
        }
        return type == null ? "" : type.getName();
    }
}
