//! The prefix of what `dev` creates on servers that it did not start.

use std::fs;
use std::path::Path;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::configuration::Configuration;
use crate::failure::Failure;

/// The file in the data directory that keeps the random part, so that each start uses the same prefix.
const FILE: &str = "prefix";
/// Longest name of a Postgres database, in bytes; Postgres would cut off the rest.
const LONGEST: usize = 63;

/// `<prefix>-dev-<random>`: the same for each start on this data directory, and no other's.
pub(super) fn dev_prefix(configured: &str, data: &Path) -> Result<String, Failure> {
    let path = data.join(FILE);
    let random = match fs::read_to_string(&path) {
        Ok(random) if !random.is_empty() => random,
        _ => {
            let random = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
            fs::write(&path, &random)
                .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
            random
        }
    };
    let prefix = format!("{configured}-dev-{}", random.trim());
    if prefix.len() > LONGEST {
        let longest = LONGEST - (prefix.len() - configured.len());
        return Err(
            format!("`kafka.prefix` is too long for a prefix of its own: {longest} bytes at most").into()
        );
    }
    Ok(prefix)
}

/// Gives the names on Kafka, and with them the subjects in the registry, the prefix.
pub(super) fn apply(prefix: &str, configuration: &mut Configuration) {
    configuration.kafka.prefix = prefix.to_owned();
    for route in &mut configuration.relay.routes {
        route.topic = prefixed(prefix, &route.topic);
    }
    configuration.schemas.topic_prefix = Some(prefix.to_owned());
}

fn prefixed(prefix: &str, topic: &str) -> String {
    format!("{prefix}.{topic}")
}

/// Creates the database of this name on the server of `url` unless it exists, and returns its URL.
pub(super) async fn database(url: &str, name: &str) -> Result<String, Failure> {
    let options: PgConnectOptions = url.parse()?;
    let create = async {
        let mut connection = options.connect().await?;
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            let quoted = name.replace('"', "\"\"");
            connection.execute(sqlx::AssertSqlSafe(format!("create database \"{quoted}\""))).await?;
        }
        connection.close().await
    };
    create.await.map_err(|error: sqlx::Error| {
        format!("the database \"{name}\" cannot be created on the server of `postgres.url`: {error}")
    })?;
    Ok(options.database(name).to_url_lossy().into())
}
