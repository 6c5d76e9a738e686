//! The days a page shows, what they are compared with, and how the chart cuts them. Decided once, from the
//! address, the clock and the days that hold data.

use super::view::View;
use jiff::tz::TimeZone;
use passerby_engine::event::Day;
use passerby_engine::query::{self, Interval, Period};
use passerby_engine::time;
use std::ops::RangeInclusive;

#[derive(Clone, PartialEq, Debug)]
pub struct Window {
    pub days: RangeInclusive<Day>,
    pub today: Day,
    /// The local hour, 0 to 23.
    pub hour: usize,
    pub interval: Interval,
    /// The days the comparison line shows: as many, earlier. None where nothing can lie there.
    pub before: Option<RangeInclusive<Day>>,
    pub compared: Compared,
}

/// What changes are computed from. A day that is not over is never set against a whole one.
#[derive(Clone, PartialEq, Debug)]
pub enum Compared {
    /// With nothing.
    No,
    /// All days with as many before.
    Whole,
    /// All days but today, with as many before: these, those.
    WithoutToday(RangeInclusive<Day>, RangeInclusive<Day>),
    /// Today's whole hours (this many, from midnight) with yesterday's.
    Hours(usize),
}

impl Window {
    pub fn new(view: &View, now_ms: i64, zone: &TimeZone, bounds: Option<(Day, Day)>) -> Window {
        let days = view.period.days(now_ms, zone, bounds);
        let local = time::local(zone, now_ms);
        let (today, hour) = (local.day, time::hour_of(now_ms, local.offset_s));
        let before = query::previous(&days);
        let before = (view.period != Period::All && bounds.is_some_and(|(first, _)| first <= *before.end()))
            .then_some(before);
        // Days before counting began are not days without visitors: a change against them would be a boast.
        let counted =
            bounds.is_some_and(|(first, _)| before.as_ref().is_some_and(|before| first <= *before.start()));
        let compared = match &before {
            _ if !counted => Compared::No,
            None => Compared::No,
            Some(_) if !days.contains(&today) => Compared::Whole,
            Some(_) if length(&days) == 1 => Compared::Hours(hour),
            Some(before) => Compared::WithoutToday(
                *days.start()..=Day(today.0 - 1),
                *before.start()..=Day(before.start().0 + today.0 - 1 - days.start().0),
            ),
        };
        let allowed = intervals(&days);
        let interval = view.by.filter(|by| allowed.contains(by)).unwrap_or_else(|| query::interval(&days));
        Window { days, today, hour, interval, before, compared }
    }

    /// The days whose numbers make the change, and those they are set against.
    pub fn pair(&self) -> Option<(RangeInclusive<Day>, RangeInclusive<Day>)> {
        match (&self.compared, &self.before) {
            (Compared::Whole, Some(before)) => Some((self.days.clone(), before.clone())),
            (Compared::WithoutToday(these, those), _) => Some((these.clone(), those.clone())),
            _ => None,
        }
    }
}

/// How many days.
pub fn length(days: &RangeInclusive<Day>) -> i32 {
    (days.end().0 - days.start().0 + 1).max(0)
}

/// Steps that make a readable chart of these days.
pub fn intervals(days: &RangeInclusive<Day>) -> Vec<Interval> {
    match length(days) {
        ..=1 => vec![Interval::Hour],
        2..=7 => vec![Interval::Hour, Interval::Day],
        8..=27 => vec![Interval::Day],
        28..=92 => vec![Interval::Day, Interval::Week],
        93..=400 => vec![Interval::Day, Interval::Week, Interval::Month],
        _ => vec![Interval::Week, Interval::Month],
    }
}
