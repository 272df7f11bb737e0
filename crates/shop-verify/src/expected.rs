//! The events that the store must contain for the input.

use std::collections::BTreeMap;

use crate::book::{Customer, Item, Money, Order, Return};
use crate::expect::{Expect, optional, text};

/// Everything in the file is in pounds sterling.
const CURRENCY: &str = "GBP";

/// `2010-12-01 08:26:00` as the plain JSON of a local timestamp: `2010-12-01T08:26:00.000`.
pub(crate) fn local_timestamp(at: &str) -> String {
    format!("{}.000", at.replacen(' ', "T", 1))
}

pub(crate) fn user_registered(id: &str, customer: &Customer) -> Expect {
    Expect::Record(vec![
        ("userId", text(id)),
        ("country", text(&customer.country)),
        ("registeredAt", Expect::Text(local_timestamp(&customer.registered_at))),
    ])
}

/// As the old orders service wrote it: amounts in pounds, no total, no currency.
pub(crate) fn order_created_v1(order: &Order) -> Expect {
    let item = |name, code, item: &Item| {
        Expect::Record(vec![
            (name, code),
            ("description", text(&item.description)),
            ("quantity", Expect::Number(item.quantity)),
            ("unitPrice", Expect::Pounds(item.price.into())),
        ])
    };
    Expect::Record(vec![
        ("orderId", text(&order.id)),
        ("customer", optional(order.customer.as_deref())),
        ("placed", text(&order.at)),
        ("country", text(&order.country)),
        ("lines", list(&order.lines, |it| item("sku", text(&it.code), it))),
        ("charges", list(&order.charges, |it| item("code", charge_code(it), it))),
    ])
}

pub(crate) fn order_created_v2(order: &Order) -> Expect {
    Expect::Record(vec![
        ("orderId", text(&order.id)),
        ("customerId", optional(order.customer.as_deref())),
        ("placedAt", Expect::Text(local_timestamp(&order.at))),
        ("country", text(&order.country)),
        ("currency", text(CURRENCY)),
        ("lines", list(&order.lines, |it| item("sku", text(&it.code), it, vec![]))),
        ("charges", list(&order.charges, |it| item("code", charge_code(it), it, vec![]))),
        ("total", Expect::Minor(order.total())),
    ])
}

pub(crate) fn return_received(returned: &Return) -> Expect {
    let line = |(it, order): &(Item, Option<Box<str>>)| {
        item("sku", text(&it.code), it, vec![("orderId", optional(order.as_deref()))])
    };
    Expect::Record(vec![
        ("returnId", text(&returned.id)),
        ("customerId", optional(returned.customer.as_deref())),
        ("receivedAt", Expect::Text(local_timestamp(&returned.at))),
        ("country", text(&returned.country)),
        ("currency", text(CURRENCY)),
        ("lines", list(&returned.lines, line)),
        ("credits", list(&returned.credits, |it| item("code", charge_code(it), it, vec![]))),
        ("total", Expect::Minor(returned.total())),
        ("undoes", optional(returned.undoes.as_deref())),
    ])
}

/// How its products were answered: quantities by product.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub reserved: BTreeMap<Box<str>, i64>,
    pub refused: BTreeMap<Box<str>, i64>,
}

pub(crate) fn order_confirmed(order: &Order, answers: Answers) -> Expect {
    let confirmed = confirmed(order, &answers);
    Expect::Record(vec![
        ("orderId", text(&order.id)),
        ("day", text(order.day())),
        ("country", text(&order.country)),
        ("currency", text(CURRENCY)),
        ("reserved", Expect::Quantities(answers.reserved)),
        ("refused", Expect::Quantities(answers.refused)),
        ("confirmed", Expect::Minor(confirmed)),
    ])
}

/// What the products that were reserved cost, and the charges.
pub(crate) fn confirmed(order: &Order, answers: &Answers) -> Money {
    let reserved = order.lines.iter().filter(|line| answers.reserved.contains_key(&line.product));
    crate::book::total(reserved.chain(&order.charges))
}

pub(crate) fn order_rejected(order: &Order, answers: Answers) -> Expect {
    Expect::Record(vec![
        ("orderId", text(&order.id)),
        ("day", text(order.day())),
        ("country", text(&order.country)),
        ("refused", Expect::Quantities(answers.refused)),
    ])
}

pub(crate) fn order_cancelled(order: &Order, return_id: &str) -> Expect {
    Expect::Record(vec![("orderId", text(&order.id)), ("returnId", text(return_id))])
}

fn item(name: &'static str, code: Expect, item: &Item, more: Vec<(&'static str, Expect)>) -> Expect {
    let mut fields = vec![
        (name, code),
        ("description", text(&item.description)),
        ("quantity", Expect::Number(item.quantity)),
        ("unitPrice", Expect::Minor(item.price.into())),
    ];
    fields.extend(more);
    Expect::Record(fields)
}

/// A charge's code says which charge it is, in whichever case it was typed.
fn charge_code(item: &Item) -> Expect {
    Expect::AnyCase(item.code.to_string())
}

fn list<T>(items: &[T], expect: impl Fn(&T) -> Expect) -> Expect {
    Expect::List(items.iter().map(expect).collect())
}
