//! The clients that read a lane's topics when it starts.

use std::sync::Arc;

use rdkafka::ClientConfig;

use crate::error::LaneError;
use crate::kafka::config;
use crate::kafka::reader::Reader;
use crate::named_thread;

/// The clients that read a lane's topics when it starts. All its reads share them: a client takes about 30 ms until it is
/// connected, and up to 100 ms to close.
pub(crate) struct TopicReaders {
    /// Configuration of [`committed`](Self::committed), and of further readers of the lane's topics.
    pub(crate) config: ClientConfig,
    /// For it a partition ends where the first open transaction begins.
    pub(crate) committed: Arc<Reader>,
    /// For it a partition ends at the last record.
    pub(crate) uncommitted: Arc<Reader>,
}

impl TopicReaders {
    /// Creates the clients. They connect in the background.
    pub(crate) fn open(config: ClientConfig) -> Result<Self, LaneError> {
        let committed = Arc::new(Reader::new(&config)?);
        let uncommitted = Arc::new(Reader::new(&config::uncommitted(&config))?);
        Ok(Self { config, committed, uncommitted })
    }

    /// Closes the clients in the background. Returns their configuration.
    pub(crate) fn close(self) -> Result<ClientConfig, LaneError> {
        let Self { config, committed, uncommitted } = self;
        named_thread::spawn("relay-close", move || drop((committed, uncommitted)))?;
        Ok(config)
    }
}
