use aqueduct::testing::given;
use jiff::civil::date;

use super::*;
use crate::events::{Charge, OrderLine};

fn line(sku: &str, quantity: i32, price: &str) -> OrderLine {
    let unit_price = price.parse().unwrap();
    OrderLine { sku: sku.into(), description: "A LANTERN".into(), quantity, unit_price }
}

fn create() -> CreateOrder {
    CreateOrder {
        order_id: "536365".into(),
        customer_id: None,
        placed_at: date(2010, 12, 1).at(8, 26, 0, 0),
        country: "United Kingdom".into(),
        currency: Currency::Gbp,
        lines: vec![line("85123a", 6, "255"), line("71053", 1, "0.1"), line("85123A", 1, "200")],
        charges: vec![Charge {
            code: "POST".into(),
            description: "POSTAGE".into(),
            quantity: 1,
            unit_price: "1800".parse().unwrap(),
        }],
    }
}

fn created() -> OrderEvent {
    let CreateOrder { order_id, customer_id, placed_at, country, currency, lines, charges } = create();
    let total = "3530.100".parse().unwrap();
    OrderCreated { order_id, customer_id, placed_at, country, currency, lines, charges, total }.into()
}

fn answer(sku: &str, quantity: i32) -> OrderedProduct {
    OrderedProduct { sku: sku.into(), quantity }
}

fn confirm(reserved: &[OrderedProduct], refused: &[OrderedProduct]) -> OrderCommand {
    let (reserved, refused) = (reserved.to_vec(), refused.to_vec());
    OrderCommand::Confirm(ConfirmOrder { order_id: "536365".into(), reserved, refused })
}

fn reject(refused: &[OrderedProduct]) -> OrderCommand {
    OrderCommand::Reject(RejectOrder { order_id: "536365".into(), refused: refused.to_vec() })
}

fn cancel() -> OrderCommand {
    OrderCommand::Cancel(CancelOrder { order_id: "536365".into(), return_id: "C536400".into() })
}

fn cancelled() -> OrderEvent {
    OrderCancelled { order_id: "536365".into(), return_id: "C536400".into() }.into()
}

#[test]
fn an_order_is_created_once_with_its_exact_total() {
    let first = given::<Order>([]).when(OrderCommand::Create(create())).then([created()]);
    insta::assert_debug_snapshot!(first.state());
    given::<Order>([created()])
        .when(OrderCommand::Create(create()))
        .then_error(&OrderError::OrderExists("536365".into()));
}

#[test]
fn a_confirmed_order_costs_what_was_reserved_and_the_charges() {
    let (lantern, holder) = (answer("85123A", 7), answer("71053", 1));
    let confirmed = given::<Order>([created()])
        .when(confirm(std::slice::from_ref(&lantern), std::slice::from_ref(&holder)))
        .then([OrderConfirmed {
            order_id: "536365".into(),
            day: date(2010, 12, 1),
            country: "United Kingdom".into(),
            currency: Currency::Gbp,
            reserved: vec![lantern],
            refused: vec![holder],
            confirmed: "3530".parse().unwrap(),
        }
        .into()]);
    insta::assert_debug_snapshot!(confirmed.state(), @r"
    Order {
        state: Confirmed,
    }
    ");
}

#[test]
fn an_order_of_which_nothing_was_reserved_is_rejected() {
    let refused = vec![answer("71053", 1), answer("85123A", 7)];
    let rejected = given::<Order>([created()]).when(reject(&refused)).then([OrderRejected {
        order_id: "536365".into(),
        day: date(2010, 12, 1),
        country: "United Kingdom".into(),
        refused,
    }
    .into()]);
    insta::assert_debug_snapshot!(rejected.state(), @r"
    Order {
        state: Rejected,
    }
    ");
}

#[test]
fn every_product_has_one_answer_for_its_whole_quantity() {
    for (reserved, sku) in [
        (vec![answer("85123A", 7)], "71053"),
        (vec![answer("85123A", 6), answer("71053", 1)], "85123A"),
        (vec![answer("85123A", 7), answer("85123A", 7), answer("71053", 1)], "85123A"),
        (vec![answer("85123A", 7), answer("71053", 1), answer("22423", 1)], "22423"),
    ] {
        given::<Order>([created()])
            .when(confirm(&reserved, &[]))
            .then_error(&OrderError::AnswersDiffer { order_id: "536365".into(), sku: sku.into() });
    }
}

#[test]
fn a_cancelled_order_answers_and_stays_cancelled() {
    let answers = [answer("71053", 1), answer("85123A", 7)];
    for command in [confirm(&answers, &[]), reject(&answers), cancel()] {
        let outcome = given::<Order>([created(), cancelled()]).when(command).then([]);
        insta::allow_duplicates! {
            insta::assert_debug_snapshot!(outcome.state(), @r"
            Order {
                state: Cancelled,
            }
            ");
        }
    }
}

#[test]
fn an_order_is_cancelled_whatever_inventory_said() {
    let rejected = OrderRejected {
        order_id: "536365".into(),
        day: date(2010, 12, 1),
        country: "United Kingdom".into(),
        refused: vec![],
    };
    given::<Order>([created()]).when(cancel()).then([cancelled()]);
    given::<Order>([created(), rejected.into()]).when(cancel()).then([cancelled()]);
}

#[test]
fn what_was_never_created_has_no_end() {
    for command in [confirm(&[], &[]), reject(&[]), cancel()] {
        given::<Order>([]).when(command).then_error(&OrderError::NoSuchOrder("536365".into()));
    }
}

#[test]
fn a_field_that_can_not_be_accepted_is_named() {
    let with_line = |line| CreateOrder { lines: vec![line], ..create() };
    for (command, field) in [
        (CreateOrder { order_id: " ".into(), ..create() }, "orderId"),
        (CreateOrder { country: "\n".into(), ..create() }, "country"),
        (CreateOrder { customer_id: Some("\0".into()), ..create() }, "customerId"),
        (
            CreateOrder { placed_at: create().placed_at.with().nanosecond(1).build().unwrap(), ..create() },
            "placedAt",
        ),
        (CreateOrder { lines: vec![], charges: vec![], ..create() }, "lines"),
        (with_line(line(" ", 1, "1")), "lines[0].sku"),
        (with_line(line("71053", 0, "1")), "lines[0].quantity"),
        (with_line(line("71053", 1, "-1")), "lines[0].unitPrice"),
        (with_line(line("71053", 1, "0.0001")), "lines[0].unitPrice"),
        (with_line(line("71053", i32::MAX, "999999999999999")), "lines"),
        (CreateOrder { lines: vec![line("a", i32::MAX, "0"), line("A", 1, "0")], ..create() }, "lines"),
    ] {
        let error = Order::default().handle(&OrderCommand::Create(command)).unwrap_err();
        let OrderError::Invalid(invalid) = error else { panic!("{field}: {error}") };
        assert_eq!(invalid.field, field);
    }
}
