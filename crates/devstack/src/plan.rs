use std::path::PathBuf;

use crate::apicurio;
use crate::cache::Cache;
use crate::error::{Missing, StartError};
use crate::event_store;
use crate::kafka;
use crate::options::{Data, Options, Part};
use crate::port;
use crate::postgres;
use crate::registry;
use crate::tools;

/// The prerequisites of the parts, checked before anything is started.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kafka: Option<kafka::Plan>,
    pub(crate) postgres: Option<postgres::Plan>,
    pub(crate) apicurio: Option<apicurio::Plan>,
    /// The ports of the parts in this process.
    pub(crate) registry: Option<u16>,
    pub(crate) event_store: Option<u16>,
}

impl Plan {
    pub(crate) fn make(options: &Options, cache: &Cache) -> Result<Self, StartError> {
        let mut missing = Vec::new();
        let needs_java = options.kafka.is_started() || options.apicurio.is_started();
        let java = if needs_java { note(tools::java(), &mut missing) } else { None };
        let mut mvn = |cached: bool, needed_for| {
            if cached { None } else { note(tools::maven(needed_for), &mut missing) }
        };
        let kafka = options.kafka.is_started().then(|| {
            let mvn = mvn(kafka::is_cached(cache), "Apache Kafka");
            Some(kafka::Plan {
                java: java.clone()?,
                mvn,
                port: options.kafka.port(),
                runs_long: options.runs_long,
            })
        });
        let apicurio = options.apicurio.is_started().then(|| {
            let mvn = mvn(apicurio::is_cached(cache), "Apicurio Registry");
            Some(apicurio::Plan { java: java.clone()?, mvn, port: options.apicurio.port() })
        });
        let postgres = options.postgres.is_started().then(|| {
            let binaries = note(postgres::Binaries::find(options.postgres_from, cache), &mut missing);
            let kept = match &options.data {
                Data::Kept(dir) => postgres::cluster_in(dir),
                Data::Temporary => PathBuf::new(),
            };
            let user = note(postgres::run_as(&kept), &mut missing);
            Some(postgres::Plan { binaries: binaries?, user: user?, port: options.postgres.port() })
        });
        if !missing.is_empty() {
            return Err(StartError::Missing(missing));
        }
        if let Some(Some(postgres::Plan { binaries, user: Some(user), .. })) = &postgres {
            postgres::check_reach(user, binaries.place(cache))?;
        }
        let processes = [
            (kafka::PART, &options.kafka),
            (postgres::PART, &options.postgres),
            (apicurio::PART, &options.apicurio),
        ];
        for (part, wanted) in processes {
            if let Some(wanted) = wanted.port() {
                port::choose(part, Some(wanted))?;
            }
        }
        Ok(Self {
            kafka: kafka.flatten(),
            postgres: postgres.flatten(),
            apicurio: apicurio.flatten(),
            registry: port_for(registry::PART, &options.registry)?,
            event_store: port_for(event_store::PART, &options.event_store)?,
        })
    }
}

fn note<T>(found: Result<T, Missing>, missing: &mut Vec<Missing>) -> Option<T> {
    found.map_err(|what| missing.push(what)).ok()
}

fn port_for(part: &'static str, wanted: &Part) -> Result<Option<u16>, StartError> {
    wanted.is_started().then(|| port::choose(part, wanted.port())).transpose()
}
