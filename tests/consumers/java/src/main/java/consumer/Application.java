package consumer;

import java.io.IOException;
import java.net.InetAddress;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What lasts longer than a membership in the group. */
final class Application implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Application.class);

    private final Configuration configuration;
    private final CountDownLatch stopping;
    private final String name;
    private final Decoder decoder;
    private final Postgres postgres;
    private final Cluster cluster;

    Application(Configuration configuration, CountDownLatch stopping) throws IOException {
        this.configuration = configuration;
        this.stopping = stopping;
        name = InetAddress.getLocalHost().getHostName() + ":" + ProcessHandle.current().pid();
        decoder = new Decoder(new Registry(configuration.registryUrl()), configuration.schemas());
        postgres = new Postgres(configuration.postgresUrl(), name);
        cluster = new Cluster(clientProperties(), configuration.group());
    }

    /** Runs until asked to stop. */
    void run() throws SQLException, InterruptedException {
        while (stopping.getCount() > 0) {
            try (var kafka = new Membership(new KafkaConsumer<>(memberProperties()), cluster, postgres, decoder, name,
                    configuration.batch(), stopping)) {
                kafka.consume(configuration.topics());
            } catch (Interruption.Stopped stopped) {
                return;
            } catch (AuthenticationException | AuthorizationException | ConfigException error) {
                throw error;
            } catch (Interruption.Rejoin | KafkaException error) {
                // The client repeats what passes. What is left, such as an offset that the topic does not have, is for claim
                // to judge.
                Metrics.REJOINS.add(1);
                LOG.warn("leaving the group to join it again: {}", error.getMessage());
                stopping.await(ThreadLocalRandom.current().nextLong(100, 1000), TimeUnit.MILLISECONDS);
            }
        }
    }

    private Map<String, Object> clientProperties() {
        var properties = new HashMap<>(configuration.kafka());
        properties.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, configuration.brokers());
        properties.putIfAbsent(CommonClientConfigs.DEFAULT_API_TIMEOUT_MS_CONFIG, 10_000);
        properties.putIfAbsent(CommonClientConfigs.REQUEST_TIMEOUT_MS_CONFIG, 10_000);
        return properties;
    }

    private Map<String, Object> memberProperties() {
        var properties = clientProperties();
        properties.put(ConsumerConfig.GROUP_ID_CONFIG, configuration.group());
        properties.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        properties.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, configuration.batch());
        properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
        properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        // Postgres decides where to resume. Kafka's offsets are committed for displays of lag.
        properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        // An offset that the partition does not have is an error, and not the beginning or the end: see claim.
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
        // Only partitions that move are revoked. Under an eager assignor each rebalance would revoke all of them.
        properties.put(ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG, CooperativeStickyAssignor.class.getName());
        return properties;
    }

    @Override
    public void close() {
        cluster.close();
        postgres.close();
    }
}
