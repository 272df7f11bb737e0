//! The aggregate behind `inventory-<product code>`.

mod command;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use aqueduct::{Aggregate, domain_event};

pub use self::command::{CorrectStock, InventoryCommand, ReceiveStock, ReserveStock, ReturnStock};
use crate::events::{StockCorrected, StockReceived, StockRefused, StockReserved, StockReturned};
use crate::refusal::{InvalidField, Refusal, RefusalKind, check_id, check_quantity};

domain_event! {
    /// What happens to the stock of a product.
    pub enum InventoryEvent { StockReceived, StockReserved, StockRefused, StockReturned, StockCorrected }
}

/// The shelf of one product. It holds nothing or more, never less.
#[derive(Debug, Default)]
pub struct InventoryItem {
    on_hand: i64,
    /// The answer each order got. It stands: an order that asks again gets it again.
    reservations: BTreeMap<String, Reservation>,
    returns: BTreeSet<String>,
}

/// The answer to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The whole quantity left the shelf.
    Reserved(i32),
    /// The shelf held less; nothing left it.
    Refused(i32),
}

/// Why a shelf refuses a command. That it holds too little is no refusal but an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// A field cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

impl Refusal for InventoryError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid-command",
        }
    }

    fn kind(&self) -> RefusalKind {
        match self {
            Self::Invalid(_) => RefusalKind::Invalid,
        }
    }
}

impl Aggregate for InventoryItem {
    const TYPE: &'static str = "inventory";
    type Command = InventoryCommand;
    type Event = InventoryEvent;
    type Error = InventoryError;

    fn handle(&self, command: &InventoryCommand) -> Result<Vec<InventoryEvent>, InventoryError> {
        check_id("sku", command.sku())?;
        match command {
            InventoryCommand::Receive(command) => receive(command),
            InventoryCommand::Reserve(command) => self.reserve(command),
            InventoryCommand::Return(command) => self.take_back(command),
            InventoryCommand::Correct(command) => self.correct(command),
        }
    }

    fn apply(&mut self, event: &InventoryEvent) {
        match event {
            InventoryEvent::StockReceived(event) => self.on_hand += i64::from(event.quantity),
            InventoryEvent::StockReserved(event) => {
                self.on_hand -= i64::from(event.quantity);
                self.reservations.insert(event.order_id.clone(), Reservation::Reserved(event.quantity));
            }
            InventoryEvent::StockRefused(event) => {
                self.reservations.insert(event.order_id.clone(), Reservation::Refused(event.quantity));
            }
            InventoryEvent::StockReturned(event) => {
                self.on_hand += i64::from(event.quantity);
                self.returns.insert(event.return_id.clone());
            }
            InventoryEvent::StockCorrected(event) => self.on_hand += i64::from(event.applied),
        }
    }
}

impl InventoryItem {
    /// What an order was answered, if it has asked.
    pub fn reservation(&self, order_id: &str) -> Option<Reservation> {
        self.reservations.get(order_id).copied()
    }

    /// The whole quantity or nothing.
    fn reserve(&self, command: &ReserveStock) -> Result<Vec<InventoryEvent>, InventoryError> {
        check_id("orderId", &command.order_id)?;
        check_quantity("quantity", command.quantity)?;
        let ReserveStock { sku, order_id, quantity } = command.clone();
        Ok(if self.reservations.contains_key(&order_id) {
            Vec::new()
        } else if self.on_hand >= i64::from(quantity) {
            vec![StockReserved { sku, order_id, quantity }.into()]
        } else {
            vec![StockRefused { sku, order_id, quantity }.into()]
        })
    }

    /// Goods come back once per return.
    fn take_back(&self, command: &ReturnStock) -> Result<Vec<InventoryEvent>, InventoryError> {
        check_id("returnId", &command.return_id)?;
        check_quantity("quantity", command.quantity)?;
        let ReturnStock { sku, return_id, quantity } = command.clone();
        Ok(if self.returns.contains(&return_id) {
            Vec::new()
        } else {
            vec![StockReturned { sku, return_id, quantity }.into()]
        })
    }

    /// Takes no more than there is. What was asked for is kept beside it.
    fn correct(&self, command: &CorrectStock) -> Result<Vec<InventoryEvent>, InventoryError> {
        check_id("invoice", &command.invoice)?;
        let CorrectStock { sku, invoice, quantity: requested } = command.clone();
        if requested == 0 {
            return Err(InvalidField::new("quantity", "must not be zero").into());
        }
        // Between `requested` and zero, so it always fits.
        let applied = i32::try_from(i64::from(requested).max(-self.on_hand)).unwrap_or(requested);
        Ok(vec![StockCorrected { sku, invoice, requested, applied }.into()])
    }
}

fn receive(command: &ReceiveStock) -> Result<Vec<InventoryEvent>, InventoryError> {
    check_id("deliveryId", &command.delivery_id)?;
    check_quantity("quantity", command.quantity)?;
    let ReceiveStock { sku, quantity, delivery_id } = command.clone();
    Ok(vec![StockReceived { sku, quantity, delivery_id }.into()])
}
