//! The thread of a lane's session, which owns the producer.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::kafka::config;
use crate::kafka::parked_topics::ParkedTopics;
use crate::kafka::producer::TransactionalProducer;
use crate::kafka::topic_readers::TopicReaders;
use crate::lane::batch::SealedBatch;
use crate::lane::call_watchdog::CallWatchdog;
use crate::lane::context::LaneContext;
use crate::lane::load::{Loaded, load};
use crate::lane::resume::{check_topics, resume};
use crate::lane_definition::LaneDefinition;
use crate::named_thread;
use crate::record::checkpoint::Checkpoint;
use crate::record::exception::ExceptionCounts;

/// How soon a lane with nothing to write notices that its brokers are gone.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// Where a lane starts to relay.
pub(crate) struct LaneStart {
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Its exceptions; `None` if the route's topics for them do not exist.
    pub(crate) loaded: Option<Loaded>,
}

/// Makes the session's blocking calls, each of them watched.
pub(crate) struct Writer {
    pub(crate) context: Arc<LaneContext>,
    pub(crate) batches: Receiver<SealedBatch>,
    pub(crate) watchdog: Arc<CallWatchdog>,
    pub(crate) stop: CancellationToken,
}

impl Writer {
    /// Fences the producers before this one, sends where the lane starts, and commits batches until there are no more
    /// or `stop` is cancelled.
    pub(crate) fn run(self, start_tx: oneshot::Sender<LaneStart>) -> Result<(), LaneError> {
        let LaneContext { cluster, definition, .. } = &*self.context;
        let readers = TopicReaders::open(config::reader(cluster, &definition.route))?;
        let (mut producer, parked) = self.watchdog.during(|| self.open(&readers))?;
        let written = self.start_and_write(&mut producer, readers, parked, start_tx);
        // The end of a client may hang as well.
        self.watchdog.during(|| drop(producer));
        written
    }

    /// Opens the lane's producer. Meanwhile the readers connect, and the topics are checked.
    fn open(
        &self,
        readers: &TopicReaders,
    ) -> Result<(TransactionalProducer, Option<ParkedTopics>), LaneError> {
        let LaneContext { cluster, options, definition, .. } = &*self.context;
        let LaneDefinition { route, lane, checkpoint_topic, .. } = definition;
        std::thread::scope(|scope| {
            let check = || check_topics(cluster, options, definition, &readers.committed);
            let checking =
                named_thread::spawn_scoped(scope, &format!("topics-{}-{lane}", route.name), check)?;
            let id = route.transactional_id(&cluster.prefix, *lane);
            let producer =
                TransactionalProducer::open(cluster, options, &id, &[&route.topic, checkpoint_topic])?;
            let parked = checking.join().unwrap_or(Err(LaneError::Panicked))?;
            Ok((producer, parked))
        })
    }

    fn start_and_write(
        &self,
        producer: &mut TransactionalProducer,
        readers: TopicReaders,
        parked: Option<ParkedTopics>,
        start_tx: oneshot::Sender<LaneStart>,
    ) -> Result<(), LaneError> {
        // Only now, when the producers before this one are fenced, is the end of a topic final.
        let Some(start) = self.start(producer, readers, parked)? else { return Ok(()) };
        if start_tx.send(start).is_err() {
            return Ok(());
        }
        self.write_batches(producer)
    }

    /// Finds where the lane starts; `None` if `stop` was cancelled.
    fn start(
        &self,
        producer: &mut TransactionalProducer,
        readers: TopicReaders,
        parked: Option<ParkedTopics>,
    ) -> Result<Option<LaneStart>, LaneError> {
        let Self { context, watchdog, stop, .. } = self;
        let LaneContext { cluster, options, definition, reporter, .. } = &**context;
        let checkpoint = watchdog
            .during(|| resume(options, definition, &reporter.metrics, producer, &readers, parked.as_ref()))?;
        let Some(topics) = parked else {
            readers.close()?;
            let topic = definition.route.exceptions_topic(&cluster.prefix);
            definition.check_exceptions(checkpoint.as_ref(), &topic, ExceptionCounts::default())?;
            return Ok(Some(LaneStart { checkpoint, loaded: None }));
        };
        let proceed = || {
            watchdog.tick();
            if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let load = || load(&readers, &topics.exceptions, definition.lane, proceed);
        let Some(exceptions) = watchdog.during(load)? else { return Ok(None) };
        definition.check_exceptions(checkpoint.as_ref(), &topics.exceptions, exceptions.counts())?;
        let reader_config = readers.close()?;
        Ok(Some(LaneStart { checkpoint, loaded: Some(Loaded { topics, exceptions, reader_config }) }))
    }

    fn write_batches(&self, producer: &mut TransactionalProducer) -> Result<(), LaneError> {
        while !self.stop.is_cancelled() {
            match self.batches.recv_timeout(IDLE_CHECK) {
                Ok(sealed) if !self.stop.is_cancelled() => self.write(producer, sealed)?,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => producer.check()?,
            }
        }
        Ok(())
    }

    /// Commits a batch and reports it.
    fn write(
        &self,
        producer: &mut TransactionalProducer,
        SealedBatch { mut batch, turn }: SealedBatch,
    ) -> Result<(), LaneError> {
        let reporter = &self.context.reporter;
        let records = std::mem::take(&mut batch.records);
        let entered = batch.opened.as_ref().map(|(_, span)| span.enter(batch.events));
        let written = self.watchdog.during(|| producer.commit_batch(records));
        drop(entered);
        drop(turn);
        if let Err(error) = written {
            reporter.metrics.transaction("failed");
            return Err(error.into());
        }
        batch.count(&reporter.metrics);
        if let Some(parked) = batch.parked {
            reporter.set_parked(parked);
        }
        reporter.position.send_replace(batch.position);
        Ok(())
    }
}
