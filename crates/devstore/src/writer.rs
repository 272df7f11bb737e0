//! The writing thread. It takes all waiting changes, decides about each, and makes them durable in one commit; only then
//! it responds.

use std::{sync::Arc, thread::JoinHandle};

use tokio::sync::{mpsc, oneshot, watch};

use crate::change::{Change, Refused, Written};
use crate::expected::Expected;
use crate::log::Log;
use crate::storage::{StorageError, Store};

/// Capacity of the queue; further callers wait.
const QUEUE: usize = 4096;
/// A commit takes at most this many changes or bytes, so that its first change does not wait long.
const COMMIT_CHANGES: usize = 1024;
const COMMIT_BYTES: u64 = 4 << 20;

/// The writing thread could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartWriterError {
    #[error("reading the last events")]
    Read(#[from] StorageError),
    #[error("starting the writing thread")]
    Thread(#[source] std::io::Error),
}

type Reply = oneshot::Sender<Result<Written, Refused>>;

struct Command {
    stream: Arc<str>,
    expected: Expected,
    change: Change,
    reply: Reply,
}

/// Sends changes to the thread. When the last clone is gone, the thread ends.
#[derive(Clone)]
pub(crate) struct Writer {
    commands: mpsc::Sender<Command>,
    end: watch::Receiver<u64>,
}

impl Writer {
    /// Starts the thread. `failed` gets the error if the storage cannot be used; the thread has then
    /// ended, because what is on disk is unknown.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        failed: oneshot::Sender<StorageError>,
    ) -> Result<(Self, JoinHandle<()>), StartWriterError> {
        let (commands, queue) = mpsc::channel(QUEUE);
        let (publish, end) = watch::channel(store.end());
        let worker = Worker { log: Log::open(store)?, publish, replies: Vec::new() };
        let thread = std::thread::Builder::new()
            .name("devstore-writer".to_owned())
            .spawn(move || worker.run(queue, failed))
            .map_err(StartWriterError::Thread)?;
        Ok((Self { commands, end }, thread))
    }

    /// Carries out one change. When it returns `Ok` the change is durable. Changes of one caller who
    /// awaits each are in order; of concurrent ones, any order is possible.
    pub(crate) async fn write(
        &self,
        stream: Arc<str>,
        expected: Expected,
        change: Change,
    ) -> Result<Written, Refused> {
        let (reply, answer) = oneshot::channel();
        let command = Command { stream, expected, change, reply };
        self.commands.send(command).await.map_err(|_| Refused::Closed)?;
        answer.await.map_err(|_| Refused::Closed)?
    }

    /// The position after the last committed event; changes with each commit.
    pub(crate) fn end(&self) -> watch::Receiver<u64> {
        self.end.clone()
    }
}

struct Worker {
    log: Log,
    publish: watch::Sender<u64>,
    /// Held back until the commit: a refusal, too, may rest on an event that is not durable yet.
    replies: Vec<(Reply, Result<Written, Refused>)>,
}

impl Worker {
    fn run(mut self, mut queue: mpsc::Receiver<Command>, failed: oneshot::Sender<StorageError>) {
        while let Some(command) = queue.blocking_recv() {
            if let Err(error) = self.group(command, &mut queue) {
                for (reply, _) in self.replies.drain(..) {
                    // A caller that has gone away needs no answer, here and below.
                    let _ = reply.send(Err(Refused::Storage));
                }
                let _ = failed.send(error);
                return;
            }
        }
    }

    /// One commit: `command` and those that wait behind it.
    fn group(&mut self, command: Command, queue: &mut mpsc::Receiver<Command>) -> Result<(), StorageError> {
        let mut next = Some(command);
        while let Some(Command { stream, expected, change, reply }) = next {
            match self.log.stage(&stream, expected, change) {
                Ok(result) => self.replies.push((reply, result)),
                Err(error) => {
                    self.replies.push((reply, Err(Refused::Storage)));
                    return Err(error);
                }
            }
            let full = self.replies.len() >= COMMIT_CHANGES || self.log.staged_bytes() >= COMMIT_BYTES;
            next = if full { None } else { queue.try_recv().ok() };
        }
        self.log.commit()?;
        self.publish.send_if_modified(|end| std::mem::replace(end, self.log.end()) != self.log.end());
        self.log.forget_streams();
        for (reply, result) in self.replies.drain(..) {
            let _ = reply.send(result);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;

    use futures::FutureExt;

    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::change::NewEvent;
    use crate::event::Record;
    use crate::storage::{Direction, Memory};

    /// Commits when it is told how each commit is to end, and reports how many events were in it.
    struct Scripted {
        memory: Memory,
        outcomes: parking_lot::Mutex<std_mpsc::Receiver<Result<(), StorageError>>>,
        commits: std_mpsc::Sender<usize>,
    }

    impl Store for Scripted {
        fn commit(&self, records: &[Arc<Record>]) -> Result<(), StorageError> {
            self.commits.send(records.len()).unwrap();
            self.outcomes.lock().recv().unwrap()?;
            self.memory.commit(records)
        }

        fn all(
            &self,
            from: u64,
            to: u64,
            direction: Direction,
            limit: usize,
        ) -> Result<Vec<Arc<Record>>, StorageError> {
            self.memory.all(from, to, direction, limit)
        }

        fn stream(
            &self,
            stream: &str,
            first: u64,
            last: u64,
            direction: Direction,
            limit: usize,
        ) -> Result<Vec<Arc<Record>>, StorageError> {
            self.memory.stream(stream, first, last, direction, limit)
        }

        fn last_revision(&self, stream: &str) -> Result<Option<u64>, StorageError> {
            self.memory.last_revision(stream)
        }

        fn end(&self) -> u64 {
            self.memory.end()
        }
    }

    struct Test {
        writer: Writer,
        allow: std_mpsc::Sender<Result<(), StorageError>>,
        commits: std_mpsc::Receiver<usize>,
        failed: oneshot::Receiver<StorageError>,
    }

    fn start() -> Test {
        let (allow, outcomes) = std_mpsc::channel();
        let (report, commits) = std_mpsc::channel();
        let outcomes = parking_lot::Mutex::new(outcomes);
        let store = Arc::new(Scripted { memory: Memory::default(), outcomes, commits: report });
        let (tell, failed) = oneshot::channel();
        let (writer, _) = Writer::start(store, tell).unwrap();
        Test { writer, allow, commits, failed }
    }

    async fn append(writer: Writer, stream: &'static str, expected: Expected) -> Result<Written, Refused> {
        let event = NewEvent {
            id: Uuid::new_v4(),
            kind: "happened".into(),
            is_json: true,
            custom_metadata: Bytes::new(),
            data: Bytes::new(),
        };
        writer.write(stream.into(), expected, Change::Append(vec![event])).await
    }

    #[tokio::test]
    async fn changes_that_wait_share_a_commit() {
        let Test { writer, allow, commits, .. } = start();
        let first = tokio::spawn(append(writer.clone(), "s", Expected::NoStream));
        while commits.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        // The first commit is under way: these wait.
        let mut waiting =
            (0..100).map(|_| Box::pin(append(writer.clone(), "s", Expected::Any))).collect::<Vec<_>>();
        // One that will be refused because of the first.
        let mut refused = Box::pin(append(writer.clone(), "s", Expected::NoStream));
        assert!(waiting.iter_mut().all(|append| append.now_or_never().is_none()));
        assert!((&mut refused).now_or_never().is_none());
        allow.send(Ok(())).unwrap();
        assert_eq!(first.await.unwrap().unwrap().revision, Some(0));

        allow.send(Ok(())).unwrap();
        let written = futures::future::join_all(waiting).await;
        assert_eq!(commits.recv().unwrap(), 100);
        let revisions =
            written.into_iter().map(|written| written.unwrap().revision.unwrap()).collect::<Vec<_>>();
        assert_eq!(revisions, (1..=100).collect::<Vec<_>>());
        assert_eq!(refused.await, Err(Refused::WrongVersion { current: Some(100) }));
        assert!(commits.try_recv().is_err());
    }

    #[tokio::test]
    async fn nothing_is_answered_before_it_is_committed() {
        let Test { writer, allow, commits, .. } = start();
        let end = writer.end();
        let before = *end.borrow();
        let mut first = tokio::spawn(append(writer, "s", Expected::Any));
        while commits.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        assert!((&mut first).now_or_never().is_none());
        assert_eq!(*end.borrow(), before);
        allow.send(Ok(())).unwrap();
        let position = first.await.unwrap().unwrap().position.unwrap();
        assert!(*end.borrow() > position);
    }

    #[tokio::test]
    async fn a_failed_commit_is_the_last() {
        let Test { writer, allow, failed, commits: _commits } = start();
        let broken = StorageError::Damaged { path: "/nowhere".into(), what: "full".to_owned() };
        allow.send(Err(broken)).unwrap();
        assert_eq!(append(writer.clone(), "s", Expected::Any).await, Err(Refused::Storage));
        assert!(matches!(failed.await, Ok(StorageError::Damaged { .. })));
        assert_eq!(append(writer, "s", Expected::Any).await, Err(Refused::Closed));
    }
}
