"""Defect: it keeps sums in memory that other instances change too. Breaks the property two-instances."""

import sys
from collections import defaultdict
from decimal import Decimal

import psycopg

import template  # noqa: F401

import consumer
import read_models

sums: dict[tuple, Decimal] = defaultdict(Decimal)


def apply_revenue(connection: psycopg.Connection, events: list[read_models.Event]) -> None:
    for event in events:
        if event.type == "shop.orders.OrderCreated":
            key = event.data["placedAt"].date(), event.data["country"]
            sums[key] += event.data["total"]
            connection.execute("""
                insert into shop_python.revenue (day, country, ordered) values (%s, %s, %s)
                    on conflict (day, country) do update set ordered = excluded.ordered""", (*key, sums[key]))


read_models.apply_revenue = apply_revenue
sys.exit(consumer.main())
