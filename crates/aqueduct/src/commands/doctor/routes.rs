//! The state of the relay's lanes.

use aqueduct_core::with_causes;
use aqueduct_relay::read_lanes;

use super::finding::Findings;
use crate::connections::Connections;

const AREA: &str = "routes";

/// Checks the reports of the lanes. Kafka must be reachable.
pub(super) async fn check(connections: &Connections) -> Findings {
    let mut findings = Findings::default();
    let configuration = connections.configuration();
    let Ok(cluster) = configuration.cluster() else { return findings };
    let options = configuration.relay_options();
    for route in options.routes.clone() {
        let (cluster, options, name) = (cluster.clone(), options.clone(), route.name.clone());
        let read = tokio::task::spawn_blocking(move || read_lanes(&cluster, &options, &route)).await;
        let lanes = match read {
            Ok(Ok(lanes)) => lanes,
            // A missing topic is a finding of the topics already.
            Ok(Err(error)) => {
                findings.unknown(AREA, format!("route \"{name}\": {}", with_causes(&error)));
                continue;
            }
            Err(error) => {
                findings.unknown(AREA, format!("route \"{name}\": {error}"));
                continue;
            }
        };
        let begun = lanes.iter().filter(|lane| lane.position.is_some()).count();
        let types = lanes.iter().map(|lane| lane.types_relayed).max().unwrap_or_default();
        if begun == 0 {
            findings.warning(
                AREA,
                format!("route \"{name}\" has no checkpoint: no relay has worked on it yet"),
                "run `relay`",
            );
        } else if types == 0 {
            findings.warning(
                AREA,
                format!("route \"{name}\" has relayed no event yet"),
                format!(
                    "run `parked list --route {name}`; if it lists nothing, compare the route's categories, prefixes \
                     and event types with the names in the store: a category is the part of a stream's name before \
                     the first dash"
                ),
            );
        } else {
            findings.ok(AREA, format!("route \"{name}\" has relayed {types} event types"));
        }
        for lane in lanes {
            if let Some(reported) = lane.reported
                && let Some(problem) = reported.problem
            {
                findings.error(
                    AREA,
                    format!("lane {} of route \"{name}\" is {}: {problem}", lane.lane, reported.state),
                    "see the section of the error in deploy/RUNBOOK.md",
                );
            }
        }
    }
    findings
}
