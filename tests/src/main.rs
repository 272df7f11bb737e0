//! The product binary, built for the tests of this package: cargo builds a package's binaries only for its
//! own tests, and a test must never run whatever happens to lie in the target directory.

fn main() -> std::process::ExitCode {
    aqueduct_cli::main()
}
