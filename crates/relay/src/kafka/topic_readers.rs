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
    /// Configuration of further readers of the lane's topics.
    pub(crate) config: ClientConfig,
    /// For it a partition ends where the first open transaction begins.
    pub(crate) committed: Arc<Reader>,
    /// For it a partition ends at the last record.
    pub(crate) uncommitted: Arc<Reader>,
}

impl TopicReaders {
    /// Creates the clients. They connect in the background.
    pub(crate) fn open(config: ClientConfig) -> Result<Self, LaneError> {
        let mut short_waits = config.clone();
        // A fetch at the end of a partition holds up what the client asks next: the broker answers a connection's requests
        // one after the other. These clients read for some milliseconds, so that many small fetches do not matter.
        short_waits.set("fetch.wait.max.ms", "1");
        let committed = Arc::new(Reader::new(&short_waits)?);
        let uncommitted = Arc::new(Reader::new(&config::uncommitted(&short_waits))?);
        Ok(Self { config, committed, uncommitted })
    }

    /// Closes the clients in the background. Returns their configuration.
    pub(crate) fn close(self) -> Result<ClientConfig, LaneError> {
        let Self { config, committed, uncommitted } = self;
        named_thread::spawn("relay-close", move || drop((committed, uncommitted)))?;
        Ok(config)
    }
}
