"""Keeps the tables of the template, row by row: a transaction for each record, no contract. Only for comparison."""

import io
import json
import os
import urllib.request

import fastavro
import psycopg
from confluent_kafka import Consumer, KafkaException

ADD_REVENUE = """
    insert into naive.revenue as r (day, country, ordered, returned, confirmed) values (%s, %s, %s, %s, %s)
        on conflict (day, country) do update
       set ordered = r.ordered + excluded.ordered, returned = r.returned + excluded.returned,
           confirmed = r.confirmed + excluded.confirmed"""


def schema(registry: str, schema_id: int):
    with urllib.request.urlopen(f"{registry.rstrip('/')}/schemas/ids/{schema_id}") as response:
        return fastavro.parse_schema(json.loads(json.load(response)["schema"]))


def apply(connection: psycopg.Connection, name: str, data: dict, revision: int, position: int) -> None:
    match name:
        case "shop.orders.OrderCreated":
            day = data["placedAt"].date()
            connection.execute("""
                insert into naive.orders
                    (order_id, customer_id, placed_at, day, country, state, lines, total, revision, position)
                values (%s, %s, %s, %s, %s, 'created', %s, %s, %s, %s)""",
                (data["orderId"], data["customerId"], data["placedAt"], day, data["country"], len(data["lines"]),
                 data["total"], revision, position))
            connection.execute(ADD_REVENUE, (day, data["country"], data["total"], 0, 0))
        case "shop.orders.OrderConfirmed":
            connection.execute("""
                update naive.orders set state = 'confirmed', confirmed = %s, revision = %s, position = %s
                 where order_id = %s""", (data["confirmed"], revision, position, data["orderId"]))
            connection.execute(ADD_REVENUE, (data["day"], data["country"], 0, 0, data["confirmed"]))
        case "shop.orders.OrderRejected" | "shop.orders.OrderCancelled":
            state = name.removeprefix("shop.orders.Order").lower()
            connection.execute("update naive.orders set state = %s, revision = %s, position = %s where order_id = %s",
                               (state, revision, position, data["orderId"]))
        case "shop.orders.ReturnReceived":
            connection.execute(ADD_REVENUE, (data["receivedAt"].date(), data["country"], 0, data["total"], 0))


def main() -> None:
    consumer = Consumer({"bootstrap.servers": os.environ["AQUEDUCT_KAFKA__BROKERS"],
                         "group.id": os.environ["AQUEDUCT_KAFKA__GROUP"],
                         "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
    consumer.subscribe(os.environ["AQUEDUCT_TOPICS"].split(","))
    schemas = {}
    with psycopg.connect(os.environ["AQUEDUCT_POSTGRES__URL"], autocommit=True) as connection:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            value = message.value()
            schema_id = int.from_bytes(value[1:5])
            if schema_id not in schemas:
                schemas[schema_id] = schema(os.environ["AQUEDUCT_REGISTRY__URL"], schema_id)
            data = fastavro.schemaless_reader(io.BytesIO(value[5:]), schemas[schema_id], None)
            headers = dict(message.headers())
            with connection.transaction():
                apply(connection, headers["ce_type"].decode(), data, int(headers["ce_revision"]), int(headers["ce_position"]))


if __name__ == "__main__":
    main()
