//! See the library.

fn main() -> std::process::ExitCode {
    aqueduct_cli::main()
}
