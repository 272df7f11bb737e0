//! `POST /users`, `GET /users/{id}`.

use std::sync::Arc;

use aqueduct::{Aggregate as _, CommandRequest, Commands, StreamName};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use sqlx::PgPool;

use super::view::{self, Customer};
use super::{RegisterUser, User};
use crate::http::{CommandResponse, Fingerprinted, Idempotency, Problem, framed};

struct Service {
    users: Arc<Commands<User>>,
    views: PgPool,
}

/// The routes of the users service; commands go to `users`, queries to the read models behind `views`.
pub fn router(users: Arc<Commands<User>>, views: PgPool) -> Router {
    let routes = Router::new()
        .route("/users", post(register))
        .route("/users/{id}", get(customer))
        .with_state(Arc::new(Service { users, views }));
    framed(routes)
}

async fn register(
    State(service): State<Arc<Service>>,
    Idempotency(id): Idempotency,
    Fingerprinted { body: command, payload }: Fingerprinted<RegisterUser>,
) -> Result<CommandResponse, Problem> {
    let user_id = command.user_id.clone();
    let request = CommandRequest::new(id, command).with_payload(&payload.canonical());
    let result = service.users.execute(&user_id, request).await?;
    CommandResponse::new(StreamName::of(User::TYPE, &user_id), &result)
}

async fn customer(
    State(service): State<Arc<Service>>,
    Path(user_id): Path<String>,
) -> Result<Json<Customer>, Problem> {
    let customer = view::find(&service.views, &user_id).await?;
    customer.map(Json).ok_or_else(|| Problem::not_found(format!("there is no user {user_id}")))
}
