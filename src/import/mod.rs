//! Imports: history from a web server's access log, counted as one unit beside what is counted live.
//!
//! ```text
//! files -> lines -> requests -> hits -> enrich -> blocks -> a fold of its own -> one checkpoint
//! ```
//!
//! A unit is all or nothing: until its checkpoint nothing of it is in the store, and whatever ends the program
//! before (Ctrl-C, a full disk, a damaged file) leaves no trace. Its id is the hash of the site and of the log's
//! text; its entry, a setting written by the same checkpoint, is kept for ever, so that a second run of the same
//! log changes nothing. Taking an import out removes its rows and its entry, and the log may then be imported
//! again. The live log, its fold and its watermark are never touched.

pub mod access_log;
mod lines;
mod progress;
mod summary;
mod tally;
mod unit;

pub use lines::MAX_LINE;
pub use summary::{grouped, summary};
pub use tally::Tally;
pub use unit::{MAX_STATE, RulesInTime};

use crate::sites::{self, Site};
use crate::store::{self, Kind, Put, Store, Unit as UnitId};
use anyhow::{Context, Result, bail, ensure};
use lines::{BytesRead, Line, Lines};
use passerby_engine::enrich::Tables;
use passerby_engine::event::{Day, SiteId};
use progress::Progress;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use unit::{Finished, Unit};

/// What an import's entry holds: a setting `import/<site>/<id>`, JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub imported_ms: i64,
    /// The files' names, without their folders.
    pub files: Vec<String>,
    pub keep_bots: bool,
    /// First and last day with page views.
    pub first: Day,
    pub last: Day,
    /// Sum of the days' visitors.
    pub visitors: i64,
    pub tally: Tally,
}

impl Entry {
    pub fn days(&self) -> RangeInclusive<Day> {
        self.first..=self.last
    }
}

/// What to import.
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// Oldest first; `-` is standard input.
    pub files: Vec<PathBuf>,
    pub keep_bots: bool,
}

/// What an import came to.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Imported(UnitId, Entry),
    /// This log is here already: nothing was changed.
    AlreadyHere(UnitId, Entry),
    /// Not one page view: nothing was changed.
    Nothing(Tally),
}

/// Imports a log. `rules` are the site's, by the time from which they are in force; `new` is the site, if it is
/// to be created with the import, or not at all.
pub async fn run(
    store: &dyn Store,
    new: Option<&Site>,
    mut rules: RulesInTime,
    tables: &Tables,
    what: &AccessLog,
    now_ms: i64,
) -> Result<Outcome> {
    let site = rules.first().context("a site has rules")?.1.id;
    for (_, rules) in &mut rules {
        rules.keep_bots = what.keep_bots;
    }
    let (id, days, tally) = read(site, &rules, tables, &what.files)?;
    if let Some(here) = store.setting(&key(site, id)).await? {
        return Ok(Outcome::AlreadyHere(id, entry(&here)?));
    }
    let Some(span) = unit::span(&days) else {
        return Ok(Outcome::Nothing(tally));
    };
    let name = |file: &PathBuf| match lines::is_stdin(file) {
        true => "standard input".to_owned(),
        false => file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let entry = Entry {
        imported_ms: now_ms,
        files: what.files.iter().map(name).collect(),
        keep_bots: what.keep_bots,
        first: *span.start(),
        last: *span.end(),
        visitors: days.values().map(|day| day.totals.visitors).sum(),
        tally,
    };
    let mut puts = puts(site, id, days);
    let value = serde_json::to_vec(&entry).context("the import's entry cannot be written")?;
    puts.push(Put::Setting { key: key(site, id), value: Some(value) });
    // Reading takes a while, and whoever removed the site meanwhile wants nothing of it kept.
    ensure!(!sites::removed(store).await?.contains(&site), "the site was removed meanwhile: nothing is kept");
    if let Some(site) = new {
        if sites::is_here(store, site.domain()).await? {
            bail!("{} was added meanwhile: run the import again", site.domain());
        }
        puts.push(site.put()?);
    }
    publish(store, puts).await?;
    Ok(Outcome::Imported(id, entry))
}

/// Reads the log to its end: its id, its days, and what became of its lines.
fn read(
    site: SiteId,
    rules: &RulesInTime,
    tables: &Tables,
    files: &[PathBuf],
) -> Result<(UnitId, BTreeMap<Day, Finished>, Tally)> {
    let bytes = BytesRead::default();
    let mut lines = Lines::open(files, bytes.clone())?;
    let progress = Progress::new(files, bytes);
    let mut unit = Unit::new(rules, tables, MAX_STATE)?;
    while let Some(line) = lines.next()? {
        match line {
            Line::Text(line) => unit.line(line)?,
            Line::TooLong => unit.too_long(),
        }
        if unit.tally.lines % 1024 == 0 {
            progress.tick();
        }
    }
    drop(progress);
    let (days, tally) = unit.finish();
    Ok((id(site, &lines.hash()), days, tally))
}

/// An import's id: the first 8 bytes of a hash over the site's id and the hash of the log's text; never 0, which
/// is the live unit.
fn id(site: SiteId, text: &[u8; 32]) -> UnitId {
    let digest = Sha256::new().chain_update(site.0.to_le_bytes()).chain_update(text).finalize();
    let first: [u8; 8] = std::array::from_fn(|i| digest[i]);
    u64::from_le_bytes(first).max(1)
}

fn puts(site: SiteId, unit: UnitId, days: BTreeMap<Day, Finished>) -> Vec<Put> {
    let mut puts = Vec::new();
    for (day, finished) in days {
        for (dim, bytes) in finished.rollups {
            puts.push(Put::Rollup { site, unit, day, dim, bytes: Some(bytes) });
        }
        if let Some(bytes) = finished.segment {
            puts.push(Put::Segment { site, unit, day, part: 0, bytes: Some(bytes) });
        }
        puts.push(Put::Daily { site, unit, day, totals: Some(finished.totals) });
    }
    puts
}

/// Writes all of it, or nothing. A live fold may move the watermark meanwhile, which is no concern of a unit's:
/// then once more, with the new one.
async fn publish(store: &dyn Store, puts: Vec<Put>) -> store::Result<()> {
    let mut tries = 0;
    loop {
        let watermark = store.load().await?.watermark;
        match store.checkpoint(watermark, watermark, puts.clone()).await {
            Err(error) if error.kind == Kind::Conflict && tries < 20 => tries += 1,
            other => return other,
        }
    }
}

/// All imports: site, id, entry; by site and id.
pub async fn list(store: &dyn Store) -> Result<Vec<(SiteId, UnitId, Entry)>> {
    let mut all = Vec::new();
    for setting in store.settings("import/").await? {
        let ids = setting.key.strip_prefix("import/").and_then(|ids| ids.split_once('/'));
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let ids = ids.and_then(|(site, id)| Some((SiteId(hex(site)?), hex(id)?)));
        let (site, id) = ids.with_context(|| format!("the setting {} is not an import's", setting.key))?;
        all.push((site, id, entry(&setting)?));
    }
    Ok(all)
}

/// Takes an import out again: all its rows and its entry. None if it is not here.
pub async fn remove(store: &dyn Store, id: UnitId) -> Result<Option<(SiteId, Entry)>> {
    let Some((site, _, entry)) = list(store).await?.into_iter().find(|(_, unit, _)| *unit == id) else {
        return Ok(None);
    };
    let (rollups, segments) = store.unit_rows(site, id).await?;
    let unit = id;
    let mut days: Vec<Day> = rollups.iter().map(|(day, _)| *day).collect();
    days.dedup();
    let mut puts: Vec<Put> = Vec::new();
    puts.extend(rollups.into_iter().map(|(day, dim)| Put::Rollup { site, unit, day, dim, bytes: None }));
    puts.extend(segments.into_iter().map(|(day, part)| Put::Segment { site, unit, day, part, bytes: None }));
    puts.extend(days.into_iter().map(|day| Put::Daily { site, unit, day, totals: None }));
    puts.push(Put::Setting { key: key(site, id), value: None });
    publish(store, puts).await?;
    Ok(Some((site, entry)))
}

fn key(site: SiteId, id: UnitId) -> String {
    format!("import/{site}/{id:016x}")
}

fn entry(setting: &store::Setting) -> Result<Entry> {
    serde_json::from_slice(&setting.value)
        .with_context(|| format!("the setting {} cannot be read", setting.key))
}
