use aqueduct_avro::Level;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::schemas::Sent;
use crate::error::StartError;

/// One change of the registry: a line of its file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(super) enum Change {
    Register {
        subject: String,
        version: u32,
        id: u32,
        sent: Sent,
    },
    Delete {
        subject: String,
        version: u32,
        permanent: bool,
    },
    /// Without a subject: of the registry. Without a level: the subject's own is dropped.
    Level {
        subject: Option<String>,
        level: Option<Level>,
    },
}

/// The file of changes. A change counts once its line is complete and on disk.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    end: u64,
}

impl Journal {
    /// Opens or creates the file and gives every change in it, in order, to `apply`. A last line that was cut off in
    /// the middle was never acknowledged and is dropped.
    pub(super) fn open(path: &Path, mut apply: impl FnMut(Change)) -> Result<Self, StartError> {
        let file = File::options().create(true).read(true).write(true).truncate(false).open(path);
        let file = file.map_err(StartError::io("open", path))?;
        let mut reader = BufReader::new(&file);
        let mut end = 0;
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(StartError::io("read", path))?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let change = serde_json::from_slice(&line).map_err(|error| StartError::Registry {
                path: path.to_owned(),
                line: number,
                reason: error.to_string(),
            })?;
            apply(change);
            end += length as u64;
        }
        let mut journal = Self { file, end };
        journal.rewind_to_end().map_err(StartError::io("write", path))?;
        Ok(journal)
    }

    pub(super) fn append(&mut self, change: &Change) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(change)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.rewind_to_end()?;
            return Err(error);
        }
        self.end += line.len() as u64;
        Ok(())
    }

    /// Truncates the file after the last complete change.
    fn rewind_to_end(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        Ok(())
    }
}
