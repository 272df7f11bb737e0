//! The shelves: every stream `inventory-<product>` replayed from the events it holds.

use std::collections::{BTreeMap, HashMap, HashSet};

use aqueduct_core::{Position, StreamName};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::book::{Book, Correction};
use crate::causality;
use crate::log::{Entry, Log};
use aqueduct_verify::{Findings, Kind, Stage};

/// How a product of an order was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub reserved: bool,
    pub position: Position,
}

/// By the order's index, how its products were answered.
pub(crate) type AllAnswers = Vec<BTreeMap<Box<str>, Answer>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockReceived {
    pub sku: String,
    pub quantity: i64,
    pub delivery_id: String,
}

/// StockReserved and StockRefused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockAnswer {
    pub sku: String,
    pub order_id: String,
    pub quantity: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockReturned {
    pub sku: String,
    pub return_id: String,
    pub quantity: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockCorrected {
    pub sku: String,
    pub invoice: String,
    pub requested: i64,
    pub applied: i64,
}

/// An event of a product's stream.
pub(crate) enum StockEvent {
    Received(StockReceived),
    Reserved(StockAnswer),
    Refused(StockAnswer),
    Returned(StockReturned),
    Corrected(StockCorrected),
}

impl StockEvent {
    /// Reads the event, or says what is wrong with it.
    pub(crate) fn read(entry: &Entry) -> Result<Self, String> {
        fn json<T: DeserializeOwned>(entry: &Entry) -> Result<T, String> {
            serde_json::from_slice(&entry.event.data).map_err(|error| format!("cannot be read: {error}"))
        }
        match entry.event.event_type.as_str() {
            "StockReceived" => json(entry).map(Self::Received),
            "StockReserved" => json(entry).map(Self::Reserved),
            "StockRefused" => json(entry).map(Self::Refused),
            "StockReturned" => json(entry).map(Self::Returned),
            "StockCorrected" => json(entry).map(Self::Corrected),
            other => Err(format!("{other} is not an event of a product")),
        }
    }

    fn sku(&self) -> &str {
        match self {
            Self::Received(it) => &it.sku,
            Self::Reserved(it) | Self::Refused(it) => &it.sku,
            Self::Returned(it) => &it.sku,
            Self::Corrected(it) => &it.sku,
        }
    }

    /// What it adds to the shelf.
    fn change(&self) -> i64 {
        match self {
            Self::Received(it) => it.quantity,
            Self::Reserved(it) => -it.quantity,
            Self::Refused(_) => 0,
            Self::Returned(it) => it.quantity,
            Self::Corrected(it) => it.applied,
        }
    }
}

/// Judges all products' streams and returns how the orders were answered.
pub(crate) fn judge(log: &Log, book: &Book, findings: &mut Findings) -> AllAnswers {
    let mut judge = Judge {
        log,
        book,
        orders: book.orders.iter().enumerate().map(|(n, order)| (&*order.id, n)).collect(),
        returns: book.returns.iter().enumerate().map(|(n, returned)| (&*returned.id, n)).collect(),
        answers: vec![BTreeMap::new(); book.orders.len()],
        received: HashSet::new(),
        returned: HashSet::new(),
        corrections: HashMap::new(),
        findings,
    };
    for correction in &book.corrections {
        let invoices = judge.corrections.entry(&correction.product).or_default();
        invoices.entry(&correction.invoice).or_default().push(correction);
    }
    for stream in log.streams().filter(|stream| stream.category() == "inventory") {
        judge.product(stream);
    }
    judge.what_is_missing();
    judge.answers
}

struct Judge<'a> {
    log: &'a Log,
    book: &'a Book,
    orders: HashMap<&'a str, usize>,
    returns: HashMap<&'a str, usize>,
    answers: AllAnswers,
    /// Month and product.
    received: HashSet<(&'a str, &'a str)>,
    /// Index of the return and product.
    returned: HashSet<(usize, &'a str)>,
    /// By product and invoice, what was not seen so far.
    corrections: HashMap<&'a str, HashMap<&'a str, Vec<&'a Correction>>>,
    findings: &'a mut Findings,
}

impl<'a> Judge<'a> {
    fn add(&mut self, kind: Kind, entry: &Entry, text: impl std::fmt::Display) {
        let place = format_args!("{} {}", entry.event.reference(), entry.event.event_type).to_string();
        self.findings.add(Stage::Store, kind, place, text);
    }

    fn product(&mut self, stream: &'a StreamName) {
        let product = stream.id().unwrap_or_default();
        let mut shelf = 0;
        for entry in self.log.stream(stream) {
            let event = match StockEvent::read(entry) {
                Ok(event) => event,
                Err(text) => {
                    self.add(Kind::Mismatch, entry, text);
                    continue;
                }
            };
            if entry.metadata.as_ref().is_some_and(|metadata| metadata.schema_version != 1) {
                self.add(Kind::Mismatch, entry, "is not stored as version 1");
            }
            if event.sku() != product {
                self.add(Kind::Mismatch, entry, format_args!("names product {:?}", event.sku()));
            }
            match &event {
                StockEvent::Received(it) => self.delivery(entry, product, it),
                StockEvent::Reserved(it) => self.answer(entry, product, it, true, shelf),
                StockEvent::Refused(it) => self.answer(entry, product, it, false, shelf),
                StockEvent::Returned(it) => self.returned_goods(entry, product, it),
                StockEvent::Corrected(it) => self.correction(entry, product, it, shelf),
            }
            shelf += event.change();
            if shelf < 0 {
                self.add(Kind::Mismatch, entry, format_args!("leaves {shelf} on the shelf"));
            }
        }
    }

    fn delivery(&mut self, entry: &Entry, product: &'a str, event: &StockReceived) {
        let book = self.book;
        let month = event.delivery_id.strip_suffix(product).and_then(|rest| rest.strip_suffix('/'));
        let month = month.and_then(|month| book.deliveries.get_key_value(month));
        match month.and_then(|(month, brought)| Some((month, brought.get(product)?))) {
            None => self.add(
                Kind::Mismatch,
                entry,
                format_args!("no delivery {:?} follows from the input", event.delivery_id),
            ),
            Some((month, quantity)) => {
                if !self.received.insert((month, product)) {
                    self.add(
                        Kind::Duplicate,
                        entry,
                        format_args!("delivery {} came before", event.delivery_id),
                    );
                } else if event.quantity != *quantity {
                    let text = format!(
                        "delivery {} brings {}, {quantity} follows from the input",
                        event.delivery_id, event.quantity
                    );
                    self.add(Kind::Mismatch, entry, text);
                }
            }
        }
    }

    fn answer(&mut self, entry: &Entry, product: &'a str, event: &StockAnswer, reserved: bool, shelf: i64) {
        let book = self.book;
        let Some(index) = self.orders.get(event.order_id.as_str()).copied() else {
            return self.add(Kind::Mismatch, entry, format_args!("no order {} in the input", event.order_id));
        };
        let order = &book.orders[index];
        let Some(wanted) = order.wanted.get(product) else {
            return self.add(Kind::Mismatch, entry, format_args!("order {} does not want it", order.id));
        };
        if self.answers[index].contains_key(product) {
            return self.add(Kind::Duplicate, entry, format_args!("order {} was answered before", order.id));
        }
        self.answers[index].insert(product.into(), Answer { reserved, position: entry.event.position });
        if event.quantity != *wanted {
            let text = format!("order {} wants {wanted}, not {}", order.id, event.quantity);
            self.add(Kind::Mismatch, entry, text);
        }
        // The whole quantity or nothing.
        if reserved != (shelf >= event.quantity) {
            let text = format!("{} with {shelf} on the shelf", event.quantity);
            self.add(Kind::Mismatch, entry, text);
        }
        let month = order.month();
        let delivered = book.deliveries.get(month).is_some_and(|brought| brought.contains_key(product));
        if delivered && !self.received.contains(&(month, product)) {
            self.add(Kind::OutOfOrder, entry, format_args!("the delivery of {month} is not before it"));
        }
        self.follows(entry, "order", &order.id);
    }

    fn returned_goods(&mut self, entry: &Entry, product: &'a str, event: &StockReturned) {
        let book = self.book;
        let Some(index) = self.returns.get(event.return_id.as_str()).copied() else {
            return self.add(
                Kind::Mismatch,
                entry,
                format_args!("no return {} in the input", event.return_id),
            );
        };
        let returned = &book.returns[index];
        let Some(goods) = returned.goods.get(product) else {
            return self.add(Kind::Mismatch, entry, format_args!("return {} does not hold it", returned.id));
        };
        if !self.returned.insert((index, product)) {
            return self.add(Kind::Duplicate, entry, format_args!("return {} came before", returned.id));
        }
        if event.quantity != *goods {
            let text = format!("return {} holds {goods}, not {}", returned.id, event.quantity);
            self.add(Kind::Mismatch, entry, text);
        }
        self.follows(entry, "return", &returned.id);
    }

    fn correction(&mut self, entry: &Entry, product: &'a str, event: &StockCorrected, shelf: i64) {
        let invoices = self.corrections.get_mut(product);
        match invoices.and_then(|invoices| invoices.get_mut(event.invoice.as_str())) {
            None => self.add(
                Kind::Mismatch,
                entry,
                format_args!("no correction by invoice {} in the input", event.invoice),
            ),
            Some(open) => match open.iter().position(|it| it.requested == event.requested) {
                Some(found) => {
                    open.swap_remove(found);
                }
                None if open.is_empty() => {
                    self.add(Kind::Duplicate, entry, format_args!("invoice {} came before", event.invoice));
                }
                None => {
                    let Correction { line, requested, .. } = open.swap_remove(0);
                    let text = format!("line {line} asks for {requested}, not {}", event.requested);
                    self.add(Kind::Mismatch, entry, text);
                }
            },
        }
        // A shelf cannot hold less than nothing.
        let possible = event.requested.max(-shelf);
        if event.applied != possible {
            let text = format!("applies {} where {possible} was possible", event.applied);
            self.add(Kind::Mismatch, entry, text);
        }
    }

    /// The event that opened `order-…` or `return-…` is what this one follows from.
    fn follows(&mut self, entry: &Entry, category: &str, id: &str) {
        if let Some(cause) = self.log.stream(&StreamName::of(category, id)).next() {
            causality::judge(cause, entry, self.findings);
        }
    }

    fn what_is_missing(&mut self) {
        for (month, brought) in &self.book.deliveries {
            for (product, quantity) in brought {
                if !self.received.contains(&(&**month, &**product)) {
                    let text = format_args!("no delivery {month}/{product} of {quantity}");
                    self.findings.add(Stage::Store, Kind::Missing, format_args!("inventory-{product}"), text);
                }
            }
        }
        for (index, order) in self.book.orders.iter().enumerate() {
            for (product, quantity) in &order.wanted {
                if !self.answers[index].contains_key(product) {
                    let text = format_args!("no answer to order {}, which wants {quantity}", order.id);
                    self.findings.add(Stage::Store, Kind::Missing, format_args!("inventory-{product}"), text);
                }
            }
        }
        for (index, returned) in self.book.returns.iter().enumerate() {
            for (product, quantity) in &returned.goods {
                if !self.returned.contains(&(index, &**product)) {
                    let text = format_args!("return {} of {quantity} is not back", returned.id);
                    self.findings.add(Stage::Store, Kind::Missing, format_args!("inventory-{product}"), text);
                }
            }
        }
        let open = self.corrections.values().flat_map(HashMap::values).flatten();
        for Correction { line, product, invoice, requested, .. } in open {
            let text = format_args!("no correction by {requested} of invoice {invoice} (line {line})");
            self.findings.add(Stage::Store, Kind::Missing, format_args!("inventory-{product}"), text);
        }
    }
}
