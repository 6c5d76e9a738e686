//! Days, hours and zones: the site's calendar.

use crate::event::Day;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::fmt;

/// A moment on a site's calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    pub day: Day,
    /// The zone's distance from UTC then, seconds east.
    pub offset_s: i32,
}

/// Where a moment (Unix milliseconds) falls on a zone's calendar. Moments out of jiff's range (years
/// -9999 to 9999) are moved to its ends.
pub fn local(zone: &TimeZone, at_ms: i64) -> Local {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(if at_ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    let offset_s = zone.to_offset(at).seconds();
    Local {
        day: day_of(at_ms, offset_s),
        offset_s,
    }
}

/// The local day of a moment, given the zone's offset then.
pub fn day_of(at_ms: i64, offset_s: i32) -> Day {
    let days = (at_ms + i64::from(offset_s) * 1000).div_euclid(86_400_000);
    Day(days.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
}

/// The local hour of a moment, 0 to 23.
pub fn hour_of(at_ms: i64, offset_s: i32) -> usize {
    ((at_ms + i64::from(offset_s) * 1000).rem_euclid(86_400_000) / 3_600_000) as usize
}

/// The first moment of a day in a zone, Unix milliseconds (a day need not begin at 00:00).
pub fn start_ms(zone: &TimeZone, day: Day) -> i64 {
    let start = zone
        .to_timestamp(date(day).at(0, 0, 0, 0))
        .map(|at| at.as_millisecond());
    start.unwrap_or(i64::from(day.0) * 86_400_000)
}

/// A day as a civil date; days out of jiff's range are moved to its ends.
pub fn date(day: Day) -> Date {
    let epoch = jiff::civil::date(1970, 1, 1);
    let span = jiff::Span::new().try_days(i64::from(day.0));
    match span.and_then(|span| epoch.checked_add(span)) {
        Ok(date) => date,
        Err(_) if day.0 < 0 => Date::MIN,
        Err(_) => Date::MAX,
    }
}

/// A civil date as a day.
pub fn day(date: Date) -> Day {
    let epoch = jiff::civil::date(1970, 1, 1);
    Day(epoch.until(date).map_or(0, |span| span.get_days()))
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", date(*self))
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Day({self})")
    }
}
