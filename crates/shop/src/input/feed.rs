//! Sending the plan to the services.

use std::time::Duration;

use aqueduct::CommandId;
use backon::{ExponentialBuilder, Retryable as _};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Client, StatusCode};
use serde::Serialize;

use super::plan::{Delivery, Plan, Step};
use crate::inventory::{BatchResponse, Correction, Receipt};

/// Requests under way at once.
const CONCURRENT: usize = 32;
/// Type of the problem that a return gets whose order does not exist.
const NO_SUCH_ORDER: &str = "urn:aqueduct:shop:no-such-order";
/// Time-out of a request. A service may be busy with other requests.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Deliveries in one request.
const DELIVERIES: usize = 200;

/// Base URLs of the services.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Takes registrations.
    pub users: String,
    /// Takes orders and returns.
    pub orders: String,
    /// The old version of the orders service.
    pub legacy_orders: String,
    /// Takes deliveries and corrections.
    pub inventory: String,
}

/// A service did not take what the plan asks.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It refused.
    #[error("{url} answered {status} to {subject}: {answer}")]
    Refused {
        /// Where it was sent.
        url: String,
        /// Which invoice, customer or delivery.
        subject: String,
        /// HTTP status.
        status: StatusCode,
        /// The service's own words.
        answer: String,
    },
    /// It did not answer, in spite of retries.
    #[error("{url} does not answer: is its service frozen or stopped?")]
    Unreachable {
        /// The URL of the request.
        url: String,
        /// Error of the last attempt.
        source: reqwest::Error,
    },
}

/// Sends requests, and again after faults that may pass. Every request carries the id of its command, derived
/// from what it is about: a plan that is fed again adds nothing.
#[derive(Debug, Clone)]
pub struct Feeder {
    client: Client,
    endpoints: Endpoints,
}

impl Feeder {
    /// A feeder for these services.
    pub fn new(endpoints: Endpoints) -> Self {
        let client = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build().unwrap_or_default();
        Self { client, endpoints }
    }

    /// Sends the whole plan: each month's deliveries first, then what happened in the shop. `progress` is
    /// told how many deliveries and steps were answered.
    pub async fn feed(&self, plan: &Plan, progress: impl Fn(usize)) -> Result<(), FeedError> {
        for month in &plan.months {
            stream::iter(month.deliveries.chunks(DELIVERIES))
                .map(|deliveries| async move { self.deliver(deliveries).await.map(|()| deliveries.len()) })
                .buffer_unordered(CONCURRENT)
                .try_for_each(|answered| {
                    progress(answered);
                    std::future::ready(Ok(()))
                })
                .await?;
            stream::iter(&month.steps)
                .map(|step| self.step(step))
                .buffer_unordered(CONCURRENT)
                .try_for_each(|()| {
                    progress(1);
                    std::future::ready(Ok(()))
                })
                .await?;
        }
        Ok(())
    }

    /// Sends one step.
    pub async fn step(&self, step: &Step) -> Result<(), FeedError> {
        let Endpoints { users, orders, legacy_orders, inventory } = &self.endpoints;
        match step {
            Step::Register(user) => {
                self.post(format!("{users}/users"), &["register-user", &user.user_id], user).await
            }
            Step::Order { order, legacy } => {
                let service = if *legacy { legacy_orders } else { orders };
                self.post(format!("{service}/orders"), &["create-order", &order.order_id], order).await
            }
            Step::Return(back) => {
                self.post(format!("{orders}/returns"), &["register-return", &back.return_id], back).await
            }
            Step::Correct { invoice, line, sku, quantity } => {
                let id = CommandId::derived(&["correct-stock", invoice, &line.to_string()]);
                let correction = Correction {
                    command_id: id.as_uuid(),
                    sku: sku.clone(),
                    quantity: *quantity,
                    invoice: invoice.clone(),
                };
                self.post(
                    format!("{inventory}/stock/corrections"),
                    &["correct-stock", invoice],
                    &[correction],
                )
                .await
            }
        }
    }

    async fn deliver(&self, deliveries: &[Delivery]) -> Result<(), FeedError> {
        let receipts: Vec<Receipt> = deliveries
            .iter()
            .map(|Delivery { id, sku, quantity }| Receipt {
                command_id: CommandId::derived(&["receive-stock", id]).as_uuid(),
                sku: sku.clone(),
                quantity: *quantity,
                delivery_id: id.clone(),
            })
            .collect();
        let first = deliveries.first().map_or("", |delivery| &delivery.id);
        self.post(format!("{}/stock/receipts", self.endpoints.inventory), &["deliver", first], &receipts)
            .await
    }

    async fn post(&self, url: String, about: &[&str], body: &impl Serialize) -> Result<(), FeedError> {
        let patience = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .with_total_delay(Some(Duration::from_secs(120)))
            .without_max_times()
            .with_jitter();
        let id = CommandId::derived(about);
        let send = || async {
            let request = self.client.post(&url).header("idempotency-key", id.to_string()).json(body);
            let answer =
                request.send().await.map_err(|source| FeedError::Unreachable { url: url.clone(), source })?;
            let status = answer.status();
            let answer = answer.text().await.unwrap_or_default();
            let refused = |status| {
                Err(FeedError::Refused {
                    url: url.clone(),
                    subject: about.join(" "),
                    status,
                    answer: answer.clone(),
                })
            };
            match status {
                // Some items of a batch were not executed: the worst of them decides.
                StatusCode::MULTI_STATUS => refused(worst(&answer).unwrap_or(StatusCode::BAD_GATEWAY)),
                status if status.is_success() => Ok(()),
                status => refused(status),
            }
        };
        send.retry(patience).when(FeedError::may_pass).await
    }
}

/// The status of the first item that cannot be cured by waiting, else of the first that failed.
fn worst(batch: &str) -> Option<StatusCode> {
    let answers: Vec<BatchResponse> = serde_json::from_str(batch).ok()?;
    let failed = answers.iter().filter_map(|item| StatusCode::from_u16(item.status).ok());
    let failed: Vec<_> = failed.filter(|status| !status.is_success()).collect();
    failed.iter().find(|status| **status != StatusCode::SERVICE_UNAVAILABLE).or(failed.first()).copied()
}

impl FeedError {
    /// Whether the service may take the same request later: it is unreachable, or answers so.
    fn may_pass(&self) -> bool {
        match self {
            // A return may overtake the order that it undoes: they are sent concurrently.
            Self::Refused { status, answer, .. } => {
                *status == StatusCode::SERVICE_UNAVAILABLE || answer.contains(NO_SUCH_ORDER)
            }
            Self::Unreachable { .. } => true,
        }
    }
}
