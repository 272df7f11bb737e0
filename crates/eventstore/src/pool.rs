//! Connections of subscriptions.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::Connection;

/// Idle connections of subscriptions. They are kept because a client's background task cannot be stopped: their number
/// never exceeds the maximum of concurrent subscriptions.
pub(crate) struct ConnectionPool {
    free: Mutex<Vec<Arc<Connection>>>,
    connect: Box<dyn Fn() -> Arc<Connection> + Send + Sync>,
}

impl ConnectionPool {
    pub(crate) fn new(connect: impl Fn() -> Arc<Connection> + Send + Sync + 'static) -> Self {
        Self { free: Mutex::default(), connect: Box::new(connect) }
    }

    /// A connection for one subscription, returned to the pool when the lease is dropped.
    pub(crate) fn lease(&self) -> Lease<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lease { pool: self, connection: free.unwrap_or_else(|| (self.connect)()) }
    }
}

impl fmt::Debug for ConnectionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPool").field("free", &self.free).finish_non_exhaustive()
    }
}

/// A connection that is returned to its pool when it is dropped.
pub(crate) struct Lease<'a> {
    pool: &'a ConnectionPool,
    connection: Arc<Connection>,
}

impl Deref for Lease<'_> {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&self.connection));
    }
}
