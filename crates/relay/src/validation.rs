//! What a configuration is refused for, in addition to what its types say.

use std::collections::BTreeMap;

use aqueduct_core::mapping::ConfigurationError;
use aqueduct_kafka::Cluster;

use crate::options::Options;
use crate::options_error::OptionsError;
use crate::route::Route;

/// Longest name of a topic that Kafka accepts.
const MAX_TOPIC_BYTES: usize = 249;

/// Checks both, as a relay and the creation of its topics need them.
pub(crate) fn validate(cluster: &Cluster, options: &Options) -> Result<(), OptionsError> {
    cluster.validate()?;
    expect_name("kafka.prefix", &cluster.prefix)?;
    options.validate()?;
    expect_distinct_names(cluster, options)
}

impl Options {
    /// Checks what the types do not say.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if self.routes.is_empty() {
            let problem = "at least one route is needed: name, topic and what it selects";
            return Err(OptionsError::new("routes", problem));
        }
        self.events.mapping().map_err(|error| below("events", error))?;
        for (n, route) in self.routes.iter().enumerate() {
            self.validate_route(n, route)?;
        }
        Ok(())
    }

    fn validate_route(&self, n: usize, route: &Route) -> Result<(), OptionsError> {
        let key = |field: &str| format!("routes[{n}].{field}");
        expect_name(&key("name"), &route.name)?;
        expect_name(&key("topic"), &route.topic)?;
        let before = &self.routes[..n];
        if before.iter().any(|it| it.name == route.name) {
            let problem = format!("\"{}\" is another route's name: choose a different one", route.name);
            return Err(OptionsError::new(key("name"), problem));
        }
        if let Some(other) = before.iter().find(|it| it.topic == route.topic) {
            let problem = format!("topic \"{}\" is already that of route \"{}\"", route.topic, other.name);
            return Err(OptionsError::new(key("topic"), problem));
        }
        let of_route = |error| below(&format!("routes[{n}]"), error);
        route.selection().compile().map_err(of_route)?;
        route.json_selector().map_err(|error| OptionsError::new(key("json_types"), error.problem))?;
        self.events_of(route).mapping().map_err(of_route)?;
        if route.partitions.get() % self.lanes != 0 {
            let problem = format!("{} is not a multiple of the {} lanes", route.partitions, self.lanes);
            return Err(OptionsError::new(key("partitions"), problem));
        }
        Ok(())
    }
}

/// Names a key of core's below a section of the relay's.
fn below(section: &str, error: ConfigurationError) -> OptionsError {
    OptionsError::new(format!("{section}.{}", error.key), error.problem)
}

fn expect_name(key: &str, name: &str) -> Result<(), OptionsError> {
    let is_allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    let problem = if name.is_empty() {
        "is empty".to_owned()
    } else if name == "." || name == ".." {
        format!("Kafka reserves the name \"{name}\": choose a different one")
    } else if let Some(other) = name.chars().find(|it| !is_allowed(*it)) {
        format!(
            "\"{name}\" contains {other:?}: Kafka's names consist of ASCII letters, digits, dots, dashes and underscores"
        )
    } else if name.len() > MAX_TOPIC_BYTES {
        format!("has {} characters, Kafka's names have at most {MAX_TOPIC_BYTES}", name.len())
    } else {
        return Ok(());
    };
    Err(OptionsError::new(key, problem))
}

/// Refuses routes that would share a topic, a consumer group or a transactional id. Kafka takes topics that differ only
/// in dots and underscores for the same.
fn expect_distinct_names(cluster: &Cluster, options: &Options) -> Result<(), OptionsError> {
    let mut taken: BTreeMap<(&str, String), (usize, String)> = BTreeMap::new();
    for (n, route) in options.routes.iter().enumerate() {
        let prefix = &cluster.prefix;
        let lane_topics = route.lane_topics(prefix);
        let topics: Vec<_> =
            [&*route.topic].into_iter().chain(lane_topics.names()).map(str::to_owned).collect();
        if let Some(topic) = topics.iter().find(|it| it.len() > MAX_TOPIC_BYTES) {
            let problem = format!(
                "topic \"{topic}\" would have {} characters, Kafka allows {MAX_TOPIC_BYTES}: choose a shorter name",
                topic.len()
            );
            return Err(OptionsError::new(format!("routes[{n}].name"), problem));
        }
        let topics = topics.into_iter().map(|topic| ("topic", topic.replace('_', "."), topic));
        let group = route.group(prefix);
        let ids = (0..options.lanes.get()).map(|lane| route.transactional_id(prefix, lane));
        let names = topics
            .chain([("consumer group", group.clone(), group)])
            .chain(ids.map(|id| ("transactional id", id.clone(), id)));
        for (what, same, name) in names {
            if let Some((other, theirs)) = taken.insert((what, same), (n, name.clone())) {
                let key = if name == route.topic { "topic" } else { "name" };
                let problem = format!(
                    "{what} \"{name}\" and {what} \"{theirs}\" of routes[{other}] are the same for Kafka: rename one"
                );
                return Err(OptionsError::new(format!("routes[{n}].{key}"), problem));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use serde_json::{Value, json};

    use super::*;

    fn options(routes: Value) -> Options {
        let mut options: Options = serde_json::from_value(json!({ "routes": routes })).unwrap();
        options.lanes = NonZeroU32::new(2).unwrap();
        options
    }

    fn good() -> Value {
        json!({"name": "orders", "topic": "shop.orders", "categories": ["order"]})
    }

    /// The key for which a second route with this field is refused.
    fn refused(field: &str, value: Value) -> String {
        let mut route = good();
        route["name"] = "second".into();
        route["topic"] = "second".into();
        route[field] = value;
        validate(&Cluster::default(), &options(json!([good(), route]))).unwrap_err().key
    }

    #[test]
    fn a_configuration_that_cannot_work_names_its_key() {
        validate(&Cluster::default(), &options(json!([good()]))).unwrap();
        assert_eq!(refused("name", "orders".into()), "routes[1].name");
        assert_eq!(refused("topic", "shop.orders".into()), "routes[1].topic");
        assert_eq!(refused("categories", json!(["a-b"])), "routes[1].categories");
        assert_eq!(refused("categories", json!([])), "routes[1].categories");
        assert_eq!(refused("event_types", json!(["$>"])), "routes[1].event_types");
        assert_eq!(refused("exclude", json!({"event_types": ["*"]})), "routes[1].exclude.event_types");
        assert_eq!(refused("json_types", json!([""])), "routes[1].json_types");
        assert_eq!(refused("types", json!({"a*": "A", "a.*": "{event}"})), "routes[1].types.\"a.*\"");
        assert_eq!(refused("partitions", 3.into()), "routes[1].partitions");

        let mut cluster = Cluster::default();
        cluster.properties.insert("acks".to_owned(), "1".to_owned());
        assert_eq!(validate(&cluster, &options(json!([good()]))).unwrap_err().key, "kafka.properties.acks");
    }

    #[test]
    fn names_that_kafka_does_not_allow_are_refused() {
        for name in ["", ".", "..", "a b", "bestellungen/ü", &"x".repeat(250)] {
            assert_eq!(refused("name", name.into()), "routes[1].name", "{name}");
            assert_eq!(refused("topic", name.into()), "routes[1].topic", "{name}");
        }
        assert_eq!(
            refused("name", "x".repeat(240).into()),
            "routes[1].name",
            "with the prefix it is too long"
        );
        let cluster = Cluster { prefix: "my shop".to_owned(), ..Cluster::default() };
        assert_eq!(validate(&cluster, &options(json!([good()]))).unwrap_err().key, "kafka.prefix");
    }

    #[test]
    fn routes_that_would_share_a_topic_are_refused() {
        assert_eq!(refused("topic", "shop_orders".into()), "routes[1].topic");
        assert_eq!(refused("topic", "aqueduct.checkpoint.orders".into()), "routes[1].topic");
        assert_eq!(refused("topic", "aqueduct.parked.second".into()), "routes[1].topic");
        let mut dotted = good();
        dotted["name"] = "a.b".into();
        let underscored = json!({"name": "a_b", "topic": "t", "categories": ["order"]});
        let error = validate(&Cluster::default(), &options(json!([dotted, underscored]))).unwrap_err();
        assert_eq!(error.key, "routes[1].name");
    }

    #[test]
    fn the_mapping_of_all_routes_is_checked_too() {
        let mut options = options(json!([good()]));
        options.events.types = [("a", "A"), ("a", "B")].into_iter().collect();
        let error = options.validate().unwrap_err();
        assert_eq!(error.key, "events.types.\"a\"");
        assert!(options.mapping(&options.routes[0]).unwrap_err().key.starts_with("events."));
    }

    #[test]
    fn a_route_has_the_mapping_of_all_routes_and_its_own() {
        let mut route = good();
        route["metadata"] = json!({"schema_version": ["metadata:/v"]});
        route["types"] = json!({"a": "Own"});
        let mut options = options(json!([route]));
        options.events.metadata.schema_version = vec!["metadata:/version".parse().unwrap()];
        options.events.types = [("a", "General"), ("b", "Other")].into_iter().collect();
        let mapping = options.mapping(&options.routes[0]).unwrap();
        let read = |stored, metadata: &'static [u8]| {
            let event = mapping.read(stored, metadata, b"{}").unwrap();
            (event.event_type.into_owned(), event.version)
        };
        assert_eq!(read("a", br#"{"version":7}"#), ("Own".to_owned(), Some(7)));
        assert_eq!(read("b", br#"{"version":7,"v":8}"#), ("Other".to_owned(), Some(8)));
    }

    #[test]
    fn the_built_in_pointers_are_tried_last_and_only_where_both_want_them() {
        let version = |of_all: bool, of_route: bool, metadata: &'static [u8]| {
            let mut options = options(json!([good()]));
            options.events.metadata.built_in = of_all;
            options.events.metadata.schema_version = vec!["metadata:/version".parse().unwrap()];
            options.routes[0].metadata.built_in = of_route;
            let mapping = options.mapping(&options.routes[0]).unwrap();
            mapping.read("a", metadata, b"{}").unwrap().version
        };
        assert_eq!(version(true, true, br#"{"schemaVersion":3}"#), Some(3));
        assert_eq!(version(true, true, br#"{"schemaVersion":3,"version":7}"#), Some(7));
        assert_eq!(version(false, true, br#"{"schemaVersion":3}"#), None);
        assert_eq!(version(true, false, br#"{"schemaVersion":3}"#), None);
    }
}
