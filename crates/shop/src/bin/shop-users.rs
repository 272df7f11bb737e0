//! The users service by itself: what `aqueduct shop users` runs.

fn main() -> std::process::ExitCode {
    aqueduct_shop::process::users()
}
