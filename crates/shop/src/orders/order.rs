//! The aggregate behind `order-<invoice>`.

mod command;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use aqueduct::{Aggregate, domain_event};
use jiff::civil::Date;
use rust_decimal::Decimal;

pub use self::command::{CancelOrder, ConfirmOrder, CreateOrder, OrderCommand, RejectOrder};
use crate::events::{Currency, OrderCancelled, OrderConfirmed, OrderCreated, OrderRejected, OrderedProduct};
use crate::product::product_code;
use crate::refusal::{InvalidField, Refusal, RefusalKind};

domain_event! {
    /// What happens to an order.
    pub enum OrderEvent { OrderCreated, OrderConfirmed, OrderRejected, OrderCancelled }
}

/// An order, from the customer's wish to its end.
#[derive(Debug, Default)]
pub struct Order {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Absent,
    /// Inventory has not answered yet.
    Created(Box<Placed>),
    Confirmed,
    Rejected,
    Cancelled,
}

/// What an order that waits for its answers must still know.
#[derive(Debug)]
struct Placed {
    day: Date,
    country: String,
    currency: Currency,
    products: BTreeMap<String, Product>,
    charges: Decimal,
}

/// All lines of one product.
#[derive(Debug, Default)]
struct Product {
    quantity: i64,
    price: Decimal,
}

/// Why an order refuses a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A field cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// Created before, by another command.
    #[error("order {0} exists already")]
    OrderExists(String),
    /// Never created.
    #[error("there is no order {0}")]
    NoSuchOrder(String),
    /// Inventory's answers are not one for each product of the order, with its quantity.
    #[error("the answers of inventory do not cover order {order_id}: product {sku}")]
    AnswersDiffer {
        /// Id of the order, without its category.
        order_id: String,
        /// The first product that has no answer, too many, or one for another quantity.
        sku: String,
    },
}

impl Refusal for OrderError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid-command",
            Self::OrderExists(_) => "order-exists",
            Self::NoSuchOrder(_) => "no-such-order",
            Self::AnswersDiffer { .. } => "answers-differ",
        }
    }

    fn kind(&self) -> RefusalKind {
        match self {
            Self::Invalid(_) => RefusalKind::Invalid,
            Self::OrderExists(_) | Self::AnswersDiffer { .. } => RefusalKind::Conflict,
            Self::NoSuchOrder(_) => RefusalKind::NotFound,
        }
    }
}

impl Aggregate for Order {
    const TYPE: &'static str = "order";
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Error = OrderError;

    fn handle(&self, command: &OrderCommand) -> Result<Vec<OrderEvent>, OrderError> {
        match command {
            OrderCommand::Create(command) => self.create(command),
            OrderCommand::Confirm(command) => self.confirm(command),
            OrderCommand::Reject(command) => self.reject(command),
            OrderCommand::Cancel(command) => self.cancel(command),
        }
    }

    fn apply(&mut self, event: &OrderEvent) {
        self.state = match event {
            OrderEvent::OrderCreated(event) => State::Created(Box::new(Placed::of(event))),
            OrderEvent::OrderConfirmed(_) => State::Confirmed,
            OrderEvent::OrderRejected(_) => State::Rejected,
            OrderEvent::OrderCancelled(_) => State::Cancelled,
        };
    }
}

impl Order {
    /// Whether it was ever created.
    pub fn exists(&self) -> bool {
        !matches!(self.state, State::Absent)
    }

    fn create(&self, command: &CreateOrder) -> Result<Vec<OrderEvent>, OrderError> {
        if self.exists() {
            return Err(OrderError::OrderExists(command.order_id.clone()));
        }
        Ok(vec![command.check()?.into()])
    }

    /// An order that has its end already (cancelled before inventory had answered, for one) stays as it is.
    fn confirm(&self, command: &ConfirmOrder) -> Result<Vec<OrderEvent>, OrderError> {
        let ConfirmOrder { order_id, reserved, refused } = command;
        let Some(placed) = self.waiting(order_id)? else { return Ok(Vec::new()) };
        placed.check_answers(order_id, reserved.iter().chain(refused))?;
        let event = OrderConfirmed {
            order_id: order_id.clone(),
            day: placed.day,
            country: placed.country.clone(),
            currency: placed.currency,
            reserved: reserved.clone(),
            refused: refused.clone(),
            confirmed: placed.charges + placed.price_of(reserved),
        };
        Ok(vec![event.into()])
    }

    fn reject(&self, command: &RejectOrder) -> Result<Vec<OrderEvent>, OrderError> {
        let RejectOrder { order_id, refused } = command;
        let Some(placed) = self.waiting(order_id)? else { return Ok(Vec::new()) };
        placed.check_answers(order_id, refused)?;
        let event = OrderRejected {
            order_id: order_id.clone(),
            day: placed.day,
            country: placed.country.clone(),
            refused: refused.clone(),
        };
        Ok(vec![event.into()])
    }

    /// Whatever inventory has answered, or will: the customer sent everything back.
    fn cancel(&self, command: &CancelOrder) -> Result<Vec<OrderEvent>, OrderError> {
        let CancelOrder { order_id, return_id } = command.clone();
        match self.state {
            State::Absent => Err(OrderError::NoSuchOrder(order_id)),
            State::Cancelled => Ok(Vec::new()),
            State::Created(_) | State::Confirmed | State::Rejected => {
                Ok(vec![OrderCancelled { order_id, return_id }.into()])
            }
        }
    }

    /// The order, if it waits for inventory.
    fn waiting(&self, order_id: &str) -> Result<Option<&Placed>, OrderError> {
        match &self.state {
            State::Absent => Err(OrderError::NoSuchOrder(order_id.to_owned())),
            State::Created(placed) => Ok(Some(placed)),
            State::Confirmed | State::Rejected | State::Cancelled => Ok(None),
        }
    }
}

impl Placed {
    /// Sums cannot overflow: `CreateOrder` has checked the order's total, and no price is negative.
    fn of(event: &OrderCreated) -> Self {
        let mut products = BTreeMap::<_, Product>::new();
        for line in &event.lines {
            let product = products.entry(product_code(&line.sku)).or_default();
            product.quantity += i64::from(line.quantity);
            product.price += Decimal::from(line.quantity) * line.unit_price;
        }
        let charges = event.charges.iter().map(|charge| Decimal::from(charge.quantity) * charge.unit_price);
        Self {
            day: event.placed_at.date(),
            country: event.country.clone(),
            currency: event.currency,
            products,
            charges: charges.sum(),
        }
    }

    fn check_answers<'a>(
        &self,
        order_id: &str,
        answers: impl IntoIterator<Item = &'a OrderedProduct>,
    ) -> Result<(), OrderError> {
        let differ = |sku: &str| OrderError::AnswersDiffer { order_id: order_id.into(), sku: sku.into() };
        let mut open: BTreeMap<&str, i64> =
            self.products.iter().map(|(sku, product)| (sku.as_str(), product.quantity)).collect();
        for answer in answers {
            if open.remove(answer.sku.as_str()) != Some(i64::from(answer.quantity)) {
                return Err(differ(&answer.sku));
            }
        }
        open.keys().next().map_or(Ok(()), |sku| Err(differ(sku)))
    }

    fn price_of(&self, reserved: &[OrderedProduct]) -> Decimal {
        reserved.iter().filter_map(|answer| self.products.get(&answer.sku)).map(|product| product.price).sum()
    }
}
