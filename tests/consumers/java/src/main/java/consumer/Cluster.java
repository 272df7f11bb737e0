package consumer;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;

/** What Kafka knows of partitions. */
final class Cluster implements AutoCloseable {
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);

    private final Admin admin;
    private final String group;

    Cluster(Map<String, Object> properties, String group) {
        admin = Admin.create(properties);
        this.group = group;
    }

    /**
     * What claim compares with the database.
     *
     * @param topicId null: not known
     * @param committed null: the group has committed nothing
     */
    record Offsets(String topicId, long earliest, long latest, Long committed) {}

    /** As they are now. Throws {@link Interruption.Unavailable}. */
    Offsets offsets(TopicPartition partition) {
        var topic = partition.topic();
        try {
            var topics = admin.describeTopics(List.of(topic)).allTopicNames();
            var earliest = admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).partitionResult(partition);
            var latest = admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition);
            var committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition);
            var topicId = topics.get().get(topic).topicId();
            return new Offsets(topicId.equals(Uuid.ZERO_UUID) ? null : topicId.toString(), earliest.get().offset(),
                    latest.get().offset(), committed == null ? null : committed.offset());
        } catch (ExecutionException error) {
            throw new Interruption.Unavailable("offsets of " + partition + ": " + error.getCause(), error);
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public void close() {
        admin.close(CLOSE_TIMEOUT);
    }
}
