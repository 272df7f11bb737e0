//! Avro schemas with versions: plain JSON to Avro and back, upcasting rules, the registry client.
