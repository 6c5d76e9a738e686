//! Steps of time, read from the labels of a report.

use crate::web::face::dates;
use passerby_engine::event::Day;
use passerby_engine::query::Interval;
use passerby_engine::time;

/// The hour of a time label (`2026-11-23 14:00:00`).
pub(super) fn hour_of(label: &str) -> Option<usize> {
    label.get(11..13)?.parse().ok().filter(|hour| *hour < 24)
}

/// The day of a time label: the first of a week or month, or of the days asked for, if that is later.
pub(super) fn day_of(label: &str) -> Option<Day> {
    Some(time::day(label.get(..10)?.parse().ok()?))
}

/// The first day of the step that a day lies in.
pub(super) fn step_start(interval: Interval, day: Day) -> Day {
    match interval {
        Interval::Hour | Interval::Day => day,
        Interval::Week => Day(day.0 - dates::weekday(day) as i32),
        Interval::Month => time::first_of_month(day, 0),
    }
}

/// The last day of the step that a day lies in.
pub(super) fn step_end(interval: Interval, day: Day) -> Day {
    match interval {
        Interval::Hour | Interval::Day => day,
        Interval::Week => Day(day.0 + 6 - dates::weekday(day) as i32),
        Interval::Month => time::last_of_month(day, 0),
    }
}
