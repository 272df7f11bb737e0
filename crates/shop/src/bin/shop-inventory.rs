//! The inventory service by itself: what `aqueduct shop inventory` runs.

fn main() -> std::process::ExitCode {
    aqueduct_shop::process::inventory()
}
