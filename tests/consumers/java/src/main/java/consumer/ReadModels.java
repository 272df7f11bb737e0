package consumer;

import consumer.EventData.OrderCancelled;
import consumer.EventData.OrderConfirmed;
import consumer.EventData.OrderCreated;
import consumer.EventData.OrderRejected;
import consumer.EventData.ReturnReceived;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;

/** The read models: replace them with your own, and the tables in migrations/. */
final class ReadModels {
    static final String PROJECTION = "shop_java";
    static final List<String> TOPICS = List.of("shop.orders");

    private static final String CREATE_ORDER = """
            insert into shop_java.orders
                (order_id, customer_id, placed_at, day, country, state, lines, total, revision, position)
            values (?, ?, ?, ?, ?, 'created', ?, ?, ?, ?)""";
    private static final String CHANGE_ORDER = """
            update shop_java.orders
               set state = ?, confirmed = coalesce(?::numeric, confirmed), revision = ?, position = ?
             where order_id = ?""";
    private static final String ADD_REVENUE = """
            insert into shop_java.revenue as r (day, country, ordered, returned, confirmed) values (?, ?, ?, ?, ?)
                on conflict (day, country) do update
               set ordered = r.ordered + excluded.ordered, returned = r.returned + excluded.returned,
                   confirmed = r.confirmed + excluded.confirmed""";

    private ReadModels() {}

    /**
     * Is called with a batch's events in their order, in an open transaction. It changes tables of your own and nothing
     * else. If it throws, it is called again with one event at a time, and events for which it throws are parked.
     */
    static void apply(Connection connection, List<Event> events) throws SQLException {
        applyOrders(connection, events);
        applyRevenue(connection, events);
    }

    /** A row per order. All are created before any is changed: an order's stream begins with its creation. */
    private static void applyOrders(Connection connection, List<Event> events) throws SQLException {
        var changed = new ArrayList<String>();
        try (var create = connection.prepareStatement(CREATE_ORDER);
                var change = connection.prepareStatement(CHANGE_ORDER)) {
            for (var event : events) {
                var data = event.data();
                if (data instanceof OrderCreated order) {
                    var placedAt = order.placedAt();
                    add(create, order.orderId(), order.customerId(), placedAt, placedAt.toLocalDate(), order.country(),
                            order.lines().size(), order.total(), event.revision(), event.position());
                } else if (data instanceof OrderConfirmed order) {
                    add(change, "confirmed", order.confirmed(), event.revision(), event.position(), order.orderId());
                    changed.add(order.orderId());
                } else if (data instanceof OrderRejected order) {
                    add(change, "rejected", null, event.revision(), event.position(), order.orderId());
                    changed.add(order.orderId());
                } else if (data instanceof OrderCancelled order) {
                    add(change, "cancelled", null, event.revision(), event.position(), order.orderId());
                    changed.add(order.orderId());
                }
            }
            create.executeBatch();
            var counts = change.executeBatch();
            for (int i = 0; i < counts.length; i++) {
                if (counts[i] != 1) {
                    throw new IllegalStateException("order " + changed.get(i) + " has no row");
                }
            }
        }
    }

    /** Sums per day and country. Several instances add to one row: all lock them in the same order, or they deadlock. */
    private static void applyRevenue(Connection connection, List<Event> events) throws SQLException {
        var sums = new TreeMap<DayAndCountry, Amounts>(
                Comparator.comparing(DayAndCountry::day).thenComparing(DayAndCountry::country));
        for (var event : events) {
            var data = event.data();
            if (data instanceof OrderCreated order) {
                sums.merge(new DayAndCountry(order.placedAt().toLocalDate(), order.country()),
                        new Amounts(order.total(), BigDecimal.ZERO, BigDecimal.ZERO), Amounts::plus);
            } else if (data instanceof ReturnReceived returned) {
                sums.merge(new DayAndCountry(returned.receivedAt().toLocalDate(), returned.country()),
                        new Amounts(BigDecimal.ZERO, returned.total(), BigDecimal.ZERO), Amounts::plus);
            } else if (data instanceof OrderConfirmed order) {
                sums.merge(new DayAndCountry(order.day(), order.country()),
                        new Amounts(BigDecimal.ZERO, BigDecimal.ZERO, order.confirmed()), Amounts::plus);
            }
        }
        try (var statement = connection.prepareStatement(ADD_REVENUE)) {
            for (var sum : sums.entrySet()) {
                var key = sum.getKey();
                var amounts = sum.getValue();
                add(statement, key.day(), key.country(), amounts.ordered(), amounts.returned(), amounts.confirmed());
            }
            statement.executeBatch();
        }
    }

    private record DayAndCountry(LocalDate day, String country) {}

    private record Amounts(BigDecimal ordered, BigDecimal returned, BigDecimal confirmed) {
        Amounts plus(Amounts other) {
            return new Amounts(
                    ordered.add(other.ordered), returned.add(other.returned), confirmed.add(other.confirmed));
        }
    }

    private static void add(PreparedStatement statement, Object... values) throws SQLException {
        for (int i = 0; i < values.length; i++) {
            statement.setObject(i + 1, values[i]);
        }
        statement.addBatch();
    }
}
