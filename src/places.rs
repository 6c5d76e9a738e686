//! The place database's file: read at the start, and again when it has been replaced.

use anyhow::{Context, Result, anyhow};
use passerby_engine::place::Tables;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// What tells one version of a file from the next: when it was written, and how long it is.
type Mark = (SystemTime, u64);

/// A database's file, and which version of it was read last.
pub struct PlaceFile {
    file: PathBuf,
    /// Guards the version; held for a look or a change.
    read: Mutex<Mark>,
}

impl PlaceFile {
    /// Reads the file for the first time.
    pub fn open(file: PathBuf) -> Result<(PlaceFile, Tables)> {
        let (mark, tables) = read(&file)?;
        Ok((PlaceFile { file, read: Mutex::new(mark) }, tables))
    }

    /// Reads it again if it is another than the one read last. Blocks. A version that cannot be read is an
    /// error once, and the one before stays in use.
    pub fn read_if_new(&self) -> Result<Option<Tables>> {
        // While a file is being replaced there may be none for a moment.
        let Ok(mark) = mark(&self.file) else {
            return Ok(None);
        };
        {
            let mut last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if *last == mark {
                return Ok(None);
            }
            *last = mark;
        }
        Ok(Some(read(&self.file)?.1))
    }
}

fn mark(file: &Path) -> std::io::Result<Mark> {
    let about = std::fs::metadata(file)?;
    Ok((about.modified()?, about.len()))
}

fn read(file: &Path) -> Result<(Mark, Tables)> {
    let name = file.display();
    // The mark first: a file that changes while it is read is read again.
    let mark = mark(file).with_context(|| format!("the place database {name} cannot be read"))?;
    let bytes = std::fs::read(file).with_context(|| format!("the place database {name} cannot be read"))?;
    let tables = Tables::with_database(bytes).map_err(|why| anyhow!("the place database {name}: {why}"))?;
    Ok((mark, tables))
}
