//! The committed Rust types are those of the schema files.

use std::path::Path;

use aqueduct_schema::{SchemaSet, generate};

#[test]
fn the_committed_types_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let set = SchemaSet::load(root.join("schemas")).unwrap();
    let expected = generate(&set).unwrap();
    let path = root.join("crates/shop/src/events/generated.rs");
    let committed = std::fs::read_to_string(&path).unwrap();
    // Line by line, so that the failure shows the first difference and not two files.
    for (n, (committed, expected)) in committed.lines().zip(expected.lines()).enumerate() {
        assert_eq!(committed, expected, "line {}: run `aqueduct schemas generate`", n + 1);
    }
    assert_eq!(committed.len(), expected.len(), "run `aqueduct schemas generate`");
}
