//! The registry has a schema of an event type that does not resolve to the version that the consumer is written for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::error::Error;
use crate::properties::Material;
use crate::property::Property;
use crate::record::Record;
use crate::registry_proxy::{Registered, RegistryProxy};
use crate::script::{Expected, Sent};
use crate::strikes::Strikes;
use crate::trial::{Batch, Setup, Trial};
use crate::trial_error::TrialError;

/// The consumer reads what comes before the first event of the type. Then it must halt at that event, which its stream's
/// others follow, until the registry is repaired.
pub(super) async fn run(material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let Material { setup, records, oracle, .. } = material;
    let Setup { schemas, servers, .. } = setup;
    let Some(first) = first_of_the_last_type(records) else { return Ok(()) };
    let (before, after) = records.split_at(first);
    let record = &after[0];
    let event = schemas.event(&record.event_type);
    let schema = event.and_then(|event| unresolvable(event.schema(event.latest())?));
    let (Some(schema), Some(id)) = (schema, schema_id(record)) else { return Ok(()) };
    let (stream, others): (Vec<_>, Vec<_>) =
        after.iter().partition(|other| other.stream_id() == record.stream_id());

    let mut trial = Trial::create(setup, &material.name(Property::UnresolvableSchema)).await?;
    let registry = servers.stack.registry_url().map_err(Error::from)?;
    let proxy = RegistryProxy::start(registry, Registered { id, schema });
    let proxy = proxy.await.map_err(Error::io("start a proxy of the registry"))?;
    trial.use_registry(proxy.url());
    trial.write_all(before.iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Own).await?;
    trial.catch_up().await?;
    trial.stop(0).await?;

    trial.write_all(stream.into_iter().map(Sent::applied).collect()).await?;
    strikes.count("schema that does not resolve");
    trial
        .expect_halt(
            "the schema of a record does not resolve to the version that the consumer is written for",
        )
        .await?;
    proxy.repair();
    trial.write_all(others.into_iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Own).await?;
    trial.finish(oracle.tables(Expected::All)).await
}

/// The index of the record with which the last of the event types comes, so that the consumer has work before.
fn first_of_the_last_type(records: &[Record]) -> Option<usize> {
    let mut seen = BTreeSet::new();
    records
        .iter()
        .enumerate()
        .filter(|(_, record)| seen.insert(&record.event_type))
        .last()
        .map(|(index, _)| index)
}

fn schema_id(record: &Record) -> Option<u32> {
    let id = record.value.as_ref()?.get(1..5)?;
    Some(u32::from_be_bytes(id.try_into().ok()?))
}

/// The record with a type of its own in place of each field's: whichever of them a reader has cannot be read. None: it has no
/// fields.
fn unresolvable(schema: &str) -> Option<String> {
    let schema: Value = serde_json::from_str(schema).ok()?;
    let names = schema["fields"].as_array()?.iter().map(|field| &field["name"]);
    let own = (0..)
        .map(|number| json!({ "type": "fixed", "name": format!("conformance.Fixed{number}"), "size": 1 }));
    let fields: Vec<_> = names.zip(own).map(|(name, own)| json!({ "name": name, "type": own })).collect();
    if fields.is_empty() {
        return None;
    }
    let mut changed = json!({ "type": "record", "name": schema["name"], "fields": fields });
    if let Some(namespace) = schema.get("namespace") {
        changed["namespace"] = namespace.clone();
    }
    Some(changed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_a_type_that_no_reader_knows() {
        let schema = r#"{"type":"record","name":"T","namespace":"n","fields":[
            {"name":"a","type":"string","default":""},{"name":"b","type":["null","int"]}]}"#;
        let changed: Value = serde_json::from_str(&unresolvable(schema).unwrap()).unwrap();
        assert_eq!((&changed["name"], &changed["namespace"]), (&json!("T"), &json!("n")));
        let fields = changed["fields"].as_array().unwrap();
        assert_eq!(
            fields[0],
            json!({"name":"a","type":{"type":"fixed","name":"conformance.Fixed0","size":1}})
        );
        assert_eq!(fields[1]["type"]["name"], "conformance.Fixed1");
        assert_eq!(unresolvable(r#"{"type":"record","name":"T","fields":[]}"#), None);
    }
}
