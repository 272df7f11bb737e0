package consumer;

import consumer.BatchTransaction.Outcome;
import consumer.Contract.Claim;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The time from joining the group to leaving it. All of it is one thread: Kafka's client assigns and revokes partitions
 * within poll only, so never while a batch is applied.
 */
final class Membership implements ConsumerRebalanceListener, AutoCloseable {
    private static final Duration HELD_EVERY = Duration.ofSeconds(1); // between checks for parked events without records
    private static final Duration SHORTEST_POLL = Duration.ofMillis(10);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);
    private static final Logger LOG = LoggerFactory.getLogger(Membership.class);

    private final KafkaConsumer<byte[], byte[]> kafka;
    private final Cluster cluster;
    private final Postgres postgres;
    private final Decoder decoder;
    private final String name;
    private final int limit;
    private final CountDownLatch stopping;
    private final Map<TopicPartition, Long> epochs = new HashMap<>();
    private final Set<TopicPartition> unclaimed = new LinkedHashSet<>();

    Membership(KafkaConsumer<byte[], byte[]> kafka, Cluster cluster, Postgres postgres, Decoder decoder, String name,
            int limit, CountDownLatch stopping) {
        this.kafka = kafka;
        this.cluster = cluster;
        this.postgres = postgres;
        this.decoder = decoder;
        this.name = name;
        this.limit = limit;
        this.stopping = stopping;
    }

    /** Consumes until asked to stop. */
    void consume(List<String> topics) throws SQLException {
        kafka.subscribe(topics, this);
        long heldAt = System.nanoTime();
        while (stopping.getCount() > 0) {
            claimAssigned();
            var untilHeld = Duration.ofNanos(heldAt - System.nanoTime());
            var batch = Batch.of(kafka.poll(untilHeld.compareTo(SHORTEST_POLL) < 0 ? SHORTEST_POLL : untilHeld));
            if (epochs.isEmpty()) {
                heldAt = System.nanoTime() + HELD_EVERY.toNanos();
                continue;
            }
            if (batch.next().isEmpty() && System.nanoTime() < heldAt) {
                continue;
            }
            var outcome = retry(attempt -> apply(batch, attempt));
            heldAt = System.nanoTime() + (outcome.held() > 0 ? 0 : HELD_EVERY.toNanos());
            report(outcome);
            if (!outcome.batch().next().isEmpty()) {
                // For displays of lag: nothing resumes there.
                kafka.commitAsync(outcome.batch().next(), (offsets, error) -> {
                    if (error != null) {
                        LOG.debug("cannot commit offsets to Kafka: {}", error.getMessage());
                    }
                });
            }
        }
    }

    /** Claims are not made in this callback: they may have to wait, and poll would not return. */
    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
        unclaimed.addAll(assigned);
        kafka.pause(assigned);
        // Any offset: without one, the client would look for one of its own, and fail because auto.offset.reset is none.
        assigned.forEach(partition -> kafka.seek(partition, 0));
    }

    /** The client calls it for lost partitions, too, and drops their records that were not polled. */
    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
        unclaimed.removeAll(revoked);
        epochs.keySet().removeAll(revoked);
        Metrics.PARTITIONS.set(epochs.size());
    }

    private void claimAssigned() throws SQLException {
        while (!unclaimed.isEmpty()) {
            retry(attempt -> {
                // The one of the attempt before may have been revoked during the pause.
                var next = unclaimed.stream().findFirst();
                if (next.isPresent()) {
                    claim(next.get());
                }
                return next;
            });
        }
    }

    private void claim(TopicPartition partition) throws SQLException {
        var offsets = cluster.offsets(partition);
        var claim = postgres.transact(connection -> Contract.claim(connection, partition, offsets, name));
        // Committed by now: others must see it, and a person accepts it.
        if (claim instanceof Claim.Halted halted) {
            throw new Interruption.Halted(halted.problem(), null);
        }
        var claimed = (Claim.Claimed) claim;
        epochs.put(partition, claimed.epoch());
        unclaimed.remove(partition);
        kafka.seek(partition, claimed.nextOffset());
        kafka.resume(List.of(partition));
        Metrics.PARTITIONS.set(epochs.size());
        LOG.info("claimed {} from offset {}", partition, claimed.nextOffset());
    }

    private Outcome apply(Batch polled, int attempt) throws SQLException {
        // Partitions may have been revoked during a pause.
        var batch = polled.within(epochs.keySet());
        if (epochs.isEmpty()) {
            return new Outcome(batch, 0, List.of());
        }
        var decoded = decoder.decode(batch.records());
        return postgres.transact(connection ->
                new BatchTransaction(new Contract(connection, epochs), decoder, limit, attempt).apply(batch, decoded));
    }

    private interface Attempt<T> {
        T run(int attempt) throws SQLException;
    }

    /** Repeats what fails for a reason that passes, a commit of unknown outcome too: the inbox drops the second. */
    private <T> T retry(Attempt<T> work) throws SQLException {
        for (int attempt = 1; ; attempt++) {
            try {
                return work.run(attempt);
            } catch (Interruption.Unavailable error) {
                Metrics.RETRIES.add(1);
                long longest = Math.min(LONGEST_PAUSE.toMillis(), 100L << Math.min(attempt, 10));
                var pause = Duration.ofMillis(ThreadLocalRandom.current().nextLong(longest / 2, longest));
                LOG.warn("waiting {} ms before the next attempt: {}", pause.toMillis(), error.getMessage());
                pause(pause);
            }
        }
    }

    /** Polls while it waits, or the client would leave the group after max.poll.interval.ms. */
    private void pause(Duration pause) {
        long until = System.nanoTime() + pause.toNanos();
        kafka.pause(epochs.keySet());
        for (long left = pause.toNanos(); left > 0; left = until - System.nanoTime()) {
            if (stopping.getCount() == 0) {
                throw new Interruption.Stopped();
            }
            // Returns no records: all partitions are paused.
            kafka.poll(Duration.ofNanos(Math.min(left, Duration.ofMillis(100).toNanos())));
        }
        kafka.resume(epochs.keySet());
    }

    private static void report(Outcome outcome) {
        Metrics.BATCHES.add(1);
        Metrics.HELD.add(outcome.held());
        for (int i = 0; i < outcome.judgements().size(); i++) {
            var judgement = outcome.judgements().get(i);
            Metrics.RECORDS.count(judgement.result());
            if (judgement.result().isParked()) {
                var record = outcome.batch().records().get(i);
                Tracing.atWarn(LOG, Envelope.readableHeader(record, "traceparent"))
                        .log("parked {}/{}@{} as {}: {}", record.topic(), record.partition(), record.offset(),
                                judgement.result().text(), judgement.reason());
            }
        }
    }

    /** Leaves the group: the client revokes the partitions. */
    @Override
    public void close() {
        kafka.close(CloseOptions.timeout(CLOSE_TIMEOUT));
    }
}
