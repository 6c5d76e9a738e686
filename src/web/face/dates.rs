//! Days in words: `Mon 23 Nov`, `17 May 2015`, `17–20 May 2015`.

use passerby_engine::event::Day;
use passerby_engine::time;
use std::ops::RangeInclusive;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const LONG_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
pub const LONG_WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// 0 for Monday to 6 for Sunday. (1970-01-01 was a Thursday.)
pub fn weekday(day: Day) -> usize {
    (i64::from(day.0) + 3).rem_euclid(7) as usize
}

pub fn weekday_name(weekday: usize) -> &'static str {
    WEEKDAYS[weekday % 7]
}

/// The year and month a day lies in.
pub fn month_of(day: Day) -> (i16, i8) {
    let date = time::date(day);
    (date.year(), date.month())
}

/// `23 Nov`.
pub fn brief(day: Day) -> String {
    let date = time::date(day);
    format!("{} {}", date.day(), MONTHS[date.month() as usize - 1])
}

/// `Mon 23 Nov`.
pub fn with_weekday(day: Day) -> String {
    format!("{} {}", weekday_name(weekday(day)), brief(day))
}

/// `17 May 2015`.
pub fn whole(day: Day) -> String {
    format!("{} {}", brief(day), time::date(day).year())
}

/// `Nov`, or `Jan 2027` for the month that opens a year.
pub fn month_brief((year, month): (i16, i8)) -> String {
    let name = MONTHS[(month - 1).clamp(0, 11) as usize];
    if month == 1 { format!("{name} {year}") } else { name.to_string() }
}

/// `November 2026`.
pub fn month((year, month): (i16, i8)) -> String {
    format!("{} {year}", LONG_MONTHS[(month - 1).clamp(0, 11) as usize])
}

/// `17–20 May 2015`; a year or month named once where it is the same.
pub fn range(days: &RangeInclusive<Day>) -> String {
    let (from, to) = (time::date(*days.start()), time::date(*days.end()));
    if from == to {
        whole(*days.start())
    } else if from.year() != to.year() {
        format!("{} – {}", whole(*days.start()), whole(*days.end()))
    } else if from.month() != to.month() {
        format!("{} – {}", brief(*days.start()), whole(*days.end()))
    } else {
        format!("{}–{}", from.day(), whole(*days.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        time::day(text.parse().expect("a date"))
    }

    #[test]
    fn days_in_words() {
        assert_eq!(with_weekday(day("2026-11-23")), "Mon 23 Nov");
        assert_eq!(whole(day("2015-05-17")), "17 May 2015");
        assert_eq!(with_weekday(day("1969-12-31")), "Wed 31 Dec");
        assert_eq!(month((2026, 11)), "November 2026");
    }

    #[test]
    fn ranges_say_each_part_once() {
        let table = [
            ("2015-05-17", "2015-05-17", "17 May 2015"),
            ("2015-05-17", "2015-05-20", "17–20 May 2015"),
            ("2026-10-25", "2026-11-23", "25 Oct – 23 Nov 2026"),
            ("2025-12-30", "2026-01-02", "30 Dec 2025 – 2 Jan 2026"),
        ];
        for (from, to, text) in table {
            assert_eq!(range(&(day(from)..=day(to))), text);
        }
    }
}
