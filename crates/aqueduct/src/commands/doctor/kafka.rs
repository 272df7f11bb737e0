//! Kafka itself.

use std::sync::Arc;

use aqueduct_kafka::ClusterProbe;

use super::finding::Findings;
use crate::address::{all_loopback, of_brokers};
use crate::connections::Connections;

const AREA: &str = "kafka";

/// Checks the connection. Also returns the client for further checks, if Kafka can be reached.
pub(super) async fn check(connections: &Connections) -> (Findings, Option<Arc<ClusterProbe>>) {
    let mut findings = Findings::default();
    let configuration = connections.configuration();
    let Some(brokers) = configuration.kafka.configured() else { return (findings, None) };
    let Ok(cluster) = configuration.cluster() else { return (findings, None) };
    let probe = match ClusterProbe::new(&cluster) {
        Ok(probe) => Arc::new(probe),
        Err(error) => {
            findings.error(
                AREA,
                error.to_string(),
                "correct [kafka.properties]; TLS and SASL need a build with `--features tls`",
            );
            return (findings, None);
        }
    };
    let asked = Arc::clone(&probe);
    let counted = tokio::task::spawn_blocking(move || asked.brokers()).await;
    let reached = match counted.map(|counted| counted.map_err(|error| error.to_string())) {
        Ok(Ok(count)) => {
            findings.ok(AREA, format!("reachable; {count} brokers"));
            true
        }
        Ok(Err(error)) => {
            findings.error(
                AREA,
                format!("cannot be reached at {brokers}: {error}"),
                "check that it runs, `kafka.brokers`, its advertised listeners, and in [kafka.properties] \
                 \"security.protocol\", the certificates and the credentials",
            );
            false
        }
        Err(error) => {
            findings.error(AREA, error.to_string(), "run it again");
            false
        }
    };
    findings.unknown(AREA, "version unknown: the client does not tell it");
    let protocol =
        configuration.kafka.properties.get("security.protocol").map_or("plaintext", String::as_str);
    let encrypted = protocol.to_ascii_lowercase().ends_with("ssl");
    if !encrypted && !all_loopback(&of_brokers(brokers)) {
        findings.warning(
            AREA,
            "the connection is not encrypted",
            "set \"security.protocol\" = \"ssl\" or \"sasl_ssl\" in [kafka.properties]",
        );
    }
    (findings, reached.then_some(probe))
}
