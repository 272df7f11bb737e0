//! Kafka's storage directory: formatted once by Kafka's own tool, then copied from the cache with new ids.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{JARS, NO_OPTIMIZING_COMPILER, java_arguments, properties};
use crate::cache::Cache;
use crate::error::StartError;
use crate::maven;
use crate::process::Conditions;

/// The file that marks a directory as formatted, with the ids of the cluster and of the directory.
pub(super) const META: &str = "meta.properties";

pub(super) async fn make(java: &Path, jars: &Path, cache: &Cache, storage: &Path) -> Result<(), StartError> {
    let template = cache.entry(&format!("{JARS}-storage"), async |dir| format(java, jars, dir).await).await?;
    if storage.exists() {
        std::fs::remove_dir_all(storage).map_err(StartError::io("remove", storage))?;
    }
    std::fs::create_dir(storage).map_err(StartError::io("create", storage))?;
    let template = template.join("data");
    let mut meta = String::new();
    for entry in std::fs::read_dir(&template).map_err(StartError::io("read", &template))? {
        let entry = entry.map_err(StartError::io("read", &template))?;
        let file = entry.path();
        if entry.file_name() == META {
            meta = std::fs::read_to_string(&file).map_err(StartError::io("read", &file))?;
        } else {
            std::fs::copy(&file, storage.join(entry.file_name())).map_err(StartError::io("copy", &file))?;
        }
    }
    // Last, because it marks the directory as formatted.
    let file = storage.join(META);
    std::fs::write(&file, with_new_ids(&meta)).map_err(StartError::io("write", &file))
}

async fn format(java: &Path, jars: &Path, dir: &Path) -> Result<(), StartError> {
    let config = dir.join("server.properties");
    // The tool does not store the ports.
    std::fs::write(&config, properties(9092, 9093, &dir.join("data")))
        .map_err(StartError::io("write", &config))?;
    let mut command = Command::new(java);
    command
        .arg(NO_OPTIMIZING_COMPILER)
        .args(java_arguments(jars))
        .args(["kafka.tools.StorageTool", "format", "-t", &new_id(), "-c"])
        .arg(&config);
    let log = dir.join("format.log");
    let patience = Duration::from_secs(120);
    maven::run(command, &Conditions::plain(), "formatting kafka's storage", &log, patience).await
}

fn with_new_ids(meta: &str) -> String {
    let lines = meta.lines().map(|line| match line.split_once('=') {
        Some((key @ ("cluster.id" | "directory.id"), _)) => format!("{key}={}\n", new_id()),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// A random id in Kafka's form.
fn new_id() -> String {
    id_from(|| uuid::Uuid::new_v4().as_u128())
}

/// Kafka's form of a UUID: 16 bytes in base64 for URLs, without padding. Like Kafka's own ids it never begins with
/// `-`: the storage tool would take it for an option.
fn id_from(mut random: impl FnMut() -> u128) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    loop {
        let bits = random();
        // 128 bits are 21 digits of six bits and one of the last two, padded with zeros.
        let digits = (0..21).map(|place| (bits >> (122 - 6 * place)) & 63).chain([(bits & 3) << 4]);
        let id: String =
            digits.map(|digit| char::from(ALPHABET[usize::try_from(digit).unwrap_or_default()])).collect();
        if !id.starts_with('-') {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_have_kafkas_form() {
        let meta = "#\nnode.id=1\ndirectory.id=TsZCOrbfcLWChD2ei0g_eQ\nversion=1\ncluster.id=cDEM41dORTWfDPUUxc7tfw\n";
        let lines: Vec<String> = with_new_ids(meta).lines().map(str::to_owned).collect();
        assert_eq!(
            (lines[0].as_str(), lines[1].as_str(), lines[3].as_str()),
            ("#", "node.id=1", "version=1")
        );
        let ids =
            [lines[2].strip_prefix("directory.id=").unwrap(), lines[4].strip_prefix("cluster.id=").unwrap()];
        for id in ids {
            assert_eq!(id.len(), 22);
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{id}");
            assert!(!meta.contains(id));
        }
        assert_ne!(ids[0], ids[1]);
    }

    /// One random id in 64 began with `-`, which `kafka-storage` takes for an option.
    #[test]
    fn an_id_never_begins_with_a_dash() {
        const DASH: u128 = 62 << 122;
        let mut random = [DASH, DASH | 1, (61 << 122) | (62 << 116)].into_iter();
        assert_eq!(id_from(|| random.next().unwrap()), "9-AAAAAAAAAAAAAAAAAAAA");
    }
}
