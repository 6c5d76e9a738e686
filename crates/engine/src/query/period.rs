//! The dashboard's periods: in the URL, on the calendar, one step back, and what to compare with.

use super::Interval;
use crate::event::Day;
use crate::time;
use jiff::tz::TimeZone;
use std::ops::RangeInclusive;

/// Which days a page shows. `Last` includes today, unlike the Stats API's `7d`: the page draws today as
/// partial, so that one sees it move.
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
    /// These days, at most a hundred years; never reversed.
    Custom(RangeInclusive<Day>),
}

/// The longest custom period: a hundred years.
const MAX_DAYS: i32 = 36_525;

impl Period {
    /// What a page shows when the URL says nothing.
    pub const DEFAULT: Period = Period::Last(30);

    /// Reads `from` and `to`, else `period`, of a URL's query, in whatever order and among whatever else. None
    /// if they are not there or cannot be understood.
    pub fn from_url(query: &str) -> Option<Period> {
        let value =
            |key: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(k, _)| *k == key);
        let day = |key| value(key).and_then(|(_, text)| time::parse_day(text));
        if let (Some(from), Some(to)) = (day("from"), day("to")) {
            let days = from.min(to)..=from.max(to);
            return (time::len(&days) <= MAX_DAYS).then_some(Period::Custom(days));
        }
        match value("period")?.1 {
            "today" | "day" => Some(Period::Today),
            "yesterday" => Some(Period::Yesterday),
            "month" => Some(Period::Month),
            "year" => Some(Period::Year),
            "all" => Some(Period::All),
            word => {
                let days: u16 =
                    word.strip_suffix('d').filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
                (1..=5000).contains(&days).then_some(Period::Last(days))
            }
        }
    }

    /// `period=30d`, or `from=2015-05-17&to=2015-05-20`.
    pub fn to_url(&self) -> String {
        match self {
            Period::Today => "period=today".into(),
            Period::Yesterday => "period=yesterday".into(),
            Period::Last(days) => format!("period={days}d"),
            Period::Month => "period=month".into(),
            Period::Year => "period=year".into(),
            Period::All => "period=all".into(),
            Period::Custom(days) => format!("from={}&to={}", days.start(), days.end()),
        }
    }

    /// The days meant, first to last. `bounds` are the first and last day with data.
    pub fn days(&self, now_ms: i64, zone: &TimeZone, bounds: Option<(Day, Day)>) -> RangeInclusive<Day> {
        let today = time::local(zone, now_ms).day;
        match self {
            Period::Today => today..=today,
            Period::Yesterday => {
                let yesterday = time::day_before(zone, today);
                yesterday..=yesterday
            }
            Period::Last(days) => time::plus(today, 1 - i32::from((*days).max(1)))..=today,
            Period::Month => time::first_of_month(today, 0)..=today,
            Period::Year => time::first_of_year(today)..=today,
            Period::All => {
                let (first, last) = bounds.unwrap_or((today, today));
                let last = last.max(today);
                first.max(time::plus(last, 1 - MAX_DAYS))..=last
            }
            Period::Custom(days) => days.clone(),
        }
    }

    /// The period one earlier (-1) or later (1): a calendar month's is the next calendar month, a year's the
    /// next year, any other's as many days. What has a name again gets it. None past today, before the first
    /// day with data, and for all.
    pub fn step(&self, by: i32, now_ms: i64, zone: &TimeZone, bounds: Option<(Day, Day)>) -> Option<Period> {
        if *self == Period::All {
            return None;
        }
        let today = time::local(zone, now_ms).day;
        let days = self.days(now_ms, zone, bounds);
        let (first, last) = (*days.start(), *days.end());
        let custom = matches!(self, Period::Custom(_));
        let is_month = first == time::first_of_month(first, 0) && last == time::last_of_month(first, 0);
        let is_year = first == time::first_of_year(first) && last == time::last_of_year(first);
        let (first, last) = if *self == Period::Month || custom && is_month {
            (time::first_of_month(first, by), time::last_of_month(first, by))
        } else if *self == Period::Year || custom && is_year {
            let months = by.saturating_mul(12);
            (time::first_of_month(first, months), time::last_of_month(first, months.saturating_add(11)))
        } else {
            let days = by.saturating_mul(time::len(&days));
            (time::plus(first, days), time::plus(last, days))
        };
        if first > today || bounds.is_some_and(|(begin, _)| last < begin) {
            return None;
        }

        // What has a name again is called by it.
        let stepped = first..=last.min(today);
        let is = |period: &Period| period.days(now_ms, zone, bounds) == stepped;
        let calendar = [Period::Month, Period::Year];
        let short = [Period::Today, Period::Yesterday];
        let names: &[Period] = if custom && (is_month || is_year) { &calendar } else { &short };
        Some(match names.iter().find(|period| is(period)) {
            Some(named) => named.clone(),
            None if last == today => u16::try_from(time::len(&stepped))
                .ok()
                .filter(|days| *days <= 5000)
                .map_or(Period::Custom(stepped), Period::Last),
            None => Period::Custom(stepped),
        })
    }
}

/// The days to compare with: as many, just before; from a week on, so many whole weeks back that none is in
/// both, so that each day stands beside one of the same weekday.
pub fn previous(days: &RangeInclusive<Day>) -> RangeInclusive<Day> {
    let len = time::len(days);
    let back = if len < 7 { len } else { len.saturating_add(6) / 7 * 7 };
    time::plus(*days.start(), -back)..=time::plus(*days.end(), -back)
}

/// The interval that draws these days well: hours for up to 2 days, days for up to 92, weeks for up to two
/// years, else months.
pub fn interval(days: &RangeInclusive<Day>) -> Interval {
    match time::len(days) {
        ..=2 => Interval::Hour,
        3..=92 => Interval::Day,
        93..=732 => Interval::Week,
        _ => Interval::Month,
    }
}
