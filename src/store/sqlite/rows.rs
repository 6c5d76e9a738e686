//! The statements: one function for each thing that is read or changed, each within its caller's transaction.

use crate::store::{Checkpoint, LIVE, LogRead, Position, Put, Setting, StoredRollup, Unit};
use passerby_engine::event::{Day, SiteId};
use passerby_engine::rollup::{Counts, Dim};
use rusqlite::{Connection, Row, params};
use std::ops::RangeInclusive;

/// Positions are given by us, one after the other; a greater one than SQLite's greatest is "after all".
pub(super) fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// Whether somebody who remembers settings or imports must look again.
pub(super) fn changes_caches(put: &Put) -> bool {
    match put {
        Put::Setting { .. } => true,
        Put::Rollup { unit, .. } | Put::Segment { unit, .. } | Put::Daily { unit, .. } => *unit != LIVE,
        Put::State { .. } | Put::Batches { .. } => false,
    }
}

pub(super) fn next_revision(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE meta SET revision = revision + 1")?.execute([])?;
    Ok(())
}

pub(super) fn trim(conn: &Connection, through: Position) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE meta SET trimmed = max(trimmed, min(?1, watermark))")?
        .execute([signed(through)])?;
    conn.prepare_cached("DELETE FROM tail WHERE position <= (SELECT trimmed FROM meta)")?.execute([])?;
    Ok(())
}

pub(super) fn read_log(conn: &Connection, after: Position, max_bytes: usize) -> rusqlite::Result<LogRead> {
    let meta = "SELECT trimmed, watermark FROM meta";
    let (trimmed, watermark): (i64, i64) =
        conn.prepare_cached(meta)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (trimmed, watermark) = (trimmed as Position, watermark as Position);
    let mut read = LogRead { trimmed, watermark, ..LogRead::default() };
    let mut bytes = 0;
    let mut statement =
        conn.prepare_cached("SELECT position, bytes FROM tail WHERE position > ?1 ORDER BY position")?;
    let mut rows = statement.query([signed(after)])?;
    while let Some(row) = rows.next()? {
        let flush = row.get_ref(1)?.as_blob()?;
        if !read.flushes.is_empty() && bytes + flush.len() > max_bytes {
            read.more = true;
            break;
        }
        bytes += flush.len();
        read.flushes.push((row.get::<_, i64>(0)? as Position, flush.to_vec()));
    }
    Ok(read)
}

pub(super) fn load(conn: &Connection) -> rusqlite::Result<Checkpoint> {
    let watermark: i64 =
        conn.prepare_cached("SELECT watermark FROM meta")?.query_row([], |row| row.get(0))?;
    Ok(Checkpoint {
        watermark: watermark as Position,
        states: all(conn, "SELECT site, day, bytes FROM states ORDER BY site, day", [], |row| {
            Ok((SiteId(row.get::<_, i64>(0)? as u64), Day(row.get(1)?), row.get(2)?))
        })?,
        batches: all(conn, "SELECT chunk, bytes FROM batches ORDER BY chunk", [], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
        })?,
    })
}

pub(super) fn rollups(
    conn: &Connection,
    site: SiteId,
    dim: Dim,
    days: &RangeInclusive<Day>,
    found: &mut Vec<StoredRollup>,
) -> rusqlite::Result<()> {
    let sql = "SELECT day, unit, bytes FROM rollups WHERE site = ?1 AND dim = ?2 AND day BETWEEN ?3 AND ?4";
    let mut rows = conn.prepare_cached(sql)?;
    let rows = rows.query_map(params![site.0 as i64, dim as u8, days.start().0, days.end().0], |row| {
        Ok(StoredRollup {
            day: Day(row.get(0)?),
            unit: row.get::<_, i64>(1)? as Unit,
            dim,
            bytes: row.get(2)?,
        })
    })?;
    for row in rows {
        found.push(row?);
    }
    Ok(())
}

/// Carries out one change, within the caller's transaction.
pub(super) fn put(conn: &Connection, change: &Put) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| conn.prepare_cached(sql)?.execute(values);
    let changed = match change {
        Put::State { site, day, bytes: Some(bytes) } => run(
            "INSERT INTO states VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            params![site.0 as i64, day.0, bytes],
        ),
        Put::State { site, day, bytes: None } => {
            run("DELETE FROM states WHERE site = ?1 AND day = ?2", params![site.0 as i64, day.0])
        }
        Put::Batches { chunk, bytes: Some(bytes) } => run(
            "INSERT INTO batches VALUES (?1, ?2) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            params![*chunk as i64, bytes],
        ),
        Put::Batches { chunk, bytes: None } => {
            run("DELETE FROM batches WHERE chunk = ?1", params![*chunk as i64])
        }
        Put::Rollup { site, unit, day, dim, bytes: Some(bytes) } => run(
            "INSERT INTO rollups VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            params![site.0 as i64, *dim as u8, day.0, *unit as i64, bytes],
        ),
        Put::Rollup { site, unit, day, dim, bytes: None } => run(
            "DELETE FROM rollups WHERE site = ?1 AND dim = ?2 AND day = ?3 AND unit = ?4",
            params![site.0 as i64, *dim as u8, day.0, *unit as i64],
        ),
        Put::Segment { site, unit, day, part, bytes: Some(bytes) } => run(
            "INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
            params![site.0 as i64, *unit as i64, day.0, part, bytes],
        ),
        Put::Segment { site, unit, day, part, bytes: None } => run(
            "DELETE FROM segments WHERE site = ?1 AND unit = ?2 AND day = ?3 AND part = ?4",
            params![site.0 as i64, *unit as i64, day.0, part],
        ),
        Put::Daily { site, unit, day, totals: Some(totals) } => {
            let Counts { visitors, visits, pageviews, events, engaged, duration_s, loose } = totals;
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
        Put::Daily { site, unit, day, totals: None } => run(
            "DELETE FROM daily WHERE site = ?1 AND day = ?2 AND import = ?3",
            params![site.to_string(), day.to_string(), import(*unit)],
        ),
        Put::Setting { key, value: Some(value) } => run(
            "INSERT INTO settings VALUES (?1, ?2, (SELECT revision FROM meta))
             ON CONFLICT DO UPDATE SET value = excluded.value, revision = excluded.revision",
            params![key, value],
        ),
        Put::Setting { key, value: None } => run("DELETE FROM settings WHERE key = ?1", params![key]),
    };
    changed.map(|_| ())
}

/// A unit as people read it in `daily`.
fn import(unit: Unit) -> String {
    if unit == LIVE { String::new() } else { format!("{unit:016x}") }
}

pub(super) fn setting(row: &Row) -> rusqlite::Result<Setting> {
    Ok(Setting { key: row.get(0)?, value: row.get(1)?, revision: row.get::<_, i64>(2)? as u64 })
}

pub(super) fn dim(row: &Row, column: usize) -> rusqlite::Result<Dim> {
    let number: u8 = row.get(column)?;
    Dim::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, i64::from(number)))
}

/// All rows of a statement.
pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    keys: impl rusqlite::Params,
    read: impl FnMut(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(keys, read)?.collect()
}
