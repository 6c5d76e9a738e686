//! The store's file: created so that only its owner reads it, and opened with the settings the promises need.

use super::{failed, schema};
use crate::store::{Error, Kind, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a call waits for another process's write before it answers [`Kind::Unavailable`].
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a store for writing: makes folder and file where there are none, and upgrades an older version.
/// Gives the connection and the file's absolute path.
pub(super) fn open(file: &Path, steps: &[&str]) -> Result<(Connection, PathBuf)> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    create(&file).map_err(|e| {
        let text = format!("the store {} cannot be created: {e}", file.display());
        Error::new(Kind::Unusable, text)
    })?;
    // Some of what happens while a database is born answers "busy" at once, whatever the time-out is
    // (switching to a write-ahead log, for one): then two processes are at it, and the second goes again.
    let start = Instant::now();
    loop {
        match attempt(&file, steps) {
            Err(e) if e.kind == Kind::Unavailable && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            // Whatever else stops it will stop it again.
            Err(e) if e.kind != Kind::Unavailable => {
                return Err(Error::new(Kind::Unusable, e.message));
            }
            result => return result.map(|conn| (conn, file)),
        }
    }
}

fn attempt(file: &Path, steps: &[&str]) -> Result<Connection> {
    let unusable = |e: rusqlite::Error| match e.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            let text = format!("{} is not a database", file.display());
            Error::new(Kind::Unusable, text)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let text = format!("{} is locked by another program", file.display());
            Error::new(Kind::Unavailable, text)
        }
        Some(ErrorCode::ReadOnly) => {
            let text = format!(
                "the store {} cannot be written: the file and its folder must be writable for this user",
                file.display()
            );
            Error::new(Kind::Unusable, text)
        }
        Some(ErrorCode::CannotOpen) if let Err(e) = OpenOptions::new().read(true).write(true).open(file) => {
            Error::new(Kind::Unusable, format!("the store {} cannot be opened: {e}", file.display()))
        }
        _ => Error::new(Kind::Unusable, format!("the store {} cannot be opened: {e}", file.display())),
    };
    let conn = connect(file).map_err(unusable)?;
    // Reading anything is what finds out whether this is a database at all.
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(unusable)?;
    schema::look(&conn, file, steps)?;
    if conn.is_readonly("main").map_err(unusable)? {
        let text = format!("the store {} cannot be written: permission denied", file.display());
        return Err(Error::new(Kind::Unusable, text));
    }
    // Takes effect only in a database that is still empty.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(unusable)?;
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(unusable)?;
    if mode != "wal" {
        let text = format!(
            "the file system of {} cannot hold the store: it lacks shared memory for a write-ahead log",
            file.display()
        );
        return Err(Error::new(Kind::Unusable, text));
    }
    schema::prepare(&conn, file, steps, || connect(file).map_err(|e| failed("could not be opened", e)))?;
    Ok(conn)
}

/// A connection with the settings that every one of ours has.
///
/// `synchronous = FULL` is what "durable" rests on: the write-ahead log is synced before a commit answers.
/// `secure_delete` overwrites what is deleted; `temp_store` keeps sorting and statement journals off the disk.
pub(super) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    conn.busy_timeout(PATIENCE)?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    Ok(conn)
}

/// Makes the folder (for us alone) and an empty file (for us alone); SQLite gives its other files the
/// same permissions. Both are synced into their folders: a power cut must not take the name away.
fn create(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent()
        && fs::symlink_metadata(folder).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
    {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        sync_folder(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => sync_folder(file),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes the names in the folder of `path` durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
