//! The configuration and the schemas, without any server.

use aqueduct_core::with_causes;
use aqueduct_schema::TopicEvents;

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
    let contexts = &configuration.schemas.contexts;
    for (topic, names) in contexts {
        for name in names {
            if TopicEvents::of_contexts(&schemas, topic, &[name]).event_types.is_empty() {
                findings.warning(
                    AREA,
                    format!("context \"{name}\" of topic {topic} has no schemas"),
                    format!("add {directory}/{name}/<Event>/v1.avsc, or remove it from [schemas.contexts]"),
                );
            }
        }
    }
    for route in configuration.relay.routes.iter().filter(|route| !contexts.contains_key(&route.topic)) {
        findings.warning(
            AREA,
            format!("no schemas are published for topic {} of route \"{}\"", route.topic, route.name),
            format!("add \"{}\" = [<contexts>] to [schemas.contexts], then run `setup`", route.topic),
        );
    }
}
