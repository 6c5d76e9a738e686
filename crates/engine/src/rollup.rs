//! The numbers of a day: one cell for each value of each dimension, and how cells add up.

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
        row(
            Dim::BrowserVersion,
            "visit:browser_version",
            "Browser version",
        ),
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
        [
            self.visitors,
            self.visits,
            self.pageviews,
            self.events,
            self.engaged,
            self.duration_s,
            self.loose,
        ]
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
        self.visitors += other.visitors;
        self.visits += other.visits;
        self.pageviews += other.pageviews;
        self.events += other.events;
        self.engaged += other.engaged;
        self.duration_s += other.duration_s;
        self.loose += other.loose;
    }
}

/// The cells of one site, day and dimension, sorted by value (bytes); no value twice, no cell all zero.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rollup {
    pub cells: Vec<(Text, Counts)>,
}

/// The value that stands for all that a cap did not let in.
pub const OTHER: &str = "(other)";
