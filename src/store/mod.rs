//! Where the log, the rollups and the settings live: the trait, and what every store promises.
//!
//! The promises, tested once for every store by `tests/conformance.rs`:
//!
//! 1. `append` answers only when the flush is durable; flushes get ascending positions; a reader never
//!    sees a later flush without the earlier ones. An append that failed may or may not have happened.
//! 2. `checkpoint` is all or nothing, and happens only if the watermark is still the expected one;
//!    otherwise it is a [`Conflict`](Kind::Conflict) and nothing has changed.
//! 3. `load` reads one moment: the watermark and the states that belong to it.
//! 4. `trim` removes only flushes at or before the given position. A reader whose position was trimmed
//!    away learns so from [`LogRead::trimmed`] and loads again.
//! 5. A setting is replaced only if its revision is still the expected one.
//! 6. What another process has written is seen by the next read.
//! 7. A store that was not closed (a kill, a power cut) opens again with all that was answered.

pub mod sqlite;

use async_trait::async_trait;
use passerby_engine::event::{Day, SiteId};
use passerby_engine::rollup::Dim;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

/// A flush's place in the log: ascending, from 1, with gaps allowed. 0 is before the first.
pub type Position = u64;

/// Which unit of counting a row belongs to: 0 is the live log, anything else an import's id.
pub type Unit = u64;

/// The live log's unit.
pub const LIVE: Unit = 0;

/// What the fold last published: how far it had come, and what it needs to go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    pub watermark: Position,
    /// The encoded state of each open day.
    pub states: Vec<(SiteId, Day, Vec<u8>)>,
    /// Chunks of remembered batch ids, ascending by chunk number.
    pub batches: Vec<(u64, Vec<u8>)>,
}

/// One change that a checkpoint brings. All are idempotent.
#[derive(Clone, Debug, PartialEq)]
pub enum Put {
    /// An open day's state; None: the day is closed.
    State { site: SiteId, day: Day, bytes: Option<Vec<u8>> },
    /// A chunk of remembered batch ids; None: forgotten.
    Batches { chunk: u64, bytes: Option<Vec<u8>> },
    /// The cells of a day and dimension; None: removed.
    Rollup { site: SiteId, unit: Unit, day: Day, dim: Dim, bytes: Option<Vec<u8>> },
    /// Events of a day at rest: a part (numbered from 1) or the frozen segment (0); None: removed.
    Segment { site: SiteId, unit: Unit, day: Day, part: u32, bytes: Option<Vec<u8>> },
    /// The day's headline figures, readable by anyone with an SQL client; None: removed.
    Daily { site: SiteId, unit: Unit, day: Day, totals: Option<passerby_engine::rollup::Counts> },
    /// A setting, whatever its revision is: for what must change together with counts (the list of imports).
    Setting { key: String, value: Option<Vec<u8>> },
}

/// What `read_log` found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRead {
    /// Flushes after the position asked for, ascending, as many as fit.
    pub flushes: Vec<(Position, Vec<u8>)>,
    /// Everything at or before this position has been trimmed away. A reader whose position is smaller
    /// has missed flushes and must load the checkpoint again.
    pub trimmed: Position,
    /// The watermark at the moment of the reading. A fold that knows another one is not the last to have
    /// written a checkpoint, and what it holds may be in the store already.
    pub watermark: Position,
    /// Whether more flushes follow.
    pub more: bool,
}

/// A stored rollup, as bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRollup {
    pub unit: Unit,
    pub day: Day,
    pub dim: Dim,
    pub bytes: Vec<u8>,
}

/// A setting with its revision: from 1, greater at each change, and never the same twice for one key,
/// even when the setting was removed in between, so that a late writer cannot mistake the new for the old.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub key: String,
    pub value: Vec<u8>,
    pub revision: u64,
}

/// What went wrong, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody else was first: load again and decide anew.
    Conflict,
    /// Not now: full disk, locked, unreachable. Trying again later is sensible.
    Unavailable,
    /// The bytes are not what was written.
    Corrupt,
    /// The store cannot be used as it is: wrong version, no permission. Says what to do.
    Unusable,
}

/// An error of a store. Its text names no visitor's data.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        let message = message.into();
        Error { kind, message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;

/// Opens the store that a URL names, creating it where there is none. Today: `sqlite:PATH`, where PATH is
/// the database's file, or a folder in which it is `passerby.db`.
///
/// # Errors
/// [`Kind::Unusable`] with one line for people when the URL is not understood, the folder cannot be written,
/// the file is no store of ours or of a newer version.
pub fn open(url: &str) -> Result<Arc<dyn Store>> {
    let file = file(url)?;
    Ok(Arc::new(sqlite::Sqlite::open(&file)?))
}

/// The file in which an embedded store lies.
pub fn file(url: &str) -> Result<PathBuf> {
    match url.strip_prefix("sqlite:") {
        Some("") | None => Err(Error::new(
            Kind::Unusable,
            "the store's address is not understood: it looks like sqlite:passerby-data/passerby.db",
        )),
        Some(path) if path.ends_with('/') || std::path::Path::new(path).is_dir() => {
            Ok(PathBuf::from(path).join("passerby.db"))
        }
        Some(path) => Ok(PathBuf::from(path)),
    }
}

#[async_trait]
pub trait Store: Send + Sync {
    /// Appends one flush to the log, durably.
    async fn append(&self, flush: Vec<u8>) -> Result<Position>;

    /// Flushes after a position, in order, up to about `max_bytes` (at least one if there is one).
    async fn read_log(&self, after: Position, max_bytes: usize) -> Result<LogRead>;

    /// The last checkpoint, as of one moment.
    async fn load(&self) -> Result<Checkpoint>;

    /// Publishes changes and moves the watermark from `expected` to `next`, all or nothing.
    async fn checkpoint(&self, expected: Position, next: Position, puts: Vec<Put>) -> Result<()>;

    /// Removes flushes at or before a position; never past the watermark (a larger position is cut to it).
    async fn trim(&self, through: Position) -> Result<()>;

    /// The rollups of a site's days in some dimensions, of all units, ascending by dimension, day, unit.
    async fn rollups(
        &self,
        site: SiteId,
        dims: &[Dim],
        days: RangeInclusive<Day>,
    ) -> Result<Vec<StoredRollup>>;

    /// The first and last day for which a site has rollups.
    async fn days(&self, site: SiteId) -> Result<Option<(Day, Day)>>;

    /// Segments and parts of a site's days and one unit: day, part number, bytes; ascending.
    async fn segments(
        &self,
        site: SiteId,
        unit: Unit,
        days: RangeInclusive<Day>,
    ) -> Result<Vec<(Day, u32, Vec<u8>)>>;

    /// The rows (day, dimension) and (day, part) that a unit holds: what has to go when an import is removed.
    async fn unit_rows(&self, site: SiteId, unit: Unit) -> Result<(Vec<(Day, Dim)>, Vec<(Day, u32)>)>;

    async fn setting(&self, key: &str) -> Result<Option<Setting>>;

    /// All settings whose key begins with `prefix`, ascending by key.
    async fn settings(&self, prefix: &str) -> Result<Vec<Setting>>;

    /// Sets (or with None removes) a setting if its revision is still the expected one (0: it must not exist).
    async fn put_setting(&self, key: &str, expected: u64, value: Option<Vec<u8>>) -> Result<()>;

    /// A number that grows with every change of a setting or a unit, whoever makes it: caches ask it.
    async fn revision(&self) -> Result<u64>;

    /// Erases segments of days before `day` (their rollups stay).
    async fn forget_segments(&self, site: SiteId, before: Day) -> Result<()>;

    /// Erases all of a site's counts, in a way that leaves none of its bytes in the store's files.
    ///
    /// A flush holds many sites, so the log cannot be searched for one: everything up to the watermark is
    /// trimmed. Fold to the log's end and remove the site's settings first. [`Kind::Unavailable`] means that
    /// some bytes may still be there, because another process was reading: erasing again finishes it.
    async fn erase_site(&self, site: SiteId) -> Result<()>;

    /// Finishes what was asked before and leaves the files tidy; what is asked afterwards is
    /// [`Kind::Unavailable`]. Dropping a store does the same.
    async fn close(&self) -> Result<()>;
}
