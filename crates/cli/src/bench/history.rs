//! Events as the shop's services append them, made of the shop's real orders.

use std::path::Path;
use std::sync::Arc;

use aqueduct_core::{
    Aggregate, Codec, CommandId, CommandRequest, CommandResult, EventStore, ExpectedRevision, MemoryStore,
    NewEvent, RecordedEvent, Repository, StreamName,
};
use aqueduct_relay::partition_of;
use aqueduct_schema::SchemaSet;
use aqueduct_shop::events::OrderedProduct;
use aqueduct_shop::input::{self, Plan, Step};
use aqueduct_shop::inventory::{InventoryCommand, InventoryEvent, InventoryItem, ReceiveStock, ReserveStock};
use aqueduct_shop::orders::{ConfirmOrder, CreateOrder, LegacyOrders, Order, OrderCommand, RejectOrder};
use aqueduct_shop::quantities;
use futures::StreamExt as _;
use futures::future::try_join_all;

use crate::Failure;

/// Appends to a server that are under way at once, when a history is copied.
const CONCURRENT: u32 = 16;

/// The shop's own aggregates on a store in memory.
struct Shop {
    store: MemoryStore,
    orders: Repository<Order, MemoryStore, Arc<SchemaSet>>,
    legacy_orders: Repository<Order, MemoryStore, LegacyOrders>,
    items: Repository<InventoryItem, MemoryStore, Arc<SchemaSet>>,
}

/// The first orders of the shop's file with the deliveries before them, each order followed by inventory's
/// answers and its end. A third of the orders is stored in version 1.
pub(super) async fn of_shop(
    input: &Path,
    orders: usize,
    schemas: &Arc<SchemaSet>,
) -> Result<MemoryStore, Failure> {
    let shop = Shop::new(schemas);
    for month in &Plan::make(input::read(input)?, Some(orders)).months {
        for delivery in &month.deliveries {
            let (sku, delivery_id) = (delivery.sku.clone(), delivery.id.clone());
            let received = ReceiveStock { sku, quantity: delivery.quantity, delivery_id };
            shop.stock(InventoryCommand::Receive(received)).await?;
        }
        for step in &month.steps {
            if let Step::Order { order, legacy } = step {
                let products = shop.create(order, *legacy).await?;
                let (mut reserved, mut refused) = (Vec::new(), Vec::new());
                for product in products {
                    match shop.reserve(order, &product).await? {
                        true => reserved.push(product),
                        false => refused.push(product),
                    }
                }
                shop.end(order, reserved, refused).await?;
            }
        }
    }
    Ok(shop.store)
}

/// The first orders of the shop's file, all of them confirmed, without inventory.
pub(super) async fn of_orders(
    input: &Path,
    orders: usize,
    schemas: &Arc<SchemaSet>,
) -> Result<MemoryStore, Failure> {
    let shop = Shop::new(schemas);
    let plan = Plan::make(input::read(input)?, Some(orders));
    for step in plan.months.iter().flat_map(|month| &month.steps) {
        if let Step::Order { order, legacy } = step {
            let reserved = shop.create(order, *legacy).await?;
            shop.end(order, reserved, Vec::new()).await?;
        }
    }
    Ok(shop.store)
}

impl Shop {
    fn new(schemas: &Arc<SchemaSet>) -> Self {
        let store = MemoryStore::default();
        Self {
            orders: Repository::new(store.clone(), Arc::clone(schemas)),
            legacy_orders: Repository::new(store.clone(), LegacyOrders::new(Arc::clone(schemas))),
            items: Repository::new(store.clone(), Arc::clone(schemas)),
            store,
        }
    }

    /// Returns what has to be reserved.
    async fn create(&self, order: &CreateOrder, legacy: bool) -> Result<Vec<OrderedProduct>, Failure> {
        let command = OrderCommand::Create(order.clone());
        match legacy {
            true => execute(&self.legacy_orders, &order.order_id, command).await?,
            false => execute(&self.orders, &order.order_id, command).await?,
        };
        let products = quantities(order.lines.iter().map(|line| (line.sku.as_str(), line.quantity)))?;
        Ok(products.into_iter().map(|(sku, quantity)| OrderedProduct { sku, quantity }).collect())
    }

    /// Whether the shelf held it.
    async fn reserve(&self, order: &CreateOrder, product: &OrderedProduct) -> Result<bool, Failure> {
        let OrderedProduct { sku, quantity } = product.clone();
        let reserve = ReserveStock { sku, order_id: order.order_id.clone(), quantity };
        let answer = self.stock(InventoryCommand::Reserve(reserve)).await?;
        Ok(answer.events.iter().any(|event| matches!(event, InventoryEvent::StockReserved(_))))
    }

    async fn end(
        &self,
        order: &CreateOrder,
        reserved: Vec<OrderedProduct>,
        refused: Vec<OrderedProduct>,
    ) -> Result<(), Failure> {
        let order_id = order.order_id.clone();
        let command = match reserved.is_empty() && !refused.is_empty() {
            true => OrderCommand::Reject(RejectOrder { order_id, refused }),
            false => OrderCommand::Confirm(ConfirmOrder { order_id, reserved, refused }),
        };
        execute(&self.orders, &order.order_id, command).await.map(drop)
    }

    async fn stock(&self, command: InventoryCommand) -> Result<CommandResult<InventoryEvent>, Failure> {
        let sku = command.sku().to_owned();
        execute(&self.items, &sku, command).await
    }
}

async fn execute<A: Aggregate, C: Codec>(
    repository: &Repository<A, MemoryStore, C>,
    id: &str,
    command: A::Command,
) -> Result<CommandResult<A::Event>, Failure>
where
    A::Error: Send + Sync,
{
    let mut request = CommandRequest::new(CommandId::random(), command);
    let (trace, span) = (request.correlation_id.simple(), &request.id.as_uuid().simple().to_string()[..16]);
    request.traceparent = Some(format!("00-{trace}-{span}-01"));
    Ok(repository.execute(id, &request).await?)
}

/// All events of a history, in their order.
pub(super) async fn events(history: &MemoryStore) -> Result<Vec<RecordedEvent>, Failure> {
    let Some(last) = history.last_position().await? else { return Ok(Vec::new()) };
    let mut events = Vec::new();
    let mut all = history.subscribe_all(None);
    while let Some(item) = all.next().await {
        if let aqueduct_core::AllItem::Event(event) = item? {
            let is_last = event.position == last;
            events.push(event);
            if is_last {
                break;
            }
        }
    }
    Ok(events)
}

/// Appends the events of a history again until each is there so many `times`, to the streams that `copy` names. The shop's
/// own aggregates would take longer with each event of a stream, since a command reads its whole stream.
pub(super) async fn repeat(
    history: &MemoryStore,
    times: usize,
    copy: impl Fn(&StreamName, usize) -> StreamName,
) -> Result<(), Failure> {
    let events = events(history).await?;
    for time in 1..times {
        for event in &events {
            let RecordedEvent { stream, event_type, data, metadata, .. } = event.clone();
            let new = NewEvent { id: CommandId::random().as_uuid(), event_type, data, metadata };
            history.append(&copy(&stream, time), ExpectedRevision::Any, &[new]).await?;
        }
    }
    Ok(())
}

/// Appends a history to a server: each stream in its order, different ones as it happens.
pub(super) async fn copy(events: &[RecordedEvent], to: &dyn EventStore) -> Result<(), Failure> {
    try_join_all((0..CONCURRENT).map(|part| async move {
        for event in events {
            if partition_of(event.stream.as_str(), CONCURRENT) == part {
                let RecordedEvent { id, event_type, data, metadata, .. } = event.clone();
                let new = NewEvent { id, event_type, data, metadata };
                to.append(&event.stream, ExpectedRevision::Any, &[new]).await?;
            }
        }
        Ok::<_, Failure>(())
    }))
    .await?;
    Ok(())
}
