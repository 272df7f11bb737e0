package consumer;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;

/**
 * What the environment sets.
 *
 * @param kafka properties of Kafka's client
 * @param batch most records of a transaction
 */
record Configuration(
        String brokers, String group, Map<String, Object> kafka, List<String> topics, String registryUrl, Path schemas,
        String postgresUrl, int batch, InetSocketAddress metricsAddress) {
    private static final String PROPERTIES = "AQUEDUCT_KAFKA__PROPERTIES__";

    static Configuration of(Map<String, String> environment) {
        return new Configuration(
                required(environment, "AQUEDUCT_KAFKA__BROKERS"),
                environment.getOrDefault("AQUEDUCT_KAFKA__GROUP", "aqueduct." + ReadModels.PROJECTION),
                kafkaProperties(environment),
                List.of(environment.getOrDefault("AQUEDUCT_TOPICS", String.join(",", ReadModels.TOPICS)).split(",")),
                required(environment, "AQUEDUCT_REGISTRY__URL"),
                Path.of(environment.getOrDefault("AQUEDUCT_SCHEMAS__DIRECTORY", "schemas")),
                required(environment, "AQUEDUCT_POSTGRES__URL"),
                batch(environment.getOrDefault("AQUEDUCT_BATCH", "500")),
                address(environment.getOrDefault("AQUEDUCT_HTTP__CONSUMER", "127.0.0.1:9110")));
    }

    private static String required(Map<String, String> environment, String name) {
        var value = environment.getOrDefault(name, "");
        if (value.isEmpty()) {
            throw new IllegalArgumentException("environment variable " + name + " is not set");
        }
        return value;
    }

    /** The client ignores a property that it does not know, which could be unsafe. */
    private static Map<String, Object> kafkaProperties(Map<String, String> environment) {
        var properties = new HashMap<String, Object>();
        environment.forEach((variable, value) -> {
            if (variable.startsWith(PROPERTIES)) {
                var name = variable.substring(PROPERTIES.length()).toLowerCase(Locale.ROOT).replace('_', '.');
                if (!ConsumerConfig.configNames().contains(name)) {
                    throw new IllegalArgumentException(variable + ": Kafka's client has no property \"" + name + '"');
                }
                properties.put(name, value);
            }
        });
        return properties;
    }

    private static int batch(String text) {
        if (!text.matches("[1-9][0-9]{0,5}")) {
            throw new IllegalArgumentException("AQUEDUCT_BATCH is \"" + text + "\", expected a number from 1");
        }
        return Integer.parseInt(text);
    }

    private static InetSocketAddress address(String text) {
        var parts = text.split(":(?=[0-9]{1,5}$)");
        if (parts.length != 2) {
            throw new IllegalArgumentException("AQUEDUCT_HTTP__CONSUMER is \"" + text + "\", expected host:port");
        }
        return new InetSocketAddress(parts[0], Integer.parseInt(parts[1]));
    }
}
