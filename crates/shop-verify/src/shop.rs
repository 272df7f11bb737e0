//! The sample shop as a system that the generic comparison checks.

use std::collections::BTreeMap;
use std::path::Path;

use aqueduct_core::RecordedEvent;
use aqueduct_verify::{Findings, System, Table};
use serde_json::{Value, json};

use crate::book::Book;
#[cfg(test)]
use crate::lines;
use crate::lines::InputError;
use crate::log::Log;
use crate::upcast::latest;
use crate::{inventory, sales, views};

/// The shop, as its input says it must be.
#[derive(Debug)]
pub struct Shop {
    book: Book,
    log: Log,
    short: u64,
    rejected: u64,
}

impl Shop {
    /// Reads the input file (`.gz` or not), up to the last line of the `orders`-th order.
    pub fn from_input(input: &Path, orders: Option<usize>) -> Result<Self, InputError> {
        Ok(Self::of(Book::read(input, orders)?))
    }

    #[cfg(test)]
    pub(crate) fn from_csv(text: &str) -> Self {
        Self::of(Book::of(lines::read(text.as_bytes(), Path::new("made up")).expect("a csv file")))
    }

    /// What the supplier must bring: pieces by delivery, such as `2010-12/85123A`.
    pub fn deliveries(&self) -> BTreeMap<String, i64> {
        let months = self.book.deliveries.iter();
        let by_id = months.flat_map(|(month, brought)| {
            brought.iter().map(move |(product, pieces)| (format!("{month}/{product}"), *pieces))
        });
        by_id.collect()
    }

    fn of(book: Book) -> Self {
        Self { book, log: Log::default(), short: 0, rejected: 0 }
    }
}

impl System for Shop {
    fn full_name(&self, event_type: &str) -> Option<&str> {
        Some(match event_type {
            "UserRegistered" => "shop.users.UserRegistered",
            "OrderCreated" => "shop.orders.OrderCreated",
            "OrderConfirmed" => "shop.orders.OrderConfirmed",
            "OrderRejected" => "shop.orders.OrderRejected",
            "OrderCancelled" => "shop.orders.OrderCancelled",
            "ReturnReceived" => "shop.orders.ReturnReceived",
            "StockReceived" => "shop.inventory.StockReceived",
            "StockReserved" => "shop.inventory.StockReserved",
            "StockRefused" => "shop.inventory.StockRefused",
            "StockReturned" => "shop.inventory.StockReturned",
            "StockCorrected" => "shop.inventory.StockCorrected",
            _ => return None,
        })
    }

    fn latest(&self, event_type: &str, version: u32, data: Value) -> Result<(u32, Value), String> {
        latest(event_type, version, data)
    }

    fn see(&mut self, event: &RecordedEvent) {
        self.log.push(event.clone());
    }

    fn judge_store(&mut self, findings: &mut Findings) {
        self.log.judge(findings);
        let answers = inventory::judge(&self.log, &self.book, findings);
        sales::judge(&self.log, &self.book, &answers, findings);
        let short = answers.iter().filter(|answers| answers.values().any(|answer| !answer.reserved)).count();
        self.short = short as u64;
        let events = self.log.events().iter();
        self.rejected = events.filter(|entry| entry.event.event_type == "OrderRejected").count() as u64;
    }

    fn tables(&self) -> Vec<Table> {
        let log = &self.log;
        vec![views::customers(log), views::orders(log), views::stock(log), views::revenue(log, &self.book)]
    }

    fn figures(&self) -> BTreeMap<String, Value> {
        let malformed = self.book.malformed.iter();
        let malformed: Vec<_> =
            malformed.map(|(line, field)| json!({"line": line, "field": field})).collect();
        [
            ("orders", json!(self.book.orders.len())),
            ("returns", json!(self.book.returns.len())),
            ("customers", json!(self.book.customers.len())),
            ("short", json!(self.short)),
            ("rejected", json!(self.rejected)),
            ("lines", json!(self.book.lines)),
            ("malformed", json!(malformed)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
