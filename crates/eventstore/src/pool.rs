//! Connections of subscriptions.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::Connection;

/// Connections that no subscription uses now. They are kept because a client's background task can't be
/// ended: so there are never more of them than there were subscriptions at one time.
pub(crate) struct ConnectionPool {
    free: Mutex<Vec<Arc<Connection>>>,
    connect: Box<dyn Fn() -> Arc<Connection> + Send + Sync>,
}

impl ConnectionPool {
    pub(crate) fn new(connect: impl Fn() -> Arc<Connection> + Send + Sync + 'static) -> Self {
        Self { free: Mutex::default(), connect: Box::new(connect) }
    }

    /// A connection for one subscription, until it is dropped.
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

/// A connection that goes back to its pool when it is dropped.
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
