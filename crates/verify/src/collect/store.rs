//! `$all`, from the first event to the last.

use aqueduct_core::{Position, RecordedEvent, StreamName};
use eventstore::{Client, ClientSettings, ReadAllOptions, StreamPosition};
use jiff::Timestamp;

use crate::log::Log;

/// The event store can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreReadError {
    /// The connection string is malformed.
    #[error("event store: {0:?} is not a connection string; write it like esdb://127.0.0.1:2113?tls=false")]
    ConnectionString(String),
    /// It didn't answer, or broke off.
    #[error("event store: reading $all failed after {events} events; is it running and reachable?")]
    Read {
        /// How far it went.
        events: usize,
        /// Why.
        #[source]
        source: eventstore::Error,
    },
    /// An event carries a time that can't be represented.
    #[error("event store: the time of event {0} can't be read")]
    Time(String),
}

/// Reads the whole store; `ours` tells by the category of a stream whether to keep it.
pub(crate) async fn read_store(url: &str, ours: impl Fn(&str) -> bool) -> Result<Log, StoreReadError> {
    let settings: ClientSettings = with_clients_scheme(url)
        .parse()
        .map_err(|_| StoreReadError::ConnectionString(without_password(url)))?;
    let failed = |events| move |source| StoreReadError::Read { events, source };
    let client = Client::new(settings).map_err(failed(0))?;
    let options = ReadAllOptions::default().position(StreamPosition::Start).forwards();
    let mut stream = client.read_all(&options).await.map_err(failed(0))?;
    let (mut log, mut events) = (Log::default(), 0);
    while let Some(resolved) = stream.next().await.map_err(failed(events))? {
        events += 1;
        // Links are not followed: what stands in $all is the event itself.
        let Some(event) = resolved.event else { continue };
        let created = Timestamp::from_nanosecond(event.created.timestamp_nanos_opt().map_or(0, i128::from))
            .map_err(|_| StoreReadError::Time(format!("{}@{}", event.revision, event.stream_id)))?;
        let recorded = RecordedEvent {
            stream: StreamName::from(event.stream_id),
            revision: event.revision,
            position: Position { commit: event.position.commit, prepare: event.position.prepare },
            id: event.id,
            event_type: event.event_type,
            data: event.data,
            metadata: event.custom_metadata,
            created,
        };
        log.push(recorded, &ours);
    }
    Ok(log)
}

/// `kurrentdb`, `kurrent` and `kdb`, with or without `+discover`, mean `esdb`, the only scheme that the client knows.
fn with_clients_scheme(url: &str) -> String {
    for alias in ["kurrentdb", "kurrent", "kdb"] {
        for suffix in ["://", "+discover://"] {
            let scheme = format!("{alias}{suffix}");
            if url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(&scheme)) {
                return format!("esdb{suffix}{}", &url[scheme.len()..]);
            }
        }
    }
    url.to_owned()
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
    #[test]
    fn kurrentdbs_schemes_are_accepted() {
        for (url, expected) in [
            ("kurrentdb://host:2113?tls=false", "esdb://host:2113?tls=false"),
            ("KDB+discover://admin:x@cluster", "esdb+discover://admin:x@cluster"),
            ("esdb://host", "esdb://host"),
            ("kdbx://host", "kdbx://host"),
        ] {
            assert_eq!(super::with_clients_scheme(url), expected);
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(super::without_password("esdb://admin:secret@host:2113"), "esdb://…@host:2113");
        assert_eq!(super::without_password("host:2113"), "host:2113");
    }
}
