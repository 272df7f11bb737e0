//! What the shop's staff wants to know of at once.

use aqueduct::{Committed, EventBus};
use metrics::counter;

use super::InventoryEvent;
use crate::metrics::EMPTY_SHELVES;

/// Says in the log, and counts, when an order finds too little on a shelf: the time to call the supplier.
pub(crate) fn report_empty_shelves(bus: &mut EventBus) {
    bus.subscribe("report empty shelves", |committed: &Committed<InventoryEvent>| {
        for event in &committed.events {
            if let InventoryEvent::StockRefused(event) = event {
                tracing::info!(
                    sku = event.sku,
                    order_id = event.order_id,
                    quantity = event.quantity,
                    "a shelf holds too little for an order"
                );
                counter!(EMPTY_SHELVES).increment(1);
            }
        }
        std::future::ready(Ok(()))
    });
}
