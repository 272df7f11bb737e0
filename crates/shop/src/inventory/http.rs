//! `POST /stock/receipts`, `POST /stock/corrections`, `GET /stock/{sku}`.

use std::sync::Arc;

use aqueduct::{Aggregate as _, CommandId, CommandRequest, StreamName};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::view::{self, StockLevel};
use super::{CorrectStock, InventoryCommand, InventoryItem, ReceiveStock, Shelves};
use crate::http::{CommandResponse, Fingerprinted, Payload, Problem, framed};
use crate::product::product_code;

/// Items in a batch at most.
const BATCH_LIMIT: usize = 1_000;
/// Items of a batch that are executed at a time.
const ITEMS_AT_A_TIME: usize = 64;

struct Service {
    shelves: Shelves,
    views: PgPool,
}

/// The routes of the inventory service; commands go to `shelves`, queries to the read models behind `views`.
pub fn router(shelves: Shelves, views: PgPool) -> Router {
    let routes = Router::new()
        .route("/stock/receipts", post(receive))
        .route("/stock/corrections", post(correct))
        .route("/stock/{sku}", get(stock))
        .with_state(Arc::new(Service { shelves, views }));
    framed(routes)
}

/// An item of `POST /stock/receipts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    /// Id of the command, like the header `Idempotency-Key` of other requests.
    pub command_id: Uuid,
    /// The product, in either case.
    pub sku: String,
    /// Pieces, at least one.
    pub quantity: i32,
    /// Id of the delivery. One that comes again has no effect.
    pub delivery_id: String,
}

/// An item of `POST /stock/corrections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Correction {
    /// Id of the command, like the header `Idempotency-Key` of other requests.
    pub command_id: Uuid,
    /// The product, in either case.
    pub sku: String,
    /// Pieces found (positive) or missing (negative).
    pub quantity: i32,
    /// The invoice under which it was booked.
    pub invoice: String,
}

/// The result of one item of a batch; results are in the order of the items.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// Id of the item's command.
    pub command_id: Uuid,
    /// The HTTP status of the item.
    pub status: u16,
    /// The result, if the command was executed now or before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<CommandResponse>,
    /// The error, if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

async fn receive(
    State(service): State<Arc<Service>>,
    Fingerprinted { body: receipts, payload }: Fingerprinted<Vec<Receipt>>,
) -> Result<Response, Problem> {
    let commands = receipts.into_iter().map(|Receipt { command_id, sku, quantity, delivery_id }| {
        let command = ReceiveStock { sku: product_code(&sku), quantity, delivery_id };
        (command_id, InventoryCommand::Receive(command))
    });
    execute(&service.shelves, commands.collect(), payload).await
}

async fn correct(
    State(service): State<Arc<Service>>,
    Fingerprinted { body: corrections, payload }: Fingerprinted<Vec<Correction>>,
) -> Result<Response, Problem> {
    let commands = corrections.into_iter().map(|Correction { command_id, sku, quantity, invoice }| {
        let command = CorrectStock { sku: product_code(&sku), invoice, quantity };
        (command_id, InventoryCommand::Correct(command))
    });
    execute(&service.shelves, commands.collect(), payload).await
}

/// Executes the items concurrently, in no particular order. `200 OK` if all were executed, `207` if some were not; each
/// item has a status of its own.
async fn execute(
    shelves: &Shelves,
    commands: Vec<(Uuid, InventoryCommand)>,
    payload: Payload,
) -> Result<Response, Problem> {
    if commands.len() > BATCH_LIMIT {
        let detail = format!("{} items in a batch, the limit is {BATCH_LIMIT}", commands.len());
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "batch-too-large", detail));
    }
    let items = commands.into_iter().zip(payload.into_items());
    let items: Vec<_> = items.map(|((id, command), payload)| one(shelves, id, command, payload)).collect();
    let responses: Vec<BatchResponse> = stream::iter(items).buffered(ITEMS_AT_A_TIME).collect().await;
    let all = responses.iter().all(|response| response.answer.is_some());
    let status = if all { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    Ok((status, Json(responses)).into_response())
}

async fn one(
    shelves: &Shelves,
    command_id: Uuid,
    command: InventoryCommand,
    payload: Payload,
) -> BatchResponse {
    let stream = StreamName::of(InventoryItem::TYPE, command.sku());
    let request =
        CommandRequest::new(CommandId::from(command_id), command).with_payload(&payload.canonical());
    let executed = shelves.execute(request).await.map_err(Problem::from);
    match executed.and_then(|answer| CommandResponse::new(stream, &answer)) {
        Ok(answer) => {
            let status = answer.status().as_u16();
            BatchResponse { command_id, status, answer: Some(answer), problem: None }
        }
        Err(problem) => {
            BatchResponse { command_id, status: problem.status, answer: None, problem: Some(problem) }
        }
    }
}

async fn stock(
    State(service): State<Arc<Service>>,
    Path(sku): Path<String>,
) -> Result<Json<StockLevel>, Problem> {
    let stock = view::find(&service.views, &product_code(&sku)).await?;
    stock.map(Json).ok_or_else(|| Problem::not_found(format!("there is no product {sku} in stock")))
}
