//! Blocks: a column-encoded run of events of one site and day; a flush holds one or more.
//!
//! A flush of one event and one of a thousand are written in the same way, and both are small, by four
//! means. Texts become codes into dictionaries, and tuples of codes (an origin, a place, a device) indices
//! into tables, so that a repeated value costs a byte. Each column is written in its shortest way
//! ([`crate::bytes`]). What the world has in common is known beforehand (`texts`): names, versions,
//! pieces of paths, and which columns are constant in a block of one page view. And what cannot be
//! compressed, the hashes, is kept apart from what can.
//!
//! ```text
//! flush                                                          bytes, with one page view
//!   1   version: 1                                                   1
//!   4   CRC-32 of all that follows                                   4
//!   v   how many words                                               1
//!   8   each word: for each block its site, its batches' ids,       24
//!       its visitors' hashes, each at its first batch; for each
//!       count of drops its site; then zero words (padding)
//!   v   0: the body as it is; else how it is packed with zstd        1
//!   …   body
//!         v   blocks * 4 + (in pieces) * 2 + (drops follow)          1
//!         v   how many counts of drops, if any                       0
//!         …   blocks                                               ~65
//!         …   counts of drops: day v, reason 1, count v              0
//!
//! block
//!   v   how many batches                                             1
//!   v   day, counted from 2024-10-04, signed                         2
//!   v   which of the 16 bytes of control bits are unusual            1
//!   1   each of those                                              0-3
//!   …   columns, one after the other
//!         batches  events, received, sent, visitor, place, device,   4
//!                  language
//!         events   lag, flags, offset, page, hostname, origin        2
//!         tuples   entries beyond those referred to; 3 of places,    0
//!                  5 of devices, 8 of origins
//!         events   name, props, numbers, time, scroll, money,        0
//!                  currency
//!         props    key, value; numbers: measure, amount              2
//!         texts    entries beyond those referred to                  0
//!   …   texts of the 22 dictionaries                               ~51
//! ```
//!
//! v is a varint. *received* counts from 14 hours before the day's midnight in UTC, *lag* from an event
//! back to the moment its batch was received. *visitor* is 0 for a hash that stands among the words, 1 for
//! none, else 2 more than the place of an earlier one. *flags* hold the kind (3 bits), interactive 8,
//! has scroll 16, has time 32, has money 64; time, scroll and money have rows only for events that have
//! them. *offset* is in quarters of an hour, times two, where it can be. The length of a table is one more
//! than the greatest index into it.
//!
//! Measured by `benches/codec` on made-up traffic, each event in a batch of its own: 97 bytes an event in
//! flushes of one, 66 in flushes of 10, 44 of 100, 32 of 1,000, of which 16 are hashes; encoded in about
//! 1 us and decoded in 0.2 us an event of a thousand, in 6 and 3 us a single one (docs/PERFORMANCE.md).
//!
//! Not taken: a zstd dictionary. One of 16 KB, trained on traffic of another site's vocabulary, makes a flush
//! of one event 102 bytes instead of 121 without pieces, which alone make it 97, and 88 together with them
//! (10 events: 59 bytes each instead of 63; from 100 on no difference), for a file that nobody can read. Nor an arithmetic coder, which
//! would take longer than all the rest.
//!
//! On hostile bytes: any input decodes to a closed flush or is [`crate::bytes::Corrupt`]; memory stays
//! within a constant times the input (tests/hostile.rs).

pub(crate) mod coding;
mod gather;
pub(crate) mod tables;
pub(crate) mod texts;

pub use coding::{decode_flush, encode_flush};
pub use gather::{Gatherer, blocks};

use crate::event::{
    Batch, Day, Device, Event, Kind, Measure, Origin, Place, Reason, Revenue, SiteId, Text, Visitor,
};

/// Texts by code. Code 0 is always the empty text, and no text stands twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dict(pub Vec<Text>);

/// Holds the empty text alone.
impl Default for Dict {
    fn default() -> Dict {
        Dict(vec![Text::default()])
    }
}

impl Dict {
    /// The text of a code; empty for a code that is not here.
    pub fn text(&self, code: u32) -> &str {
        self.0.get(code as usize).map_or("", |text| text)
    }
}

/// The dictionaries of a block or segment. Pages, entry pages and exit pages share one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dicts {
    pub page: Dict,
    pub hostname: Dict,
    /// source, channel, referrer, utm source, medium, campaign, content, term: as in [`crate::event::Origin`].
    pub origin: [Dict; 8],
    /// country, region, city.
    pub place: [Dict; 3],
    /// class, browser, browser version, system, system version.
    pub device: [Dict; 5],
    pub language: Dict,
    /// Names of custom events and selectors of clicks.
    pub name: Dict,
    pub prop_key: Dict,
    pub prop_value: Dict,
}

impl Dicts {
    /// How many dictionaries there are.
    pub(crate) const COUNT: usize = 22;

    /// All of them, in the order in which they are stored.
    pub(crate) fn all(&self) -> [&Dict; Dicts::COUNT] {
        let [o0, o1, o2, o3, o4, o5, o6, o7] = &self.origin;
        let [p0, p1, p2] = &self.place;
        let [d0, d1, d2, d3, d4] = &self.device;
        let Dicts { page, hostname, language, name, prop_key, prop_value, .. } = self;
        [
            page, hostname, o0, o1, o2, o3, o4, o5, o6, o7, p0, p1, p2, d0, d1, d2, d3, d4, language, name,
            prop_key, prop_value,
        ]
    }

    /// The inverse of [`Dicts::all`].
    pub(crate) fn from_all(all: [Dict; Dicts::COUNT]) -> Dicts {
        let [
            page,
            hostname,
            o0,
            o1,
            o2,
            o3,
            o4,
            o5,
            o6,
            o7,
            p0,
            p1,
            p2,
            d0,
            d1,
            d2,
            d3,
            d4,
            language,
            name,
            prop_key,
            prop_value,
        ] = all;
        Dicts {
            page,
            hostname,
            origin: [o0, o1, o2, o3, o4, o5, o6, o7],
            place: [p0, p1, p2],
            device: [d0, d1, d2, d3, d4],
            language,
            name,
            prop_key,
            prop_value,
        }
    }
}

/// A block as the fold reads it: dictionaries, tuples of codes, rows. [`encode_flush`] makes bytes of it.
///
/// **A block is closed.** Every code lies within its dictionary, every index within its table, code 0 is
/// the empty text; the batches' counts of events add up to the rows of `events`, those events' counts of
/// props and numbers to the rows of `props` and `numbers`. [`blocks`] makes only such blocks and
/// [`decode_flush`] lets no other through, so that whoever has one may index without asking.
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    pub site: SiteId,
    pub day: Day,
    pub dicts: Dicts,
    /// Distinct tuples of codes into `dicts.origin`; events refer to these.
    pub origins: Vec<[u32; 8]>,
    pub places: Vec<[u32; 3]>,
    pub devices: Vec<[u32; 5]>,
    pub batches: Vec<BatchRow>,
    /// All batches' events, in the batches' order.
    pub events: Vec<EventRow>,
    /// Pairs of codes into `dicts.prop_key`, `dicts.prop_value`.
    pub props: Vec<(u32, u32)>,
    pub numbers: Vec<(Measure, i64)>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchRow {
    pub id: u64,
    pub received_ms: i64,
    pub sent_ms: u32,
    pub visitor: Option<Visitor>,
    /// Index into `places`.
    pub place: u32,
    /// Index into `devices`.
    pub device: u32,
    pub language: u32,
    /// How many rows of `events` are this batch's.
    pub events: u32,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EventRow {
    pub kind: Kind,
    pub interactive: bool,
    pub at_ms: i64,
    pub offset_s: i32,
    pub page: u32,
    pub hostname: u32,
    /// Index into `origins`.
    pub origin: u32,
    pub name: u32,
    /// How many rows of `props` are this event's; they follow those of the event before.
    pub props: u32,
    /// The same for `numbers`.
    pub numbers: u32,
    pub engaged_ms: u32,
    pub scroll: Option<u8>,
    pub revenue: Option<Revenue>,
}

/// How many hits of a site and day were not counted, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dropped {
    pub site: SiteId,
    pub day: Day,
    pub reason: Reason,
    pub count: u32,
}

/// What one append holds: blocks, one for each site and day in it, and counts of what was dropped.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Flush {
    pub blocks: Vec<Block>,
    pub dropped: Vec<Dropped>,
}

impl Block {
    /// The batches again, as they were before they were coded.
    pub fn batches(&self) -> impl Iterator<Item = Batch> + '_ {
        let (mut event, mut prop, mut number) = (0, 0, 0);
        self.batches.iter().map(move |row| {
            let events = self.events.iter().skip(event).take(row.events as usize);
            event += row.events as usize;
            let events = events.map(|row| {
                let props = self.props.iter().skip(prop).take(row.props as usize);
                let numbers = self.numbers.iter().skip(number).take(row.numbers as usize);
                prop += row.props as usize;
                number += row.numbers as usize;
                self.event(row, props.copied(), numbers.copied())
            });
            Batch {
                events: events.collect(),
                id: row.id,
                received_ms: row.received_ms,
                sent_ms: row.sent_ms,
                site: self.site,
                day: self.day,
                visitor: row.visitor,
                place: self.dicts.place(self.places[row.place as usize]),
                device: self.dicts.device(self.devices[row.device as usize]),
                language: self.dicts.language.text(row.language).into(),
            }
        })
    }

    fn event(
        &self,
        row: &EventRow,
        props: impl Iterator<Item = (u32, u32)>,
        numbers: impl Iterator<Item = (Measure, i64)>,
    ) -> Event {
        let dicts = &self.dicts;
        let prop = |(key, value)| (dicts.prop_key.text(key).into(), dicts.prop_value.text(value).into());
        Event {
            kind: row.kind,
            at_ms: row.at_ms,
            offset_s: row.offset_s,
            hostname: dicts.hostname.text(row.hostname).into(),
            page: dicts.page.text(row.page).into(),
            origin: dicts.origin(self.origins[row.origin as usize]),
            name: dicts.name.text(row.name).into(),
            props: props.map(prop).collect(),
            interactive: row.interactive,
            engaged_ms: row.engaged_ms,
            scroll: row.scroll,
            revenue: row.revenue,
            numbers: numbers.collect(),
        }
    }
}

impl Dicts {
    /// The texts of a tuple of codes.
    pub fn origin(&self, codes: [u32; 8]) -> Origin {
        let text = |i: usize| Text::from(self.origin[i].text(codes[i]));
        Origin {
            source: text(0),
            channel: text(1),
            referrer: text(2),
            utm_source: text(3),
            utm_medium: text(4),
            utm_campaign: text(5),
            utm_content: text(6),
            utm_term: text(7),
        }
    }

    /// The texts of a tuple of codes.
    pub fn place(&self, codes: [u32; 3]) -> Place {
        let text = |i: usize| Text::from(self.place[i].text(codes[i]));
        Place { country: text(0), region: text(1), city: text(2) }
    }

    /// The texts of a tuple of codes.
    pub fn device(&self, codes: [u32; 5]) -> Device {
        let text = |i: usize| Text::from(self.device[i].text(codes[i]));
        Device {
            class: text(0),
            browser: text(1),
            browser_version: text(2),
            system: text(3),
            system_version: text(4),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
