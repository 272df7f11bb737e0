//! `POST /orders`, `GET /orders/{id}`, `POST /returns`, `GET /revenue?day=`.

use std::sync::Arc;

use aqueduct::{Aggregate as _, CommandRequest, Commands, ExecuteError, StreamName};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::civil::Date;
use serde::Deserialize;
use sqlx::PgPool;

use super::revenue::{self, DayRevenue};
use super::view::{self, OrderSummary};
use super::{CreateOrder, Order, OrderCommand, OrderError, RegisterReturn, Return};
use crate::http::{CommandResponse, Fingerprinted, Idempotency, Problem, QueryString, framed};

struct Service {
    orders: Arc<Commands<Order>>,
    returns: Arc<Commands<Return>>,
    views: PgPool,
}

/// The routes of the orders service; commands go to `orders` and `returns`, queries to the read models
/// behind `views`.
pub fn router(orders: Arc<Commands<Order>>, returns: Arc<Commands<Return>>, views: PgPool) -> Router {
    let routes = Router::new()
        .route("/orders", post(create))
        .route("/orders/{id}", get(order))
        .route("/returns", post(register_return))
        .route("/revenue", get(revenue_of_a_day))
        .with_state(Arc::new(Service { orders, returns, views }));
    framed(routes)
}

async fn create(
    State(service): State<Arc<Service>>,
    Idempotency(id): Idempotency,
    Fingerprinted { body: command, payload }: Fingerprinted<CreateOrder>,
) -> Result<CommandResponse, Problem> {
    let order_id = command.order_id.clone();
    let request = CommandRequest::new(id, OrderCommand::Create(command)).with_payload(&payload.canonical());
    let result = service.orders.execute(&order_id, request).await?;
    CommandResponse::new(StreamName::of(Order::TYPE, &order_id), &result)
}

async fn register_return(
    State(service): State<Arc<Service>>,
    Idempotency(id): Idempotency,
    Fingerprinted { body: command, payload }: Fingerprinted<RegisterReturn>,
) -> Result<CommandResponse, Problem> {
    let return_id = command.return_id.clone();
    if let Some(order_id) = &command.undoes {
        service.must_exist(order_id).await?;
    }
    let request = CommandRequest::new(id, command).with_payload(&payload.canonical());
    let result = service.returns.execute(&return_id, request).await?;
    CommandResponse::new(StreamName::of(Return::TYPE, &return_id), &result)
}

impl Service {
    /// A return may undo only an existing order: inventory could only park the event. Orders are never deleted, so the
    /// result is still valid when the return is appended.
    async fn must_exist(&self, order_id: &str) -> Result<(), Problem> {
        if self.orders.inspect(order_id, Order::exists).await? {
            Ok(())
        } else {
            Err(ExecuteError::Domain(OrderError::NoSuchOrder(order_id.to_owned())).into())
        }
    }
}

async fn order(
    State(service): State<Arc<Service>>,
    Path(order_id): Path<String>,
) -> Result<Json<OrderSummary>, Problem> {
    let order = view::find(&service.views, &order_id).await?;
    order.map(Json).ok_or_else(|| Problem::not_found(format!("there is no order {order_id}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfDay {
    day: Date,
}

async fn revenue_of_a_day(
    State(service): State<Arc<Service>>,
    QueryString(OfDay { day }): QueryString<OfDay>,
) -> Result<Json<Vec<DayRevenue>>, Problem> {
    Ok(Json(revenue::of_day(&service.views, day).await?))
}
