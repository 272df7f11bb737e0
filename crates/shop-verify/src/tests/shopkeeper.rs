//! The shop as it should be, in a few lines and without any of its promises to keep: one thread, no failures.
//! Its clients work in the order of the input, its reactor whenever chance lets it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use aqueduct_core::{CommandId, Metadata, Position, RecordedEvent, StreamName};
use serde_json::{Value, json};

use crate::book::{Book, Item, Order, Return};
use crate::lines::{Entry, read};

/// An event as it is stored, and as consumers must see it.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) event: RecordedEvent,
    pub(super) metadata: Metadata,
    pub(super) latest: Value,
    pub(super) latest_version: u32,
}

/// Steps of the reactor that belong together and come one after the other.
type Work = VecDeque<Step>;

enum Step {
    Reserve { order: usize, product: Box<str>, quantity: i64 },
    End { order: usize },
    PutBack { returned: usize, product: Box<str>, quantity: i64 },
    Cancel { returned: usize },
}

pub(super) fn run(csv: &str, seed: u64) -> Vec<Happening> {
    let entries = read(csv.as_bytes(), Path::new("made up")).unwrap();
    let book = Book::of(entries.clone());
    let mut keeper = Keeper::new(&book, seed);
    let mut seen = HashSet::new();
    let mut corrections = book.corrections.iter();
    let mut pending: Vec<Work> = Vec::new();
    for entry in &entries {
        let Entry::Line(line) = entry else { continue };
        let month: Box<str> = line.at[..7].into();
        if seen.insert(format!("month {month}")) {
            for (product, quantity) in book.deliveries.get(&month).into_iter().flatten() {
                keeper.stock(
                    product,
                    "StockReceived",
                    *quantity,
                    json!({
                        "quantity": quantity, "deliveryId": format!("{month}/{product}"),
                    }),
                );
            }
        }
        if let Some(id) = line.customer.as_deref().filter(|id| seen.insert(format!("customer {id}"))) {
            let data = json!({"userId": id, "country": line.country, "registeredAt": iso(&line.at)});
            keeper.append(("user", id), "UserRegistered", data);
        }
        if seen.insert(format!("invoice {}", line.invoice)) {
            if let Some(index) = book.orders.iter().position(|order| order.id == line.invoice) {
                keeper.take(&book.orders[index]);
                let work = book.orders[index].wanted.clone().into_iter();
                let work = work.map(|(product, quantity)| Step::Reserve { order: index, product, quantity });
                pending.push(work.chain([Step::End { order: index }]).collect());
            }
            if let Some(index) = book.returns.iter().position(|returned| returned.id == line.invoice) {
                keeper.take_back(&book.returns[index]);
                let work = book.returns[index].goods.clone().into_iter();
                let work =
                    work.map(|(product, quantity)| Step::PutBack { returned: index, product, quantity });
                pending.push(work.chain([Step::Cancel { returned: index }]).collect());
            }
        }
        if corrections.as_slice().first().is_some_and(|it| it.line == line.number) {
            let correction = corrections.next().unwrap();
            let shelf = keeper.shelf.get(&correction.product).copied().unwrap_or(0);
            let applied = correction.requested.max(-shelf);
            keeper.stock(
                &correction.product,
                "StockCorrected",
                applied,
                json!({
                    "invoice": correction.invoice, "requested": correction.requested, "applied": applied,
                }),
            );
        }
        while keeper.chance.below(3) > 0 && keeper.step(&mut pending) {}
    }
    while keeper.step(&mut pending) {}
    keeper.happenings
}

struct Keeper<'a> {
    book: &'a Book,
    chance: Chance,
    happenings: Vec<Happening>,
    lengths: HashMap<StreamName, u64>,
    shelf: HashMap<Box<str>, i64>,
    reserved: HashMap<usize, HashSet<Box<str>>>,
    cancelled: HashSet<Box<str>>,
}

impl<'a> Keeper<'a> {
    fn new(book: &'a Book, seed: u64) -> Self {
        Self {
            book,
            chance: Chance(seed),
            happenings: Vec::new(),
            lengths: HashMap::new(),
            shelf: HashMap::new(),
            reserved: HashMap::new(),
            cancelled: HashSet::new(),
        }
    }

    fn append(&mut self, stream: (&str, &str), event_type: &str, data: Value) {
        self.append_as(stream, event_type, (1, data.clone()), (1, data));
    }

    fn append_as(
        &mut self,
        (category, id): (&str, &str),
        event_type: &str,
        (version, stored): (u32, Value),
        (latest_version, latest): (u32, Value),
    ) {
        let stream = StreamName::of(category, id);
        let revision = self.lengths.entry(stream.clone()).or_insert(0);
        let number = self.happenings.len() as u64;
        let command_id = CommandId::derived(&[&number.to_string()]);
        // What follows from an order or a return is of the same request.
        let request = ["returnId", "orderId"].iter().find_map(|name| latest[name].as_str());
        let correlation_id = CommandId::derived(&[request.unwrap_or(id)]).as_uuid();
        let metadata = Metadata {
            schema_version: version,
            aggregate_type: category.to_owned(),
            aggregate_id: id.to_owned(),
            timestamp: jiff::Timestamp::from_second(1_700_000_000 + i64::try_from(number).unwrap()).unwrap(),
            correlation_id,
            causation_id: command_id.as_uuid(),
            command_id,
            command_fingerprint: None,
            traceparent: number
                .is_multiple_of(2)
                .then(|| format!("00-{:032x}-{:016x}-01", number + 1, number + 1)),
        };
        let event = RecordedEvent {
            stream,
            revision: *revision,
            position: Position::at(number * 100 + 50),
            id: command_id.event_id(0),
            event_type: event_type.to_owned(),
            content_type: aqueduct_core::ContentType::Json,
            data: serde_json::to_vec(&stored).unwrap().into(),
            metadata: serde_json::to_vec(&metadata).unwrap().into(),
            created: metadata.timestamp,
        };
        *revision += 1;
        self.happenings.push(Happening { event, metadata, latest, latest_version });
    }

    fn stock(&mut self, product: &str, event_type: &str, change: i64, mut data: Value) {
        data["sku"] = json!(product);
        *self.shelf.entry(product.into()).or_insert(0) += change;
        self.append(("inventory", product), event_type, data);
    }

    fn take(&mut self, order: &Order) {
        let old = |name: &str, items: &[Item]| -> Value {
            items
                .iter()
                .map(|it| {
                    json!({
                        name: it.code, "description": it.description, "quantity": it.quantity,
                        "unitPrice": pounds(it.price),
                    })
                })
                .collect()
        };
        let first = json!({
            "orderId": order.id, "customer": order.customer, "placed": order.at, "country": order.country,
            "lines": old("sku", &order.lines), "charges": old("code", &order.charges),
        });
        let second = json!({
            "orderId": order.id, "customerId": order.customer, "placedAt": iso(&order.at),
            "country": order.country, "currency": "GBP",
            "lines": items("sku", &order.lines), "charges": items("code", &order.charges),
            "total": pence(cost(&order.lines) + cost(&order.charges)),
        });
        let stored = if order.old { (1, first) } else { (2, second.clone()) };
        self.append_as(("order", &order.id), "OrderCreated", stored, (2, second));
    }

    fn take_back(&mut self, returned: &Return) {
        let goods: Vec<Item> = returned.lines.iter().map(|(item, _)| item.clone()).collect();
        let mut lines = items("sku", &goods);
        for (line, (_, order)) in lines.as_array_mut().unwrap().iter_mut().zip(&returned.lines) {
            line["orderId"] = json!(order);
        }
        let data = json!({
            "returnId": returned.id, "customerId": returned.customer, "receivedAt": iso(&returned.at),
            "country": returned.country, "currency": "GBP", "lines": lines,
            "credits": items("code", &returned.credits),
            "total": pence(cost(&goods) + cost(&returned.credits)), "undoes": returned.undoes,
        });
        self.append(("return", &returned.id), "ReturnReceived", data);
    }

    /// Does one step of some work; false where none is left.
    fn step(&mut self, pending: &mut Vec<Work>) -> bool {
        pending.retain(|work| !work.is_empty());
        let Some(last) = pending.len().checked_sub(1) else { return false };
        let at = self.chance.below(last as u64 + 1);
        let step = pending[usize::try_from(at).unwrap()].pop_front().unwrap();
        match step {
            Step::Reserve { order, product, quantity } => {
                let data = json!({"orderId": self.book.orders[order].id, "quantity": quantity});
                if self.shelf.get(&product).copied().unwrap_or(0) >= quantity {
                    self.stock(&product, "StockReserved", -quantity, data);
                    self.reserved.entry(order).or_default().insert(product);
                } else {
                    self.stock(&product, "StockRefused", 0, data);
                }
            }
            Step::End { order } => self.end(order),
            Step::PutBack { returned, product, quantity } => {
                let data = json!({"returnId": self.book.returns[returned].id, "quantity": quantity});
                self.stock(&product, "StockReturned", quantity, data);
            }
            Step::Cancel { returned } => {
                let returned = &self.book.returns[returned];
                if let Some(order) =
                    returned.undoes.as_deref().filter(|it| self.cancelled.insert((*it).into()))
                {
                    let data = json!({"orderId": order, "returnId": returned.id});
                    self.append(("order", order), "OrderCancelled", data);
                }
            }
        }
        true
    }

    fn end(&mut self, index: usize) {
        let order = &self.book.orders[index];
        if self.cancelled.contains(&order.id) {
            return;
        }
        let got = self.reserved.remove(&index).unwrap_or_default();
        let list = |reserved: bool| -> Value {
            let wanted = order.wanted.iter().filter(|(product, _)| got.contains(*product) == reserved);
            wanted.map(|(product, quantity)| json!({"sku": product, "quantity": quantity})).collect()
        };
        let (day, country) = (&order.at[..10], &order.country);
        if got.is_empty() && !order.wanted.is_empty() {
            let data = json!({"orderId": order.id, "day": day, "country": country, "refused": list(false)});
            self.append(("order", &order.id), "OrderRejected", data);
        } else {
            let goods: Vec<Item> =
                order.lines.iter().filter(|it| got.contains(&it.product)).cloned().collect();
            let data = json!({
                "orderId": order.id, "day": day, "country": country, "currency": "GBP",
                "reserved": list(true), "refused": list(false),
                "confirmed": pence(cost(&goods) + cost(&order.charges)),
            });
            self.append(("order", &order.id), "OrderConfirmed", data);
        }
    }
}

/// `2010-12-01 08:26:00` → `2010-12-01T08:26:00.000`
fn iso(at: &str) -> String {
    format!("{}T{}.000", &at[..10], &at[11..])
}

fn items(name: &str, items: &[Item]) -> Value {
    let price = |it: &Item| pence(it.price.into());
    items
        .iter()
        .map(|it| {
            json!({
                name: it.code, "description": it.description, "quantity": it.quantity, "unitPrice": price(it),
            })
        })
        .collect()
}

fn cost(items: &[Item]) -> i128 {
    items.iter().map(|it| i128::from(it.price) * i128::from(it.quantity)).sum()
}

/// Thousandths of a penny as pence.
pub(super) fn pence(amount: i128) -> String {
    format!("{}.{:03}", amount / 1_000, amount % 1_000)
}

/// Thousandths of a penny as pounds.
fn pounds(amount: i64) -> String {
    format!("{}.{:05}", amount / 100_000, amount % 100_000)
}

/// Numbers that look random and are the same for the same seed.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
