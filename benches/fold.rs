//! How fast the fold is on one core, and what a visitor costs in memory.
//!
//! Blocks of 1,000 events, as a busy server's flushes hold them, at 20,000 and at a million visitors a day.
//! Beside it, interleaved in the same run, a yardstick: what a program does at the very least that only counts
//! page views by page and distinct visitors, each batch once, from the same blocks, with the standard
//! library's hash maps.
//!
//! `cargo bench --bench fold`

mod traffic;

use passerby_engine::block::{Flush, blocks, decode_flush, encode_flush};
use passerby_engine::fold::{State, fold};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Counts the bytes that are allocated at the moment.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Events a block.
const BLOCK: usize = 1000;

fn main() {
    println!("the fold, blocks of {BLOCK} events, one core\n");
    println!("visitors    events     decode     fold   events/s  yardstick  fold/yardstick  bytes/visitor");
    run(20_000, 70_000, 9);
    run(1_000_000, 3_500_000, 1);
    println!("\npeak memory of this program: {} MB", peak_mb());
}

/// Folds `days` days of so many visitors and events, and prints a line.
fn run(visitors: usize, events: usize, days: u64) {
    let mut rows = Vec::new();
    let mut per_visitor = 0;
    for seed in 0..days {
        let (row, bytes) = day(visitors, events, seed);
        rows.push(row);
        per_visitor = bytes;
    }
    rows.sort_by_key(|row| row.fold);
    let row = &rows[rows.len() / 2];
    let ns = |d: Duration| d.as_nanos() as f64 / row.events as f64;
    println!(
        "{visitors:8} {:9} {:7.0} ns {:5.0} ns {:10.0} {:7.0} ns {:15.2} {per_visitor:14}",
        row.events,
        ns(row.decode),
        ns(row.fold),
        1e9 / ns(row.fold),
        ns(row.yardstick),
        ns(row.fold) / ns(row.yardstick),
    );
}

struct Row {
    events: usize,
    decode: Duration,
    fold: Duration,
    yardstick: Duration,
}

fn day(visitors: usize, events: usize, seed: u64) -> (Row, usize) {
    let mut flushes = Vec::new();
    let mut batches = Vec::with_capacity(BLOCK);
    let mut total = 0;
    for batch in traffic::day(events, visitors, seed) {
        total += batch.events.len();
        batches.push(batch);
        if batches.len() == BLOCK {
            flushes.push(encode(std::mem::take(&mut batches)));
        }
    }
    flushes.push(encode(batches));

    let mut row =
        Row { events: total, decode: Duration::ZERO, fold: Duration::ZERO, yardstick: Duration::ZERO };
    let mut state = State::new();
    let mut plain = Plain::default();
    for run in flushes.chunks(64) {
        let began = cpu();
        let run: Vec<Flush> = run.iter().map(|bytes| decode_flush(bytes).expect("our own bytes")).collect();
        row.decode += cpu() - began;

        let began = cpu();
        for flush in &run {
            fold(&mut state, flush);
        }
        row.fold += cpu() - began;

        let began = cpu();
        for flush in &run {
            plain.count(flush);
        }
        row.yardstick += cpu() - began;

        // As a checkpoint does, so that what is measured below is the state and not the events in it.
        for day in state.days.values_mut() {
            day.take_part();
        }
    }
    let total = state
        .days
        .values()
        .map(|day| day.cells.total)
        .fold((0, 0), |a, c| (a.0 + c.visitors, a.1 + c.pageviews));
    assert_eq!(
        (total.0 as usize, total.1),
        (plain.visitors.len(), plain.views.values().sum()),
        "the yardstick counts the same"
    );

    let before = HELD.load(Relaxed);
    state.days.clear();
    let held = before - HELD.load(Relaxed);
    (row, held / visitors)
}

fn encode(batches: Vec<passerby_engine::event::Batch>) -> Vec<u8> {
    encode_flush(&Flush { blocks: blocks(batches), dropped: Vec::new() })
}

/// The yardstick: page views by page, and distinct visitors, each batch once.
#[derive(Default)]
struct Plain {
    batches: HashSet<u64>,
    views: HashMap<String, i64>,
    visitors: HashSet<u64>,
}

impl Plain {
    fn count(&mut self, flush: &Flush) {
        for block in &flush.blocks {
            let mut rows = block.events.iter();
            for batch in &block.batches {
                let new = self.batches.insert(batch.id);
                for row in rows.by_ref().take(batch.events as usize).filter(|_| new) {
                    if row.kind == passerby_engine::event::Kind::PageView {
                        let page = block.dicts.page.0[row.page as usize].as_str();
                        match self.views.get_mut(page) {
                            Some(n) => *n += 1,
                            None => _ = self.views.insert(page.to_string(), 1),
                        }
                    }
                    // Engagement alone makes no visitor; page views and custom events do.
                    if matches!(
                        row.kind,
                        passerby_engine::event::Kind::PageView | passerby_engine::event::Kind::Custom
                    ) {
                        self.visitors.extend(batch.visitor.map(|v| v.0.get()));
                    }
                }
            }
        }
    }
}

/// Processor time of this thread so far: other programs on the machine do not count.
fn cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// Greatest resident size so far, MB.
fn peak_mb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<usize>().ok()).unwrap_or(0) / 1024
}
