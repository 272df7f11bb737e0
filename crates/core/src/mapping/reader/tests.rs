use std::borrow::Cow;

use serde_json::json;

use super::*;
use crate::mapping::left_out::NoMetadata;

fn reader(mapping: serde_json::Value) -> MetadataReader {
    serde_json::from_value::<MetadataMapping>(mapping).unwrap().compile().unwrap()
}

fn built_in() -> MetadataReader {
    reader(json!({}))
}

fn read<'a>(reader: &MetadataReader, metadata: &'a str) -> EventMetadata<'a> {
    reader.read(metadata.as_bytes(), b"{}").unwrap()
}

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

#[test]
fn reads_the_products_own_metadata_without_configuration() {
    let metadata = r#"{"schemaVersion":1,"aggregateType":"order","aggregateId":"42",
        "timestamp":"2010-12-01T08:26:00.5Z",
        "$correlationId":"00000000-0000-0000-0000-000000000001",
        "$causationId":"00000000-0000-0000-0000-000000000002",
        "commandId":"00000000-0000-0000-0000-000000000003",
        "traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;
    let expected = EventMetadata {
        schema_version: Some(1),
        time: time("2010-12-01T08:26:00.5Z"),
        correlation_id: Some("00000000-0000-0000-0000-000000000001".into()),
        causation_id: Some("00000000-0000-0000-0000-000000000002".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        command_id: Some(Uuid::from_u128(3).into()),
        left_out: LeftOut::default(),
    };
    let found = read(&built_in(), metadata);
    assert_eq!(found, expected);
    assert!(matches!(found.correlation_id, Some(Cow::Borrowed(_))), "an id without escapes is not copied");
}

#[test]
fn metadata_that_holds_nothing_is_none_and_reported() {
    for (metadata, reason) in [
        ("", Some(NoMetadata::Empty)),
        ("null", Some(NoMetadata::Null)),
        (r#"["not","an object"]"#, Some(NoMetadata::NotAnObject)),
        ("note", Some(NoMetadata::NotJson)),
        ("{}", None),
    ] {
        let left_out = LeftOut { metadata: reason, ..LeftOut::default() };
        assert_eq!(
            read(&built_in(), metadata),
            EventMetadata { left_out, ..Default::default() },
            "{metadata}"
        );
    }
}

#[test]
fn the_first_pointer_whose_value_is_present_and_not_null_wins() {
    let reader = reader(json!({ "correlation_id": ["metadata:/a", "metadata:/b/0", "data:/c"] }));
    let id = |metadata: &'static str, data: &'static str| {
        reader.read(metadata.as_bytes(), data.as_bytes()).unwrap().correlation_id.map(Cow::into_owned)
    };
    assert_eq!(id(r#"{"a":"1","b":["2"]}"#, r#"{"c":"3"}"#).as_deref(), Some("1"));
    assert_eq!(id(r#"{"a":null,"b":["2"]}"#, r#"{"c":"3"}"#).as_deref(), Some("2"));
    assert_eq!(id(r#"{"b":"2","$correlationId":"4"}"#, r#"{"c":"3"}"#).as_deref(), Some("3"));
    assert_eq!(id(r#"{"$correlationId":"4"}"#, r#"{"c":null}"#).as_deref(), Some("4"));
    assert_eq!(id(r#"{"$correlationId":"4"}"#, "no JSON").as_deref(), Some("4"));
    assert_eq!(id("", "[]"), None);
}

#[test]
fn the_built_in_pointers_can_be_turned_off() {
    let metadata = r#"{"schemaVersion":"soon","timestamp":"yesterday","$correlationId":"1","$causationId":"2",
        "traceparent":"?","$traceId":"3","$spanId":"4"}"#;
    built_in().read(metadata.as_bytes(), b"{}").unwrap_err();
    assert_eq!(read(&reader(json!({ "built_in": false })), metadata), EventMetadata::default());
    let own = reader(json!({ "built_in": false, "schema_version": ["metadata:/v"] }));
    assert_eq!(read(&own, r#"{"v":2,"schemaVersion":"soon"}"#).schema_version, Some(2));
    assert_eq!(read(&own, r#"{"schemaVersion":3}"#).schema_version, None);
    let appended_by_a_repository =
        r#"{"schemaVersion":3,"commandId":"00000000-0000-0000-0000-000000000003"}"#;
    assert_eq!(read(&own, appended_by_a_repository).schema_version, Some(3));
}

#[test]
fn data_is_not_read_where_the_metadata_decides() {
    let reader = reader(json!({ "schema_version": ["metadata:/v", "data:/v"] }));
    let read = |metadata: &'static str| reader.read(metadata.as_bytes(), br#"{"v":"seven"}"#);
    assert_eq!(read(r#"{"v":1}"#).unwrap().schema_version, Some(1));
    assert_eq!(read(r#"{"v":null}"#).unwrap_err().pointer, "data:/v");
}

#[test]
fn a_wrong_form_of_version_or_time_is_an_error_that_does_not_contain_the_value() {
    let problem = |metadata: &str| built_in().read(metadata.as_bytes(), b"{}").unwrap_err().to_string();
    let version = problem(r#"{"schemaVersion":"secret"}"#);
    assert_eq!(
        version,
        "the schema version at metadata:/schemaVersion is not a whole number from 1 to 4294967295"
    );
    assert_eq!(
        problem(r#"{"timestamp":"2023-01-01T00:00:00"}"#),
        "the time at metadata:/timestamp is not an ISO 8601 time with a zone"
    );
    assert!(problem(r#"{"timestamp":{"at":1}}"#).ends_with("is an object"));
    assert!(problem(&format!(r#"{{"timestamp":"{}"}}"#, "1".repeat(1025))).ends_with("longer than 1 KiB"));
    assert!(
        problem(&format!(r#"{{"schemaVersion":"{}"}}"#, "0".repeat(1 << 20))).ends_with("longer than 1 KiB")
    );
}

#[test]
fn a_wrong_form_of_id_or_trace_context_is_left_out_and_reported() {
    let long = "a".repeat(1025);
    let metadata =
        format!(r#"{{"$correlationId":"{long}","$causationId":{{}},"traceparent":"00-4bf9-00f0-01"}}"#);
    let left_out = LeftOut { metadata: None, correlation_id: true, causation_id: true, trace_context: true };
    assert_eq!(read(&built_in(), &metadata), EventMetadata { left_out, ..Default::default() });
}

#[test]
fn traceparent_wins_over_a_pair_and_half_a_pair_is_none() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let trace = |reader: &MetadataReader, metadata: String| {
        let found = read(reader, &metadata);
        (found.traceparent.map(Cow::into_owned), found.left_out.trace_context)
    };
    let pair = format!(r#"{{"$traceId":"{TRACE}","$spanId":"00f067aa0ba902b7"}}"#);
    let expected = format!("00-{TRACE}-00f067aa0ba902b7-01");
    assert_eq!(trace(&built_in(), pair), (Some(expected.clone()), false));
    let both = format!(r#"{{"$traceId":"{TRACE}","$spanId":"00f067aa0ba902b7","traceparent":"{PARENT}"}}"#);
    assert_eq!(trace(&built_in(), both.clone()), (Some(PARENT.to_owned()), false));
    assert_eq!(trace(&built_in(), format!(r#"{{"$traceId":"{TRACE}"}}"#)), (None, false));
    assert_eq!(trace(&built_in(), format!(r#"{{"$traceId":"{TRACE}","$spanId":null}}"#)), (None, false));
    assert_eq!(trace(&built_in(), format!(r#"{{"$traceId":"{TRACE}","$spanId":"1"}}"#)), (None, true));

    let named =
        json!({ "trace_context": [{ "trace_id": "metadata:/trace-id", "span_id": "metadata:/span-id" }] });
    let own = format!(
        r#"{{"trace-id":"{TRACE}","span-id":"00f067aa0ba902b7","$traceId":"{TRACE}","$spanId":"1"}}"#
    );
    assert_eq!(trace(&reader(named.clone()), own), (Some(expected), false));
    assert_eq!(trace(&reader(named), both), (Some(PARENT.to_owned()), false));
}

#[test]
fn a_pair_in_the_data_is_found() {
    let mapping = json!({ "trace_context": [{ "trace_id": "data:/trace", "span_id": "data:/span" }] });
    let data = br#"{"trace":"4bf92f3577b34da6a3ce929d0e0e4736","span":"00f067aa0ba902b7"}"#;
    let reader = reader(mapping);
    let found = reader.read(b"{}", data).unwrap().traceparent;
    assert_eq!(found.as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
}

#[test]
fn the_metadata_of_four_libraries_is_read() {
    let node = reader(json!({ "schema_version": ["metadata:/eventVersion"] }));
    let found = read(
        &node,
        r#"{"eventId":"4006be5a-2761-4253-8000-48839a0758f9","eventType":"UserRegistered",
            "aggregateId":"32ff82a4-3802-41a3-885f-419effc3e3df","aggregateType":"User","eventVersion":1,
            "timestamp":"2023-03-01T08:00:14.597Z"}"#,
    );
    assert_eq!((found.schema_version, found.time), (Some(1), time("2023-03-01T08:00:14.597Z")));

    let telemetry = read(
        &node,
        r#"{"$correlationId":"00048839-a075-48f9-8248-56a2c724630b","$causationId":"b044a34c-653b-49a7-8d09-ff91b88b8a93","tenant":"umbrella","$traceId":"ea7fa3eaf01075ee63429af2e808e8f6","$spanId":"f264f562ed44e238"}"#,
    );
    assert_eq!(telemetry.causation_id.as_deref(), Some("b044a34c-653b-49a7-8d09-ff91b88b8a93"));
    assert_eq!(
        telemetry.traceparent.as_deref(),
        Some("00-ea7fa3eaf01075ee63429af2e808e8f6-f264f562ed44e238-01")
    );

    let eventuous = reader(json!({
        "correlation_id": ["metadata:/eventuous.correlation-id"],
        "causation_id": ["metadata:/eventuous.causation-id"],
    }));
    let found = read(
        &eventuous,
        r#"{"eventuous.causation-id":"729aff86-102c-4046-ab21-f7110640ade6","userId":"\u00C5se","app":"bookings-api","tenantId":42,"trace-id":"41503451bf59d209f06a0bd447243a2e","span-id":"765fcbc77fed8b63","parent-span-id":"db93949dd5d591d7","$traceId":"41503451bf59d209f06a0bd447243a2e","$spanId":"765fcbc77fed8b63"}"#,
    );
    assert_eq!(found.correlation_id, None);
    assert_eq!(found.causation_id.as_deref(), Some("729aff86-102c-4046-ab21-f7110640ade6"));

    let dotnet = reader(json!({
        "correlation_id": ["metadata:/CorrelationId", "metadata:/correlationId"],
        "time": ["metadata:/Timestamp"],
    }));
    let found = read(
        &dotnet,
        r#"{"correlationId":"d7ebd4cd-a0e1-4192-b16a-ddb293a8625b","causationId":"779a975a-0c72-4878-ad0b-1f4e6d2df3d9","userId":4711,"timestamp":"2023-11-14T23:13:40.184\u002B01:00","headers":{"X-Request-Id":["abc"]}}"#,
    );
    assert_eq!(found.correlation_id.as_deref(), Some("d7ebd4cd-a0e1-4192-b16a-ddb293a8625b"));
    assert_eq!(found.time, time("2023-11-14T22:13:40.184Z"));
}

#[test]
fn the_pair_that_the_dotnet_client_writes_twice_counts_as_its_last() {
    let found = read(
        &built_in(),
        r#"{"$traceId":"0af7651916cd43dd8448eb211c80319c","$spanId":"b7ad6b7169203331","copiedFrom":"net-stj-1","$traceId":"dd89617ed821e9f9d42dafa9449d760c","$spanId":"c44a08f290218a32"}"#,
    );
    assert_eq!(found.traceparent.as_deref(), Some("00-dd89617ed821e9f9d42dafa9449d760c-c44a08f290218a32-01"));
}

#[test]
fn a_command_id_that_is_not_a_uuid_is_none() {
    assert_eq!(read(&built_in(), r#"{"commandId":"place-order-7"}"#), EventMetadata::default());
    assert_eq!(read(&built_in(), r#"{"commandId":7}"#), EventMetadata::default());
}

#[test]
fn a_mapping_that_cannot_work_is_refused() {
    let many: Vec<_> = (0..33).map(|n| format!("metadata:/f{n}")).collect();
    let mapping: MetadataMapping = serde_json::from_value(json!({ "correlation_id": many })).unwrap();
    assert_eq!(
        mapping.compile().unwrap_err().to_string(),
        "metadata: 41 different pointers, at most 32 can be read"
    );
    let parse = |json| serde_json::from_value::<MetadataMapping>(json).unwrap_err().to_string();
    assert!(parse(json!({ "version": [] })).contains("unknown field `version`"));
    assert!(parse(json!({ "time": ["timestamp"] })).contains("write metadata:/field or data:/field"));
}

#[test]
fn metadata_of_a_mebibyte_is_read() {
    let metadata = format!(r#"{{"x":"{}","schemaVersion":3}}"#, "a".repeat(1 << 20));
    assert_eq!(read(&built_in(), &metadata).schema_version, Some(3));
}
