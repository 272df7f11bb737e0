//! `project` and `react`: from Kafka to Postgres, or to commands.

use axum::Router;

use crate::app::App;
use crate::connections::Connections;
use crate::failure::Failure;
use crate::service::Service;

/// Needs Kafka, the registry and Postgres.
pub(super) async fn project(
    app: &App,
    path: &str,
    name: &str,
    connections: Connections,
) -> Result<(), Failure> {
    if app.projections.is_empty() && connections.configuration().projection.directory.is_none() {
        let others = others(app, path, "project", |app| !app.projections.is_empty());
        return Err(format!(
            "`{path}` has no projections: set projection.directory to a directory of SQL projections, or register them with \
             App::view or App::deltas{others}"
        )
        .into());
    }
    let listen = connections.configuration().http.project;
    let mut service = Service::new(name, connections)?;
    service.add_projections(&app.projections, None)?;
    service.serve(listen, Router::new()).await
}

/// Needs Kafka, the registry, Postgres, and what the reactors themselves ask for.
pub(super) async fn react(
    app: &App,
    path: &str,
    name: &str,
    connections: Connections,
) -> Result<(), Failure> {
    if app.reactors.is_empty() {
        let others = others(app, path, "react", |app| !app.reactors.is_empty());
        return Err(format!(
            "`{path}` has no reactors to run: register them with App::reactor; a service may run one of its own\
             {others}"
        )
        .into());
    }
    let listen = connections.configuration().http.react;
    let reactors = app.reactors.iter().map(|make| make(&connections)).collect::<Result<Vec<_>, Failure>>()?;
    let mut service = Service::new(name, connections)?;
    for reactor in reactors {
        service.add(reactor);
    }
    service.serve(listen, Router::new()).await
}

/// What to run instead, where another App of the same binary has what this one lacks.
fn others(app: &App, path: &str, command: &str, has: impl Fn(&App) -> bool) -> String {
    let others = app.apps.iter().filter(|app| has(app));
    others.map(|other| format!("; or run `{path} {} {command}`", other.name)).collect()
}
