//! Under which subject a schema is registered.

use schema_registry_converter::schema_registry_common::SubjectNameStrategy;

/// Subject by topic and record name: `shop.orders-shop.orders.OrderCreated`.
pub(crate) fn subject(topic: &str, full_name: &str) -> String {
    let strategy = SubjectNameStrategy::TopicRecordNameStrategy(topic.to_owned(), full_name.to_owned());
    // Only the strategies that carry a schema can fail.
    strategy.get_subject().unwrap_or_else(|_| format!("{topic}-{full_name}"))
}
