use serde_json::json;

use super::*;

fn selection(json: serde_json::Value) -> Selection {
    serde_json::from_value(json).unwrap()
}

fn selects(json: serde_json::Value, stream: &str, event_type: &str) -> bool {
    selection(json).compile().unwrap().selects(stream, event_type)
}

#[test]
fn a_category_is_what_is_before_the_first_dash_or_the_whole_name() {
    let orders = json!({ "categories": ["order", "plain"] });
    assert!(selects(orders.clone(), "order-2010-12-01", "OrderCreated"));
    assert!(selects(orders.clone(), "plain", "OrderCreated"));
    assert!(!selects(orders.clone(), "orders-1", "OrderCreated"));
    assert!(!selects(orders, "ord-order-1", "OrderCreated"));
}

#[test]
fn an_event_matches_one_value_of_each_key() {
    let json = json!({
        "categories": ["order", "user"],
        "stream_prefixes": ["order-eu-", "user-"],
        "event_types": ["OrderCreated", "*Changed", "V1.*"],
    });
    assert!(selects(json.clone(), "order-eu-1", "OrderCreated"));
    assert!(selects(json.clone(), "user-1", "EmailChanged"));
    assert!(selects(json.clone(), "user-1", "V1.Registered"));
    assert!(!selects(json.clone(), "order-us-1", "OrderCreated"));
    assert!(!selects(json.clone(), "cart-eu-1", "OrderCreated"));
    assert!(!selects(json, "order-eu-1", "OrderDeleted"));
    assert!(selects(json!({ "event_types": ["OrderCreated"] }), "anything", "OrderCreated"));
}

#[test]
fn an_excluded_event_matches_any_value_of_any_key() {
    let json = json!({
        "stream_prefixes": ["o", "user-"],
        "exclude": {
            "categories": ["orderdraft"], "stream_prefixes": ["user-test-"], "event_types": ["*Viewed", "Ping"],
        },
    });
    assert!(selects(json.clone(), "order-1", "OrderCreated"));
    assert!(!selects(json.clone(), "orderdraft-1", "OrderCreated"));
    assert!(!selects(json.clone(), "user-test-1", "Registered"));
    assert!(!selects(json.clone(), "user-1", "PageViewed"));
    assert!(!selects(json, "user-1", "Ping"));
}

#[test]
fn links_are_never_selected_and_system_events_by_their_exact_type() {
    let everything = json!({ "event_types": ["*"] });
    assert!(selects(everything.clone(), "order-1", "OrderCreated"));
    assert!(!selects(everything.clone(), "order-1", "$>"));
    assert!(!selects(everything.clone(), "$$order-1", "$metadata"));
    assert!(!selects(everything, "$settings", "Custom"));
    assert!(!selects(json!({ "categories": ["order"] }), "order-1", "$>"));
    assert!(!selects(json!({ "categories": ["order"] }), "order-1", "$custom"));
    assert!(selects(json!({ "categories": ["order"], "event_types": ["$custom"] }), "order-1", "$custom"));
    let metadata = json!({ "event_types": ["$metadata", "Custom"] });
    assert!(selects(metadata.clone(), "$$order-1", "$metadata"));
    assert!(selects(metadata.clone(), "$settings", "Custom"));
    assert!(!selects(metadata, "$$order-1", "$>"));
}

#[test]
fn a_selection_that_cannot_work_names_its_key() {
    let problem = |json| selection(json).compile().unwrap_err();
    let key = |json| problem(json).key;
    assert!(problem(json!({})).to_string().contains("name at least one category"));
    assert_eq!(key(json!({ "exclude": { "categories": ["a"] } })), "categories");
    assert_eq!(key(json!({ "categories": [""] })), "categories");
    assert_eq!(key(json!({ "categories": ["a-b"] })), "categories");
    assert_eq!(key(json!({ "categories": ["$$a"] })), "categories");
    assert_eq!(key(json!({ "stream_prefixes": [""] })), "stream_prefixes");
    assert_eq!(key(json!({ "stream_prefixes": ["a\nb"] })), "stream_prefixes");
    assert_eq!(key(json!({ "event_types": ["$>"] })), "event_types");
    assert_eq!(key(json!({ "event_types": ["$*"] })), "event_types");
    assert_eq!(key(json!({ "event_types": ["a".repeat(1025)] })), "event_types");
    assert_eq!(
        key(json!({ "categories": ["a"], "exclude": { "event_types": [""] } })),
        "exclude.event_types"
    );
    let unknown = serde_json::from_value::<Selection>(json!({ "category": ["a"] })).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `category`"));
}

#[test]
fn exclusions_that_leave_nothing_are_refused() {
    let key = |json| selection(json).compile().map_err(|error| error.key).err();
    let exclude = |what: &str, value: &str| json!({ what: [value] });
    let orders = |exclude| json!({ "categories": ["order"], "exclude": exclude });
    assert_eq!(key(orders(exclude("categories", "order"))).as_deref(), Some("exclude"));
    assert_eq!(key(orders(exclude("stream_prefixes", "ord"))).as_deref(), Some("exclude"));
    assert_eq!(key(orders(exclude("event_types", "*"))).as_deref(), Some("exclude.event_types"));
    assert_eq!(key(orders(exclude("stream_prefixes", "order-1"))), None);
    let prefixed = |exclude| json!({ "stream_prefixes": ["order-1"], "exclude": exclude });
    assert_eq!(key(prefixed(exclude("categories", "order"))).as_deref(), Some("exclude"));
    assert_eq!(key(prefixed(exclude("stream_prefixes", "order-"))).as_deref(), Some("exclude"));
    assert_eq!(key(prefixed(exclude("stream_prefixes", "order-12"))), None);
    let typed = |exclude| json!({ "event_types": ["V1.*", "V1.A"], "exclude": exclude });
    assert_eq!(key(typed(exclude("event_types", "V1.*"))).as_deref(), Some("exclude.event_types"));
    assert_eq!(key(typed(exclude("event_types", "V*"))).as_deref(), Some("exclude.event_types"));
    assert_eq!(key(typed(exclude("event_types", "V1.A"))), None);
    assert_eq!(
        key(json!({ "categories": ["order"], "stream_prefixes": ["user-"] })).as_deref(),
        Some("stream_prefixes")
    );
    assert_eq!(key(json!({ "categories": ["order"], "stream_prefixes": ["ord"] })), None);
}

#[test]
fn what_a_selection_without_categories_covers_is_spelled_out() {
    let json = json!({
        "event_types": ["B", "A*", "é"], "categories": ["o"], "exclude": { "stream_prefixes": ["o-\"1"] },
    });
    let text = selection(json).canonical_text(&["B".to_owned()].into());
    let expected = "every selected event is a record\n\
                    categories [\"o\"]\n\
                    event_types [\"A*\",\"é\"]\n\
                    exclude.stream_prefixes [\"o-\\\"1\"]\n";
    assert_eq!(text, expected);
}
