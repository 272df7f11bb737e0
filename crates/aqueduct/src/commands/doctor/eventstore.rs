//! The event store.

use aqueduct_core::with_causes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::finding::Findings;
use super::{TIMEOUT, clock};
use crate::address::{all_loopback, of_url};
use crate::connections::Connections;

const AREA: &str = "eventstore";
/// An answer longer than this is not the server's information.
const LONGEST: u64 = 64 << 10;

pub(super) async fn check(connections: &Connections) -> Findings {
    let mut findings = Findings::default();
    let Some(url) = connections.configuration().eventstore.configured() else { return findings };
    let store = match connections.event_store() {
        Ok(store) => store,
        Err(error) => {
            findings.error(AREA, with_causes(&error), "correct `eventstore.url`");
            return findings;
        }
    };
    match tokio::time::timeout(TIMEOUT, store.last_position()).await {
        Ok(Ok(Some(position))) => {
            findings.ok(AREA, format!("reachable; its log ends at position {position}"))
        }
        Ok(Ok(None)) => findings.ok(AREA, "reachable; it has no events"),
        Ok(Err(error)) => findings.error(
            AREA,
            format!("cannot be read: {}", with_causes(&error)),
            "check that it runs, the host and the port in `eventstore.url`, its user and password, and `tls`",
        ),
        Err(_) => findings.error(
            AREA,
            format!("does not answer within {} s", TIMEOUT.as_secs()),
            "check that it runs, the host and the port in `eventstore.url`, and firewalls",
        ),
    }
    let encrypted = !url.contains("tls=false");
    let endpoints = of_url(url);
    if !encrypted && !all_loopback(&endpoints) {
        findings.warning(
            AREA,
            "the connection is not encrypted",
            "remove `tls=false` from `eventstore.url` and give the server a certificate",
        );
    }
    // The server's information is served over HTTP; with TLS that would need a second client.
    let endpoint = endpoints.first().filter(|_| !encrypted);
    let answer = match endpoint {
        Some(endpoint) => info(&endpoint.host, endpoint.port.unwrap_or(2113)).await,
        None => None,
    };
    match answer.as_deref().and_then(version) {
        Some(version) => findings.ok(AREA, format!("version {version}")),
        None => findings.unknown(AREA, "version unknown"),
    }
    match answer.as_deref().and_then(|answer| header(answer, "date")) {
        Some(date) => clock::check(AREA, clock::from_http(date), &mut findings),
        None => findings.unknown(AREA, "clock difference unknown"),
    }
    findings
}

/// The answer to `GET /info`, with its headers.
async fn info(host: &str, port: u16) -> Option<String> {
    let ask = async {
        let mut stream = TcpStream::connect((host, port)).await.ok()?;
        let request = format!("GET /info HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).await.ok()?;
        String::from_utf8(answer).ok()
    };
    tokio::time::timeout(TIMEOUT, ask).await.ok().flatten()
}

fn version(answer: &str) -> Option<String> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    if !head.split_whitespace().nth(1)?.starts_with('2') {
        return None;
    }
    let object = &answer[answer.find('{')?..=answer.rfind('}')?];
    let info: serde_json::Value = serde_json::from_str(object).ok()?;
    ["esVersion", "dbVersion"].iter().find_map(|key| Some(info.get(key)?.as_str()?.to_owned()))
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_clock_are_read_from_the_answer() {
        let answer =
            "HTTP/1.1 200 OK\r\nDate: Sun, 29 Nov 2026 01:40:00 GMT\r\n\r\n{\"esVersion\":\"23.10.6.0\"}";
        assert_eq!(version(answer).as_deref(), Some("23.10.6.0"));
        assert_eq!(header(answer, "date"), Some("Sun, 29 Nov 2026 01:40:00 GMT"));
        assert_eq!(version("HTTP/1.1 404 Not Found\r\n\r\n{\"esVersion\":\"1\"}"), None);
        assert_eq!(version("HTTP/1.1 200 OK\r\n\r\n}{"), None);
    }
}
