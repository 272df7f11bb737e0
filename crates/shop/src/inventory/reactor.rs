//! Reserves what orders ask for and takes back what returns bring.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct::{
    CommandId, CommandRequest, Commands, Envelope, ErrorKind, ExecuteError, ReactError, Reactor, domain_event,
};
use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{InventoryCommand, InventoryError, Reservation, ReserveStock, ReturnStock, Shelves};
use crate::events::{OrderCreated, OrderedProduct, ReturnReceived};
use crate::orders::{CancelOrder, ConfirmOrder, Order, OrderCommand, OrderError, RejectOrder};
use crate::product::quantities;
use crate::topics;

/// Products of one order that are asked for at a time.
const PRODUCTS_AT_A_TIME: usize = 64;

domain_event! {
    /// What inventory reacts to.
    pub enum OrdersEvent { OrderCreated, ReturnReceived }
}

/// Inventory's part in orders and returns.
///
/// `OrderCreated`: asks for each product once; when all have answered, the order is confirmed with what was
/// reserved, or rejected if nothing was. `ReturnReceived`: each product goes back to its shelf once, then the
/// order that the return undoes is cancelled.
///
/// The ids of all commands follow from the event, and the shelves remember their answers by order and
/// return. So an event that comes again, because the process died half way or twice, leaves what was done as
/// it is and does the rest.
pub struct StockReactor {
    shelves: Shelves,
    orders: Arc<Commands<Order>>,
}

impl StockReactor {
    /// A reactor that sends its commands through `shelves` and `orders`.
    pub fn new(shelves: Shelves, orders: Arc<Commands<Order>>) -> Self {
        Self { shelves, orders }
    }

    async fn reserve(&self, event: &OrderCreated, envelope: &Envelope) -> Result<(), ReactError> {
        let lines = event.lines.iter().map(|line| (line.sku.as_str(), line.quantity));
        let (mut reserved, mut refused) = (Vec::new(), Vec::new());
        for (sku, reservation) in self.ask(&event.order_id, wanted(lines)?, envelope).await? {
            match reservation {
                Reservation::Reserved(quantity) => reserved.push(OrderedProduct { sku, quantity }),
                Reservation::Refused(quantity) => refused.push(OrderedProduct { sku, quantity }),
            }
        }
        let order_id = event.order_id.clone();
        let command = match reserved.is_empty() && !refused.is_empty() {
            true => OrderCommand::Reject(RejectOrder { order_id, refused }),
            false => OrderCommand::Confirm(ConfirmOrder { order_id, reserved, refused }),
        };
        self.end(&event.order_id, &["settle"], command, envelope).await
    }

    /// The shelves' answers, by product code.
    async fn ask(
        &self,
        order_id: &str,
        products: BTreeMap<String, i32>,
        envelope: &Envelope,
    ) -> Result<BTreeMap<String, Reservation>, ReactError> {
        let mut questions = Vec::with_capacity(products.len());
        for (sku, quantity) in products {
            let command = ReserveStock { sku: sku.clone(), order_id: order_id.to_owned(), quantity };
            let request = request(envelope, &["reserve", &sku], command);
            questions.push(async move {
                match self.shelves.reserve(request).await {
                    Ok(Some(reservation)) => Ok((sku, reservation)),
                    Ok(None) => Err(ReactError::new(ErrorKind::Park, no_answer(&sku))),
                    Err(error) => Err(on_shelf(&sku, error)),
                }
            });
        }
        stream::iter(questions).buffer_unordered(PRODUCTS_AT_A_TIME).try_collect().await
    }

    async fn take_back(&self, event: &ReturnReceived, envelope: &Envelope) -> Result<(), ReactError> {
        let mut goods = Vec::new();
        let lines = event.lines.iter().map(|line| (line.sku.as_str(), line.quantity));
        for (sku, quantity) in wanted(lines)? {
            let command = ReturnStock { sku: sku.clone(), return_id: event.return_id.clone(), quantity };
            let request = request(envelope, &["return", &sku], InventoryCommand::Return(command));
            goods.push(async move {
                let answer = self.shelves.execute(request).await;
                answer.map(drop).map_err(|error| on_shelf(&sku, error))
            });
        }
        let () = stream::iter(goods).buffer_unordered(PRODUCTS_AT_A_TIME).try_collect().await?;
        let Some(order_id) = event.undoes.clone() else { return Ok(()) };
        let return_id = event.return_id.clone();
        let command = OrderCommand::Cancel(CancelOrder { order_id: order_id.clone(), return_id });
        self.end(&order_id, &["cancel"], command, envelope).await
    }

    async fn end(
        &self,
        order_id: &str,
        step: &[&str],
        command: OrderCommand,
        envelope: &Envelope,
    ) -> Result<(), ReactError> {
        let answer = self.orders.execute(order_id, request(envelope, step, command)).await;
        answer.map(drop).map_err(|error: ExecuteError<OrderError>| {
            ReactError::caused_by(error.kind(), format!("order {order_id} could not be ended"), error)
        })
    }
}

#[async_trait]
impl Reactor for StockReactor {
    const NAME: &'static str = "inventory";
    const TOPICS: &'static [&'static str] = &[topics::ORDERS];
    const IGNORED_TYPES: &'static [&'static str] = &["OrderConfirmed", "OrderRejected", "OrderCancelled"];
    type Event = OrdersEvent;

    async fn react(&self, event: &OrdersEvent, envelope: &Envelope) -> Result<(), ReactError> {
        match event {
            OrdersEvent::OrderCreated(event) => self.reserve(event, envelope).await,
            OrdersEvent::ReturnReceived(event) => self.take_back(event, envelope).await,
        }
    }
}

/// Quantity per product. The services let no sum through that does not fit; another writer's event could.
fn wanted<'a>(lines: impl Iterator<Item = (&'a str, i32)>) -> Result<BTreeMap<String, i32>, ReactError> {
    quantities(lines)
        .map_err(|error| ReactError::caused_by(ErrorKind::Park, "an event no shelf can answer", error))
}

fn on_shelf(sku: &str, error: ExecuteError<InventoryError>) -> ReactError {
    ReactError::caused_by(error.kind(), no_answer(sku), error)
}

fn no_answer(sku: &str) -> String {
    format!("the shelf of product {sku} gave no answer")
}

/// A command that follows from the event: its id is derived from the event's place in the store and the step.
fn request<C>(envelope: &Envelope, step: &[&str], command: C) -> CommandRequest<C> {
    let id = CommandId::derived(&[&[StockReactor::NAME, &envelope.id], step].concat());
    CommandRequest {
        id,
        correlation_id: envelope
            .correlation_id
            .as_ref()
            .and_then(|id| id.parse().ok())
            .unwrap_or(id.as_uuid()),
        causation_id: envelope.event_id.as_ref().and_then(|id| id.parse().ok()).unwrap_or(id.as_uuid()),
        traceparent: envelope.traceparent.clone(),
        fingerprint: None,
        command,
    }
}
