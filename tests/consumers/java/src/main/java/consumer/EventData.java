package consumer;

import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The events: replace them with your own. Each record has the fields of its Avro schema that the read models need. */
sealed interface EventData {
    /** The types that are handled, each with the schema that it is read as: writers' schemas are resolved to it. */
    Map<String, EventType> TYPES = Map.of(
            "shop.orders.OrderCreated", new EventType("orders/OrderCreated/v2.avsc", OrderCreated.class),
            "shop.orders.OrderConfirmed", new EventType("orders/OrderConfirmed/v1.avsc", OrderConfirmed.class),
            "shop.orders.OrderRejected", new EventType("orders/OrderRejected/v1.avsc", OrderRejected.class),
            "shop.orders.OrderCancelled", new EventType("orders/OrderCancelled/v1.avsc", OrderCancelled.class),
            "shop.orders.ReturnReceived", new EventType("orders/ReturnReceived/v1.avsc", ReturnReceived.class));

    /** The types that the topics carry and that do not matter here. Any other type is parked. */
    Set<String> IGNORED = Set.of();

    record EventType(String schema, Class<? extends EventData> data) {}

    record OrderCreated(
            String orderId, String customerId, LocalDateTime placedAt, String country, List<OrderLine> lines,
            BigDecimal total)
            implements EventData {}

    record OrderLine(String sku) {}

    record OrderConfirmed(String orderId, LocalDate day, String country, BigDecimal confirmed) implements EventData {}

    record OrderRejected(String orderId) implements EventData {}

    record OrderCancelled(String orderId) implements EventData {}

    record ReturnReceived(LocalDateTime receivedAt, String country, BigDecimal total) implements EventData {}
}
