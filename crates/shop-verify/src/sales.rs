//! Customers, orders and returns: what their streams hold.

use std::collections::{BTreeMap, HashSet};

use aqueduct_core::StreamName;
use serde_json::Value;

use crate::book::{Book, Order};
use crate::causality;
use crate::expect::Expect;
use crate::expected::{self, Answers};
use crate::inventory::{AllAnswers, Answer};
use crate::log::{Entry, Log};
use aqueduct_verify::{Findings, Kind, Stage};

/// Judges the streams of customers, orders and returns, given how the products of the orders were answered.
pub(crate) fn judge(log: &Log, book: &Book, answers: &AllAnswers, findings: &mut Findings) {
    let mut judge = Judge { log, findings, known: HashSet::new() };
    for (id, customer) in &book.customers {
        let expected = expected::user_registered(id, customer);
        judge.only_event(StreamName::of("user", id), "UserRegistered", &expected);
    }
    for returned in &book.returns {
        let expected = expected::return_received(returned);
        judge.only_event(StreamName::of("return", &returned.id), "ReturnReceived", &expected);
    }
    for (order, answers) in book.orders.iter().zip(answers) {
        judge.order(order, answers);
    }
    judge.nothing_else();
}

struct Judge<'a> {
    log: &'a Log,
    findings: &'a mut Findings,
    known: HashSet<StreamName>,
}

impl Judge<'_> {
    fn add(&mut self, kind: Kind, entry: &Entry, text: impl std::fmt::Display) {
        let place = format_args!("{} {}", entry.event.reference(), entry.event.event_type).to_string();
        self.findings.add(Stage::Store, kind, place, text);
    }

    /// The stream holds this event and no other.
    fn only_event(&mut self, stream: StreamName, event_type: &str, expected: &Expect) {
        let mut seen = false;
        for entry in self.log.stream(&stream) {
            if entry.event.event_type != event_type {
                self.add(Kind::Mismatch, entry, "has no place in this stream");
            } else if seen {
                self.add(Kind::Duplicate, entry, "is in this stream already");
            } else {
                seen = true;
                self.content(entry, 1, expected);
            }
        }
        if !seen {
            self.findings.add(Stage::Store, Kind::Missing, &stream, format_args!("no {event_type}"));
        }
        self.known.insert(stream);
    }

    fn content(&mut self, entry: &Entry, version: u32, expected: &Expect) {
        if let Some(stored) = entry.metadata.as_ref().map(|metadata| metadata.schema_version)
            && stored != version
        {
            self.add(Kind::Mismatch, entry, format_args!("stored as version {stored} instead of {version}"));
        }
        match serde_json::from_slice::<Value>(&entry.event.data) {
            Ok(found) => {
                if let Some(text) = expected.difference(Some(&found)) {
                    self.add(Kind::Mismatch, entry, text);
                }
            }
            Err(error) => self.add(Kind::Mismatch, entry, format_args!("is not JSON: {error}")),
        }
    }

    fn order(&mut self, order: &Order, answers: &BTreeMap<Box<str>, Answer>) {
        let stream = StreamName::of("order", &order.id);
        let (mut created, mut ended, mut cancelled) = (false, false, false);
        for entry in self.log.stream(&stream) {
            let event_type = entry.event.event_type.as_str();
            let repeated = match event_type {
                "OrderCreated" => std::mem::replace(&mut created, true),
                "OrderConfirmed" | "OrderRejected" => std::mem::replace(&mut ended, true),
                "OrderCancelled" => std::mem::replace(&mut cancelled, true),
                _ => {
                    self.add(Kind::Mismatch, entry, "has no place in this stream");
                    continue;
                }
            };
            if repeated {
                self.add(Kind::Duplicate, entry, "was said in this stream before");
            } else if !created {
                self.add(Kind::OutOfOrder, entry, "comes before OrderCreated");
            }
            match event_type {
                "OrderCreated" if order.old => self.content(entry, 1, &expected::order_created_v1(order)),
                "OrderCreated" => self.content(entry, 2, &expected::order_created_v2(order)),
                "OrderCancelled" => self.cancelled(entry, order),
                _ => {
                    if cancelled {
                        self.add(Kind::OutOfOrder, entry, "comes after OrderCancelled");
                    }
                    self.end(entry, order, answers);
                }
            }
        }
        for (there, event) in [
            (created, "OrderCreated"),
            (ended || cancelled, "OrderConfirmed or OrderRejected"),
            (cancelled || order.undone_by.is_empty(), "OrderCancelled"),
        ] {
            if !there {
                self.findings.add(Stage::Store, Kind::Missing, &stream, format_args!("no {event}"));
            }
        }
        self.known.insert(stream);
    }

    /// Confirmed with what was reserved, or rejected if nothing was; after the last answer.
    fn end(&mut self, entry: &Entry, order: &Order, answers: &BTreeMap<Box<str>, Answer>) {
        let mut so_far = Answers::default();
        for (product, quantity) in &order.wanted {
            match answers.get(product) {
                None => {
                    self.add(Kind::OutOfOrder, entry, format_args!("{product} was not answered"));
                }
                Some(answer) => {
                    if answer.position > entry.event.position {
                        self.add(Kind::OutOfOrder, entry, format_args!("{product} was answered later"));
                    }
                    let side = if answer.reserved { &mut so_far.reserved } else { &mut so_far.refused };
                    side.insert(product.clone(), *quantity);
                }
            }
        }
        if let Some(cause) = self.log.stream(&entry.event.stream).next() {
            causality::judge(cause, entry, self.findings);
        }
        let confirmed = order.wanted.is_empty() || !so_far.reserved.is_empty();
        match (entry.event.event_type.as_str(), confirmed) {
            ("OrderConfirmed", true) => self.content(entry, 1, &expected::order_confirmed(order, so_far)),
            ("OrderRejected", false) => self.content(entry, 1, &expected::order_rejected(order, so_far)),
            (_, true) => self.add(Kind::Mismatch, entry, "something was reserved or nothing was wanted"),
            (_, false) => self.add(Kind::Mismatch, entry, "nothing was reserved"),
        }
    }

    /// By a return that undoes the order wholly, and after it.
    fn cancelled(&mut self, entry: &Entry, order: &Order) {
        let data: Value = serde_json::from_slice(&entry.event.data).unwrap_or_default();
        let named = data.get("returnId").and_then(Value::as_str).unwrap_or_default();
        if !order.undone_by.iter().any(|id| **id == *named) {
            return self.add(
                Kind::Mismatch,
                entry,
                format_args!("return {named:?} does not undo this order"),
            );
        }
        self.content(entry, 1, &expected::order_cancelled(order, named));
        if let Some(cause) = self.log.stream(&StreamName::of("return", named)).next() {
            causality::judge(cause, entry, self.findings);
        }
    }

    /// Streams of these categories that nothing in the input accounts for.
    fn nothing_else(&mut self) {
        let log = self.log;
        for stream in log.streams() {
            if matches!(stream.category(), "user" | "order" | "return") && !self.known.contains(stream) {
                for entry in log.stream(stream) {
                    self.add(Kind::Mismatch, entry, "nothing in the input accounts for this stream");
                }
            }
        }
    }
}
