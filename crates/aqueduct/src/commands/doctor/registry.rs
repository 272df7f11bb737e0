//! The schema registry, against the schema files.

use aqueduct_core::with_causes;
use aqueduct_schema::unpublished;

use super::TIMEOUT;
use super::finding::Findings;
use crate::address::{all_loopback, of_url};
use crate::connections::Connections;

const AREA: &str = "registry";

pub(super) async fn check(connections: &Connections) -> Findings {
    let mut findings = Findings::default();
    let configuration = connections.configuration();
    let Some(url) = configuration.registry.configured() else { return findings };
    if url.starts_with("http://") && !all_loopback(&of_url(url)) {
        findings.warning(AREA, "the connection is not encrypted", "use https:// in `registry.url`");
    }
    let registry = match connections.registry() {
        Ok(registry) => registry,
        Err(error) => {
            findings.error(AREA, with_causes(&error), "correct [registry]");
            return findings;
        }
    };
    // The schemas' own problems are the configuration's.
    let Ok(schemas) = connections.schemas() else { return findings };
    let Ok(topics) = connections.topic_events() else { return findings };
    let events: usize = topics.iter().map(|topic| topic.event_types.len()).sum();
    match tokio::time::timeout(TIMEOUT, unpublished(&schemas, &registry, &topics)).await {
        Ok(Ok(missing)) if missing.is_empty() => {
            findings.ok(AREA, format!("the latest versions of {events} event types are registered"));
        }
        Ok(Ok(missing)) => {
            for subject in missing {
                findings.error(
                    AREA,
                    format!("subject {subject} does not have the schema of the latest file"),
                    "run `schemas publish`: a lane halts at an event whose schema is not registered",
                );
            }
        }
        Ok(Err(error)) => findings.error(
            AREA,
            with_causes(&error),
            "check that it runs, `registry.url` (Apicurio's ends in /apis/ccompat/v7), user, password and authority",
        ),
        Err(_) => findings.error(
            AREA,
            format!("does not answer within {} s", TIMEOUT.as_secs()),
            "check that it runs, the host and the port in `registry.url`, and firewalls",
        ),
    }
    findings.unknown(AREA, "version unknown: its API does not tell it");
    findings
}
