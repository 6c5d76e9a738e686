//! The embedded store: one SQLite file with a write-ahead log, one thread that writes, a few that read.
//!
//! Why SQLite: the most trusted embedded store there is, one file that people can copy and look into, several
//! processes at once, and an append that costs 10 to 20 % more CPU than a plain file under `fdatasync`. What is
//! not done here: no second file of our own for the log, which would need its own recovery and its own order
//! relative to the checkpoint. The tables are described in `schema.rs`, the promises in `store/mod.rs`.
//!
//! A read takes a connection of its own and sees one moment; it neither waits for the writer nor holds it up.

mod file;
mod readers;
mod rows;
mod schema;
mod writer;

use super::{Checkpoint, Error, Kind, LogRead, Position, Put, Result, Setting, Store, StoredRollup, Unit};
use async_trait::async_trait;
use passerby_engine::event::{Day, SiteId};
use passerby_engine::rollup::Dim;
use readers::Readers;
use rows::{all, changes_caches, dim, load, next_revision, put, read_log, rollups, setting, signed, trim};
use rusqlite::{ErrorCode, OptionalExtension, params};
use std::ops::RangeInclusive;
use std::path::Path;
use writer::{Failure, Handle, Writer};

type Steps = &'static [&'static str];

/// At most so many rows are erased in one transaction, so that appends go on in between.
const ERASED_AT_ONCE: i64 = 64;

/// A store in one SQLite file. Any number may be open on one file, in any number of processes.
pub struct Sqlite {
    // Before the writer: the last connection to close is the one that removes the write-ahead log.
    readers: Readers,
    writer: Handle,
}

impl Sqlite {
    /// Opens the file, creating or upgrading it; blocks for as long as that takes.
    ///
    /// # Errors
    /// [`Kind::Unusable`] when it can never work, with a line for people; [`Kind::Unavailable`] when another
    /// process kept it locked for five seconds.
    pub fn open(file: &Path) -> Result<Sqlite> {
        Sqlite::open_with(file, schema::STEPS)
    }

    fn open_with(file: &Path, steps: Steps) -> Result<Sqlite> {
        let (conn, file) = file::open(file, steps)?;
        let readers = Readers::new(file.clone(), steps);
        let writer = Handle::start(conn, file, steps)
            .map_err(|e| Error::new(Kind::Unavailable, format!("the store's thread cannot start: {e}")))?;
        Ok(Sqlite { readers, writer })
    }

    /// Erases rows a few at a time until none are left, and says how many there were. `sql` takes as its
    /// last parameter how many at once.
    async fn erase(&self, sql: &'static str, keys: Vec<i64>) -> Result<usize> {
        let mut all = 0;
        loop {
            let keys = keys.clone();
            let erased = self.writer.write("could not erase", move |conn| {
                let keys = keys.into_iter().chain([ERASED_AT_ONCE]);
                Ok(conn.prepare_cached(sql)?.execute(rusqlite::params_from_iter(keys))?)
            });
            match erased.await? {
                0 => return Ok(all),
                some => all += some,
            }
        }
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn append(&self, flush: Vec<u8>) -> Result<Position> {
        self.writer.append(flush).await
    }

    async fn read_log(&self, after: Position, max_bytes: usize) -> Result<LogRead> {
        self.readers.read("could not read the log", move |conn| read_log(conn, after, max_bytes)).await
    }

    async fn load(&self) -> Result<Checkpoint> {
        self.readers.read("could not read the checkpoint", load).await
    }

    async fn checkpoint(&self, expected: Position, next: Position, puts: Vec<Put>) -> Result<()> {
        self.writer
            .write("could not checkpoint", move |conn| {
                let moved = conn
                    .prepare_cached("UPDATE meta SET watermark = ?2 WHERE watermark = ?1")?
                    .execute([signed(expected), signed(next)])?;
                if moved == 0 {
                    return Err(conflict("another process has moved the watermark"));
                }
                // A live count changes no setting and no unit: caches stay.
                if puts.iter().any(changes_caches) {
                    next_revision(conn)?;
                }
                puts.iter().try_for_each(|change| put(conn, change)).map_err(Failure::Sqlite)
            })
            .await
    }

    async fn trim(&self, through: Position) -> Result<()> {
        self.writer.write("could not trim the log", move |conn| Ok(trim(conn, through)?)).await
    }

    async fn rollups(
        &self,
        site: SiteId,
        dims: &[Dim],
        days: RangeInclusive<Day>,
    ) -> Result<Vec<StoredRollup>> {
        let mut dims = dims.to_vec();
        dims.sort();
        dims.dedup();
        self.readers
            .read("could not read rollups", move |conn| {
                let mut found = Vec::new();
                for dim in dims {
                    rollups(conn, site, dim, &days, &mut found)?;
                }
                found.sort_by_key(|row| (row.dim, row.day, row.unit));
                Ok(found)
            })
            .await
    }

    async fn days(&self, site: SiteId) -> Result<Option<(Day, Day)>> {
        self.readers
            .read("could not read the days", move |conn| {
                // Two seeks a dimension; one question over all of them would walk through every row.
                let mut ends = conn.prepare_cached(
                    "SELECT (SELECT min(day) FROM rollups WHERE site = ?1 AND dim = ?2),
                            (SELECT max(day) FROM rollups WHERE site = ?1 AND dim = ?2)",
                )?;
                let mut found: Option<(Day, Day)> = None;
                for row in &Dim::TABLE {
                    let range: (Option<i32>, Option<i32>) = ends
                        .query_row(params![site.0 as i64, row.dim as u8], |row| {
                            Ok((row.get(0)?, row.get(1)?))
                        })?;
                    if let (Some(first), Some(last)) = range {
                        let (a, z) = found.unwrap_or((Day(first), Day(last)));
                        found = Some((a.min(Day(first)), z.max(Day(last))));
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn segments(
        &self,
        site: SiteId,
        unit: Unit,
        days: RangeInclusive<Day>,
    ) -> Result<Vec<(Day, u32, Vec<u8>)>> {
        self.readers
            .read("could not read segments", move |conn| {
                all(
                    conn,
                    "SELECT day, part, bytes FROM segments
                     WHERE site = ?1 AND unit = ?2 AND day BETWEEN ?3 AND ?4 ORDER BY day, part",
                    params![site.0 as i64, unit as i64, days.start().0, days.end().0],
                    |row| Ok((Day(row.get(0)?), row.get(1)?, row.get(2)?)),
                )
            })
            .await
    }

    async fn unit_rows(&self, site: SiteId, unit: Unit) -> Result<(Vec<(Day, Dim)>, Vec<(Day, u32)>)> {
        self.readers
            .read("could not read an import's rows", move |conn| {
                let key = params![site.0 as i64, unit as i64];
                let rollups = all(
                    conn,
                    "SELECT day, dim FROM rollups WHERE site = ?1 AND unit = ?2 ORDER BY day, dim",
                    key,
                    |row| Ok((Day(row.get(0)?), dim(row, 1)?)),
                )?;
                let segments = all(
                    conn,
                    "SELECT day, part FROM segments WHERE site = ?1 AND unit = ?2 ORDER BY day, part",
                    key,
                    |row| Ok((Day(row.get(0)?), row.get(1)?)),
                )?;
                Ok((rollups, segments))
            })
            .await
    }

    async fn setting(&self, key: &str) -> Result<Option<Setting>> {
        let key = key.to_owned();
        self.readers
            .read("could not read a setting", move |conn| {
                let sql = "SELECT key, value, revision FROM settings WHERE key = ?1";
                conn.prepare_cached(sql)?.query_row([key], setting).optional()
            })
            .await
    }

    async fn settings(&self, prefix: &str) -> Result<Vec<Setting>> {
        let prefix = prefix.to_owned();
        self.readers
            .read("could not read settings", move |conn| {
                let sql = "SELECT key, value, revision FROM settings WHERE key >= ?1 ORDER BY key";
                let mut rows = conn.prepare_cached(sql)?;
                let rows = rows.query_map([&prefix], setting)?;
                // Keys are in the order of their bytes, so those with the prefix come first.
                let ours = |row: &rusqlite::Result<Setting>| {
                    row.as_ref().map_or(true, |s| s.key.starts_with(&prefix))
                };
                rows.take_while(ours).collect()
            })
            .await
    }

    async fn put_setting(&self, key: &str, expected: u64, value: Option<Vec<u8>>) -> Result<()> {
        let key = key.to_owned();
        self.writer
            .write("could not change a setting", move |conn| {
                let revision: Option<i64> = conn
                    .prepare_cached("SELECT revision FROM settings WHERE key = ?1")?
                    .query_row([&key], |row| row.get(0))
                    .optional()?;
                if revision.unwrap_or(0) != signed(expected) {
                    return Err(conflict("another process has changed this setting"));
                }
                next_revision(conn)?;
                Ok(put(conn, &Put::Setting { key, value })?)
            })
            .await
    }

    async fn revision(&self) -> Result<u64> {
        self.readers
            .read("could not read the revision", |conn| {
                let revision: i64 =
                    conn.prepare_cached("SELECT revision FROM meta")?.query_row([], |row| row.get(0))?;
                Ok(revision as u64)
            })
            .await
    }

    async fn forget_segments(&self, site: SiteId, before: Day) -> Result<()> {
        let sql = "DELETE FROM segments WHERE (site, unit, day, part) IN
            (SELECT site, unit, day, part FROM segments WHERE site = ?1 AND day < ?2 LIMIT ?3)";
        let keys = vec![site.0 as i64, i64::from(before.0)];
        if self.erase(sql, keys).await? == 0 {
            return Ok(());
        }
        // A reader in the way costs nothing but the promptness: the write-ahead log is overwritten in time.
        match self.writer.run(Writer::wipe).await {
            Err(e) if e.kind == Kind::Unavailable => Ok(()),
            done => done,
        }
    }

    async fn erase_site(&self, site: SiteId) -> Result<()> {
        let key = vec![site.0 as i64];
        let segments = "DELETE FROM segments WHERE (site, unit, day, part) IN
            (SELECT site, unit, day, part FROM segments WHERE site = ?1 LIMIT ?2)";
        let rollups = "DELETE FROM rollups WHERE (site, dim, day, unit) IN
            (SELECT site, dim, day, unit FROM rollups WHERE site = ?1 LIMIT ?2)";
        self.erase(segments, key.clone()).await?;
        self.erase(rollups, key).await?;
        let rest = self.writer.write("could not erase a site", move |conn| {
            conn.execute("DELETE FROM states WHERE site = ?1", [site.0 as i64])?;
            conn.execute("DELETE FROM daily WHERE site = ?1", [site.to_string()])?;
            next_revision(conn)?;
            Ok(trim(conn, Position::MAX)?)
        });
        rest.await?;
        self.writer.run(Writer::rebuild).await
    }

    async fn close(&self) -> Result<()> {
        self.readers.close();
        self.writer.close().await
    }
}

fn conflict(text: &str) -> Failure {
    Failure::Said(Error::new(Kind::Conflict, text))
}

/// What an error of SQLite means to a caller. Its texts hold no row's data.
fn failed(what: &str, e: rusqlite::Error) -> Error {
    use ErrorCode as Code;
    let kind = match e.sqlite_error_code() {
        Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed) => {
            Kind::Unavailable
        }
        Some(Code::DiskFull | Code::SystemIoFailure | Code::CannotOpen | Code::OutOfMemory) => {
            Kind::Unavailable
        }
        Some(Code::OperationInterrupted | Code::OperationAborted | Code::SchemaChanged) => Kind::Unavailable,
        Some(Code::ReadOnly | Code::PermissionDenied | Code::TooBig) => Kind::Unusable,
        // Damaged pages; but also a table that is missing, a column of the wrong type, a number out of range.
        _ => Kind::Corrupt,
    };
    Error::new(kind, format!("the store {what}: {e}"))
}

#[cfg(test)]
mod tests;
