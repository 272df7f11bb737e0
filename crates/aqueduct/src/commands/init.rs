//! `init`: a directory to begin with.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Write a commented aqueduct.toml, an example schema and a .gitignore; existing files are kept
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The directory; it is created if it does not exist
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

const CONFIGURATION: &str = include_str!("init/aqueduct.toml");
const SCHEMA: &str = include_str!("init/v1.avsc");
const POLICY: &str = include_str!("init/policy.toml");
const GIT_IGNORE: &str = include_str!("init/gitignore");

/// `app` becomes the prefix of what the system creates on a cluster.
#[expect(clippy::print_stdout, reason = "which files were written is the command's output")]
pub(super) fn run(arguments: &Arguments, app: &str) -> Result<(), Failure> {
    let directory = &arguments.directory;
    for (name, text) in [
        ("aqueduct.toml", CONFIGURATION.replace("{app}", app)),
        ("schemas/example/ExamplePlaced/v1.avsc", SCHEMA.to_owned()),
        ("schemas/policy.toml", POLICY.replace("{app}", app)),
        (".gitignore", GIT_IGNORE.to_owned()),
    ] {
        let path = directory.join(name);
        let written = write_new(&path, &text)
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
        match written {
            FileOutcome::New => println!("wrote {}", path.display()),
            FileOutcome::Kept => println!("kept {}, which exists", path.display()),
        }
    }
    Ok(())
}

/// What became of a file.
enum FileOutcome {
    New,
    /// It exists, and its content was not changed.
    Kept,
}

/// Writes a file, and its folder, if it does not exist.
fn write_new(path: &Path, text: &str) -> std::io::Result<FileOutcome> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| FileOutcome::New),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(FileOutcome::Kept),
        Err(error) => Err(error),
    }
}
