//! The real shop's file, and what it asks of the services.
//!
//! [`read`] parses the lines, [`Plan::make`] applies the rules (one for each line, see [`Rule`]), and
//! [`Feeder`] sends what comes of them to the services over HTTP.

mod feed;
mod line;
mod plan;
mod record;
mod rules;

use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

pub use feed::{Endpoints, FeedError, Feeder};
use flate2::read::MultiGzDecoder;
pub use line::{Line, Malformed, ReadError};
pub use plan::{Delivery, Month, Plan, Step};
pub use rules::Rule;

/// The file of orders cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be opened.
    #[error("{path} cannot be read: name the file of orders with --input")]
    Open {
        /// Path of the file of orders.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not a file of orders.
    #[error("{path}")]
    Read {
        /// Path of the file of orders.
        path: PathBuf,
        /// What is wrong where.
        source: ReadError,
    },
}

/// Reads a file of orders, compressed with gzip or not.
pub fn read(path: &Path) -> Result<Vec<Result<Line, Malformed>>, InputError> {
    let open = |source| InputError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(open)?;
    let mut magic = [0; 2];
    let compressed = file.read(&mut magic).map_err(open)? == magic.len() && magic == [0x1f, 0x8b];
    file.rewind().map_err(open)?;
    let file = BufReader::new(file);
    let lines = match compressed {
        true => line::read(BufReader::new(MultiGzDecoder::new(file))),
        false => line::read(file),
    };
    lines.map_err(|source| InputError::Read { path: path.to_owned(), source })
}
