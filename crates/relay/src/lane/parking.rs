//! A lane whose route can park events.

use aqueduct_core::StreamName;
use rdkafka::ClientConfig;

use crate::error::LaneError;
use crate::kafka::parked_topics::ParkedTopics;
use crate::lane::exception_log::ExceptionLog;
use crate::lane::exceptions::Exceptions;
use crate::lane::parked_scan::ParkedScan;
use crate::lane::request_reader::RequestReader;
use crate::lane::requests::{Execution, Requests};

/// What was found when the lane was taken over.
pub(crate) struct Loaded {
    pub(crate) topics: ParkedTopics,
    pub(crate) exceptions: Exceptions,
    /// Configuration of the clients that read its topics.
    pub(crate) reader_config: ClientConfig,
}

/// A lane's exceptions and requests.
pub(crate) struct Parking {
    pub(crate) log: ExceptionLog,
    pub(crate) requests: Requests,
    reader_config: ClientConfig,
}

impl Parking {
    /// Begins to receive requests.
    pub(crate) fn start(loaded: Loaded, lane: u32, max_bytes: usize) -> Result<Self, LaneError> {
        let Loaded { topics, exceptions, reader_config } = loaded;
        let reader = RequestReader::start(reader_config.clone(), &topics.requests, lane)?;
        let log = ExceptionLog { topics, lane, max_bytes, exceptions };
        Ok(Self { log, requests: Requests::new(reader), reader_config })
    }

    pub(crate) fn is_blocked(&self, stream: &StreamName) -> bool {
        self.log.exceptions.is_blocked(stream)
    }

    /// Begins the next replay or discard, if none is being executed.
    pub(crate) fn begin_next(&mut self) -> Result<(), LaneError> {
        if let Some((id, request)) = self.requests.next() {
            let ExceptionLog { topics, lane, .. } = &self.log;
            let from = request.answer.as_ref().and_then(|it| it.next_offset);
            let scan = ParkedScan::start(self.reader_config.clone(), &topics.parked, *lane, from)?;
            let parked = self.log.exceptions.counts().parked;
            self.requests.running = Some(Execution::new(id, request, scan, parked));
        }
        Ok(())
    }

    /// Begins the scan of the current execution again, from the first record on.
    pub(crate) fn scan_again(&mut self) -> Result<(), LaneError> {
        let ExceptionLog { topics, lane, exceptions, .. } = &self.log;
        if let Some(execution) = &mut self.requests.running {
            let scan = ParkedScan::start(self.reader_config.clone(), &topics.parked, *lane, None)?;
            execution.rescan(scan, exceptions.counts().parked);
        }
        Ok(())
    }
}
