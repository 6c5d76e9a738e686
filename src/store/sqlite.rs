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
mod schema;
mod writer;

use super::{
    Checkpoint, Error, Kind, LIVE, LogRead, Position, Put, Result, Setting, Store, StoredRollup,
    Unit,
};
use async_trait::async_trait;
use passerby_engine::event::{Day, SiteId};
use passerby_engine::rollup::{Counts, Dim};
use readers::Readers;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
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
        let writer = Handle::start(conn, file, steps).map_err(|e| {
            Error::new(
                Kind::Unavailable,
                format!("the store's thread cannot start: {e}"),
            )
        })?;
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
                Ok(conn
                    .prepare_cached(sql)?
                    .execute(rusqlite::params_from_iter(keys))?)
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
        self.readers
            .read("could not read the log", move |conn| {
                read_log(conn, after, max_bytes)
            })
            .await
    }

    async fn load(&self) -> Result<Checkpoint> {
        self.readers
            .read("could not read the checkpoint", load)
            .await
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
                puts.iter()
                    .try_for_each(|change| put(conn, change))
                    .map_err(Failure::Sqlite)
            })
            .await
    }

    async fn trim(&self, through: Position) -> Result<()> {
        self.writer
            .write("could not trim the log", move |conn| {
                Ok(trim(conn, through)?)
            })
            .await
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

    async fn unit_rows(
        &self,
        site: SiteId,
        unit: Unit,
    ) -> Result<(Vec<(Day, Dim)>, Vec<(Day, u32)>)> {
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
                conn.prepare_cached(sql)?
                    .query_row([key], setting)
                    .optional()
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
                let revision: i64 = conn
                    .prepare_cached("SELECT revision FROM meta")?
                    .query_row([], |row| row.get(0))?;
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

/// Positions are given by us, one after the other; a greater one than SQLite's greatest is "after all".
fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn conflict(text: &str) -> Failure {
    Failure::Said(Error::new(Kind::Conflict, text))
}

fn changes_caches(put: &Put) -> bool {
    match put {
        Put::Setting { .. } => true,
        Put::Rollup { unit, .. } | Put::Segment { unit, .. } | Put::Daily { unit, .. } => {
            *unit != LIVE
        }
        Put::State { .. } | Put::Batches { .. } => false,
    }
}

fn next_revision(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE meta SET revision = revision + 1")?
        .execute([])?;
    Ok(())
}

fn trim(conn: &Connection, through: Position) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE meta SET trimmed = max(trimmed, min(?1, watermark))")?
        .execute([signed(through)])?;
    conn.prepare_cached("DELETE FROM tail WHERE position <= (SELECT trimmed FROM meta)")?
        .execute([])?;
    Ok(())
}

fn read_log(conn: &Connection, after: Position, max_bytes: usize) -> rusqlite::Result<LogRead> {
    let trimmed: i64 = conn
        .prepare_cached("SELECT trimmed FROM meta")?
        .query_row([], |row| row.get(0))?;
    let mut read = LogRead {
        trimmed: trimmed as Position,
        ..LogRead::default()
    };
    let mut bytes = 0;
    let mut statement = conn
        .prepare_cached("SELECT position, bytes FROM tail WHERE position > ?1 ORDER BY position")?;
    let mut rows = statement.query([signed(after)])?;
    while let Some(row) = rows.next()? {
        let flush = row.get_ref(1)?.as_blob()?;
        if !read.flushes.is_empty() && bytes + flush.len() > max_bytes {
            read.more = true;
            break;
        }
        bytes += flush.len();
        read.flushes
            .push((row.get::<_, i64>(0)? as Position, flush.to_vec()));
    }
    Ok(read)
}

fn load(conn: &Connection) -> rusqlite::Result<Checkpoint> {
    let watermark: i64 = conn
        .prepare_cached("SELECT watermark FROM meta")?
        .query_row([], |row| row.get(0))?;
    Ok(Checkpoint {
        watermark: watermark as Position,
        states: all(
            conn,
            "SELECT site, day, bytes FROM states ORDER BY site, day",
            [],
            |row| {
                Ok((
                    SiteId(row.get::<_, i64>(0)? as u64),
                    Day(row.get(1)?),
                    row.get(2)?,
                ))
            },
        )?,
        batches: all(
            conn,
            "SELECT chunk, bytes FROM batches ORDER BY chunk",
            [],
            |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)),
        )?,
    })
}

fn rollups(
    conn: &Connection,
    site: SiteId,
    dim: Dim,
    days: &RangeInclusive<Day>,
    found: &mut Vec<StoredRollup>,
) -> rusqlite::Result<()> {
    let sql = "SELECT day, unit, bytes FROM rollups WHERE site = ?1 AND dim = ?2 AND day BETWEEN ?3 AND ?4";
    let mut rows = conn.prepare_cached(sql)?;
    let rows = rows.query_map(
        params![site.0 as i64, dim as u8, days.start().0, days.end().0],
        |row| {
            Ok(StoredRollup {
                day: Day(row.get(0)?),
                unit: row.get::<_, i64>(1)? as Unit,
                dim,
                bytes: row.get(2)?,
            })
        },
    )?;
    for row in rows {
        found.push(row?);
    }
    Ok(())
}

/// Carries out one change, within the caller's transaction.
fn put(conn: &Connection, change: &Put) -> rusqlite::Result<()> {
    let run =
        |sql: &str, values: &[&dyn rusqlite::ToSql]| conn.prepare_cached(sql)?.execute(values);
    let changed = match change {
        Put::State {
            site,
            day,
            bytes: Some(bytes),
        } => run(
            "INSERT INTO states VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            params![site.0 as i64, day.0, bytes],
        ),
        Put::State {
            site,
            day,
            bytes: None,
        } => run(
            "DELETE FROM states WHERE site = ?1 AND day = ?2",
            params![site.0 as i64, day.0],
        ),
        Put::Batches {
            chunk,
            bytes: Some(bytes),
        } => run(
            "INSERT INTO batches VALUES (?1, ?2) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            params![*chunk as i64, bytes],
        ),
        Put::Batches { chunk, bytes: None } => run(
            "DELETE FROM batches WHERE chunk = ?1",
            params![*chunk as i64],
        ),
        Put::Rollup {
            site,
            unit,
            day,
            dim,
            bytes: Some(bytes),
        } => run(
            "INSERT INTO rollups VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            params![site.0 as i64, *dim as u8, day.0, *unit as i64, bytes],
        ),
        Put::Rollup {
            site,
            unit,
            day,
            dim,
            bytes: None,
        } => run(
            "DELETE FROM rollups WHERE site = ?1 AND dim = ?2 AND day = ?3 AND unit = ?4",
            params![site.0 as i64, *dim as u8, day.0, *unit as i64],
        ),
        Put::Segment {
            site,
            unit,
            day,
            part,
            bytes: Some(bytes),
        } => run(
            "INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            params![site.0 as i64, *unit as i64, day.0, part, bytes],
        ),
        Put::Segment {
            site,
            unit,
            day,
            part,
            bytes: None,
        } => run(
            "DELETE FROM segments WHERE site = ?1 AND unit = ?2 AND day = ?3 AND part = ?4",
            params![site.0 as i64, *unit as i64, day.0, part],
        ),
        Put::Daily {
            site,
            unit,
            day,
            totals: Some(totals),
        } => {
            let Counts {
                visitors,
                visits,
                pageviews,
                events,
                engaged,
                duration_s,
                loose,
            } = totals;
            run(
                "INSERT OR REPLACE INTO daily VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    site.to_string(),
                    day.to_string(),
                    import(*unit),
                    visitors,
                    visits,
                    pageviews,
                    events,
                    engaged,
                    duration_s,
                    loose
                ],
            )
        }
        Put::Daily {
            site,
            unit,
            day,
            totals: None,
        } => run(
            "DELETE FROM daily WHERE site = ?1 AND day = ?2 AND import = ?3",
            params![site.to_string(), day.to_string(), import(*unit)],
        ),
        Put::Setting {
            key,
            value: Some(value),
        } => run(
            "INSERT INTO settings VALUES (?1, ?2, (SELECT revision FROM meta))
             ON CONFLICT DO UPDATE SET value = excluded.value, revision = excluded.revision",
            params![key, value],
        ),
        Put::Setting { key, value: None } => {
            run("DELETE FROM settings WHERE key = ?1", params![key])
        }
    };
    changed.map(|_| ())
}

/// A unit as people read it in `daily`.
fn import(unit: Unit) -> String {
    if unit == LIVE {
        String::new()
    } else {
        format!("{unit:016x}")
    }
}

fn setting(row: &Row) -> rusqlite::Result<Setting> {
    Ok(Setting {
        key: row.get(0)?,
        value: row.get(1)?,
        revision: row.get::<_, i64>(2)? as u64,
    })
}

fn dim(row: &Row, column: usize) -> rusqlite::Result<Dim> {
    let number: u8 = row.get(column)?;
    Dim::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(
        column,
        i64::from(number),
    ))
}

fn all<T>(
    conn: &Connection,
    sql: &str,
    keys: impl rusqlite::Params,
    read: impl FnMut(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(keys, read)?.collect()
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
        Some(Code::OperationInterrupted | Code::OperationAborted | Code::SchemaChanged) => {
            Kind::Unavailable
        }
        Some(Code::ReadOnly | Code::PermissionDenied | Code::TooBig) => Kind::Unusable,
        // Damaged pages; but also a table that is missing, a column of the wrong type, a number out of range.
        _ => Kind::Corrupt,
    };
    Error::new(kind, format!("the store {what}: {e}"))
}

#[cfg(test)]
mod tests;
