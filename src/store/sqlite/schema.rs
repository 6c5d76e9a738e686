//! The tables, and how an older store becomes one of today's.
//!
//! A store's version is SQLite's `user_version`: how many of [`STEPS`] have been done. A new store does them
//! all, an older one those it lacks, after a copy, so there is one way to today's tables and no second
//! description of them to drift. All steps run in one transaction: a kill leaves the old version or the new.

use super::failed;
use crate::store::{Error, Kind, Result};
use rusqlite::{Connection, OptionalExtension};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Marks a database as ours, in its header: "Psby".
const APPLICATION: i32 = 0x5073_6279;

/// Step n leads from version n to version n + 1. Never edit a step that was released: add one.
///
/// A site's id and a unit are 64-bit numbers whose bits SQLite keeps as signed; a day counts from
/// 1970-01-01. `daily` alone is for people: ids in hex, days as text, `import` empty for live counts.
/// Rollups lie in the order in which a report reads them: a range of days of one dimension is one scan.
pub(super) const STEPS: &[&str] = &["
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        watermark INTEGER NOT NULL,
        trimmed INTEGER NOT NULL,
        revision INTEGER NOT NULL
    );
    INSERT INTO meta VALUES (1, 0, 0, 0);
    CREATE TABLE tail (
        position INTEGER PRIMARY KEY,
        bytes BLOB NOT NULL
    );
    CREATE TABLE states (
        site INTEGER NOT NULL,
        day INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (site, day)
    ) WITHOUT ROWID;
    CREATE TABLE batches (
        chunk INTEGER PRIMARY KEY,
        bytes BLOB NOT NULL
    );
    CREATE TABLE rollups (
        site INTEGER NOT NULL,
        dim INTEGER NOT NULL,
        day INTEGER NOT NULL,
        unit INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (site, dim, day, unit)
    ) WITHOUT ROWID;
    CREATE TABLE segments (
        site INTEGER NOT NULL,
        unit INTEGER NOT NULL,
        day INTEGER NOT NULL,
        part INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (site, unit, day, part)
    ) WITHOUT ROWID;
    CREATE TABLE settings (
        key TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        revision INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE daily (
        site TEXT NOT NULL,
        day TEXT NOT NULL,
        import TEXT NOT NULL,
        visitors INTEGER NOT NULL,
        visits INTEGER NOT NULL,
        pageviews INTEGER NOT NULL,
        events INTEGER NOT NULL,
        engaged INTEGER NOT NULL,
        duration_s INTEGER NOT NULL,
        loose INTEGER NOT NULL,
        PRIMARY KEY (site, day, import)
    ) WITHOUT ROWID;
"];

/// What a database is, before anything is written to it.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// Empty: nobody's yet.
    New,
    /// Ours, of this version.
    Version(usize),
}

/// Looks at a database's header. Another program's, or a newer version's, is [`Kind::Unusable`].
pub(super) fn look(conn: &Connection, file: &Path, steps: &[&str]) -> Result<Found> {
    let read = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let header = || -> rusqlite::Result<(i64, i64, i64)> {
        let tables = read("SELECT count(*) FROM sqlite_schema")?;
        Ok((read("PRAGMA application_id")?, read("PRAGMA user_version")?, tables))
    };
    let (application, version, tables) = header().map_err(|e| failed("could not be read", e))?;
    let known = steps.len() as i64;
    match (application, version, tables) {
        (0, 0, 0) => Ok(Found::New),
        (a, v, _) if a == i64::from(APPLICATION) && (1..=known).contains(&v) => {
            Ok(Found::Version(v as usize))
        }
        (a, v, _) if a == i64::from(APPLICATION) && v > known => Err(Error::new(
            Kind::Unusable,
            format!(
                "{} was written by a newer Passerby (its version is {v}, this program knows up to {known}): please run that one",
                file.display()
            ),
        )),
        _ => Err(Error::new(Kind::Unusable, format!("{} is a database of another program", file.display()))),
    }
}

/// Brings a database that [`look`] accepted to today's version. `other` opens a further connection to it.
pub(super) fn prepare(
    conn: &Connection,
    file: &Path,
    steps: &[&str],
    other: impl Fn() -> Result<Connection>,
) -> Result<()> {
    if look(conn, file, steps)? == Found::Version(steps.len()) {
        return Ok(());
    }
    let sql = |e| failed("could not be prepared", e);
    conn.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
    let done = (|| {
        // Only now, with the lock in hand, is it sure that no other process is doing the same.
        let version = match look(conn, file, steps)? {
            Found::New => 0,
            Found::Version(version) => version,
        };
        if version > 0 && version < steps.len() {
            copy(&other()?, file, version)?;
        }
        for step in steps.iter().skip(version) {
            conn.execute_batch(step).map_err(sql)?;
        }
        conn.pragma_update(None, "application_id", APPLICATION).map_err(sql)?;
        conn.pragma_update(None, "user_version", steps.len() as i64).map_err(sql)?;
        conn.execute_batch("COMMIT").map_err(sql)
    })();
    if done.is_err() && !conn.is_autocommit() {
        // The connection is given up by the caller; this only frees the lock a moment earlier.
        let _ = conn.execute_batch("ROLLBACK");
    }
    done
}

/// Where the copy of an older version is kept.
pub(super) fn backup_file(file: &Path, version: usize) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{name}.v{version}-backup"))
}

/// Copies the whole store beside itself. Under a name of its own until it is complete, so that a copy that
/// was cut off is never taken for one.
fn copy(reader: &Connection, file: &Path, version: usize) -> Result<()> {
    let to = backup_file(file, version);
    let mut part = to.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let io = |e: std::io::Error| {
        let text = format!("the copy before the upgrade could not be written to {}: {e}", to.display());
        Error::new(Kind::Unusable, text)
    };
    let _ = fs::remove_file(&part);
    // SQLite fills an empty file, but would make a new one readable by everybody.
    let empty = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(io)?;
    reader
        .execute("VACUUM INTO ?1", [part.to_string_lossy()])
        .map_err(|e| failed("could not be copied before the upgrade", e))?;
    empty.sync_all().map_err(io)?;
    fs::rename(&part, &to).map_err(io)?;
    super::file::sync_folder(&to).map_err(io)
}

/// Refuses to go on with a store that another process has upgraded meanwhile.
pub(super) fn still_ours(conn: &Connection, steps: usize) -> Result<()> {
    let mut version =
        conn.prepare_cached("PRAGMA user_version").map_err(|e| failed("could not be read", e))?;
    let version: Option<i64> =
        version.query_row([], |row| row.get(0)).optional().map_err(|e| failed("could not be read", e))?;
    if version == Some(steps as i64) {
        return Ok(());
    }
    let text = "the store was upgraded by a newer Passerby while this one ran: please start that one";
    Err(Error::new(Kind::Unusable, text))
}
