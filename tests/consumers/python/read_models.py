"""The read models: replace this module with your own, and the tables in migrations/.

`apply` is called with the batch's events in their order, in an open transaction. It changes tables of your own and
nothing else. If it raises, it is called again with one event at a time, and events that raise are parked.
"""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

PROJECTION = "shop_python"
TOPICS = ["shop.orders"]
# Event types, each with the schema that this module is written for: writers' schemas are resolved to it.
TYPES = {
    "shop.orders.OrderCreated": "orders/OrderCreated/v2.avsc",
    "shop.orders.OrderConfirmed": "orders/OrderConfirmed/v1.avsc",
    "shop.orders.OrderRejected": "orders/OrderRejected/v1.avsc",
    "shop.orders.OrderCancelled": "orders/OrderCancelled/v1.avsc",
    "shop.orders.ReturnReceived": "orders/ReturnReceived/v1.avsc",
}
# Types that the topics carry and that do not matter here. Any other type is parked.
IGNORED: set[str] = set()


@dataclass(frozen=True)
class Event:
    type: str
    data: dict[str, Any]
    stream: str
    revision: int | None
    position: int | None
    traceparent: str | None


def apply(connection: psycopg.Connection, events: list[Event]) -> None:
    apply_orders(connection, events)
    apply_revenue(connection, events)


ORDERS = {
    "shop.orders.OrderCreated": """
        insert into shop_python.orders
            (order_id, customer_id, placed_at, day, country, state, lines, total, revision, position)
        values (%(orderId)s, %(customerId)s, %(placedAt)s, %(placedAt)s::date, %(country)s, 'created', %(lineCount)s,
                %(total)s, %(revision)s, %(position)s)""",
    "shop.orders.OrderConfirmed": """
        update shop_python.orders
           set state = 'confirmed', confirmed = %(confirmed)s, revision = %(revision)s, position = %(position)s
         where order_id = %(orderId)s""",
    "shop.orders.OrderRejected": """
        update shop_python.orders set state = 'rejected', revision = %(revision)s, position = %(position)s
         where order_id = %(orderId)s""",
    "shop.orders.OrderCancelled": """
        update shop_python.orders set state = 'cancelled', revision = %(revision)s, position = %(position)s
         where order_id = %(orderId)s""",
}


def apply_orders(connection: psycopg.Connection, events: list[Event]) -> None:
    """A row per order: one statement an event, and one round trip for all of them."""
    applied = []
    with connection.pipeline():
        for event in events:
            if event.type in ORDERS:
                values = event.data | {"revision": event.revision, "position": event.position,
                                       "lineCount": len(event.data.get("lines", []))}
                applied.append((event, connection.execute(ORDERS[event.type], values)))
    for event, result in applied:
        if result.rowcount != 1:
            raise ValueError(f"{event.type} has no row: order {event.data['orderId']} is unknown")


def apply_revenue(connection: psycopg.Connection, events: list[Event]) -> None:
    """Sums per day and country. Several instances add to one row: all lock them in the same order, or they deadlock."""
    sums: dict[tuple, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for event in events:
        data = event.data
        match event.type:
            case "shop.orders.OrderCreated":
                sums[data["placedAt"].date(), data["country"]][0] += data["total"]
            case "shop.orders.ReturnReceived":
                sums[data["receivedAt"].date(), data["country"]][1] += data["total"]
            case "shop.orders.OrderConfirmed":
                sums[data["day"], data["country"]][2] += data["confirmed"]
    if sums:
        connection.cursor().executemany("""
            insert into shop_python.revenue as r (day, country, ordered, returned, confirmed) values (%s, %s, %s, %s, %s)
                on conflict (day, country) do update
               set ordered = r.ordered + excluded.ordered, returned = r.returned + excluded.returned,
                   confirmed = r.confirmed + excluded.confirmed""",
            [(*key, *amounts) for key, amounts in sorted(sums.items())])
