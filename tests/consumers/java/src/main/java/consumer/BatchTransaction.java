package consumer;

import consumer.Contract.Judgement;
import consumer.Decoder.Decoded;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the transaction of a batch contains.
 *
 * @param limit most parked events
 * @param attempt at this batch, from 1
 */
record BatchTransaction(Contract contract, Decoder decoder, int limit, int attempt) {
    private static final Logger LOG = LoggerFactory.getLogger(BatchTransaction.class);

    /**
     * What was done.
     *
     * @param held how many parked events were applied
     * @param judgements of the batch's records
     */
    record Outcome(Batch batch, int held, List<Judgement> judgements) {}

    Outcome apply(Batch batch, Decoded decoded) throws SQLException {
        var held = applyHeld();
        var judgements = batch.records().isEmpty() ? List.<Judgement>of() : applyRecords(batch.records(), decoded);
        if (!batch.next().isEmpty()) {
            contract.advance(batch.next());
        }
        return new Outcome(batch, held, judgements);
    }

    /** Applies parked events whose turn it is. */
    private int applyHeld() throws SQLException {
        var failed = new HashMap<Long, Problem>();
        Optional<Integer> applied;
        do {
            applied = Postgres.savepoint(contract.connection(), connection -> {
                var held = contract.nextHeld(limit, failed);
                var decoded = decoder.decode(held.stream().map(Contract.Held::record).toList());
                // Followers of an event that cannot be decoded are not applied: it is asked for again without them.
                var problems = decoded.problems().isEmpty() ? apply(decoded.events()) : decoded.problems();
                problems.forEach((index, problem) -> failed.put(held.get(index).id(), problem));
                return problems.isEmpty() ? Optional.of(held.size()) : Optional.empty();
            });
        } while (applied.isEmpty());
        return applied.get();
    }

    /** Applies and parks records. */
    private List<Judgement> applyRecords(List<ConsumerRecord<byte[], byte[]>> records, Decoded decoded)
            throws SQLException {
        var failed = new TreeMap<>(decoded.problems());
        var envelopes = new ArrayList<Map<String, Object>>();
        for (int i = 0; i < records.size(); i++) {
            var envelope = Envelope.of(records.get(i));
            envelopes.add(envelope.fields());
            if (envelope.problem().isPresent()) {
                failed.put(i, envelope.problem().get());
            }
        }
        Optional<List<Judgement>> judged;
        do {
            judged = Postgres.savepoint(contract.connection(), connection -> {
                var judgements = contract.receive(envelopes, failed);
                var chosen = new TreeMap<>(decoded.events());
                chosen.keySet().removeIf(index -> !judgements.get(index).result().isApplied());
                var problems = apply(chosen);
                failed.putAll(problems);
                return problems.isEmpty() ? Optional.of(judgements) : Optional.empty();
            });
        } while (judged.isEmpty());
        var unparked = new ArrayList<ConsumerRecord<byte[], byte[]>>();
        for (int i = 0; i < records.size(); i++) {
            if (judged.get().get(i).result().isParked()) {
                unparked.add(records.get(i));
            }
        }
        if (!unparked.isEmpty()) {
            contract.park(unparked);
        }
        return judged.get();
    }

    /** Applies events at once; if that fails, one by one. Returns the first failure of each stream by its index. */
    private SortedMap<Integer, Problem> apply(SortedMap<Integer, Event> events) throws SQLException {
        var problems = new TreeMap<Integer, Problem>();
        if (events.isEmpty() || failure(List.copyOf(events.values())).isEmpty()) {
            return problems;
        }
        var failedStreams = new HashSet<String>();
        for (var it : events.entrySet()) {
            var event = it.getValue();
            if (failedStreams.contains(event.stream())) {
                continue;
            }
            var failure = failure(List.of(event));
            if (failure.isPresent()) {
                var reason = Postgres.reason(failure.get());
                Tracing.atWarn(LOG, event.traceparent())
                        .setCause(failure.get() instanceof SQLException ? null : failure.get())
                        .log("revision {} of {} cannot be applied: {}", event.revision(), event.stream(), reason);
                problems.put(it.getKey(), new Problem(Problem.ROW, reason));
                failedStreams.add(event.stream());
            }
        }
        return problems;
    }

    /** Applies events within a savepoint. Returns the error that comes from their data, and throws any other. */
    private Optional<Exception> failure(List<Event> events) throws SQLException {
        try {
            Postgres.savepoint(contract.connection(), connection -> {
                ReadModels.apply(connection, events);
                return Optional.of(events);
            });
            return Optional.empty();
        } catch (SQLException | RuntimeException error) {
            if (Postgres.isOfData(error, contract.connection(), attempt)) {
                return Optional.of(error);
            }
            throw error;
        }
    }
}
