//! Loads what a query needs and lets the engine decide: stored rollups and the live state, always added.
//!
//! Stored rollups hold a site's closed days and its imports; the days still open live in the fold's state. A
//! day is in one or the other, and moves when the fold closes it (an event that comes late opens it again, and
//! what that adds is added here). A read that met the move between its two halves would see the day twice or
//! not at all, and one that met an import half of it; so a reader notes how things stand before and after
//! reading, and starts again if they have moved. Not a lock: the fold would wait for every reader.
//!
//! Beside a fold in this process, decoded rollups are kept until something moves, since a dashboard asks for
//! the same days again and again.

mod cache;

use crate::folder::{self, Fold, Progress};
use crate::store::{self, Kind, LIVE, Position, Store, StoredRollup, Unit};
use cache::{Cache, Stamp};
use passerby_engine::event::{Day, SiteId};
use passerby_engine::query::{Plan, Query, Report, plan, report};
use passerby_engine::rollup::{Dim, Rollup};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The open days of a process that folds.
pub trait Live: Send + Sync {
    /// A number that grows whenever a day is closed, not before its rollups can be read from the store.
    fn epoch(&self) -> u64;

    /// The rollups of a site's open days within `days`, of one moment.
    fn rollups(&self, site: SiteId, dims: &[Dim], days: RangeInclusive<Day>) -> Vec<(Day, Dim, Rollup)>;

    /// The first and last open day of a site that has any.
    fn days(&self, site: SiteId) -> Option<(Day, Day)>;
}

/// How often a read starts again before it gives up. A day is closed a few times a day, a checkpoint is written
/// every 30 seconds, and a read takes milliseconds: twice is rare already.
const TRIES: usize = 10;

/// Where answers come from.
pub struct Source {
    store: Arc<dyn Store>,
    live: Option<Arc<dyn Live>>,
    cache: Mutex<Cache>,
}

/// A rollup of a closed day, or of an open one (then of unit [`LIVE`]).
#[derive(Clone)]
struct Found {
    unit: Unit,
    day: Day,
    dim: Dim,
    rollup: Arc<Rollup>,
}

/// Which days of each dimension are wanted.
type Wanted = BTreeMap<Dim, RangeInclusive<Day>>;

impl Source {
    /// Reads beside a fold in this process.
    pub fn beside(store: Arc<dyn Store>, live: Arc<dyn Live>) -> Source {
        Source { store, live: Some(live), cache: Mutex::default() }
    }

    /// Reads from the store alone: loads the last checkpoint and folds the tail itself.
    pub fn alone(store: Arc<dyn Store>) -> Source {
        Source { store, live: None, cache: Mutex::default() }
    }

    /// One query's answer.
    ///
    /// # Errors
    /// The store's; and [`Kind::Unusable`] with a sentence for a query that rollups cannot answer, which
    /// `query::parse` has refused already.
    pub async fn report(&self, site: SiteId, query: &Query) -> store::Result<Report> {
        let mut reports = self.reports(site, std::slice::from_ref(query)).await?;
        reports.pop().ok_or_else(|| store::Error::new(Kind::Unusable, "no query, no answer"))
    }

    /// Many queries' answers, in their order, all of one moment.
    pub async fn reports(&self, site: SiteId, queries: &[Query]) -> store::Result<Vec<Report>> {
        let refused = |sentence| store::Error::new(Kind::Unusable, sentence);
        let plans = queries.iter().map(plan).collect::<Result<Vec<Plan>, _>>().map_err(refused)?;
        let found = self.read(site, wanted(&plans)).await?;
        let asked: Vec<_> = queries.iter().cloned().zip(plans).collect();
        blocking(move || asked.iter().map(|(query, plan)| answer(query, plan, &found)).collect()).await
    }

    /// The first and last day for which a site has anything, open days and imports included.
    pub async fn bounds(&self, site: SiteId) -> store::Result<Option<(Day, Day)>> {
        // The live days first: one that is closed in between is then among the stored.
        let live = match &self.live {
            Some(live) => ask(live, move |live| live.days(site)).await?,
            None => days(&fold(&*self.store).await?.1, site),
        };
        let stored = self.store.days(site).await?;
        Ok(match (live, stored) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (live, stored) => live.or(stored),
        })
    }

    /// Everything wanted of a site, of one moment.
    async fn read(&self, site: SiteId, wanted: Wanted) -> store::Result<Arc<Vec<Found>>> {
        for tries in 0..TRIES {
            let found = match &self.live {
                Some(live) => self.read_beside(live, site, &wanted).await?,
                None => self.read_alone(site, &wanted).await?,
            };
            if let Some(found) = found {
                return Ok(Arc::new(found));
            }
            // A second at most in all: something closes many days, or imports.
            tokio::time::sleep(Duration::from_millis(1 << tries)).await;
        }
        Err(store::Error::new(Kind::Unavailable, "the counts kept moving while they were read; try again"))
    }

    /// None if a day was closed, or a unit changed, in the meantime.
    async fn read_beside(
        &self,
        live: &Arc<dyn Live>,
        site: SiteId,
        wanted: &Wanted,
    ) -> store::Result<Option<Vec<Found>>> {
        let epoch = ask(live, |live| live.epoch()).await?;
        let before = Stamp { epoch, revision: self.store.revision().await? };
        let (mut found, missing) = self.cache().get(before, site, wanted);
        let stored = read_stored(&*self.store, site, &missing).await?;
        let decoded = blocking(move || decode(stored)).await??;
        let asked = wanted.clone();
        let (open, epoch) = ask(live, move |live| (open_days(live, site, &asked), live.epoch())).await?;
        let after = Stamp { epoch, revision: self.store.revision().await? };
        if after != before {
            return Ok(None);
        }
        self.cache().put(before, site, &missing, &decoded);
        found.extend(decoded);
        found.extend(open);
        Ok(Some(found))
    }

    /// None if a checkpoint was written in the meantime, by whomever.
    async fn read_alone(&self, site: SiteId, wanted: &Wanted) -> store::Result<Option<Vec<Found>>> {
        let revision = self.store.revision().await?;
        let (before, fold) = fold(&*self.store).await?;
        let stored = read_stored(&*self.store, site, wanted).await?;
        if standing(&*self.store).await? != before || self.store.revision().await? != revision {
            return Ok(None);
        }
        let wanted = wanted.clone();
        let found = blocking(move || {
            let mut found = decode(stored)?;
            for day in fold.state.days_of(site) {
                let dims = wanted.iter().filter(|(_, days)| days.contains(&day.day));
                found.extend(dims.map(|(&dim, _)| live_found(day.day, dim, day.rollup(dim))));
            }
            Ok(found)
        });
        found.await?.map(Some)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The days of each dimension that at least one plan asks for, and what lies between them.
fn wanted(plans: &[Plan]) -> Wanted {
    let mut wanted = Wanted::new();
    for (plan, dim) in plans.iter().flat_map(|plan| plan.dims.iter().map(move |dim| (plan, *dim))) {
        let days = wanted.entry(dim).or_insert_with(|| plan.days.clone());
        *days = *days.start().min(plan.days.start())..=*days.end().max(plan.days.end());
    }
    wanted
}

fn answer(query: &Query, plan: &Plan, found: &[Found]) -> Report {
    let counts = |found: &&Found| {
        (plan.imports || found.unit == LIVE)
            && plan.dims.contains(&found.dim)
            && plan.days.contains(&found.day)
    };
    let data: Vec<_> = found.iter().filter(counts).map(|f| (f.day, f.dim, f.rollup.clone())).collect();
    report(query, plan, &data)
}

/// Stored rollups, dimensions with the same days together. With the revision unchanged before and after, they
/// are of one moment though they may be read in several steps.
async fn read_stored(store: &dyn Store, site: SiteId, wanted: &Wanted) -> store::Result<Vec<StoredRollup>> {
    let mut together: BTreeMap<(Day, Day), Vec<Dim>> = BTreeMap::new();
    for (dim, days) in wanted {
        together.entry((*days.start(), *days.end())).or_default().push(*dim);
    }
    let mut stored = Vec::new();
    for ((first, last), dims) in together {
        stored.extend(store.rollups(site, &dims, first..=last).await?);
    }
    Ok(stored)
}

fn decode(stored: Vec<StoredRollup>) -> store::Result<Vec<Found>> {
    let decode = |row: StoredRollup| match Rollup::decode(&row.bytes) {
        Ok(rollup) => Ok(Found { unit: row.unit, day: row.day, dim: row.dim, rollup: Arc::new(rollup) }),
        Err(_) => Err(store::Error::new(
            Kind::Corrupt,
            format!(
                "the stored {} of {} is damaged; restore the store's file from a backup",
                row.dim.label(),
                row.day
            ),
        )),
    };
    stored.into_iter().map(decode).collect()
}

fn live_found(day: Day, dim: Dim, rollup: Rollup) -> Found {
    Found { unit: LIVE, day, dim, rollup: Arc::new(rollup) }
}

/// The open days' rollups, all of one moment: so all dimensions over all days, less what nobody wants.
fn open_days(live: &dyn Live, site: SiteId, wanted: &Wanted) -> Vec<Found> {
    let dims: Vec<Dim> = wanted.keys().copied().collect();
    let first = wanted.values().map(|days| *days.start()).min();
    let last = wanted.values().map(|days| *days.end()).max();
    let Some((first, last)) = first.zip(last) else {
        return Vec::new();
    };
    let open = live.rollups(site, &dims, first..=last).into_iter();
    let open = open.filter(|(day, dim, _)| wanted.get(dim).is_some_and(|days| days.contains(day)));
    open.map(|(day, dim, rollup)| live_found(day, dim, rollup)).collect()
}

/// The watermark and which days are open at it.
type Standing = (Position, Vec<(SiteId, Day)>);

async fn standing(store: &dyn Store) -> store::Result<Standing> {
    let checkpoint = store.load().await?;
    Ok((checkpoint.watermark, checkpoint.states.iter().map(|(site, day, _)| (*site, *day)).collect()))
}

/// The last checkpoint with the tail folded onto it, and how things stood at the checkpoint.
async fn fold(store: &dyn Store) -> store::Result<(Standing, Fold)> {
    for _ in 0..TRIES {
        let mut fold = folder::load(store).await?;
        let standing = (fold.position, fold.state.days.keys().copied().collect());
        if let Progress::Caught(_) = folder::catch_up(store, &mut fold).await? {
            return Ok((standing, fold));
        }
    }
    Err(store::Error::new(Kind::Unavailable, "the log was trimmed faster than it could be read; try again"))
}

fn days(fold: &Fold, site: SiteId) -> Option<(Day, Day)> {
    let mut days = fold.state.days_of(site).map(|day| day.day);
    let first = days.next()?;
    Some((first, days.last().unwrap_or(first)))
}

/// Asks the fold, which may be writing and let us wait.
async fn ask<T: Send + 'static>(
    live: &Arc<dyn Live>,
    question: impl FnOnce(&dyn Live) -> T + Send + 'static,
) -> store::Result<T> {
    let live = live.clone();
    blocking(move || question(&*live)).await
}

/// Work that takes milliseconds, or waits, done where no other request waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> store::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| store::Error::new(Kind::Unavailable, "an answer was given up; try again"))
}
