//! Segments: a day's counted events at rest, sorted by visitor, with the decisions of the fold beside them.
//!
//! While a day is open its events leave the fold in *parts*, one a checkpoint, whose events name the visit
//! by its number in the day's state. When the day freezes, parts and state become one *segment*.
//!
//! ```text
//! part                                            segment
//!   1   version: 1                                  1   version: 1
//!   4   CRC-32 of all that follows                  4   CRC-32 of all that follows
//!   v   words                                       v   words
//!   8   the site; then zero words (padding)         8   the site; then zero words (padding)
//!   …   packed                                      v   how many visits
//!         v   day                                   v   day
//!         v   how many events                       v   how many events
//!         …   columns                               …   columns, each packed by itself
//!         …   texts                                 …   texts, packed
//! ```
//!
//! Columns of a part: number, visit (0 for none, else one more), time, place, device, origin, language;
//! then those that blocks have too ([`crate::block`]).
//!
//! Columns of a segment, with their bytes an event at 100,000 events a day:
//!
//! ```text
//! visits   visitor; start, from the start before; place, device,     3.2
//!          origin, language
//! events   visit; number, from the number before                     1.9
//!          time, from the event before in the visit                  1.3
//!          place, device, origin, language: 0 where as the visit's   0.3
//! visits   entry, exit, views, duration, engaged: 0 where as the     0.0
//!          visit's own events foretell
//! events   flags, offset, page, hostname                             1.4
//!          tuples, texts                                             0.5
//!          widths 0.8, time looked at 0.3, and the rest of what      1.5
//!          few events have
//! ```
//!
//! So a visit's values stand once, and what the fold decided costs nothing where the events alone would
//! have led to the same. Each column is a zstd frame of its own: its numbers are alike, and a query that
//! needs three columns can unpack three. No visitor's hash is here.
//!
//! The same promise on hostile input as for blocks.

mod coding;

pub use coding::{decode, decode_part, encode, encode_part};

use crate::block::{Dicts, EventRow};
use crate::event::{Day, Kind, Measure, Revenue, SiteId};

/// Events that the fold has counted since the last checkpoint, in log order. Closed, as a block is: every
/// code and index lies within its table, and the counts of props and numbers add up.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    pub site: SiteId,
    pub day: Day,
    pub dicts: Dicts,
    /// Distinct tuples, as in a block: what an event without a visit carries itself, and what one within a
    /// visit was sent with (a later campaign click inside a visit, say).
    pub origins: Vec<[u32; 8]>,
    pub places: Vec<[u32; 3]>,
    pub devices: Vec<[u32; 5]>,
    pub events: Vec<SegmentEvent>,
    pub props: Vec<(u32, u32)>,
    pub numbers: Vec<(Measure, i64)>,
}

/// A whole, frozen day. Visits are sorted by visitor, then by start; events by visit, then by number;
/// events without a visit come last.
#[derive(Clone, PartialEq, Debug)]
pub struct Segment {
    pub visits: Vec<VisitRow>,
    /// Its events' `visit` counts from 0 in `visits`.
    pub events: Part,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SegmentEvent {
    /// The event's place among the day's counted events, in log order, from 0. A replay sorts by it.
    pub number: u32,
    /// Number of the visit it belongs to, if any.
    pub visit: Option<u32>,
    pub kind: Kind,
    pub interactive: bool,
    pub at_ms: i64,
    pub offset_s: i32,
    pub page: u32,
    pub hostname: u32,
    pub origin: u32,
    pub place: u32,
    pub device: u32,
    pub language: u32,
    pub name: u32,
    pub props: u32,
    pub numbers: u32,
    pub engaged_ms: u32,
    pub scroll: Option<u8>,
    pub revenue: Option<Revenue>,
}

impl SegmentEvent {
    /// What it has in common with an event of a block.
    pub(crate) fn row(&self) -> EventRow {
        let SegmentEvent { kind, interactive, at_ms, offset_s, page, hostname, origin, name, .. } = *self;
        let SegmentEvent { props, numbers, engaged_ms, scroll, revenue, .. } = *self;
        EventRow {
            kind,
            interactive,
            at_ms,
            offset_s,
            page,
            hostname,
            origin,
            name,
            props,
            numbers,
            engaged_ms,
            scroll,
            revenue,
        }
    }
}

/// A visit with the values of its first event and what became of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct VisitRow {
    /// Visitors of the day numbered afresh, from 0 without gaps, ascending; no hash.
    pub visitor: u32,
    pub start_ms: i64,
    pub duration_s: u32,
    /// Indices into the segment's tuples.
    pub origin: u32,
    pub place: u32,
    pub device: u32,
    pub language: u32,
    /// Codes into `dicts.page`; none for a visit without a page view.
    pub entry: Option<u32>,
    pub exit: Option<u32>,
    pub views: u32,
    pub engaged: bool,
}

#[cfg(test)]
mod tests;
