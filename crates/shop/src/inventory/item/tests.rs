use aqueduct::testing::{Outcome, given};

use super::*;

const SKU: &str = "85123A";

fn received(quantity: i32) -> InventoryEvent {
    StockReceived { sku: SKU.into(), quantity, delivery_id: "2010-12/85123A".into() }.into()
}

fn reserved(order_id: &str, quantity: i32) -> InventoryEvent {
    StockReserved { sku: SKU.into(), order_id: order_id.into(), quantity }.into()
}

fn refused(order_id: &str, quantity: i32) -> InventoryEvent {
    StockRefused { sku: SKU.into(), order_id: order_id.into(), quantity }.into()
}

fn returned(return_id: &str, quantity: i32) -> InventoryEvent {
    StockReturned { sku: SKU.into(), return_id: return_id.into(), quantity }.into()
}

fn reserve(order_id: &str, quantity: i32) -> InventoryCommand {
    InventoryCommand::Reserve(ReserveStock { sku: SKU.into(), order_id: order_id.into(), quantity })
}

fn take_back(return_id: &str, quantity: i32) -> InventoryCommand {
    InventoryCommand::Return(ReturnStock { sku: SKU.into(), return_id: return_id.into(), quantity })
}

fn correct(history: &[InventoryEvent], quantity: i32) -> Outcome<InventoryItem> {
    let command = CorrectStock { sku: SKU.into(), invoice: "536589".into(), quantity };
    given::<InventoryItem>(history.to_vec()).when(InventoryCommand::Correct(command))
}

#[test]
fn an_order_gets_the_whole_quantity_or_nothing() {
    given::<InventoryItem>([received(6)]).when(reserve("1", 6)).then([reserved("1", 6)]);
    given::<InventoryItem>([received(6)]).when(reserve("1", 7)).then([refused("1", 7)]);
    given::<InventoryItem>([]).when(reserve("1", 1)).then([refused("1", 1)]);
    given::<InventoryItem>([received(6), refused("1", 7)]).when(reserve("2", 6)).then([reserved("2", 6)]);
}

#[test]
fn the_first_answer_to_an_order_stands() {
    let history = [received(6), reserved("1", 6), refused("2", 1), received(6)];
    given::<InventoryItem>(history.clone()).when(reserve("1", 6)).then([]);
    given::<InventoryItem>(history.clone()).when(reserve("1", 2)).then([]);
    let refused_again = given::<InventoryItem>(history).when(reserve("2", 1)).then([]);
    assert_eq!(refused_again.state().reservation("1"), Some(Reservation::Reserved(6)));
    assert_eq!(refused_again.state().reservation("2"), Some(Reservation::Refused(1)));
    assert_eq!(refused_again.state().reservation("3"), None);
    insta::assert_debug_snapshot!(refused_again.state(), @r#"
    InventoryItem {
        on_hand: 6,
        reservations: {
            "1": Reserved(
                6,
            ),
            "2": Refused(
                1,
            ),
        },
        returns: {},
    }
    "#);
}

#[test]
fn goods_come_back_once_per_return() {
    let history = [received(6), reserved("1", 6)];
    let back = given::<InventoryItem>(history.clone()).when(take_back("C2", 4)).then([returned("C2", 4)]);
    insta::assert_debug_snapshot!(back.state(), @r#"
    InventoryItem {
        on_hand: 4,
        reservations: {
            "1": Reserved(
                6,
            ),
        },
        returns: {
            "C2",
        },
    }
    "#);
    let history = history.into_iter().chain([returned("C2", 4)]);
    given::<InventoryItem>(history).when(take_back("C2", 4)).then([]);
}

#[test]
fn a_correction_takes_no_more_than_there_is() {
    let corrected = |requested, applied| {
        StockCorrected { sku: SKU.into(), invoice: "536589".into(), requested, applied }.into()
    };
    correct(&[received(6)], -10).then([corrected(-10, -6)]);
    correct(&[received(6)], -6).then([corrected(-6, -6)]);
    correct(&[received(6)], 4).then([corrected(4, 4)]);
    correct(&[], i32::MIN).then([corrected(i32::MIN, 0)]);
    let shelf = [received(i32::MAX), received(i32::MAX)]; // more than one correction can take
    correct(&shelf, i32::MIN).then([corrected(i32::MIN, i32::MIN)]);
}

#[test]
fn a_delivery_fills_the_shelf() {
    let delivery = |quantity| {
        let delivery_id = "2010-12/85123A".into();
        InventoryCommand::Receive(ReceiveStock { sku: SKU.into(), quantity, delivery_id })
    };
    given::<InventoryItem>([]).when(delivery(6)).then([received(6)]);
    given::<InventoryItem>([])
        .when(delivery(0))
        .then_error(&InvalidField::new("quantity", "must be positive").into());
}

#[test]
fn quantities_and_ids_are_checked() {
    let invalid = |field: &str, problem| InventoryError::Invalid(InvalidField::new(field, problem));
    let shelf = || given::<InventoryItem>([received(6)]);
    shelf().when(reserve("1", -1)).then_error(&invalid("quantity", "must be positive"));
    shelf().when(reserve("", 1)).then_error(&invalid("orderId", "must not be empty"));
    shelf().when(take_back("C1", 0)).then_error(&invalid("quantity", "must be positive"));
    correct(&[], 0).then_error(&invalid("quantity", "must not be zero"));
    let nowhere = ReserveStock { sku: String::new(), order_id: "1".into(), quantity: 1 };
    shelf().when(InventoryCommand::Reserve(nowhere)).then_error(&invalid("sku", "must not be empty"));
}
