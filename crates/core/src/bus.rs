//! An in-process event bus.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use futures::future::BoxFuture;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Handler =
    Box<dyn for<'a> Fn(&'a (dyn Any + Send + Sync)) -> BoxFuture<'a, Result<(), BoxError>> + Send + Sync>;

/// Passes each published value to the handlers of its type, one after the other, in the order of subscription.
/// Delivery is at most once and only within the process: use the event store for what must not be lost. A handler
/// that fails or panics does not affect the others.
///
/// ```
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use std::sync::Arc;
/// # use aqueduct_core::EventBus;
/// struct OrderPlaced(u64);
///
/// let pence = Arc::new(AtomicU64::new(0));
/// let mut bus = EventBus::default();
/// bus.subscribe("audit", |_: &OrderPlaced| async { Err("the audit log is full".into()) });
/// let total = Arc::clone(&pence);
/// bus.subscribe("total", move |order: &OrderPlaced| {
///     total.fetch_add(order.0, Ordering::Relaxed);
///     async { Ok(()) }
/// });
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let failures = bus.publish(&OrderPlaced(255)).await;
/// assert_eq!(failures[0].handler, "audit");
/// assert_eq!(pence.load(Ordering::Relaxed), 255);
/// # });
/// ```
#[derive(Default)]
pub struct EventBus {
    handlers: HashMap<TypeId, Vec<(&'static str, Handler)>>,
}

/// A handler that failed on a published value.
#[derive(Debug, thiserror::Error)]
#[error("handler {handler} failed on a value of type {event}")]
pub struct HandlerFailure {
    /// The name it was subscribed under.
    pub handler: &'static str,
    /// Rust type of the value.
    pub event: &'static str,
    source: BoxError,
}

impl EventBus {
    /// Adds a handler for values of type `E`. The handler copies what it needs from the value before it returns its
    /// future, which does not borrow the value.
    pub fn subscribe<E, F, R>(&mut self, name: &'static str, handler: F)
    where
        E: Send + Sync + 'static,
        F: Fn(&E) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let handler: Handler = Box::new(move |event| match event.downcast_ref::<E>() {
            Some(event) => handler(event).boxed(),
            None => std::future::ready(Ok(())).boxed(),
        });
        self.handlers.entry(TypeId::of::<E>()).or_default().push((name, handler));
    }

    /// Passes `event` to every handler of its type and returns the failures.
    pub async fn publish<E: Send + Sync + 'static>(&self, event: &E) -> Vec<HandlerFailure> {
        let mut failures = Vec::new();
        for (name, handler) in self.handlers.get(&TypeId::of::<E>()).into_iter().flatten() {
            let run = AssertUnwindSafe(async { handler(event).await }).catch_unwind();
            let source = match run.await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_) => "the handler panicked".into(),
            };
            failures.push(HandlerFailure { handler: name, event: type_name::<E>(), source });
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn handlers_run_in_order_even_if_one_fails_or_panics() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut bus = EventBus::default();
        bus.subscribe("panics", |_: &u8| async { panic!("on purpose") });
        bus.subscribe("panics at once", |event: &u8| {
            assert_ne!(*event, 7, "on purpose");
            async { Ok(()) }
        });
        for name in ["first", "second"] {
            let seen = Arc::clone(&seen);
            bus.subscribe(name, move |event: &u8| {
                seen.lock().unwrap().push((name, *event));
                async { Ok(()) }
            });
        }
        bus.subscribe("of another type", |_: &u16| async { Err("never called".into()) });

        let failures = bus.publish(&7_u8).await;

        assert_eq!(*seen.lock().unwrap(), [("first", 7), ("second", 7)]);
        let failed: Vec<_> = failures.iter().map(|failure| failure.handler).collect();
        assert_eq!(failed, ["panics", "panics at once"]);
    }
}
