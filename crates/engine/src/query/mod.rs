//! Questions and answers: a [`Query`] is planned into the rollups it needs, and those make a [`Report`].
//!
//! [`parse`] reads the JSON of Plausible's Stats API v2; the dashboard builds its queries with
//! [`Query::totals`], [`Query::series`] and [`Query::top`], over the days of a [`Period`]. [`plan`] says
//! which rollups are needed, or that rollups cannot answer; [`report`] makes the answer of them.
//!
//! Everything adds: entries of the same day and dimension, from the live log, from imports, from a day's
//! rollup and from the open day's state, are summed before anything is sorted or divided. That is why
//! metrics are kept as [`Counts`] until the very end: a mean of means would be wrong.

mod json;
mod parse;
mod period;
mod plan;
mod report;
#[cfg(test)]
mod tests;

pub use parse::parse;
pub use period::{Period, interval, previous};
pub use plan::{Plan, fits, plan};
pub use report::{Report, Row, report};

use crate::event::{Day, Text};
use crate::rollup::{Counts, Dim};
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use std::fmt;
use std::ops::RangeInclusive;

/// A figure of a report. One row of [`Metric::TABLE`] each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    Visitors,
    Visits,
    Pageviews,
    /// Page views that belong to visits, a visit. Two decimals.
    ViewsPerVisit,
    /// Visits that did not engage, per cent.
    BounceRate,
    /// Mean duration, whole seconds.
    VisitDuration,
    /// Page views and custom events together, as in Plausible.
    Events,
}

/// One row a metric: its name in queries (after Plausible's Stats API), and its heading.
pub struct MetricRow {
    pub metric: Metric,
    pub key: &'static str,
    pub label: &'static str,
}

impl Metric {
    pub const TABLE: [MetricRow; 7] = [
        MetricRow { metric: Metric::Visitors, key: "visitors", label: "Visitors" },
        MetricRow { metric: Metric::Visits, key: "visits", label: "Visits" },
        MetricRow { metric: Metric::Pageviews, key: "pageviews", label: "Page views" },
        MetricRow { metric: Metric::ViewsPerVisit, key: "views_per_visit", label: "Views per visit" },
        MetricRow { metric: Metric::BounceRate, key: "bounce_rate", label: "Bounce rate" },
        MetricRow { metric: Metric::VisitDuration, key: "visit_duration", label: "Visit duration" },
        MetricRow { metric: Metric::Events, key: "events", label: "Events" },
    ];

    pub fn from_key(key: &str) -> Option<Metric> {
        Metric::TABLE.iter().find(|row| row.key == key).map(|row| row.metric)
    }

    pub fn key(self) -> &'static str {
        Metric::TABLE[self as usize].key
    }

    pub fn label(self) -> &'static str {
        Metric::TABLE[self as usize].label
    }

    /// The figure of some counts. Whatever is divided by visits is 0 where there are none, as in Plausible.
    pub fn value(self, counts: &Counts) -> Value {
        let views_of_visits = counts.pageviews.saturating_sub(counts.loose);
        match self {
            Metric::Visitors => Value::Whole(counts.visitors),
            Metric::Visits => Value::Whole(counts.visits),
            Metric::Pageviews => Value::Whole(counts.pageviews),
            Metric::ViewsPerVisit => Value::Hundredths(rounded(views_of_visits, 100, counts.visits)),
            Metric::BounceRate => {
                Value::Whole(rounded(counts.visits.saturating_sub(counts.engaged), 100, counts.visits))
            }
            Metric::VisitDuration => Value::Whole(rounded(counts.duration_s, 1, counts.visits)),
            Metric::Events => Value::Whole(counts.pageviews.saturating_add(counts.events)),
        }
    }

    /// Whether the figure is about visits as wholes, and so has no meaning for a single event.
    pub fn is_of_visits(self) -> bool {
        matches!(self, Metric::ViewsPerVisit | Metric::BounceRate | Metric::VisitDuration)
    }
}

/// `part * scale / whole`, rounded half up; 0 if there is no whole, and never below 0.
fn rounded(part: i64, scale: i64, whole: i64) -> i64 {
    if whole <= 0 || part <= 0 {
        return 0;
    }
    let (part, whole) = (i128::from(part) * i128::from(scale), i128::from(whole));
    i64::try_from((part + whole / 2) / whole).unwrap_or(i64::MAX)
}

/// A metric's value. No floating point: what is printed is what is compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Value {
    Whole(i64),
    Hundredths(i64),
}

impl Value {
    /// For charts and ratios.
    pub fn to_f64(self) -> f64 {
        match self {
            Value::Whole(n) => n as f64,
            Value::Hundredths(n) => n as f64 / 100.0,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Whole(n) => write!(f, "{n}"),
            Value::Hundredths(n) => write!(f, "{}.{:02}", n / 100, n % 100),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Whole(n) => serializer.serialize_i64(*n),
            Value::Hundredths(_) => serializer.serialize_f64(self.to_f64()),
        }
    }
}

/// What time is cut into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interval {
    Hour,
    Day,
    /// Monday to Sunday.
    Week,
    Month,
}

impl Interval {
    pub const ALL: [Interval; 4] = [Interval::Hour, Interval::Day, Interval::Week, Interval::Month];

    /// The word in queries and URLs.
    pub fn key(self) -> &'static str {
        match self {
            Interval::Hour => "hour",
            Interval::Day => "day",
            Interval::Week => "week",
            Interval::Month => "month",
        }
    }

    pub fn from_key(key: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.key() == key)
    }
}

/// What rows of a report are about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dimension {
    Time(Interval),
    Value(Dim),
    /// One custom property.
    Prop(Text),
}

impl fmt::Display for Dimension {
    /// The name in queries: `time:day`, `visit:source`, `event:props:plan`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dimension::Time(interval) => write!(f, "time:{}", interval.key()),
            Dimension::Value(dim) => f.write_str(dim.key()),
            Dimension::Prop(key) => write!(f, "event:props:{key}"),
        }
    }
}

/// A question about one site.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// What each row shows; never empty, none twice.
    pub metrics: Vec<Metric>,
    /// None, or one; (time and one other, or two others, is for a scan).
    pub dimensions: Vec<Dimension>,
    /// Local days, both ends included.
    pub days: RangeInclusive<Day>,
    /// First local hour asked of the first day, 0 for whole days. Only a series by hour can begin within a day.
    pub first_hour: u8,
    /// Last local hour asked of the last day, 23 for whole days.
    pub last_hour: u8,
    /// The site's zone: which hours a day has, and how far they are from UTC.
    pub zone: TimeZone,
    /// First by the first; what is equal in all of them is ordered by its label.
    pub order: Vec<(Order, Direction)>,
    /// At most this many rows, after `offset` of them.
    pub limit: usize,
    pub offset: usize,
    pub include_total_rows: bool,
    pub include_time_labels: bool,
    /// Whether imported days count too. Not asked means yes: they are events like all others.
    pub include_imports: Option<bool>,
}

/// The most rows of an answer, and as many as it has if no limit is given.
pub const MAX_ROWS: usize = 10_000;

#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    Metric(Metric),
    /// Index into the query's dimensions.
    Dimension(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Ascending,
    Descending,
}

impl Query {
    /// The headline figures of some days: one row with every metric.
    pub fn totals(days: RangeInclusive<Day>, zone: &TimeZone) -> Query {
        Query {
            metrics: Metric::TABLE.iter().map(|row| row.metric).collect(),
            dimensions: Vec::new(),
            days,
            first_hour: 0,
            last_hour: 23,
            zone: zone.clone(),
            order: vec![(Order::Metric(Metric::Visitors), Direction::Descending)],
            limit: MAX_ROWS,
            offset: 0,
            include_total_rows: false,
            include_time_labels: false,
            include_imports: None,
        }
    }

    /// A curve: every metric by hour, day, week or month. [`Report::series`] has the empty ones too.
    pub fn series(interval: Interval, days: RangeInclusive<Day>, zone: &TimeZone) -> Query {
        Query {
            dimensions: vec![Dimension::Time(interval)],
            order: vec![(Order::Dimension(0), Direction::Ascending)],
            // One row for each point, and all of them are wanted.
            limit: usize::MAX,
            ..Query::totals(days, zone)
        }
    }

    /// The first `limit` values of a dimension by a metric, descending, and how many there are in all.
    pub fn top(
        dimension: Dimension,
        metric: Metric,
        limit: usize,
        days: RangeInclusive<Day>,
        zone: &TimeZone,
    ) -> Query {
        Query {
            metrics: Metric::TABLE
                .iter()
                .map(|row| row.metric)
                .filter(|&m| plan::fits(m, &dimension))
                .collect(),
            dimensions: vec![dimension],
            order: vec![(Order::Metric(metric), Direction::Descending)],
            limit,
            include_total_rows: true,
            ..Query::totals(days, zone)
        }
    }

    /// Whether whole days are asked, first to last.
    pub fn is_whole_days(&self) -> bool {
        self.first_hour == 0 && self.last_hour == 23
    }
}
