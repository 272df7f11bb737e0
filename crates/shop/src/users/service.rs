//! The users service.

use std::sync::Arc;

use aqueduct::{Failure, Service};

use super::router;
use crate::settings::Settings;

/// Takes commands to users and answers queries. Needs the event store and Postgres.
pub async fn run(service: Service) -> Result<(), Failure> {
    let Settings { users: listen, .. } = service.section()?;
    let connections = service.connections();
    let app = router(Arc::new(connections.commands()?), connections.postgres()?);
    service.serve(listen, app).await
}
