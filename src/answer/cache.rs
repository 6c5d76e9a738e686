//! Decoded rollups of closed days, kept until something moves.

use super::{Found, Wanted};
use crate::store::Unit;
use passerby_engine::event::{Day, SiteId};
use passerby_engine::rollup::{Dim, Rollup};
use passerby_engine::time;
use std::collections::HashMap;
use std::sync::Arc;

/// Most bytes of decoded rollups kept, about.
const CACHE_BYTES: usize = 32 << 20;

/// How things stand: while it is the same, stored rollups are the same.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    pub epoch: u64,
    pub revision: u64,
}

/// What an entry of the cache takes beside its cells, about.
const ROW: usize = 128;

fn cells_bytes(rollup: &Rollup) -> usize {
    let texts =
        rollup.cells.iter().filter(|(value, _)| value.is_heap_allocated()).map(|(value, _)| value.len());
    size_of_val(&rollup.cells[..]) + texts.sum::<usize>()
}

/// A day's rollups of one dimension, with their units.
type Units = Vec<(Unit, Arc<Rollup>)>;

/// Decoded rollups of whole (site, dimension, day)s: all units of it, or none because there are none.
#[derive(Default)]
pub struct Cache {
    stamp: Stamp,
    rollups: HashMap<(SiteId, Dim, Day), Units>,
    bytes: usize,
}

impl Cache {
    /// What is known of what is wanted, and the days of each dimension that have to be read.
    pub fn get(&self, stamp: Stamp, site: SiteId, wanted: &Wanted) -> (Vec<Found>, Wanted) {
        if stamp != self.stamp {
            return (Vec::new(), wanted.clone());
        }
        let mut found = Vec::new();
        let mut missing = Wanted::new();
        for (&dim, days) in wanted {
            let known = |day: Day| self.rollups.get(&(site, dim, day));
            let all = || (days.start().0..=days.end().0).map(Day);
            let first = all().find(|&day| known(day).is_none());
            let last = all().rev().find(|&day| known(day).is_none());
            let gap = first.zip(last).map(|(first, last)| first..=last);
            for day in all().filter(|day| gap.as_ref().is_none_or(|gap| !gap.contains(day))) {
                let units = known(day).into_iter().flatten();
                found.extend(units.map(|(unit, rollup)| Found {
                    unit: *unit,
                    day,
                    dim,
                    rollup: rollup.clone(),
                }));
            }
            missing.extend(gap.map(|gap| (dim, gap)));
        }
        (found, missing)
    }

    /// Keeps what was read for `missing`. What does not fit any more makes room for it all.
    pub fn put(&mut self, stamp: Stamp, site: SiteId, missing: &Wanted, read: &[Found]) {
        let days: usize = missing.values().map(|days| time::len(days) as usize).sum();
        let bytes =
            (days + read.len()) * ROW + read.iter().map(|found| cells_bytes(&found.rollup)).sum::<usize>();
        if stamp != self.stamp || self.bytes + bytes > CACHE_BYTES {
            *self = Cache { stamp, ..Cache::default() };
        }
        if bytes > CACHE_BYTES {
            return;
        }
        for (&dim, days) in missing {
            for day in (days.start().0..=days.end().0).map(Day) {
                self.rollups.insert((site, dim, day), Vec::new());
            }
        }
        for found in read {
            let units = self.rollups.entry((site, found.dim, found.day)).or_default();
            units.push((found.unit, found.rollup.clone()));
        }
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LIVE;
    use passerby_engine::event::Text;
    use passerby_engine::rollup::Counts;

    const SITE: SiteId = SiteId(1);
    const NOW: Stamp = Stamp { epoch: 1, revision: 1 };

    fn found(unit: Unit, day: i32, value: &str) -> Found {
        let cells = vec![(Text::from(value), Counts { visits: 1, ..Counts::default() })];
        Found { unit, day: Day(day), dim: Dim::Page, rollup: Arc::new(Rollup { cells }) }
    }

    fn pages(first: i32, last: i32) -> Wanted {
        Wanted::from([(Dim::Page, Day(first)..=Day(last))])
    }

    /// `day value` of what is known, and the days that have to be read.
    fn get(cache: &Cache, stamp: Stamp, site: SiteId, first: i32, last: i32) -> String {
        let (found, missing) = cache.get(stamp, site, &pages(first, last));
        let known: Vec<String> =
            found.iter().map(|f| format!("{} {}", f.day.0, f.rollup.cells[0].0)).collect();
        let missing = missing.get(&Dim::Page).map(|days| format!("{}..{}", days.start().0, days.end().0));
        format!("{} | {}", known.join(", "), missing.unwrap_or_default())
    }

    #[test]
    fn days_are_known_read_or_forgotten() {
        let mut cache = Cache::default();
        assert_eq!(get(&cache, NOW, SITE, 1, 9), " | 1..9");
        cache.put(NOW, SITE, &pages(3, 5), &[found(LIVE, 3, "/"), found(7, 3, "/a"), found(LIVE, 5, "/b")]);
        // Day 4 is known to have nothing.
        assert_eq!(get(&cache, NOW, SITE, 3, 5), "3 /, 3 /a, 5 /b | ");
        assert_eq!(get(&cache, NOW, SITE, 4, 8), "5 /b | 6..8");
        assert_eq!(get(&cache, NOW, SITE, 1, 3), "3 /, 3 /a | 1..2");
        // What lies between unknown days is read again with them.
        assert_eq!(get(&cache, NOW, SITE, 2, 8), " | 2..8");
        assert_eq!(get(&cache, NOW, SiteId(2), 3, 5), " | 3..5");
        // Two readers that read the same count it once.
        cache.put(NOW, SITE, &pages(5, 5), &[found(LIVE, 5, "/b")]);
        assert_eq!(get(&cache, NOW, SITE, 5, 5), "5 /b | ");

        for moved in [Stamp { epoch: 2, ..NOW }, Stamp { revision: 2, ..NOW }] {
            assert_eq!(get(&cache, moved, SITE, 3, 5), " | 3..5");
        }
        cache.put(Stamp { epoch: 2, ..NOW }, SITE, &pages(1, 1), &[]);
        assert_eq!(get(&cache, NOW, SITE, 3, 5), " | 3..5");
    }

    #[test]
    fn bytes_are_bounded() {
        let mut cache = Cache::default();
        let long = "x".repeat(CACHE_BYTES / 4);
        for day in 0..20 {
            cache.put(NOW, SITE, &pages(day, day), &[found(LIVE, day, &long)]);
            assert!(cache.bytes <= CACHE_BYTES && cache.rollups.len() <= 4);
        }
        // One that is too large alone is not kept, and costs no more than what was there.
        cache.put(NOW, SITE, &pages(0, 40_000_000), &[]);
        assert_eq!((cache.bytes, cache.rollups.len()), (0, 0));
    }
}
