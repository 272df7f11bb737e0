//! `dev`: the servers on this machine, with the relay and the projections.

mod arguments;
mod dev_prefix;
mod server;
mod servers;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use aqueduct_devstack::{DevStack, StartError};
use aqueduct_service::config::variable;
use aqueduct_service::{Process, http};
use axum::Router;
use tokio_util::sync::CancellationToken;

pub(super) use self::arguments::Arguments;
use self::dev_prefix::dev_prefix;
use self::server::{SERVERS, Server};
use super::relay;
use crate::app::App;
use crate::configuration::Configuration;
use crate::connections::Connections;
use crate::failure::Failure;
use crate::sections::Registry;
use crate::service::Service;

/// The servers' data, next to the configuration.
const DATA: &str = ".aqueduct";
/// Interval of the checks whether the servers run and the disk has room.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// `dev` ends before the disk is full: Kafka and Postgres stop at that point, and not in order.
const FREE_SPACE: u64 = 64 << 20;

/// Needs no address. `name` is the name of the process in traces.
pub(super) async fn run(
    app: &App,
    name: &str,
    arguments: &Arguments,
    configuration: Configuration,
) -> Result<ExitCode, Failure> {
    let process = Process::new(name, &configuration.telemetry)?;
    let shutdown = process.shutdown();
    let data = arguments.data.clone().unwrap_or_else(|| configuration.directory().join(DATA));
    let options = servers::plan(&configuration, arguments, &data)?;
    let port = arguments.http_port.unwrap_or(configuration.http.relay.port());
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if !arguments.servers_only {
        // Nothing is started if the port is in use.
        drop(http::bind(listen).await?);
    }
    let Some(started) = shutdown.run_until_cancelled(DevStack::start(options)).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let stack = started.map_err(|error| explain(error, &configuration))?;
    let ran = on_stack(app, arguments, configuration, &stack, process, listen).await;
    // A server that has ended is the reason, whatever was noticed first.
    let ran = match ran {
        Err(error) => Err(stack.check().await.err().map_or(error, Failure::from)),
        Ok(()) => Ok(ExitCode::SUCCESS),
    };
    stack.shutdown().await;
    ran
}

async fn on_stack(
    app: &App,
    arguments: &Arguments,
    given: Configuration,
    stack: &DevStack,
    process: Process,
    listen: SocketAddr,
) -> Result<(), Failure> {
    let shutdown = process.shutdown();
    let prefix = if arguments.remote.is_empty() {
        None
    } else {
        Some(dev_prefix(&given.kafka.prefix, stack.data_dir())?)
    };
    let configuration = configure(&given, arguments, stack, prefix.as_deref()).await?;
    if arguments.servers_only {
        print_addresses(arguments, &given, &configuration, stack.data_dir());
        return watch(stack, &shutdown).await;
    }
    match shutdown.run_until_cancelled(app.set_up(&configuration)).await {
        None => return Ok(()),
        Some(set_up) => set_up?,
    };
    print_addresses(arguments, &given, &configuration, stack.data_dir());
    let has_routes = !configuration.relay.routes.is_empty();
    let topic_prefix = topics_are_prefixed(arguments).then_some(prefix).flatten();
    let connections = Connections::new(configuration);
    let relay = if has_routes { Some(relay::make(&connections)?) } else { None };
    let mut service = Service::with_process(process, connections);
    service.add_projections(&app.projections, topic_prefix)?;
    if let Some(relay) = &relay {
        relay::watch(relay, &service);
    }
    service
        .run(listen, Router::new(), |shutdown| async move {
            let relay = async {
                match relay {
                    Some(relay) => Ok(relay.run(shutdown.clone()).await?),
                    None => {
                        shutdown.cancelled().await;
                        Ok(())
                    }
                }
            };
            tokio::select! {
                ended = relay => ended,
                Err(error) = watch(stack, &shutdown) => Err(error),
            }
        })
        .await
}

/// Checks the servers and the free space until the process is asked to end. Fails if a server has ended or the disk is
/// full.
async fn watch(stack: &DevStack, shutdown: &CancellationToken) -> Result<(), Failure> {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        stack.check().await?;
        stack.require_space(FREE_SPACE)?;
    }
    Ok(())
}

/// Whether the topics have the prefix: also the registry's subjects carry a topic's name.
fn topics_are_prefixed(arguments: &Arguments) -> bool {
    [Server::Kafka, Server::Registry].iter().any(|server| arguments.remote.contains(server))
}

/// The configuration with the addresses of the stack. What belongs to a configured server and not to the one that was
/// started instead is removed.
async fn configure(
    given: &Configuration,
    arguments: &Arguments,
    stack: &DevStack,
    prefix: Option<&str>,
) -> Result<Configuration, Failure> {
    let mut configuration = given.clone();
    let is_started = |server| !arguments.remote.contains(&server);
    configuration.eventstore.url = Some(stack.event_store_url()?.to_owned());
    configuration.kafka.brokers = Some(stack.kafka_bootstrap()?.to_owned());
    if is_started(Server::Kafka) {
        // One broker, without encryption.
        configuration.kafka.replication = -1;
        configuration.kafka.properties.retain(|name, _| !is_security(name));
    }
    let registry = Some(stack.registry_url()?.to_owned());
    if is_started(Server::Registry) {
        configuration.registry = Registry { url: registry, ..Registry::default() };
    }
    configuration.postgres.url = Some(match prefix {
        Some(prefix) if !is_started(Server::Postgres) => {
            dev_prefix::database(stack.postgres_url()?, prefix).await?
        }
        _ => stack.postgres_url()?.to_owned(),
    });
    if let Some(prefix) = prefix
        && topics_are_prefixed(arguments)
    {
        dev_prefix::apply(prefix, &mut configuration);
    }
    Ok(configuration)
}

fn is_security(property: &str) -> bool {
    ["security.", "sasl.", "ssl.", "enable.ssl."].iter().any(|prefix| property.starts_with(prefix))
}

/// Lines for a shell. Addresses of servers that were not started are not printed: they are configured, and may contain
/// passwords.
#[expect(clippy::print_stdout, reason = "the addresses are the command's output")]
fn print_addresses(arguments: &Arguments, given: &Configuration, used: &Configuration, data: &Path) {
    println!("# The servers run until Ctrl-C; their data and logs are in {}", data.display());
    for server in SERVERS {
        if arguments.remote.contains(&server) {
            println!("# {server}: as configured");
        } else if let Some(address) = server.configured(used) {
            println!("export {}={}", variable(server.key()), quoted(address));
        }
    }
    if used.kafka.prefix != given.kafka.prefix {
        println!("export {}={}", variable("kafka.prefix"), quoted(&used.kafka.prefix));
        println!("# Topics and subjects have the same prefix, followed by a dot");
    }
    if let (true, Some(url)) = (arguments.remote.contains(&Server::Postgres), &used.postgres.url) {
        let database = url.rsplit('/').next().and_then(|name| name.split('?').next()).unwrap_or_default();
        println!("# Tables are in the database {database} of the configured server");
    }
    if !arguments.remote.contains(&Server::Kafka)
        && given.kafka.properties.keys().any(|name| is_security(name))
    {
        println!("export {}=plaintext", variable("kafka.properties.security_protocol"));
    }
}

/// One word for a shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// Adds which option helps.
fn explain(error: StartError, configuration: &Configuration) -> Failure {
    let StartError::PortInUse { part, .. } = &error else { return error.into() };
    let Some(server) = SERVERS.into_iter().find(|server| server.name() == part.replace(' ', "")) else {
        return error.into();
    };
    let running = match server.configured(configuration) {
        Some(_) => format!(", or use the server that runs there with --remote {server}"),
        None => String::new(),
    };
    format!("{error} with --{server}-port PORT{running}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_for_a_shell() {
        assert_eq!(quoted("esdb://a?b=c&d=e"), "'esdb://a?b=c&d=e'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn only_properties_of_the_connection_are_removed() {
        for name in
            ["security.protocol", "sasl.password", "ssl.ca.location", "enable.ssl.certificate.verification"]
        {
            assert!(is_security(name), "{name}");
        }
        assert!(!is_security("compression.type"));
    }
}
