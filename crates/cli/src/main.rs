//! The binary `aqueduct`. Its App is in the library.

fn main() -> std::process::ExitCode {
    aqueduct_cli::main()
}
