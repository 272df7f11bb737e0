//! The SQL projections, against the schemas and their tables.

use aqueduct_core::with_causes;
use aqueduct_projection::SqlProjection;

use super::TIMEOUT;
use super::finding::Findings;
use crate::connections::Connections;
use crate::failure::Failure;

const AREA: &str = "projections";

pub(super) async fn check(connections: &Connections) -> Findings {
    let mut findings = Findings::default();
    let projections = match connections.configuration().sql_projections() {
        Ok(projections) => projections,
        Err(error) => {
            findings.error(AREA, with_causes(&error), "correct the file, or `projection.directory`");
            return findings;
        }
    };
    if projections.is_empty() || connections.configuration().postgres.configured().is_none() {
        return findings;
    }
    for projection in &projections {
        let name = projection.name();
        match tokio::time::timeout(TIMEOUT, check_one(projection, connections)).await {
            Ok(Ok(warnings)) => {
                if warnings.is_empty() {
                    findings.ok(AREA, format!("{name}: its statements fit the schemas and the tables"));
                }
                for warning in warnings {
                    findings.warning(
                        AREA,
                        format!("{name}: {warning}"),
                        "compare the fields that it reads with the schema yourself",
                    );
                }
            }
            Ok(Err(error)) => findings.error(
                AREA,
                format!("{name}: {}", with_causes(&*error)),
                "correct the file; `setup` creates the tables of its migrations",
            ),
            Err(_) => {
                findings.unknown(AREA, format!("{name}: not checked within {} s", TIMEOUT.as_secs()));
            }
        }
    }
    findings
}

async fn check_one(projection: &SqlProjection, connections: &Connections) -> Result<Vec<String>, Failure> {
    let mut connection = connections.postgres()?.acquire().await?;
    Ok(projection.check(&mut connection, &connections.topic_schemas()?).await?)
}
