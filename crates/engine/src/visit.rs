//! Visitors of a day and their visits.
//!
//! A visit is a run of a visitor's events with gaps of 30 minutes at most. It belongs to its first event in
//! the log: source, place, device, entry page are that one's. An event joins the visit whose span, widened by
//! 30 minutes on both sides, holds it (the youngest visit first); visits are never merged or split afterwards,
//! whatever comes late. So a visitor has at most some fifty visits a day, and a walk along them is short.
//!
//! 16 bytes a visitor, 5 to 10 for finding it, 64 a visit.

use crate::event::Visitor;
use crate::rollup::Counts;
use hashbrown::HashTable;

/// Longest gap within a visit, ms.
pub const GAP_MS: u32 = 30 * 60 * 1000;

/// No page, no visit.
pub const NONE: u32 = u32::MAX;

/// One visitor of the day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VisitorRow {
    pub hash: u64,
    /// The visitor's youngest visit; the others follow by `Visit::older`.
    pub youngest: u32,
    /// Bit h: seen in local hour h.
    pub hours: u32,
}

/// One visit. Times are milliseconds since the day's base, see [`crate::day`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visit {
    pub visitor: u32,
    /// The same visitor's visit before this one, or [`NONE`].
    pub older: u32,
    /// Time of the first page view or custom event.
    pub start: u32,
    /// Time of the last one.
    pub last: u32,
    /// Time of the last event of any kind: engagement keeps a visit alive, but does not lengthen it.
    pub alive: u32,
    /// Time of the page view that `exit` is from.
    pub exit_at: u32,
    /// Indices of tuples, and codes of values, in the day's cells.
    pub origin: u32,
    pub place: u32,
    pub device: u32,
    pub language: u32,
    pub hostname: u32,
    pub entry: u32,
    pub exit: u32,
    pub views: u32,
    /// Custom events.
    pub events: u32,
    /// Local hour in which it began.
    pub hour: u8,
    /// Whether an interactive custom event was in it.
    pub interacted: bool,
}

impl Visit {
    /// Two page views or an interactive event: it did not bounce.
    pub fn engaged(&self) -> bool {
        self.views >= 2 || self.interacted
    }

    /// Whole seconds between the first and the last page view or custom event.
    pub fn duration_s(&self) -> u32 {
        (self.last - self.start) / 1000
    }

    /// What this visit adds to each cell that it belongs to. Visitors are counted apart.
    pub fn counts(&self) -> Counts {
        Counts {
            visits: 1,
            pageviews: i64::from(self.views),
            events: i64::from(self.events),
            engaged: i64::from(self.engaged()),
            duration_s: i64::from(self.duration_s()),
            ..Counts::default()
        }
    }

    fn holds(&self, at: u32) -> bool {
        at >= self.start.saturating_sub(GAP_MS) && at <= self.alive.saturating_add(GAP_MS)
    }
}

/// All visitors and visits of a day.
#[derive(Clone, Default)]
pub struct Visits {
    pub visitors: Vec<VisitorRow>,
    pub visits: Vec<Visit>,
    index: HashTable<u32>,
}

impl Visits {
    /// Builds the tables from rows in order of appearance; `older` and `youngest` are set anew.
    pub fn from_rows(hashes: Vec<(u64, u32)>, mut visits: Vec<Visit>) -> Visits {
        let mut visitors: Vec<VisitorRow> =
            hashes.into_iter().map(|(hash, hours)| VisitorRow { hash, youngest: NONE, hours }).collect();
        for (n, visit) in visits.iter_mut().enumerate() {
            let visitor = &mut visitors[visit.visitor as usize];
            visit.older = visitor.youngest;
            visitor.youngest = n as u32;
        }
        let mut index = HashTable::with_capacity(visitors.len());
        for n in 0..visitors.len() as u32 {
            index.insert_unique(visitors[n as usize].hash, n, |&n| visitors[n as usize].hash);
        }
        Visits { visitors, visits, index }
    }

    /// The row of a visitor, if known today.
    pub fn find(&self, visitor: Visitor) -> Option<u32> {
        let hash = visitor.0.get();
        self.index.find(hash, |&n| self.visitors[n as usize].hash == hash).copied()
    }

    pub fn insert(&mut self, visitor: Visitor) -> u32 {
        let n = self.visitors.len() as u32;
        grow(&mut self.visitors);
        self.visitors.push(VisitorRow { hash: visitor.0.get(), youngest: NONE, hours: 0 });
        let visitors = &self.visitors;
        // A visitor is a keyed hash already: no need to hash it again.
        self.index.insert_unique(visitor.0.get(), n, |&n| visitors[n as usize].hash);
        n
    }

    /// The visitor's visit that an event at `at` joins.
    pub fn holding(&self, visitor: u32, at: u32) -> Option<u32> {
        self.of(visitor).find(|&n| self.visits[n as usize].holds(at))
    }

    /// A visitor's visits, youngest first.
    pub fn of(&self, visitor: u32) -> impl Iterator<Item = u32> + '_ {
        let mut next = self.visitors[visitor as usize].youngest;
        std::iter::from_fn(move || {
            let n = next;
            next = self.visits.get(n as usize)?.older;
            Some(n)
        })
    }

    pub fn open(&mut self, mut visit: Visit) -> u32 {
        let n = self.visits.len() as u32;
        let visitor = &mut self.visitors[visit.visitor as usize];
        visit.older = visitor.youngest;
        visitor.youngest = n;
        grow(&mut self.visits);
        self.visits.push(visit);
        n
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.visitors.capacity() * size_of::<VisitorRow>()
            + self.visits.capacity() * size_of::<Visit>()
            + self.index.capacity() * 8 / 7 * 5
    }
}

/// Grows large tables by a quarter rather than doubling them: memory is what visitors cost.
fn grow<T>(rows: &mut Vec<T>) {
    if rows.len() == rows.capacity() && rows.len() >= 4096 {
        rows.reserve_exact(rows.len() / 4);
    }
}
