//! Commands to shelves, and their answers.

use std::sync::Arc;

use aqueduct::{CommandRequest, CommandResult, Commands, ExecuteError};

use super::{InventoryCommand, InventoryError, InventoryEvent, InventoryItem, Reservation, ReserveStock};

/// All shelves of the shop. Whatever reaches them in this process should go through one of these (clones
/// share it): commands to one shelf then wait for each other here instead of failing at the store.
#[derive(Clone)]
pub struct Shelves {
    commands: Arc<Commands<InventoryItem>>,
}

impl Shelves {
    /// Shelves that are kept by these commands.
    pub fn new(commands: Arc<Commands<InventoryItem>>) -> Self {
        Self { commands }
    }

    /// Sends a command to the shelf it names.
    pub async fn execute(
        &self,
        request: CommandRequest<InventoryCommand>,
    ) -> Result<CommandResult<InventoryEvent>, ExecuteError<InventoryError>> {
        let sku = request.command.sku().to_owned();
        self.commands.execute(&sku, request).await
    }

    /// Asks for a product on behalf of an order. An order that has asked before gets its first answer,
    /// whatever the id of the command. `None` would mean that the shelf neither answered nor has an answer on
    /// record, which its aggregate rules out.
    pub async fn reserve(
        &self,
        request: CommandRequest<ReserveStock>,
    ) -> Result<Option<Reservation>, ExecuteError<InventoryError>> {
        let CommandRequest { id, correlation_id, causation_id, traceparent, fingerprint, command } = request;
        let (sku, order_id) = (command.sku.clone(), command.order_id.clone());
        let command = InventoryCommand::Reserve(command);
        let request = CommandRequest { id, correlation_id, causation_id, traceparent, fingerprint, command };
        let answer = self.execute(request).await?;
        match answer.events.iter().find_map(Reservation::of) {
            Some(reservation) => Ok(Some(reservation)),
            // No event means that the order is on record, under another command.
            None => self.commands.inspect(&sku, |item| item.reservation(&order_id)).await,
        }
    }
}

impl Reservation {
    /// What the event says.
    fn of(event: &InventoryEvent) -> Option<Self> {
        match event {
            InventoryEvent::StockReserved(event) => Some(Self::Reserved(event.quantity)),
            InventoryEvent::StockRefused(event) => Some(Self::Refused(event.quantity)),
            _ => None,
        }
    }
}
