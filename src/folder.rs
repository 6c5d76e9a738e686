//! The folder: reads the log, folds it, and publishes what it made of it.
//!
//! One thread of a long-lived server. It reads flushes after its position from the store (its own process's
//! and any other's), folds them onto the state in memory, where dashboards read, and now and then writes a
//! checkpoint: the open days' states, the batch ids, finished events as parts, and the watermark they belong
//! to, all or nothing and only if the watermark is still the one it knows. Whoever loses that race loads again.
//!
//! A day that is over is closed in a checkpoint: its cells are added to the stored rollups, its parts become a
//! segment, and its state goes. Stored and live figures add up at every moment, since the state is locked from
//! before that checkpoint until the day is out of memory, and [`Folder::epoch`] tells readers that it happened.
//! Closing is no change that could be made twice, so it always moves the watermark: whoever comes second, be it
//! another process or we after an answer that got lost, meets a conflict. A checkpoint of another process is
//! noticed at the next look at the log, within a second.
//!
//! The log is trimmed only up to the checkpoint before last, so that a reader of the last one finds its tail.

use crate::answer::Live;
use crate::sites;
use crate::store::{self, Checkpoint, Kind, LIVE, Position, Put, Store};
use passerby_engine::block::decode_flush;
use passerby_engine::event::{Day, SiteId};
use passerby_engine::fold::{State, fold};
use passerby_engine::freeze::freeze;
use passerby_engine::rollup::{Dim, Rollup};
use passerby_engine::segment;
use passerby_engine::state::{encode_clock, encode_ids, restore};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// A day's events leave as a part once there are this many; fewer stay in the state.
const PART_EVENTS: usize = 4096;

/// A chunk of batch ids is complete once it holds this many.
const CHUNK_IDS: usize = 4096;

/// How much of the log is read at once, bytes.
const READ_BYTES: usize = 4 << 20;

/// How long a checkpoint may be put off while there is something to write.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);

/// How long after a checkpoint that failed the next is tried.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How often the log is looked at without being told to: another process may have appended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The fold of a store, and how far it has come.
pub struct Fold {
    pub state: State,
    /// The last flush that `state` holds.
    pub position: Position,
    /// The stored watermark when this was loaded or last checkpointed.
    watermark: Position,
    /// The chunk of batch ids that is being filled.
    chunk: u64,
    /// The last minute of each complete chunk, for forgetting.
    chunks: Vec<(u64, i64)>,
}

/// Loads the last checkpoint.
pub async fn load(store: &dyn Store) -> store::Result<Fold> {
    let Checkpoint { watermark, states, batches } = store.load().await?;
    let corrupt = |_| store::Error {
        kind: Kind::Corrupt,
        message: "the stored state is damaged; restore the store's file from a backup".into(),
    };
    let (clock, ids): (Vec<_>, Vec<_>) = batches.iter().partition(|(n, _)| *n == 0);
    let clock = clock.first().map(|(_, bytes)| &bytes[..]);
    let days = states.iter().map(|(site, day, bytes)| (*site, *day, &bytes[..]));
    let mut state = restore(clock, ids.iter().map(|(_, bytes)| &bytes[..]), days).map_err(corrupt)?;
    let mut chunks = Vec::new();
    for (n, bytes) in &ids {
        let ids = passerby_engine::state::decode_ids(bytes).map_err(corrupt)?;
        chunks.push((*n, ids.last().map_or(i64::MIN, |id| id.0)));
    }
    state.batches.saved();
    let chunk = chunks.last().map_or(1, |last| last.0 + 1);
    Ok(Fold { state, position: watermark, watermark, chunk, chunks })
}

/// What reading the log brought.
pub enum Progress {
    /// Everything there was; the days that changed.
    Caught(BTreeSet<(SiteId, Day)>),
    /// Flushes that the fold has not seen were trimmed away: load again.
    Behind,
}

/// Folds all flushes after the fold's position.
pub async fn catch_up(store: &dyn Store, fold_: &mut Fold) -> store::Result<Progress> {
    let mut changed = BTreeSet::new();
    loop {
        let read = store.read_log(fold_.position, READ_BYTES).await?;
        if read.trimmed > fold_.position {
            return Ok(Progress::Behind);
        }
        for (position, bytes) in &read.flushes {
            changed.extend(fold_flush(&mut fold_.state, bytes));
            fold_.position = *position;
        }
        if !read.more {
            return Ok(Progress::Caught(changed));
        }
    }
}

/// Folds one flush. One that is damaged is left out, and said so: what was acknowledged with it is lost,
/// and nothing else.
fn fold_flush(state: &mut State, bytes: &[u8]) -> Vec<(SiteId, Day)> {
    match decode_flush(bytes) {
        Ok(flush) => fold(state, &flush),
        Err(_) => {
            eprintln!("passerby: a flush in the log is damaged and was left out");
            Vec::new()
        }
    }
}

struct Shared {
    store: Arc<dyn Store>,
    live: RwLock<Loaded>,
    wake: Arc<Notify>,
    closing: watch::Sender<bool>,
    /// Counts complete readings of the log: who waits for two more has waited for what was there before.
    /// The greatest number once there will be no more.
    readings: watch::Sender<u64>,
}

struct Loaded {
    fold: Fold,
    epoch: u64,
}

/// A running folder.
#[derive(Clone)]
pub struct Folder {
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

impl Folder {
    /// Loads the last checkpoint, folds the tail, and goes on in a thread of its own. `wake` is notified
    /// after each append.
    pub async fn start(store: Arc<dyn Store>, wake: Arc<Notify>) -> store::Result<Folder> {
        let fold = load_and_catch_up(&*store).await?;
        let shared = Arc::new(Shared {
            store,
            live: RwLock::new(Loaded { fold, epoch: 1 }),
            wake,
            closing: watch::Sender::new(false),
            readings: watch::Sender::new(0),
        });
        let failed = |e| store::Error {
            kind: Kind::Unavailable,
            message: format!("the folder's thread did not start: {e}"),
        };
        // Of its own: the caller's may end first, when a start fails half-way.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let end = End(shared.clone());
        let thread = std::thread::Builder::new()
            .name("folder".into())
            .spawn(move || runtime.block_on(run(&end.0)))
            .map_err(failed)?;
        Ok(Folder { shared, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Reads the state. The fold waits meanwhile, so be brief.
    pub fn read<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        ask(&self.shared.live().fold.state)
    }

    /// The last flush folded.
    pub fn position(&self) -> Position {
        self.shared.live().fold.position
    }

    /// Returns once everything that was in the log before this call is folded: read your own writes.
    pub async fn settle(&self) {
        let mut readings = self.shared.readings.subscribe();
        let seen = *readings.borrow_and_update();
        self.shared.wake.notify_one();
        // The reading under way may have begun before the call; the one after it has not.
        while *readings.borrow_and_update() < seen.saturating_add(2) {
            self.shared.wake.notify_one();
            if readings.changed().await.is_err() {
                return;
            }
        }
    }

    /// Folds what is left, writes a checkpoint, and ends the thread.
    pub async fn close(&self) {
        self.shared.closing.send_replace(true);
        self.shared.wake.notify_one();
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Live for Folder {
    fn epoch(&self) -> u64 {
        self.shared.live().epoch
    }

    fn rollups(&self, site: SiteId, dims: &[Dim], days: RangeInclusive<Day>) -> Vec<(Day, Dim, Rollup)> {
        let live = self.shared.live();
        let open = live.fold.state.days_of(site).filter(|day| days.contains(&day.day));
        open.flat_map(|day| dims.iter().map(|&dim| (day.day, dim, day.rollup(dim)))).collect()
    }

    fn days(&self, site: SiteId) -> Option<(Day, Day)> {
        let live = self.shared.live();
        let mut days = live.fold.state.days_of(site).map(|day| day.day);
        let first = days.next()?;
        Some((first, days.last().unwrap_or(first)))
    }
}

/// However the thread ends, nobody waits for it any more.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.readings.send_replace(u64::MAX);
    }
}

impl Shared {
    fn live(&self) -> std::sync::RwLockReadGuard<'_, Loaded> {
        self.live.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn live_mut(&self) -> std::sync::RwLockWriteGuard<'_, Loaded> {
        self.live.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

async fn load_and_catch_up(store: &dyn Store) -> store::Result<Fold> {
    loop {
        let mut fold = load(store).await?;
        if let Progress::Caught(_) = catch_up(store, &mut fold).await? {
            return Ok(fold);
        }
    }
}

/// When the next checkpoint is due.
struct Pace {
    last: Instant,
    /// How long the last one took: no more than a twentieth of the time goes into checkpoints.
    cost: Duration,
    /// Whether it failed.
    failed: bool,
    /// Events folded by then.
    events: u64,
    /// The watermark before the last: what may be trimmed.
    before_last: Position,
}

impl Pace {
    fn is_due(&self, fold: &Fold, closing: bool) -> bool {
        // Without a flush to tell of there is nothing to write, and no day that could be closed.
        if fold.position <= fold.watermark {
            return false;
        }
        if closing {
            return true;
        }
        let since = self.last.elapsed();
        if self.failed {
            return since >= TRY_AGAIN;
        }
        let state = &fold.state;
        let visitors: usize = state.days.values().map(|day| day.visits.visitors.len()).sum();
        let many = state.events - self.events.min(state.events) > 200_000.max(4 * visitors as u64);
        let over = since >= self.cost * 20 && !state.over(now_ms()).is_empty();
        over || many || since >= CHECKPOINT_EVERY.max(self.cost * 20)
    }
}

/// The clock on the wall, Unix milliseconds.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

async fn run(shared: &Shared) {
    let mut dirty: BTreeSet<(SiteId, Day)> = {
        let live = shared.live();
        live.fold.state.days.keys().copied().collect()
    };
    let mut pace = Pace {
        last: Instant::now(),
        cost: Duration::ZERO,
        failed: false,
        events: shared.live().fold.state.events,
        before_last: shared.live().fold.watermark,
    };
    loop {
        let closing = *shared.closing.borrow();
        let mut more = false;
        match read_on(shared, &mut dirty).await {
            Ok(Read::ToTheEnd) => shared.readings.send_modify(|n| *n += 1),
            Ok(Read::MoreFollows) => more = true,
            Ok(Read::Behind) => match reload(shared, &mut dirty, &mut pace).await {
                Ok(()) => more = true,
                Err(error) => say("loading the last checkpoint", &error),
            },
            Err(error) => say("reading the log", &error),
        }
        if pace.is_due(&shared.live().fold, closing) {
            let began = Instant::now();
            let done = checkpoint(shared, &dirty).await;
            pace.failed = done.is_err();
            match done {
                Ok(()) => {
                    dirty.clear();
                    if let Err(error) = shared.store.trim(pace.before_last).await {
                        say("trimming the log", &error);
                    }
                    pace.before_last = shared.live().fold.watermark;
                }
                Err(error) if error.kind == Kind::Conflict => {
                    match reload(shared, &mut dirty, &mut pace).await {
                        Ok(()) => pace.failed = false,
                        Err(error) => say("loading the last checkpoint", &error),
                    }
                }
                Err(error) => say("writing a checkpoint", &error),
            }
            pace.last = Instant::now();
            pace.cost = began.elapsed();
            pace.events = shared.live().fold.state.events;
        }
        if closing {
            return;
        }
        if !more {
            let _ = tokio::time::timeout(LOOK_EVERY, shared.wake.notified()).await;
        }
    }
}

fn say(doing: &str, error: &store::Error) {
    eprintln!("passerby: {doing} failed: {error}");
}

/// Begins again at the last checkpoint: another process has written one.
async fn reload(shared: &Shared, dirty: &mut BTreeSet<(SiteId, Day)>, pace: &mut Pace) -> store::Result<()> {
    let fold = load_and_catch_up(&*shared.store).await?;
    let mut live = shared.live_mut();
    *dirty = fold.state.days.keys().copied().collect();
    pace.before_last = fold.watermark;
    live.fold = fold;
    live.epoch += 1;
    Ok(())
}

/// What one reading came to.
enum Read {
    ToTheEnd,
    MoreFollows,
    /// Another process has written a checkpoint.
    Behind,
}

/// Folds what the log holds beyond the state, as much as is read at once.
async fn read_on(shared: &Shared, dirty: &mut BTreeSet<(SiteId, Day)>) -> store::Result<Read> {
    let (position, watermark) = {
        let live = shared.live();
        (live.fold.position, live.fold.watermark)
    };
    let read = shared.store.read_log(position, READ_BYTES).await?;
    if read.trimmed > position || read.watermark != watermark {
        return Ok(Read::Behind);
    }
    for (position, bytes) in &read.flushes {
        // Locked flush by flush, so that a reader never waits long.
        let mut live = shared.live_mut();
        dirty.extend(fold_flush(&mut live.fold.state, bytes));
        live.fold.position = *position;
    }
    Ok(if read.more { Read::MoreFollows } else { Read::ToTheEnd })
}

/// What a checkpoint changes, and what becomes of the state once it is written.
#[derive(Default)]
struct Changes {
    puts: Vec<Put>,
    closed: Vec<(SiteId, Day)>,
    parted: Vec<(SiteId, Day)>,
    chunk_complete: bool,
    chunks_gone: usize,
}

#[expect(
    clippy::await_holding_lock,
    reason = "closing a day must look like one moment; the folder's thread alone waits"
)]
async fn checkpoint(shared: &Shared, dirty: &BTreeSet<(SiteId, Day)>) -> store::Result<()> {
    let removed = sites::removed(&*shared.store).await?;
    let (gone, closed) = {
        let state = &shared.live().fold.state;
        let gone = state.days.keys().copied();
        let gone: Vec<_> = gone.filter(|(site, _)| removed.contains(site)).collect();
        let mut closed = state.over(now_ms());
        closed.retain(|key| !gone.contains(key));
        (gone, closed)
    };
    let mut changes = Changes::default();
    for &(site, day) in &closed {
        let puts = close_day(shared, site, day).await?;
        changes.puts.extend(puts);
    }
    // Of a site that was removed nothing is kept, whatever of it the log still held.
    for &(site, day) in &gone {
        let (unit, bytes, totals) = (LIVE, None, None);
        changes.puts.push(Put::State { site, day, bytes });
        changes.puts.push(Put::Daily { site, unit, day, totals });
    }
    changes.closed = [closed, gone].concat();
    for &(site, day) in dirty {
        if !changes.closed.contains(&(site, day)) {
            keep_day(shared, site, day, &mut changes).await?;
        }
    }
    let (expected, next) = {
        let live = shared.live();
        let fold = &live.fold;
        changes.puts.push(Put::Batches { chunk: 0, bytes: Some(encode_clock(&fold.state)) });
        let ids = fold.state.batches.fresh();
        changes.chunk_complete = ids.len() >= CHUNK_IDS;
        changes.puts.push(Put::Batches { chunk: fold.chunk, bytes: Some(encode_ids(&ids)) });
        let oldest = fold.state.batches.oldest_minute(fold.state.clock_ms);
        let gone = fold.chunks.iter().take_while(|(_, minute)| *minute < oldest);
        for (chunk, _) in gone {
            changes.puts.push(Put::Batches { chunk: *chunk, bytes: None });
            changes.chunks_gone += 1;
        }
        (fold.watermark, fold.position)
    };
    let puts = std::mem::take(&mut changes.puts);
    if changes.closed.is_empty() {
        shared.store.checkpoint(expected, next, puts).await?;
        settle(&mut shared.live_mut(), next, &changes);
    } else {
        // Readers wait: for them a day is in the state or in the store, never in both.
        let mut live = shared.live_mut();
        shared.store.checkpoint(expected, next, puts).await?;
        live.epoch += 1;
        settle(&mut live, next, &changes);
    }
    Ok(())
}

/// Brings the state up to what was written.
fn settle(live: &mut Loaded, watermark: Position, changes: &Changes) {
    let fold = &mut live.fold;
    fold.watermark = watermark;
    for key in &changes.parted {
        if let Some(day) = fold.state.days.get_mut(key) {
            day.take_part();
        }
    }
    for key in &changes.closed {
        fold.state.days.remove(key);
    }
    fold.chunks.drain(..changes.chunks_gone);
    if changes.chunk_complete {
        let last = fold.state.batches.fresh().last().map_or(i64::MIN, |id| id.0);
        fold.chunks.push((fold.chunk, last));
        fold.chunk += 1;
        fold.state.batches.saved();
    }
}

/// An open day that changed: its state, its headline figures, and its events if they are many.
async fn keep_day(shared: &Shared, site: SiteId, day: Day, changes: &mut Changes) -> store::Result<()> {
    let stored = stored_total(shared, site, day).await?;
    let live = shared.live();
    let Some(state) = live.fold.state.day(site, day) else {
        return Ok(());
    };
    let mut totals = stored;
    totals += state.cells.total;
    changes.puts.push(Put::Daily { site, unit: LIVE, day, totals: Some(totals) });
    if state.fresh.len() < PART_EVENTS {
        changes.puts.push(Put::State { site, day, bytes: Some(state.encode()) });
        return Ok(());
    }
    let bytes = Some(segment::encode_part(&state.part()));
    changes.puts.push(Put::Segment { site, unit: LIVE, day, part: state.parts + 1, bytes });
    changes.puts.push(Put::State { site, day, bytes: Some(state.encode_parted()) });
    changes.parted.push((site, day));
    Ok(())
}

async fn stored_total(
    shared: &Shared,
    site: SiteId,
    day: Day,
) -> store::Result<passerby_engine::rollup::Counts> {
    let mut total = passerby_engine::rollup::Counts::default();
    for row in shared.store.rollups(site, &[Dim::Total], day..=day).await? {
        // One that is damaged is named by whoever asks for it; the fold goes on without.
        let rollup = Rollup::decode(&row.bytes).unwrap_or_default();
        if row.unit == LIVE {
            rollup.cells.iter().for_each(|(_, counts)| total += *counts);
        }
    }
    Ok(total)
}

/// Everything that a day's end changes in the store.
async fn close_day(shared: &Shared, site: SiteId, day: Day) -> store::Result<Vec<Put>> {
    let dims = Dim::TABLE.map(|row| row.dim);
    let stored = shared.store.rollups(site, &dims, day..=day).await?;
    let segments = shared.store.segments(site, LIVE, day..=day).await?;
    let live = shared.live();
    let Some(state) = live.fold.state.day(site, day) else {
        return Ok(Vec::new());
    };

    let mut puts = vec![Put::State { site, day, bytes: None }];
    for dim in dims {
        let mut rollup = state.rollup(dim);
        let before = stored.iter().find(|row| row.unit == LIVE && row.dim == dim);
        match before.map(|row| Rollup::decode(&row.bytes)).transpose() {
            Ok(before) => rollup.merge(&before.unwrap_or_default()),
            // It stays as it is, so that a backup is still asked for by whoever reads it.
            Err(_) => {
                eprintln!(
                    "passerby: the stored {} of {day} is damaged; nothing was added to it",
                    dim.label()
                );
                continue;
            }
        }
        if dim == Dim::Total {
            let totals = rollup.cells.first().map(|(_, counts)| *counts);
            puts.push(Put::Daily { site, unit: LIVE, day, totals });
        }
        if !rollup.cells.is_empty() {
            puts.push(Put::Rollup { site, unit: LIVE, day, dim, bytes: Some(rollup.encode()) });
        }
    }
    puts.extend(close_segments(state, site, day, &segments));
    Ok(puts)
}

/// A day's parts as one segment. If the day was closed before, what came late since is one more segment beside
/// the first, numbered after all parts, since its visits are its own.
fn close_segments(
    state: &passerby_engine::day::DayState,
    site: SiteId,
    day: Day,
    stored: &[(Day, u32, Vec<u8>)],
) -> Vec<Put> {
    let is_part = |number: u32| number >= 1 && number <= state.parts;
    let mut puts = Vec::new();
    let mut parts = Vec::new();
    for (_, number, bytes) in stored.iter().filter(|(_, number, _)| is_part(*number)) {
        let visits = state.visits.visits.len();
        let known = |visit: Option<u32>| visit.is_none_or(|visit| (visit as usize) < visits);
        match segment::decode_part(bytes) {
            Ok(part) if part.events.iter().all(|event| known(event.visit)) => parts.push(part),
            _ => {
                eprintln!("passerby: stored events of {day} are damaged and were left out; their counts stay")
            }
        }
        puts.push(Put::Segment { site, unit: LIVE, day, part: *number, bytes: None });
    }
    let segment = freeze(state, &parts);
    if segment.events.events.is_empty() {
        return puts;
    }
    let taken = |number: &u32| stored.iter().any(|(_, n, _)| n == number);
    let number = if taken(&0) { (FIRST_LATE..u32::MAX).find(|n| !taken(n)).unwrap_or(u32::MAX) } else { 0 };
    puts.push(Put::Segment { site, unit: LIVE, day, part: number, bytes: Some(segment::encode(&segment)) });
    puts
}

/// Numbers of segments of what came late for a closed day.
const FIRST_LATE: u32 = 1 << 31;
