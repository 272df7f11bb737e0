//! Which servers `dev` starts, and which running ones it uses.

use std::path::Path;

use aqueduct_devstack::{Data, Options, Part};

use super::arguments::Arguments;
use super::server::Server;
use crate::address::{Endpoint, all_loopback};
use crate::configuration::Configuration;
use crate::failure::Failure;

/// The options of the stack.
///
/// # Errors
/// An address names another machine and is not allowed by `--remote`, or `--remote` names a server without an address.
pub(super) fn plan(
    configuration: &Configuration,
    arguments: &Arguments,
    data: &Path,
) -> Result<Options, Failure> {
    let part = |server: Server| part(configuration, arguments, server);
    Ok(Options {
        data: Data::Kept(data.to_owned()),
        event_store: part(Server::Eventstore)?,
        kafka: part(Server::Kafka)?,
        registry: part(Server::Registry)?,
        postgres: part(Server::Postgres)?,
        runs_long: true,
        ..Options::none()
    })
}

fn part(configuration: &Configuration, arguments: &Arguments, server: Server) -> Result<Part, Failure> {
    let configured = server.configured(configuration);
    let port = arguments.port(server);
    if arguments.remote.contains(&server) {
        let address = configured.ok_or_else(|| {
            format!("--remote {server}: `{}` is not configured, so there is no server to use", server.key())
        })?;
        if port.is_some() {
            return Err(format!("--remote {server} and --{server}-port exclude each other").into());
        }
        return Ok(Part::Given(address.to_owned()));
    }
    let endpoints = configured.map(|address| server.endpoints(address));
    if let Some(endpoints) = &endpoints
        && !all_loopback(endpoints)
    {
        return Err(format!(
            "`{}` names another machine ({}): `dev` starts its own servers. Remove the address, or use the \
             server with --remote {server}, where `dev` creates only what carries a prefix of its own",
            server.key(),
            hosts(endpoints),
        )
        .into());
    }
    let of_address = endpoints.and_then(|endpoints| endpoints.first().and_then(|endpoint| endpoint.port));
    Ok(Part::Start { port: port.or(of_address).or(Some(server.default_port())) })
}

/// Without user and password.
fn hosts(endpoints: &[Endpoint]) -> String {
    if endpoints.is_empty() {
        return "its host cannot be told".to_owned();
    }
    endpoints.iter().map(|endpoint| endpoint.host.as_str()).collect::<Vec<_>>().join(", ")
}
