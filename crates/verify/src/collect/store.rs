//! `$all` from the first event to the last, and single events.

use std::future::Future;
use std::time::Duration;

use aqueduct_core::{ContentType, Position, RecordedEvent, Revision, StreamName};
use eventstore::{
    Client, ClientSettings, Error, ReadAllOptions, ReadStreamOptions, RecordedEvent as ClientEvent,
    StreamPosition,
};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::lockstep::Beginning;

/// Events handed over at once.
const BATCH: usize = 500;

/// A batch that has this many bytes is handed over before it has all its events.
const BATCH_BYTES: usize = 1 << 20;

/// Events of a stream that are read at once when one of them is looked up.
const PAGE: u64 = 256;

/// How many of these pages are kept.
const PAGES: usize = 8;

/// How long the store may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Schemes of connection strings that mean the same as `esdb`, which is the one that the client knows.
const SCHEMES: [&str; 3] = ["kurrentdb", "kurrent", "kdb"];

/// The event store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreReadError {
    /// The connection string cannot be parsed.
    #[error("event store: {0:?} is not a connection string; write it like esdb://127.0.0.1:2113?tls=false")]
    ConnectionString(String),
    /// It did not answer, or broke off.
    #[error("event store: reading {what} failed; is it running and reachable?")]
    Read {
        /// `$all`, or a stream.
        what: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// It was silent for too long.
    #[error("event store: reading {what}: no answer within {} s", PATIENCE.as_secs())]
    Silent {
        /// `$all`, or a stream.
        what: String,
    },
    /// An event carries a time that cannot be represented.
    #[error("event store: the time of event {0} cannot be read")]
    Time(String),
}

/// The store, read from outside.
#[derive(Clone)]
pub(crate) struct Store {
    client: Client,
}

impl Store {
    pub(crate) fn connect(url: &str) -> Result<Self, StoreReadError> {
        let settings: ClientSettings =
            as_esdb(url).parse().map_err(|_| StoreReadError::ConnectionString(without_password(url)))?;
        let failed = |source| StoreReadError::Read { what: "$all".to_owned(), source };
        Ok(Self { client: Client::new(settings).map_err(failed)? })
    }

    /// Position of the last event, none if there is no event.
    pub(crate) async fn end(&self) -> Result<Option<Position>, StoreReadError> {
        let options = ReadAllOptions::default().position(StreamPosition::End).backwards().max_count(1);
        let mut last = None;
        self.read_all(&options, |event| {
            last = Some(event.position);
            true
        })
        .await?;
        Ok(last)
    }

    /// Sends all events up to a position, in their order.
    pub(crate) async fn read(
        &self,
        end: Position,
        events: mpsc::Sender<Vec<RecordedEvent>>,
    ) -> Result<(), StoreReadError> {
        let options = ReadAllOptions::default().position(StreamPosition::Start).forwards();
        let mut stream = bounded("$all", self.client.read_all(&options)).await?;
        let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), 0);
        loop {
            let event = bounded("$all", stream.next()).await?;
            // Links are not followed: what is in $all is the event itself.
            let event = event.map(|event| event.event.map(recorded).transpose()).transpose()?;
            let is_last = match &event {
                Some(Some(event)) => event.position >= end,
                Some(None) => false,
                None => true,
            };
            if let Some(event) = event.flatten().filter(|event| event.position <= end) {
                bytes += event.data.len() + event.metadata.len();
                batch.push(event);
            }
            if batch.len() >= BATCH || bytes >= BATCH_BYTES || is_last {
                bytes = 0;
                // A receiver that is gone has failed and says why.
                if events.send(std::mem::take(&mut batch)).await.is_err() || is_last {
                    return Ok(());
                }
            }
        }
    }

    /// The event at a position, if there is one.
    async fn at(&self, position: u64) -> Result<Option<RecordedEvent>, StoreReadError> {
        let place = eventstore::Position { commit: position, prepare: position };
        let options =
            ReadAllOptions::default().position(StreamPosition::Position(place)).forwards().max_count(1);
        let mut found = None;
        self.read_all(&options, |event| {
            found = Some(event);
            true
        })
        .await?;
        Ok(found)
    }

    async fn read_all(
        &self,
        options: &ReadAllOptions,
        mut take: impl FnMut(RecordedEvent) -> bool,
    ) -> Result<(), StoreReadError> {
        let mut stream = bounded("$all", self.client.read_all(options)).await?;
        while let Some(event) = bounded("$all", stream.next()).await? {
            if let Some(event) = event.event
                && take(recorded(event)?)
            {
                break;
            }
        }
        Ok(())
    }

    /// What can still be read of a stream.
    async fn beginning(&self, stream: &StreamName) -> Result<Beginning, StoreReadError> {
        let first = self.first_or_last(stream.as_str(), ReadStreamOptions::default().forwards()).await;
        if let Some(first) = first.or_else(|error| if is_gone(&error) { Ok(None) } else { Err(error) })? {
            return Ok(Beginning::At(first));
        }
        // A stream that was truncated or deleted has metadata; one that was tombstoned cannot even be asked for it.
        let metadata = ReadStreamOptions::default().position(StreamPosition::End).backwards();
        match self.first_or_last(&format!("$${stream}"), metadata).await {
            Ok(Some(_)) => Ok(Beginning::Gone),
            Err(StoreReadError::Read { source: Error::ResourceDeleted, .. }) => Ok(Beginning::Gone),
            Ok(None) | Err(StoreReadError::Read { source: Error::ResourceNotFound, .. }) => {
                Ok(Beginning::Never)
            }
            Err(error) => Err(error),
        }
    }

    /// The revision of the first event that a read gives.
    async fn first_or_last(
        &self,
        stream: &str,
        options: ReadStreamOptions,
    ) -> Result<Option<Revision>, StoreReadError> {
        let options = options.max_count(1);
        let mut read = bounded(stream, self.client.read_stream(stream, &options)).await?;
        let event = bounded(stream, read.next()).await?;
        Ok(event.and_then(|event| event.event).map(|event| event.revision))
    }

    async fn page(&self, stream: &StreamName, from: Revision) -> Result<Vec<RecordedEvent>, StoreReadError> {
        let count = usize::try_from(PAGE).unwrap_or(usize::MAX);
        let options =
            ReadStreamOptions::default().position(StreamPosition::Position(from)).forwards().max_count(count);
        let mut events = Vec::new();
        let mut read =
            match bounded(stream.as_str(), self.client.read_stream(stream.as_str(), &options)).await {
                Ok(read) => read,
                Err(error) if is_gone(&error) => return Ok(events),
                Err(error) => return Err(error),
            };
        loop {
            match bounded(stream.as_str(), read.next()).await {
                Ok(Some(event)) => events.extend(event.event.map(recorded).transpose()?),
                Ok(None) => return Ok(events),
                Err(error) if is_gone(&error) => return Ok(events),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Looks up single events; neighbours of one that was found cost nothing.
pub(crate) struct Lookups {
    store: Store,
    /// Stream, first revision and events; the oldest first.
    pages: Vec<(StreamName, Revision, Vec<RecordedEvent>)>,
}

impl Lookups {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, pages: Vec::new() }
    }

    /// What can still be read of a stream.
    pub(crate) async fn beginning(&self, stream: &StreamName) -> Result<Beginning, StoreReadError> {
        self.store.beginning(stream).await
    }

    /// An event by its place in its stream. A stream that was deleted or truncated does not show it: then what is
    /// at `position` counts.
    pub(crate) async fn find(
        &mut self,
        stream: &StreamName,
        revision: Revision,
        position: Option<u64>,
    ) -> Result<Option<RecordedEvent>, StoreReadError> {
        let from = revision - revision % PAGE;
        let is_it = |event: &&RecordedEvent| event.revision == revision;
        let known = self.pages.iter().find(|(name, first, _)| name == stream && *first == from);
        // A page that was read before the event was stored does not show it either.
        if let Some(event) = known.and_then(|(.., events)| events.iter().find(is_it)) {
            return Ok(Some(event.clone()));
        }
        let events = self.store.page(stream, from).await?;
        let found = events.iter().find(is_it).cloned();
        self.pages.retain(|(name, first, _)| name != stream || *first != from);
        if self.pages.len() >= PAGES {
            self.pages.remove(0);
        }
        self.pages.push((stream.clone(), from, events));
        match (found, position) {
            (None, Some(position)) => {
                let found = self.store.at(position).await?;
                Ok(found.filter(|event| event.stream == *stream && event.revision == revision))
            }
            (found, _) => Ok(found),
        }
    }
}

async fn bounded<T>(what: &str, call: impl Future<Output = Result<T, Error>>) -> Result<T, StoreReadError> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(|source| StoreReadError::Read { what: what.to_owned(), source }),
        Err(_) => Err(StoreReadError::Silent { what: what.to_owned() }),
    }
}

fn is_gone(error: &StoreReadError) -> bool {
    matches!(error, StoreReadError::Read { source: Error::ResourceNotFound | Error::ResourceDeleted, .. })
}

fn recorded(event: ClientEvent) -> Result<RecordedEvent, StoreReadError> {
    // The client's own `created` is cut to seconds. The server sends ticks of 100 ns.
    let ticks = event.metadata.get("created").and_then(|ticks| ticks.parse::<i64>().ok());
    let created = ticks
        .and_then(|ticks| Timestamp::from_nanosecond(i128::from(ticks) * 100).ok())
        .ok_or_else(|| StoreReadError::Time(format!("{}@{}", event.revision, event.stream_id)))?;
    Ok(RecordedEvent {
        stream: StreamName::from(event.stream_id),
        revision: event.revision,
        position: Position { commit: event.position.commit, prepare: event.position.prepare },
        id: event.id,
        event_type: event.event_type,
        content_type: if event.is_json { ContentType::Json } else { ContentType::Binary },
        data: event.data,
        metadata: event.custom_metadata,
        created,
    })
}

/// The connection string with the scheme that the client knows.
fn as_esdb(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (name, discover) = match scheme.split_once('+') {
        Some((name, discover)) if discover.eq_ignore_ascii_case("discover") => (name, "+discover"),
        _ => (scheme, ""),
    };
    if SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        format!("esdb{discover}://{rest}")
    } else {
        url.to_owned()
    }
}

/// The URL without what is before its `@`.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://…{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("esdb://admin:secret@host:2113"), "esdb://…@host:2113");
        assert_eq!(without_password("host:2113"), "host:2113");
    }

    #[test]
    fn all_schemes_of_the_vendor_are_known() {
        for (given, expected) in [
            ("kurrentdb://host:2113?tls=false", "esdb://host:2113?tls=false"),
            ("kurrentdb+discover://a,b", "esdb+discover://a,b"),
            ("kurrent+discover://a", "esdb+discover://a"),
            ("KDB+discover://admin:x@a", "esdb+discover://admin:x@a"),
            ("kdbx://a", "kdbx://a"),
            ("kdb://a", "esdb://a"),
            ("esdb+discover://a", "esdb+discover://a"),
            ("http://a", "http://a"),
        ] {
            assert_eq!(as_esdb(given), expected);
        }
    }

    #[tokio::test]
    async fn a_store_that_is_not_there_is_reported() {
        let error = Store::connect("admin:secret@nowhere").err().unwrap().to_string();
        assert!(error.contains("is not a connection string"), "{error}");
        // Port 9 is "discard": nothing listens there.
        let url = "kurrentdb://127.0.0.1:9?tls=false&maxDiscoverAttempts=1&discoveryInterval=1";
        let error = Store::connect(url).unwrap().end().await.unwrap_err().to_string();
        assert!(error.starts_with("event store: reading $all failed"), "{error}");
    }
}
