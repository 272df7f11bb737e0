//! `schemas release`.

use std::process::ExitCode;
use std::str::FromStr;

use aqueduct_evolution::{Carried, Catalogue, Golden, Lock, release};

use super::check;
use crate::connections::Connections;
use crate::failure::Failure;

/// Write the new versions to released.lock, which freezes them
///
/// Offline, and part of the change that adds the versions: commit the lock with them. Runs `schemas check` first and writes
/// nothing if it finds something. Also writes generated events with their bytes to vN.golden.jsonl, which `schemas prove` compares.
#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    /// With the first release of a topic: the versions that it carried before, as TOPIC:EVENT=1,2
    #[arg(long, value_name = "TOPIC:EVENT=VERSIONS", value_parser = parse_carried)]
    carried: Vec<Carried>,
}

/// Needs no server.
#[expect(clippy::print_stdout, reason = "what was released is the command's output")]
pub(super) async fn run(arguments: &Arguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let folder = &connections.configuration().schemas.directory;
    let (catalogue, lock) = (Catalogue::new(&*connections.schemas()?)?, Lock::read(folder)?);
    let released = release(&catalogue, &*connections.policy()?, &lock, &arguments.carried)?;
    // As it was and as it would be: what topics carried before their first release counts too.
    let mut findings = check::findings(&lock, None, connections)?;
    for finding in check::findings(&released, Some(&lock), connections)? {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings.retain(|finding| finding.waived.is_none());
    if !findings.is_empty() {
        findings.iter().for_each(|finding| println!("{finding}"));
        println!("nothing was released");
        return Ok(ExitCode::FAILURE);
    }
    if released == lock {
        println!("nothing to release");
        return Ok(ExitCode::SUCCESS);
    }
    let schemas = connections.schemas()?;
    let new = || released.versions.keys().filter(|id| !lock.versions.contains_key(id));
    // Before the lock, so that a release that was cut off is repeated.
    new().try_for_each(|id| Golden::write_new(folder, id, &schemas))?;
    released.write(folder)?;
    for id in new() {
        println!("released {id}");
    }
    for (topic, versions) in &released.carried {
        let known = lock.carried.get(topic);
        for id in versions.iter().filter(|id| known.is_none_or(|known| !known.contains(id))) {
            println!("topic {topic} carries {id}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads `shop.orders:OrderCreated=1,2`.
fn parse_carried(text: &str) -> Result<Carried, String> {
    let malformed = || format!("{text:?} is not of the form shop.orders:OrderCreated=1,2");
    let (topic, rest) = text.split_once(':').ok_or_else(malformed)?;
    let (event_type, versions) = rest.split_once('=').ok_or_else(malformed)?;
    let versions =
        versions.split(',').map(u32::from_str).collect::<Result<_, _>>().map_err(|_| malformed())?;
    Ok(Carried { topic: topic.to_owned(), event_type: event_type.to_owned(), versions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carried_versions_are_read() {
        let carried = parse_carried("shop.orders:OrderCreated=1,2").unwrap();
        assert_eq!(
            (&*carried.topic, &*carried.event_type, &*carried.versions),
            ("shop.orders", "OrderCreated", &[1, 2][..])
        );
        for text in ["shop.orders", "shop.orders:OrderCreated", "shop.orders:OrderCreated=v1", "t:E="] {
            assert!(parse_carried(text).unwrap_err().contains("is not of the form"), "{text}");
        }
    }
}
