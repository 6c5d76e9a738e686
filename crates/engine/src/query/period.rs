//! The dashboard's periods: in the URL, on the calendar, one step back, and what to compare with.

use super::Interval;
use crate::event::Day;
use jiff::tz::TimeZone;
use std::ops::RangeInclusive;

/// Which days a page shows. `N days` include today, unlike those of the Stats API: the page draws today as
/// partial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Period {
    Today,
    Yesterday,
    /// This many days, today the last: 7, 28, 30, 90, or any other from 1 to 5000.
    Last(u16),
    /// This calendar month, up to today.
    Month,
    /// This calendar year, up to today.
    Year,
    /// From the first day with data to today.
    All,
    /// These days.
    Custom(RangeInclusive<Day>),
}

impl Period {
    /// What a page shows when the URL says nothing.
    pub const DEFAULT: Period = Period::Last(30);

    /// Reads `period` or `from` and `to` of a URL's query, whatever order they come in and whatever else is
    /// there. None if neither is there, or they say nothing that can be understood.
    pub fn from_url(_query: &str) -> Option<Period> {
        todo!()
    }

    /// `period=30d`, or `from=2015-05-17&to=2015-05-20`.
    pub fn to_url(&self) -> String {
        todo!()
    }

    /// The days meant, first to last. `bounds` are the first and last day with data.
    pub fn days(
        &self,
        _now_ms: i64,
        _zone: &TimeZone,
        _bounds: Option<(Day, Day)>,
    ) -> RangeInclusive<Day> {
        todo!()
    }

    /// The period one earlier (-1) or later (1): the next month for a month, else as many days. None past
    /// today, before the first day with data, and for all.
    pub fn step(
        &self,
        _by: i32,
        _now_ms: i64,
        _zone: &TimeZone,
        _bounds: Option<(Day, Day)>,
    ) -> Option<Period> {
        todo!()
    }
}

/// The days to compare with: as many, just before; from a week on, moved back to begin on the same weekday.
pub fn previous(_days: &RangeInclusive<Day>) -> RangeInclusive<Day> {
    todo!()
}

/// The interval that draws these days well: hours for up to 2 days, days for up to 92, weeks for up to two
/// years, else months.
pub fn interval(_days: &RangeInclusive<Day>) -> Interval {
    todo!()
}
