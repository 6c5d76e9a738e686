//! Which batches were counted already, so that a batch sent twice counts once.
//!
//! Ids are 8-byte keyed hashes, kept in log order for a day and two minutes or for the last four million,
//! whichever is less: 8 bytes an id in a ring, 5 to 10 in the table beside it. What a browser says about a
//! retry's age decides whether an id that is not here can be trusted to be new: a batch first sent before
//! the oldest that is remembered is refused by name rather than perhaps counted twice.

use hashbrown::HashTable;
use std::collections::VecDeque;

/// How long a batch may be sent again, ms: 24 hours.
pub const RETRY_MS: u32 = 24 * 60 * 60 * 1000;

/// Ids are kept two minutes longer than that, since they are forgotten a minute at a time.
const KEPT_MINUTES: i64 = 24 * 60 + 2;

/// How many ids are remembered at most.
pub const KEPT_IDS: usize = 4_000_000;

/// What the memory says of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    New,
    /// Counted already.
    Again,
    /// A retry of something older than what is remembered.
    TooLate,
}

/// Ids that came within one minute of the fold's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Minute {
    minute: i64,
    ids: u32,
}

#[derive(Clone, Default)]
pub struct Remembered {
    ids: VecDeque<u64>,
    minutes: VecDeque<Minute>,
    /// Sequence number of `ids[0]`; wraps.
    first: u32,
    /// Sequence numbers by id.
    index: HashTable<u32>,
    /// The latest minute of which ids were forgotten because there were too many.
    crowded_out: Option<i64>,
    /// How many ids at the end of `ids` no checkpoint holds yet.
    fresh: usize,
}

impl Remembered {
    /// Asks for a batch and, if it is new, remembers it. `clock_ms` is the fold's clock.
    pub fn admit(&mut self, id: u64, received_ms: i64, sent_ms: u32, clock_ms: i64) -> Verdict {
        let (ids, first) = (&self.ids, self.first);
        if self.index.find(id, |&n| ids[n.wrapping_sub(first) as usize] == id).is_some() {
            return Verdict::Again;
        }
        let first_sent_minute = (received_ms - i64::from(sent_ms)).div_euclid(60_000);
        let forgotten = sent_ms > 0 && self.crowded_out.is_some_and(|minute| first_sent_minute <= minute);
        if sent_ms > RETRY_MS || forgotten {
            return Verdict::TooLate;
        }
        self.push(id, clock_ms.div_euclid(60_000));
        self.fresh += 1;
        self.forget(clock_ms, KEPT_IDS);
        Verdict::New
    }

    pub fn contains(&self, id: u64) -> bool {
        let (ids, first) = (&self.ids, self.first);
        self.index.find(id, |&n| ids[n.wrapping_sub(first) as usize] == id).is_some()
    }

    fn push(&mut self, id: u64, minute: i64) {
        let n = self.first.wrapping_add(self.ids.len() as u32);
        self.ids.push_back(id);
        match self.minutes.back_mut() {
            Some(last) if last.minute == minute => last.ids += 1,
            _ => self.minutes.push_back(Minute { minute, ids: 1 }),
        }
        let (ids, first) = (&self.ids, self.first);
        // Ids are keyed hashes already: no need to hash them again.
        self.index.insert_unique(id, n, |&n| ids[n.wrapping_sub(first) as usize]);
    }

    fn forget(&mut self, clock_ms: i64, keep: usize) {
        let oldest = clock_ms.div_euclid(60_000) - KEPT_MINUTES;
        while let Some(&Minute { minute, ids: count }) = self.minutes.front() {
            let crowded = self.ids.len() > keep;
            if minute >= oldest && !crowded {
                break;
            }
            if crowded && minute >= oldest {
                self.crowded_out = Some(minute);
            }
            for _ in 0..count {
                if let Some(id) = self.ids.pop_front() {
                    let n = self.first;
                    if let Ok(entry) = self.index.find_entry(id, |&m| m == n) {
                        entry.remove();
                    }
                    self.first = self.first.wrapping_add(1);
                }
            }
            self.minutes.pop_front();
        }
        self.fresh = self.fresh.min(self.ids.len());
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.ids.capacity() * 8 + self.minutes.capacity() * 16 + self.index.capacity() * 5 * 8 / 7
    }

    /// The ids that no checkpoint holds yet, with their minutes, in log order.
    pub fn fresh(&self) -> Vec<(i64, u64)> {
        self.tail(self.fresh)
    }

    /// Everything remembered, in log order.
    pub fn all(&self) -> Vec<(i64, u64)> {
        self.tail(self.ids.len())
    }

    fn tail(&self, wanted: usize) -> Vec<(i64, u64)> {
        let skip = self.ids.len() - wanted;
        let minutes = self.minutes.iter().flat_map(|m| std::iter::repeat_n(m.minute, m.ids as usize));
        minutes.zip(self.ids.iter().copied()).skip(skip).collect()
    }

    /// Says that a checkpoint now holds everything.
    pub fn saved(&mut self) {
        self.fresh = 0;
    }

    /// The oldest minute still of use, given the fold's clock: chunks that end before it can go.
    pub fn oldest_minute(&self, clock_ms: i64) -> i64 {
        let by_age = clock_ms.div_euclid(60_000) - KEPT_MINUTES;
        by_age.max(self.crowded_out.map_or(i64::MIN, |minute| minute + 1))
    }

    pub fn crowded_out(&self) -> Option<i64> {
        self.crowded_out
    }

    /// Builds the memory from saved ids (ascending chunks, in log order) and the fold's clock.
    pub fn restore(
        saved: impl IntoIterator<Item = (i64, u64)>,
        crowded_out: Option<i64>,
        clock_ms: i64,
    ) -> Remembered {
        let mut memory = Remembered { crowded_out, ..Remembered::default() };
        let oldest = memory.oldest_minute(clock_ms);
        for (minute, id) in saved {
            if minute >= oldest {
                memory.push(id, minute);
            }
        }
        memory
    }

    #[cfg(test)]
    fn forget_to(&mut self, clock_ms: i64, keep: usize) {
        self.forget(clock_ms, keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn a_batch_counts_once_for_a_day() {
        let mut memory = Remembered::default();
        assert_eq!(memory.admit(7, 0, 0, 0), New);
        assert_eq!(memory.admit(7, 5, 5, 5), Again);
        let day = 24 * 60 * MINUTE;
        assert_eq!(memory.admit(8, day, 0, day), New);
        assert_eq!(memory.admit(7, day, day as u32, day), Again, "the last retry that may come");
        assert_eq!(
            memory.admit(9, day + 1, day as u32 + 1, day + 1),
            TooLate,
            "later ones are refused, known or not"
        );
        assert_eq!(memory.len(), 2);
    }

    #[test]
    fn what_was_crowded_out_is_refused_rather_than_counted_again() {
        let mut memory = Remembered::default();
        for n in 0..100 {
            assert_eq!(memory.admit(n, n as i64 * MINUTE, 0, n as i64 * MINUTE), New);
        }
        memory.forget_to(99 * MINUTE, 10);
        assert_eq!(memory.len(), 10);
        assert_eq!(memory.admit(3, 100 * MINUTE, 97 * 60_000, 100 * MINUTE), TooLate);
        assert_eq!(memory.admit(95, 100 * MINUTE, 5 * 60_000, 100 * MINUTE), Again);
        assert_eq!(memory.admit(1000, 100 * MINUTE, 60_000, 100 * MINUTE), New);
    }

    #[test]
    fn saved_and_restored_it_answers_the_same() {
        let mut memory = Remembered::default();
        let mut saved = Vec::new();
        for n in 0..5_000_i64 {
            memory.admit(n as u64 * 0x9e37_79b9, n * 30_000, 0, n * 30_000);
            if n % 700 == 0 {
                saved.extend(memory.fresh());
                memory.saved();
            }
        }
        saved.extend(memory.fresh());
        let restored = Remembered::restore(saved, memory.crowded_out(), 4_999 * 30_000);
        assert_eq!(restored.all(), memory.all());
        assert!(memory.len() < 5_000, "a day and two minutes of two ids a minute");
    }
}
