package consumer;

import java.lang.reflect.Constructor;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.Collection;
import org.apache.avro.generic.GenericEnumSymbol;
import org.apache.avro.generic.GenericRecord;

/** Makes records of Java from Avro's: a component gets the value of the field of its name. */
final class RecordMapper {
    private RecordMapper() {}

    static <T> T map(GenericRecord record, Class<T> type) {
        var components = type.getRecordComponents();
        var values = Arrays.stream(components)
                .map(component -> convert(record.get(component.getName()), component.getGenericType()))
                .toArray();
        try {
            return constructor(type, components).newInstance(values);
        } catch (ReflectiveOperationException error) {
            throw new IllegalArgumentException(type.getSimpleName() + ": " + error, error);
        }
    }

    private static <T> Constructor<T> constructor(Class<T> type, RecordComponent[] components)
            throws NoSuchMethodException {
        return type.getDeclaredConstructor(
                Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
    }

    /** Other values than these have their type already, by Avro's conversions. */
    private static Object convert(Object value, Type type) {
        if (value instanceof GenericRecord record && type instanceof Class<?> target) {
            return map(record, target);
        }
        if (value instanceof Collection<?> items && type instanceof ParameterizedType list) {
            return items.stream().map(item -> convert(item, list.getActualTypeArguments()[0])).toList();
        }
        return value instanceof GenericEnumSymbol<?> symbol ? symbol.toString() : value;
    }
}
