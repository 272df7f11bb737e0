//! The configuration and the schemas, without any server.

use aqueduct_core::with_causes;
use aqueduct_evolution::Policy;
use aqueduct_relay::Route;

use super::finding::Findings;
use crate::connections::Connections;

const AREA: &str = "configuration";

pub(super) fn check(connections: &Connections) -> Findings {
    let mut findings = Findings::default();
    let configuration = connections.configuration();
    findings.ok(AREA, format!("{} can be read", configuration.path.display()));
    for warning in &configuration.warnings {
        findings.warning(AREA, warning, "correct the key or the variable");
    }
    let configured = [
        ("eventstore.url", configuration.eventstore.configured().is_some()),
        ("kafka.brokers", configuration.kafka.configured().is_some()),
        ("registry.url", configuration.registry.configured().is_some()),
        ("postgres.url", configuration.postgres.configured().is_some()),
    ];
    for (key, _) in configured.iter().filter(|(_, configured)| !configured) {
        findings.unknown(AREA, format!("`{key}` is not configured: its server is not checked"));
    }
    if let Ok(cluster) = configuration.cluster()
        && let Err(error) = cluster.validate()
    {
        findings.error(AREA, error.to_string(), "remove the property from [kafka.properties]");
    }
    let options = configuration.relay_options();
    if options.routes.is_empty() {
        findings.warning(
            AREA,
            "there is no route, so the relay has nothing to do",
            "add [[relay.routes]] with name, topic and categories",
        );
    } else if let Err(error) = options.validate() {
        findings.error(AREA, with_causes(&error), "correct the key");
    }
    schemas(connections, &mut findings);
    findings
}

fn schemas(connections: &Connections, findings: &mut Findings) {
    let configuration = connections.configuration();
    let directory = configuration.schemas.directory.display();
    let schemas = match connections.schemas() {
        Ok(schemas) => schemas,
        Err(error) => {
            let action = format!("correct the file, or `schemas.directory` ({directory})");
            return findings.error(AREA, with_causes(&error), action);
        }
    };
    findings.ok(AREA, format!("event types in {directory}: {}", schemas.events().count()));
    let policy = match connections.policy() {
        Ok(policy) => policy,
        Err(error) => return findings.error(AREA, with_causes(&error), "correct the policy"),
    };
    for (topic, event_type) in policy.unknown_event_types(&schemas) {
        findings.error(
            AREA,
            format!("topic {topic} carries event type {event_type}, which has no schemas"),
            format!(
                "add {directory}/<context>/{event_type}/v1.avsc, or remove it from {directory}/{}",
                Policy::FILE
            ),
        );
    }
    let has_entry = |route: &&Route| policy.topics.contains_key(&route.topic);
    for route in configuration.relay.routes.iter().filter(|route| !has_entry(route)) {
        findings.warning(
            AREA,
            format!("no schemas are published for topic {} of route \"{}\"", route.topic, route.name),
            format!(
                "add [topics.\"{}\"] with its `events` to {directory}/{}, then run `setup`",
                route.topic,
                Policy::FILE
            ),
        );
    }
}
