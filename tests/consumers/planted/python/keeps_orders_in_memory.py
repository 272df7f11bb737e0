"""Defect: it changes only orders whose creation this instance has seen. Breaks the property two-instances."""

import sys

import psycopg

import template  # noqa: F401

import consumer
import read_models

apply_orders = read_models.apply_orders
created: set[str] = set()


def apply_known_orders(connection: psycopg.Connection, events: list[read_models.Event]) -> None:
    created.update(event.stream for event in events if event.type == "shop.orders.OrderCreated")
    apply_orders(connection, [event for event in events if event.stream in created])


read_models.apply_orders = apply_known_orders
sys.exit(consumer.main())
