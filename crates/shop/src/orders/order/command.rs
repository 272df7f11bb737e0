//! What an order can be asked to do.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::events::{Charge, Currency, OrderCreated, OrderLine, OrderedProduct};
use crate::orders::goods::check_goods;
use crate::refusal::{InvalidField, check_id, check_text, check_time};
use aqueduct::Command;

/// A command to an order.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderCommand {
    /// See [`CreateOrder`].
    Create(CreateOrder),
    /// See [`ConfirmOrder`].
    Confirm(ConfirmOrder),
    /// See [`RejectOrder`].
    Reject(RejectOrder),
    /// See [`CancelOrder`].
    Cancel(CancelOrder),
}

impl Command for OrderCommand {
    fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "CreateOrder",
            Self::Confirm(_) => "ConfirmOrder",
            Self::Reject(_) => "RejectOrder",
            Self::Cancel(_) => "CancelOrder",
        }
    }
}

/// Takes a customer's order. `unitPrice` counts minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateOrder {
    /// The number of the invoice.
    pub order_id: String,
    /// None for a guest.
    pub customer_id: Option<String>,
    /// The shop's local time.
    pub placed_at: DateTime,
    /// Where it is sent to.
    pub country: String,
    /// Of all prices.
    pub currency: Currency,
    /// Products.
    pub lines: Vec<OrderLine>,
    /// Postage and other things that are not kept in stock.
    pub charges: Vec<Charge>,
}

/// Ends an order of which inventory has reserved at least one product, or that asks for none.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfirmOrder {
    /// Id of the order, without its category.
    pub order_id: String,
    /// What left the shelf, by product code.
    pub reserved: Vec<OrderedProduct>,
    /// What the shelf did not hold.
    pub refused: Vec<OrderedProduct>,
}

/// Ends an order of which inventory could reserve nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectOrder {
    /// Id of the order, without its category.
    pub order_id: String,
    /// Everything it asked for, by product code.
    pub refused: Vec<OrderedProduct>,
}

/// Ends an order that the customer sent back whole.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelOrder {
    /// Id of the order, without its category.
    pub order_id: String,
    /// The return that undoes it.
    pub return_id: String,
}

impl CreateOrder {
    /// The event, if every field can be accepted.
    pub(super) fn check(&self) -> Result<OrderCreated, InvalidField> {
        check_id("orderId", &self.order_id)?;
        check_text("customerId", self.customer_id.as_deref().unwrap_or_default())?;
        check_text("country", &self.country)?;
        check_time("placedAt", self.placed_at)?;
        let (mut lines, mut charges) = (self.lines.clone(), self.charges.clone());
        let of_products = lines
            .iter_mut()
            .map(|line| (&*line.sku, &*line.description, line.quantity, &mut line.unit_price));
        let total = check_goods(of_products, "charges", &mut charges)?;
        Ok(OrderCreated {
            order_id: self.order_id.clone(),
            customer_id: self.customer_id.clone(),
            placed_at: self.placed_at,
            country: self.country.clone(),
            currency: self.currency,
            lines,
            charges,
            total,
        })
    }
}
