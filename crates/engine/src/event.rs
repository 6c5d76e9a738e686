//! What we keep of a hit: enriched, and nothing that tells who somebody is.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU64;

/// A short string; up to 24 bytes need no allocation.
pub type Text = CompactString;

/// A site's random id. Keys and rows carry it, never the domain, so that a domain deleted and created
/// again meets no leftovers. Printed as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SiteId(pub u64);

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiteId({self})")
    }
}

/// A site-local calendar day, as days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub i32);

/// A visitor of one site on one site-local day: a keyed hash whose key is wiped when the day is over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Visitor(pub NonZeroU64);

/// What happened. The numbers are the ones on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    PageView = 0,
    /// A custom event: has a name.
    Custom = 1,
    /// How long a page was looked at, and how far it was scrolled.
    Engagement = 2,
    /// A click on a page, for its click map. `name` is a short selector.
    Click = 3,
    /// Page vitals, as `numbers`.
    Vitals = 4,
}

impl Kind {
    pub fn from_number(n: u8) -> Option<Kind> {
        [Kind::PageView, Kind::Custom, Kind::Engagement, Kind::Click, Kind::Vitals].get(n as usize).copied()
    }
}

/// Where a visit came from. An empty text is "none"; an empty source is "Direct or unknown".
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Origin {
    pub source: Text,
    pub channel: Text,
    /// Host and path of the referring page, without scheme and query.
    pub referrer: Text,
    pub utm_source: Text,
    pub utm_medium: Text,
    pub utm_campaign: Text,
    pub utm_content: Text,
    pub utm_term: Text,
}

/// Where a hit was sent from, no finer than a city.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Place {
    /// ISO 3166-1 alpha-2, upper case: `DE`.
    pub country: Text,
    /// ISO 3166-2: `DE-BE`.
    pub region: Text,
    /// Name and country, so that two towns of one name stay two: `Berlin, DE`.
    pub city: Text,
}

/// What a hit was sent with, as far as the user agent says. An empty text is "not known".
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Device {
    /// `Desktop`, `Mobile` or `Tablet`.
    pub class: Text,
    pub browser: Text,
    /// Name and version, so that the value stands alone: `Chrome 126`, `Safari 17.4`.
    pub browser_version: Text,
    pub system: Text,
    /// `Windows 10`, `iOS 17.5`.
    pub system_version: Text,
}

/// Money of a custom event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revenue {
    /// Thousandths of the currency's unit.
    pub milli: i64,
    /// ISO 4217, upper case: `EUR`.
    pub currency: [u8; 3],
}

/// A measured number of an event. The numbers are the ones on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Measure {
    /// Width of the window, CSS pixels.
    Width = 0,
    /// A click's place: ten-thousandths of the document's width.
    ClickX = 1,
    /// A click's place: CSS pixels from the document's top.
    ClickY = 2,
    /// Largest contentful paint, ms.
    Lcp = 3,
    /// Interaction to next paint, ms.
    Inp = 4,
    /// Cumulative layout shift, thousandths.
    Cls = 5,
    /// First contentful paint, ms.
    Fcp = 6,
    /// Time to first byte, ms.
    Ttfb = 7,
}

impl Measure {
    pub const ALL: [Measure; 8] = [
        Measure::Width,
        Measure::ClickX,
        Measure::ClickY,
        Measure::Lcp,
        Measure::Inp,
        Measure::Cls,
        Measure::Fcp,
        Measure::Ttfb,
    ];
}

/// One event, enriched. What all events of a batch share is in [`Batch`].
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub kind: Kind,
    /// When it happened, by the server's clock: Unix milliseconds.
    pub at_ms: i64,
    /// The site's distance from UTC at that moment, in seconds east. The log carries it, so that the
    /// fold needs no time zone and a later change of the site's zone moves nothing already counted.
    pub offset_s: i32,
    pub hostname: Text,
    /// The path, cleaned (PRIVACY.md, clause 10).
    pub page: Text,
    pub origin: Origin,
    /// Name of a custom event, selector of a click, else empty.
    pub name: Text,
    pub props: Vec<(Text, Text)>,
    /// Whether a custom event ends a bounce.
    pub interactive: bool,
    /// Engagement: time visible and focused, ms.
    pub engaged_ms: u32,
    /// Engagement: deepest scroll, per cent of the page.
    pub scroll: Option<u8>,
    pub revenue: Option<Revenue>,
    /// Sorted by measure, each at most once.
    pub numbers: Vec<(Measure, i64)>,
}

/// The events of one batch that belong to one site-local day, and what they share. A batch that spans
/// midnight becomes two of these with unrelated ids, so that nothing ties two days together.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Keyed hash of the batch id, site and day.
    pub id: u64,
    /// When the server received it, Unix milliseconds.
    pub received_ms: i64,
    /// How long before that the browser first tried to send it, ms.
    pub sent_ms: u32,
    pub site: SiteId,
    pub day: Day,
    /// None under Sec-GPC or DNT, and for events whose day's salt is already wiped.
    pub visitor: Option<Visitor>,
    pub place: Place,
    pub device: Device,
    /// Primary language: `de`.
    pub language: Text,
    /// Sorted by time; never empty.
    pub events: Vec<Event>,
}

/// Why a hit, or a whole request, was not counted. One closed list: in answers, in counts, on the page.
/// The numbers are the ones on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Reason {
    /// Not JSON, or not of the shape we read.
    Malformed = 0,
    /// A site that is not here.
    UnknownSite = 1,
    /// More events than a batch may hold.
    TooManyEvents = 2,
    /// No URL, or one that cannot be one.
    BadUrl = 3,
    /// A field with a value that is not allowed.
    BadField = 4,
    /// A custom event without a name.
    NoName = 5,
    /// Happened more than 24 hours ago.
    TooOld = 6,
    /// The user agent says that it is a machine.
    Bot = 7,
    /// A retry of a batch older than what is remembered.
    RetryTooLate = 8,
    /// Engagement without a visit that it could belong to.
    NoVisit = 9,
    /// Nothing measured: engagement with neither time nor scroll, vitals without numbers.
    Nothing = 10,
    /// The visitor asked not to be tracked, and the site drops such events.
    OptedOut = 11,
}

impl Reason {
    pub const ALL: [Reason; 12] = [
        Reason::Malformed,
        Reason::UnknownSite,
        Reason::TooManyEvents,
        Reason::BadUrl,
        Reason::BadField,
        Reason::NoName,
        Reason::TooOld,
        Reason::Bot,
        Reason::RetryTooLate,
        Reason::NoVisit,
        Reason::Nothing,
        Reason::OptedOut,
    ];

    /// The name in answers and tables.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::UnknownSite => "unknown_site",
            Reason::TooManyEvents => "too_many_events",
            Reason::BadUrl => "bad_url",
            Reason::BadField => "bad_field",
            Reason::NoName => "no_name",
            Reason::TooOld => "too_old",
            Reason::Bot => "bot",
            Reason::RetryTooLate => "retry_too_late",
            Reason::NoVisit => "no_visit",
            Reason::Nothing => "nothing_measured",
            Reason::OptedOut => "opted_out",
        }
    }
}
