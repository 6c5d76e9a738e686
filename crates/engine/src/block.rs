//! Blocks: a column-encoded run of events of one site and day; a flush holds one or more.

use crate::event::{Batch, Day, Kind, Measure, Reason, Revenue, SiteId, Text, Visitor};

/// Texts by code. Code 0 is always the empty text, and no text stands twice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dict(pub Vec<Text>);

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

/// A block as the fold reads it: dictionaries, tuples of codes, rows. What is on disk is [`encode`]d.
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

/// Groups batches by site and day (sites and days in ascending order, batches of one block in the order given).
pub fn blocks(_batches: Vec<Batch>) -> Vec<Block> {
    todo!()
}
