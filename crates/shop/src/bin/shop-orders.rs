//! The orders service by itself: what `aqueduct shop orders` runs.

fn main() -> std::process::ExitCode {
    aqueduct_shop::process::orders()
}
