//! The numbers of a day: one cell for each value of each dimension, and how cells add up.

use crate::bytes::{Corrupt, Reader, Sheet, SheetReader, Writer};
use crate::bytes::{compress, decompress, finish_words, seal, unseal, unzigzag, zigzag};
use crate::event::Text;

/// What a figure can be broken down by. One row of [`Dim::TABLE`] each; column, key, label and parser
/// derive from it. The numbers are the ones on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Dim {
    /// The day's totals; the only value is the empty text.
    Total = 0,
    /// Totals by local hour; values `00` to `23`.
    Hour = 1,
    /// What was not counted, by [`crate::event::Reason`]; `events` holds how many.
    Dropped = 2,
    Page = 3,
    EntryPage = 4,
    ExitPage = 5,
    Source = 6,
    Channel = 7,
    Referrer = 8,
    UtmSource = 9,
    UtmMedium = 10,
    UtmCampaign = 11,
    UtmContent = 12,
    UtmTerm = 13,
    Country = 14,
    Region = 15,
    City = 16,
    Device = 17,
    Browser = 18,
    BrowserVersion = 19,
    System = 20,
    SystemVersion = 21,
    Language = 22,
    Hostname = 23,
    EventName = 24,
    /// Custom properties; a value is `key NUL value`.
    Prop = 25,
}

/// One row a dimension: its name in queries (after Plausible's Stats API), and its heading.
pub struct DimRow {
    pub dim: Dim,
    pub key: &'static str,
    pub label: &'static str,
}

const fn row(dim: Dim, key: &'static str, label: &'static str) -> DimRow {
    DimRow { dim, key, label }
}

impl Dim {
    pub const COUNT: usize = 26;

    pub const TABLE: [DimRow; Dim::COUNT] = [
        row(Dim::Total, "total", "Total"),
        row(Dim::Hour, "time:hour", "Hour"),
        row(Dim::Dropped, "dropped", "Reason"),
        row(Dim::Page, "event:page", "Page"),
        row(Dim::EntryPage, "visit:entry_page", "Entry page"),
        row(Dim::ExitPage, "visit:exit_page", "Exit page"),
        row(Dim::Source, "visit:source", "Source"),
        row(Dim::Channel, "visit:channel", "Channel"),
        row(Dim::Referrer, "visit:referrer", "Referrer"),
        row(Dim::UtmSource, "visit:utm_source", "Campaign source"),
        row(Dim::UtmMedium, "visit:utm_medium", "Campaign medium"),
        row(Dim::UtmCampaign, "visit:utm_campaign", "Campaign"),
        row(Dim::UtmContent, "visit:utm_content", "Campaign content"),
        row(Dim::UtmTerm, "visit:utm_term", "Campaign term"),
        row(Dim::Country, "visit:country", "Country"),
        row(Dim::Region, "visit:region", "Region"),
        row(Dim::City, "visit:city", "City"),
        row(Dim::Device, "visit:device", "Device"),
        row(Dim::Browser, "visit:browser", "Browser"),
        row(Dim::BrowserVersion, "visit:browser_version", "Browser version"),
        row(Dim::System, "visit:os", "System"),
        row(Dim::SystemVersion, "visit:os_version", "System version"),
        row(Dim::Language, "visit:language", "Language"),
        row(Dim::Hostname, "event:hostname", "Hostname"),
        row(Dim::EventName, "event:name", "Event"),
        row(Dim::Prop, "event:props", "Property"),
    ];

    pub fn from_number(n: u8) -> Option<Dim> {
        Dim::TABLE.get(n as usize).map(|row| row.dim)
    }

    pub fn key(self) -> &'static str {
        Dim::TABLE[self as usize].key
    }

    pub fn label(self) -> &'static str {
        Dim::TABLE[self as usize].label
    }
}

/// The numbers in a cell. Signed, since the exit page and the duration of an open visit move; merged by
/// addition, except that visitors of different days are different visitors and so add up too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Distinct visitors of the day.
    pub visitors: i64,
    pub visits: i64,
    /// All page views, those without a visit included.
    pub pageviews: i64,
    /// Custom events. In [`Dim::Dropped`]: what was dropped.
    pub events: i64,
    /// Visits with two page views or more, or an interactive event: visits that did not bounce.
    pub engaged: i64,
    /// Sum of the visits' durations, seconds.
    pub duration_s: i64,
    /// Page views that belong to no visit (Sec-GPC, DNT, or the day's salt already wiped).
    pub loose: i64,
}

impl Counts {
    /// The numbers in the order in which they are stored.
    pub fn to_array(self) -> [i64; 7] {
        [self.visitors, self.visits, self.pageviews, self.events, self.engaged, self.duration_s, self.loose]
    }

    pub fn from_array(a: [i64; 7]) -> Counts {
        Counts {
            visitors: a[0],
            visits: a[1],
            pageviews: a[2],
            events: a[3],
            engaged: a[4],
            duration_s: a[5],
            loose: a[6],
        }
    }

    pub fn is_zero(self) -> bool {
        self == Counts::default()
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.visitors = self.visitors.saturating_add(other.visitors);
        self.visits = self.visits.saturating_add(other.visits);
        self.pageviews = self.pageviews.saturating_add(other.pageviews);
        self.events = self.events.saturating_add(other.events);
        self.engaged = self.engaged.saturating_add(other.engaged);
        self.duration_s = self.duration_s.saturating_add(other.duration_s);
        self.loose = self.loose.saturating_add(other.loose);
    }
}

/// The cells of one site, day and dimension, sorted by value (bytes); no value twice, no cell all zero.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rollup {
    pub cells: Vec<(Text, Counts)>,
}

/// The value that stands for all that a cap did not let in.
pub const OTHER: &str = "(other)";

const VERSION: u8 = 1;

impl Rollup {
    /// The cells as bytes: framed and packed, how many cells; their values; each of the seven numbers as
    /// a column. Its inverse is [`Rollup::decode`].
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.put_varint(self.cells.len() as u64);
        self.cells.iter().for_each(|(value, _)| body.put_text(value));
        let mut sheet = Sheet::new(usize::MAX);
        for i in 0..7 {
            sheet.put(self.cells.iter().map(|(_, counts)| zigzag(counts.to_array()[i])));
        }
        sheet.finish(0, &mut body);
        seal(VERSION, self.cells.len(), Writer::new(), &compress(&body.bytes))
    }

    /// What [`Rollup::encode`] made, or [`Corrupt`] for anything else. The cells are sorted and none twice.
    pub fn decode(bytes: &[u8]) -> Result<Rollup, Corrupt> {
        let (mut budget, words, packed) = unseal(VERSION, bytes)?;
        finish_words(&words)?;
        let body = decompress(packed, usize::MAX)?;
        let mut from = Reader::new(&body);
        let n = budget.take(from.varint()?)?;
        let mut cells: Vec<(Text, Counts)> = Vec::with_capacity(n);
        for _ in 0..n {
            let value = Text::from(from.text()?);
            if cells.last().is_some_and(|last| last.0 >= value) {
                return Err(Corrupt);
            }
            cells.push((value, Counts::default()));
        }
        let mut sheet = SheetReader::new(0, &mut from)?;
        for i in 0..7 {
            let column = sheet.column(n)?;
            for ((_, counts), number) in cells.iter_mut().zip(column.iter()) {
                let mut numbers = counts.to_array();
                numbers[i] = unzigzag(number);
                *counts = Counts::from_array(numbers);
            }
        }
        from.finish()?;
        Ok(Rollup { cells })
    }

    /// Adds another's cells. Cells that come out all zero vanish.
    pub fn merge(&mut self, other: &Rollup) {
        let mut cells = Vec::with_capacity(self.cells.len() + other.cells.len());
        let mut theirs = other.cells.iter().peekable();
        for (value, mut counts) in std::mem::take(&mut self.cells) {
            while let Some(cell) = theirs.next_if(|their| their.0 < value) {
                cells.push(cell.clone());
            }
            if let Some(cell) = theirs.next_if(|their| their.0 == value) {
                counts += cell.1;
            }
            cells.push((value, counts));
        }
        cells.extend(theirs.cloned());
        cells.retain(|(_, counts)| !counts.is_zero());
        self.cells = cells;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn rollup() -> impl Strategy<Value = Rollup> {
        let number = || prop_oneof![3 => Just(0i64), 3 => -3..1000i64, 1 => any::<i32>().prop_map(i64::from)];
        let numbers = [number(), number(), number(), number(), number(), number(), number()];
        let cells = proptest::collection::btree_map("/?[a-c]{0,3}|\\PC{0,12}", numbers, 0..12);
        cells.prop_map(|cells: BTreeMap<String, [i64; 7]>| {
            let cells = cells.into_iter().map(|(value, numbers)| (value.into(), Counts::from_array(numbers)));
            Rollup { cells: cells.filter(|cell: &(Text, Counts)| !cell.1.is_zero()).collect() }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_rollup_comes_back(rollup in rollup(), at in any::<prop::sample::Index>(), with in 1..=255u8) {
            let mut bytes = rollup.encode();
            prop_assert_eq!(Rollup::decode(&bytes), Ok(rollup));
            let at = at.index(bytes.len());
            prop_assert_eq!(Rollup::decode(&bytes[..at]), Err(Corrupt));
            bytes[at] ^= with;
            prop_assert_eq!(Rollup::decode(&bytes), Err(Corrupt));
        }

        /// Against a map that adds.
        #[test]
        fn merging_adds(mut one in rollup(), other in rollup(), takes_back in any::<bool>()) {
            let mut sums: BTreeMap<Text, Counts> = BTreeMap::new();
            let negative = |counts: Counts| Counts::from_array(counts.to_array().map(|n| -n));
            let mut other = other;
            if takes_back {
                other.cells.extend(one.cells.iter().map(|(value, counts)| (value.clone(), negative(*counts))));
                other.cells.sort_by(|a, b| a.0.cmp(&b.0));
                other.cells.dedup_by(|a, b| a.0 == b.0);
            }
            for (value, counts) in one.cells.iter().chain(&other.cells) {
                *sums.entry(value.clone()).or_default() += *counts;
            }
            one.merge(&other);
            prop_assert_eq!(one.cells, sums.into_iter().filter(|cell| !cell.1.is_zero()).collect::<Vec<_>>());
        }
    }
}
