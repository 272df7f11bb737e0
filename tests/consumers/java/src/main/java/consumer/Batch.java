package consumer;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * The records of a transaction.
 *
 * @param next the offset after what was read of each partition, markers of Kafka's transactions included
 */
record Batch(List<ConsumerRecord<byte[], byte[]>> records, Map<TopicPartition, OffsetAndMetadata> next) {
    static Batch of(ConsumerRecords<byte[], byte[]> polled) {
        return new Batch(StreamSupport.stream(polled.spliterator(), false).toList(), polled.nextOffsets());
    }

    /** What it has of these partitions. */
    Batch within(Set<TopicPartition> owned) {
        var next = new HashMap<>(this.next);
        next.keySet().retainAll(owned);
        var kept = records.stream().filter(it -> owned.contains(new TopicPartition(it.topic(), it.partition()))).toList();
        return new Batch(kept, next);
    }
}
