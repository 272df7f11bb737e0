//! What a shelf can be asked to do. `sku` is the product's code as [`product_code`](crate::product_code)
//! gives it.

use aqueduct::Command;

/// A command to the shelf of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InventoryCommand {
    /// See [`ReceiveStock`].
    Receive(ReceiveStock),
    /// See [`ReserveStock`].
    Reserve(ReserveStock),
    /// See [`ReturnStock`].
    Return(ReturnStock),
    /// See [`CorrectStock`].
    Correct(CorrectStock),
}

impl InventoryCommand {
    /// Code of the product, the id of the aggregate.
    pub fn sku(&self) -> &str {
        match self {
            Self::Receive(command) => &command.sku,
            Self::Reserve(command) => &command.sku,
            Self::Return(command) => &command.sku,
            Self::Correct(command) => &command.sku,
        }
    }
}

impl Command for InventoryCommand {
    fn name(&self) -> &'static str {
        match self {
            Self::Receive(_) => "ReceiveStock",
            Self::Reserve(_) => "ReserveStock",
            Self::Return(_) => "ReturnStock",
            Self::Correct(_) => "CorrectStock",
        }
    }
}

/// A delivery arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveStock {
    /// Code of the product.
    pub sku: String,
    /// Pieces, more than none.
    pub quantity: i32,
    /// Id of the delivery. One that comes again has no effect.
    pub delivery_id: String,
}

/// An order asks for a product: it gets the whole quantity or nothing, and one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveStock {
    /// Code of the product.
    pub sku: String,
    /// Id of the order that asks for stock.
    pub order_id: String,
    /// Pieces, more than none.
    pub quantity: i32,
}

/// A return brings a product back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnStock {
    /// Code of the product.
    pub sku: String,
    /// The return that brings it.
    pub return_id: String,
    /// Pieces, more than none.
    pub quantity: i32,
}

/// Somebody has counted. Down goes no further than the shelf holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectStock {
    /// Code of the product.
    pub sku: String,
    /// The invoice under which it was booked.
    pub invoice: String,
    /// Pieces found (positive) or missing (negative).
    pub quantity: i32,
}
