// Written by `aqueduct schemas generate` from the schema files. Change those, not this.

//! The events in their latest versions, in the plain JSON mapping.

use serde::{Deserialize, Serialize};

/// Money without goods: postage, vouchers; in a return, what was given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// `code`.
    pub code: String,
    /// `description`.
    pub description: String,
    /// `quantity`.
    pub quantity: i32,
    /// Minor units (pence), three decimals, exact.
    #[serde(rename = "unitPrice")]
    pub unit_price: rust_decimal::Decimal,
}

/// ISO 4217 code of the amounts beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Currency {
    /// `GBP`.
    #[serde(rename = "GBP")]
    Gbp,
}

/// A return undid the whole order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderCancelled {
    /// `orderId`.
    #[serde(rename = "orderId")]
    pub order_id: String,
    /// `returnId`.
    #[serde(rename = "returnId")]
    pub return_id: String,
}

/// What could be reserved will be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderConfirmed {
    /// `orderId`.
    #[serde(rename = "orderId")]
    pub order_id: String,
    /// Of the order, the shop's local time.
    pub day: jiff::civil::Date,
    /// `country`.
    pub country: String,
    /// `currency`.
    pub currency: Currency,
    /// `reserved`.
    pub reserved: Vec<OrderedProduct>,
    /// `refused`.
    pub refused: Vec<OrderedProduct>,
    /// All lines of products that were reserved, and the charges, minor units.
    pub confirmed: rust_decimal::Decimal,
}

/// A customer or a guest ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderCreated {
    /// `orderId`.
    #[serde(rename = "orderId")]
    pub order_id: String,
    /// The customer's number; null for a guest.
    #[serde(rename = "customerId")]
    pub customer_id: Option<String>,
    /// The shop's local time.
    #[serde(rename = "placedAt")]
    pub placed_at: jiff::civil::DateTime,
    /// `country`.
    pub country: String,
    /// Of all amounts of the event.
    pub currency: Currency,
    /// `lines`.
    pub lines: Vec<OrderLine>,
    /// `charges`.
    pub charges: Vec<Charge>,
    /// Sum of quantity × unit price over lines and charges, minor units.
    pub total: rust_decimal::Decimal,
}

/// Goods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderLine {
    /// As written by the customer; compared in upper case.
    pub sku: String,
    /// `description`.
    pub description: String,
    /// `quantity`.
    pub quantity: i32,
    /// Minor units (pence), three decimals, exact.
    #[serde(rename = "unitPrice")]
    pub unit_price: rust_decimal::Decimal,
}

/// Nothing of what was ordered was there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRejected {
    /// `orderId`.
    #[serde(rename = "orderId")]
    pub order_id: String,
    /// Of the order, the shop's local time.
    pub day: jiff::civil::Date,
    /// `country`.
    pub country: String,
    /// `refused`.
    pub refused: Vec<OrderedProduct>,
}

/// A product and how many of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderedProduct {
    /// Upper case.
    pub sku: String,
    /// `quantity`.
    pub quantity: i32,
}

/// Goods that came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnLine {
    /// `sku`.
    pub sku: String,
    /// `description`.
    pub description: String,
    /// Positive.
    pub quantity: i32,
    /// Minor units (pence), three decimals, exact.
    #[serde(rename = "unitPrice")]
    pub unit_price: rust_decimal::Decimal,
    /// The order they were bought with, where one is found.
    #[serde(rename = "orderId")]
    pub order_id: Option<String>,
}

/// Goods came back, or money was given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnReceived {
    /// `returnId`.
    #[serde(rename = "returnId")]
    pub return_id: String,
    /// The customer's number; null for a guest.
    #[serde(rename = "customerId")]
    pub customer_id: Option<String>,
    /// The shop's local time.
    #[serde(rename = "receivedAt")]
    pub received_at: jiff::civil::DateTime,
    /// `country`.
    pub country: String,
    /// Of all amounts of the event.
    pub currency: Currency,
    /// `lines`.
    pub lines: Vec<ReturnLine>,
    /// `credits`.
    pub credits: Vec<Charge>,
    /// Sum of quantity × unit price over lines and credits, minor units.
    pub total: rust_decimal::Decimal,
    /// The order that this return undoes wholly.
    pub undoes: Option<String>,
}

/// A count found more or fewer than the books say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockCorrected {
    /// Upper case.
    pub sku: String,
    /// `invoice`.
    pub invoice: String,
    /// Signed.
    pub requested: i32,
    /// Signed; a shelf can't hold less than nothing.
    pub applied: i32,
}

/// A delivery came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockReceived {
    /// Upper case.
    pub sku: String,
    /// `quantity`.
    pub quantity: i32,
    /// `deliveryId`.
    #[serde(rename = "deliveryId")]
    pub delivery_id: String,
}

/// The shelf did not hold the quantity that an order asked for; nothing was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockRefused {
    /// Upper case.
    pub sku: String,
    /// `orderId`.
    #[serde(rename = "orderId")]
    pub order_id: String,
    /// `quantity`.
    pub quantity: i32,
}

/// The whole quantity is kept for an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockReserved {
    /// Upper case.
    pub sku: String,
    /// `orderId`.
    #[serde(rename = "orderId")]
    pub order_id: String,
    /// `quantity`.
    pub quantity: i32,
}

/// Goods came back onto the shelf.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockReturned {
    /// Upper case.
    pub sku: String,
    /// `returnId`.
    #[serde(rename = "returnId")]
    pub return_id: String,
    /// `quantity`.
    pub quantity: i32,
}

/// A customer opened an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRegistered {
    /// `userId`.
    #[serde(rename = "userId")]
    pub user_id: String,
    /// `country`.
    pub country: String,
    /// The shop's local time.
    #[serde(rename = "registeredAt")]
    pub registered_at: jiff::civil::DateTime,
}
