//! The fold: what the log says, added to what was known. No IO: it cannot fail, and however the log is cut
//! into flushes and runs, it ends the same.
//!
//! The fold's clock is the greatest receive time in the log, so that a replay sees the same one.

use crate::block::{Block, Flush};
use crate::day::{Codes, DayState, HERE_MS, Here};
use crate::event::{Day, Reason, SiteId};
use crate::remember::{Remembered, Verdict};
use std::collections::BTreeMap;

/// How long after its end a day stays open, ms: its last salt is wiped 30 minutes after midnight, a flush may
/// wait, and a clock change can make the day longer than its events told.
pub const OPEN_AFTER_END_MS: i64 = 2 * 60 * 60 * 1000;

/// The same for a day without visitors, ms: as long as events may come late for it, and a flush may wait. That
/// is what a day that was closed already is when it is opened again. It holds little, and to close it writes
/// all its rollups anew, which must not happen for each straggler.
pub const OPEN_WITHOUT_VISITORS_MS: i64 = 26 * 60 * 60 * 1000;

/// All that the fold knows: the open days, and which batches were counted.
#[derive(Clone, Default)]
pub struct State {
    /// Greatest receive time in the log so far, Unix milliseconds.
    pub clock_ms: i64,
    pub batches: Remembered,
    /// Open days. A closed day that an event comes late for is opened again, empty: what it counts is added
    /// to what is stored.
    pub days: BTreeMap<(SiteId, Day), DayState>,
    /// How many events were read from the log, counted or not.
    pub events: u64,
}

impl State {
    pub fn new() -> State {
        State::default()
    }

    pub fn day(&self, site: SiteId, day: Day) -> Option<&DayState> {
        self.days.get(&(site, day))
    }

    /// The open days of a site, ascending.
    pub fn days_of(&self, site: SiteId) -> impl Iterator<Item = &DayState> {
        self.days.range((site, Day(i32::MIN))..=(site, Day(i32::MAX))).map(|(_, day)| day)
    }

    /// Days that no event with a visitor can come for any more. Those that the log's clock says are over, but
    /// not before it is so by the clock on the wall as well: a machine whose clock ran ahead for a moment has
    /// left its mark in the log, and days closed too early count their visitors twice.
    pub fn over(&self, now_ms: i64) -> Vec<(SiteId, Day)> {
        let clock_ms = self.clock_ms.min(now_ms);
        let over = |day: &DayState| {
            let open_ms = match day.visits.visitors.is_empty() {
                true => OPEN_WITHOUT_VISITORS_MS,
                false => OPEN_AFTER_END_MS,
            };
            clock_ms > day.end_ms() + open_ms
        };
        self.days.iter().filter(|(_, day)| over(day)).map(|(key, _)| *key).collect()
    }

    /// Who is on a site now. Around midnight both days' visits are asked; somebody who stays over midnight is
    /// a new visitor then, and for five minutes counts twice.
    pub fn here(&self, site: SiteId, now_ms: i64) -> Here {
        let mut all = Here { now: 0, minutes: [0; 30] };
        let recent = self.days_of(site).filter(|day| day.end_ms() + HERE_MS + 30 * 60_000 >= now_ms);
        for here in recent.map(|day| day.here(now_ms)) {
            all.now += here.now;
            for (sum, n) in all.minutes.iter_mut().zip(here.minutes) {
                *sum += n;
            }
        }
        all
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.batches.bytes() + self.days.values().map(DayState::bytes).sum::<usize>()
    }

    fn open(&mut self, site: SiteId, day: Day) -> &mut DayState {
        self.days.entry((site, day)).or_insert_with(|| DayState::new(site, day))
    }
}

/// Folds one flush onto the state. The days it changes are named in the answer, ascending.
pub fn fold(state: &mut State, flush: &Flush) -> Vec<(SiteId, Day)> {
    let mut changed = Vec::new();
    for block in &flush.blocks {
        fold_block(state, block);
        changed.push((block.site, block.day));
    }
    for dropped in &flush.dropped {
        let day = state.open(dropped.site, dropped.day);
        day.cells.dropped[dropped.reason as usize] += i64::from(dropped.count);
        changed.push((dropped.site, dropped.day));
    }
    changed.sort_unstable();
    changed.dedup();
    changed
}

/// From how many visitors on a day's tables are larger than a processor's caches.
const LARGE_DAY: usize = 50_000;

fn fold_block(state: &mut State, block: &Block) {
    if let Some(day) = state.day(block.site, block.day)
        && day.visits.visitors.len() > LARGE_DAY
    {
        std::hint::black_box(warm(&state.batches, day, block));
    }
    let mut codes = Codes::new(block);
    let (mut events, mut props, mut numbers) = (&block.events[..], &block.props[..], &block.numbers[..]);
    for batch in &block.batches {
        let (own, rest) = events.split_at(batch.events as usize);
        events = rest;
        let own_props = own.iter().map(|e| e.props as usize).sum();
        let own_numbers = own.iter().map(|e| e.numbers as usize).sum();

        state.clock_ms = state.clock_ms.max(batch.received_ms);
        state.events += own.len() as u64;
        let verdict = state.batches.admit(batch.id, batch.received_ms, batch.sent_ms, state.clock_ms);
        let day =
            state.days.entry((block.site, block.day)).or_insert_with(|| DayState::new(block.site, block.day));
        match verdict {
            Verdict::New => {
                day.batch(&mut codes, block, batch, own, &props[..own_props], &numbers[..own_numbers])
            }
            Verdict::Again => {}
            Verdict::TooLate => day.cells.dropped[Reason::RetryTooLate as usize] += own.len() as i64,
        }
        props = &props[own_props..];
        numbers = &numbers[own_numbers..];
    }
}

/// Touches what a block's batches will be looked up in. Each look-up in a large table waits for memory; here
/// none depends on another, so the processor waits for many at once, and the fold after it for few.
fn warm(batches: &Remembered, day: &DayState, block: &Block) -> u64 {
    let mut touched = 0;
    for batch in &block.batches {
        touched ^= u64::from(batches.contains(batch.id));
        let Some(visitor) = batch.visitor.and_then(|v| day.visits.find(v)) else {
            continue;
        };
        let youngest = day.visits.visitors[visitor as usize].youngest;
        touched ^= day.visits.visits.get(youngest as usize).map_or(0, |visit| u64::from(visit.start));
    }
    touched
}
