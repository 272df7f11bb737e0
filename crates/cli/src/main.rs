//! The product binary.
fn main() {}
