//! Why a reader ended.

use std::sync::Arc;

use aqueduct_core::{Position, StoreError};

use crate::error::LaneError;

/// Why a reader ended. Each of its lanes gets a copy.
#[derive(Debug, Clone)]
pub(crate) enum ReaderError {
    /// The store gave up: a retry of the call will not help.
    Store(Arc<StoreError>),
    /// The store's subscription broke its contract.
    Disorder {
        from: Position,
        to: Position,
        reference: String,
    },
    /// The store's subscription ended without an error.
    SubscriptionEnded,
    /// The store ends before a position that was already read.
    StoreBehind {
        received: Position,
        end: Option<Position>,
    },
    Panicked,
}

impl From<StoreError> for ReaderError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<ReaderError> for LaneError {
    fn from(error: ReaderError) -> Self {
        match error {
            ReaderError::Store(error) => Self::Reader(error),
            ReaderError::Disorder { from, to, reference } => Self::Disorder { from, to, reference },
            ReaderError::SubscriptionEnded => Self::SubscriptionEnded,
            ReaderError::StoreBehind { received, end } => Self::StoreBehind { received, end },
            ReaderError::Panicked => Self::ReaderPanicked,
        }
    }
}
