//! Days, hours and zones: the site's calendar.

use crate::event::Day;
/// A zone of the built-in data: `TimeZone::get("Europe/Berlin")`.
pub use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Date};
use std::fmt;
use std::ops::RangeInclusive;

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
    let at =
        Timestamp::from_millisecond(at_ms).unwrap_or(if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    let offset_s = zone.to_offset(at).seconds();
    Local { day: day_of(at_ms, offset_s), offset_s }
}

/// The local day of a moment, given the zone's offset then.
pub fn day_of(at_ms: i64, offset_s: i32) -> Day {
    let days = at_ms.saturating_add(i64::from(offset_s) * 1000).div_euclid(86_400_000);
    Day(days.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
}

/// The local hour of a moment, 0 to 23.
pub fn hour_of(at_ms: i64, offset_s: i32) -> usize {
    (at_ms.saturating_add(i64::from(offset_s) * 1000).rem_euclid(86_400_000) / 3_600_000) as usize
}

/// The first moment of a day in a zone, Unix milliseconds (a day need not begin at 00:00).
pub fn start_ms(zone: &TimeZone, day: Day) -> i64 {
    hour_ms(zone, day, 0)
}

/// The first moment of an hour (0 to 23) of a day in a zone, Unix milliseconds. An hour that the zone leaps
/// over begins when the leap ends.
pub fn hour_ms(zone: &TimeZone, day: Day, hour: u8) -> i64 {
    let civil = date(day).at(hour.min(23) as i8, 0, 0, 0);
    let naive = i64::from(day.0) * 86_400_000 + i64::from(hour) * 3_600_000;
    zone.to_timestamp(civil).map_or(naive, |at| at.as_millisecond())
}

/// Whether a day has any moment in a zone: a zone that moves over the date line skips one (Pacific/Apia had
/// no 30 December 2011).
pub fn exists(zone: &TimeZone, day: Day) -> bool {
    start_ms(zone, day) < start_ms(zone, plus(day, 1))
}

/// The last day before another that a zone has.
pub fn day_before(zone: &TimeZone, day: Day) -> Day {
    local(zone, start_ms(zone, day) - 1).day.min(plus(day, -1))
}

/// The local hours that a day has: 24 as a rule, 23 when a clock leaps over one, and 24 again when it repeats
/// one, since the repeated hour has the same name.
pub fn hours(zone: &TimeZone, day: Day) -> Vec<u8> {
    let (start, end) = (start_ms(zone, day), start_ms(zone, plus(day, 1)));
    if end - start == 86_400_000 && local(zone, start).offset_s == local(zone, end - 1).offset_s {
        return (0..24).collect();
    }
    let mut seen = [false; 24];
    for at_ms in (start..end).step_by(60_000) {
        seen[hour_of(at_ms, local(zone, at_ms).offset_s)] = true;
    }
    (0..24).filter(|&hour| seen[usize::from(hour)]).collect()
}

/// A day some days later or earlier; never out of what a [`Day`] can hold.
pub fn plus(day: Day, days: i32) -> Day {
    Day(day.0.saturating_add(days))
}

/// How many days a range has.
pub fn len(days: &RangeInclusive<Day>) -> i32 {
    days.end().0.saturating_sub(days.start().0).saturating_add(1).max(0)
}

/// The Monday of a day's week.
pub fn first_of_week(day: Day) -> Day {
    // 1970-01-01 was a Thursday.
    plus(day, -(day.0.saturating_add(3).rem_euclid(7)))
}

/// The first day of the month that is `months` later than a day's.
pub fn first_of_month(day: Day, months: i32) -> Day {
    let date = date(day);
    let month = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
    let month = month.saturating_add(months);
    let year = month.div_euclid(12).clamp(-9999, 9999) as i16;
    Date::new(year, (month.rem_euclid(12) + 1) as i8, 1).map_or(day, self::day)
}

/// The last day of the month that is `months` later than a day's.
pub fn last_of_month(day: Day, months: i32) -> Day {
    plus(first_of_month(day, months.saturating_add(1)), -1)
}

/// The first of January of a day's year.
pub fn first_of_year(day: Day) -> Day {
    self::day(date(day).first_of_year())
}

/// The last of December of a day's year.
pub fn last_of_year(day: Day) -> Day {
    self::day(date(day).last_of_year())
}

/// Reads `2024-09-10` and nothing else.
pub fn parse_day(text: &str) -> Option<Day> {
    let bytes = text.as_bytes();
    let plain = bytes.len() == 10
        && bytes.iter().enumerate().all(
            |(n, b)| {
                if n == 4 || n == 7 { *b == b'-' } else { b.is_ascii_digit() }
            },
        );
    if !plain {
        return None;
    }
    text.parse::<Date>().ok().map(day)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone of the built-in data")
    }

    fn on(text: &str) -> Day {
        parse_day(text).expect("a date")
    }

    #[test]
    fn days_have_23_to_25_hours() {
        // Zone, day, length in minutes, names of hours.
        let rows = [
            ("Europe/Berlin", "2024-03-30", 1440, 24),
            ("Europe/Berlin", "2024-03-31", 1380, 23),
            ("Europe/Berlin", "2024-10-27", 1500, 24),
            ("Asia/Kolkata", "2024-03-31", 1440, 24),
            ("Australia/Lord_Howe", "2024-10-06", 1410, 24),
            ("Antarctica/Troll", "2024-03-31", 1320, 22),
            ("Pacific/Apia", "2011-12-29", 1440, 24),
            ("Pacific/Apia", "2011-12-30", 0, 0),
            ("Pacific/Apia", "2011-12-31", 1440, 24),
            // Midnight itself is leapt over.
            ("America/Havana", "2024-03-10", 1380, 23),
        ];
        for (name, day, minutes, names) in rows {
            let (zone, day) = (zone(name), on(day));
            assert_eq!(
                (start_ms(&zone, plus(day, 1)) - start_ms(&zone, day)) / 60_000,
                minutes,
                "{name} {day}"
            );
            assert_eq!(hours(&zone, day).len(), names, "{name} {day}");
            assert_eq!(exists(&zone, day), minutes > 0, "{name} {day}");
        }
        assert!(!hours(&zone("Europe/Berlin"), on("2024-03-31")).contains(&2));
        assert!(!hours(&zone("America/Havana"), on("2024-03-10")).contains(&0));
        assert_eq!(day_before(&zone("Pacific/Apia"), on("2011-12-31")), on("2011-12-29"));
        assert_eq!(day_before(&zone("Asia/Kolkata"), on("2011-12-31")), on("2011-12-30"));
    }

    #[test]
    fn weeks_months_years() {
        assert_eq!(first_of_week(on("2024-09-08")), on("2024-09-02"));
        assert_eq!(first_of_week(on("2024-09-09")), on("2024-09-09"));
        assert_eq!(first_of_week(on("1969-12-31")), on("1969-12-29"));
        assert_eq!(first_of_month(on("2024-03-31"), -1), on("2024-02-01"));
        assert_eq!(first_of_month(on("2024-12-31"), 1), on("2025-01-01"));
        assert_eq!(last_of_month(on("2024-01-31"), 1), on("2024-02-29"));
        assert_eq!(last_of_month(on("2024-01-31"), -13), on("2022-12-31"));
        assert_eq!(first_of_year(on("2024-09-09")), on("2024-01-01"));
        assert_eq!(last_of_year(on("2024-09-09")), on("2024-12-31"));
    }

    #[test]
    fn only_plain_dates_are_days() {
        for text in
            ["", "2024-9-10", "2024-02-30", "20240910", "2024-09-10T00:00:00", "+2024-09-1", "２０２４-09-10"]
        {
            assert_eq!(parse_day(text), None, "{text}");
        }
        assert_eq!(parse_day("1970-01-02"), Some(Day(1)));
        assert_eq!(parse_day("1969-12-31"), Some(Day(-1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// A moment lies in the day that it is said to lie in, and in an hour of that day.
        #[test]
        fn a_moment_lies_in_its_day(
            at_ms in -2_000_000_000_000i64..4_000_000_000_000,
            name in prop::sample::select(vec!["Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "America/St_Johns", "UTC"]),
        ) {
            let zone = zone(name);
            let Local { day, offset_s } = local(&zone, at_ms);
            prop_assert!(start_ms(&zone, day) <= at_ms);
            prop_assert!(at_ms < start_ms(&zone, plus(day, 1)));
            prop_assert!(hours(&zone, day).contains(&(hour_of(at_ms, offset_s) as u8)));
        }

        /// No day, however far out, makes the calendar panic.
        #[test]
        fn any_day_is_safe(n: i32, months: i32) {
            let (day, zone) = (Day(n), zone("Europe/Berlin"));
            let _ = (first_of_week(day), first_of_month(day, months), last_of_month(day, months));
            let _ = (first_of_year(day), last_of_year(day), hours(&zone, day), day_before(&zone, day));
        }
    }
}
