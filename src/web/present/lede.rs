//! Yesterday against the median of the last four same weekdays, and where most of the difference lies.

use super::Scene;
use crate::web::face::dates;
use crate::web::face::lede::{Against, Cause, Lede};
use crate::web::face::words;
use crate::web::lists;
use crate::web::window::Window;
use passerby_engine::event::Day;
use passerby_engine::query::{Dimension, Interval, MAX_ROWS, Metric, Query, Report};
use passerby_engine::rollup::{Dim, OTHER};
use std::collections::HashMap;

/// How many weeks make what is usual.
const WEEKS: usize = 4;

/// Below this many visitors on a usual day, its ups and downs are chance.
const LEAST_USUAL: i64 = 20;

/// A difference from this share of the usual on is named, per cent.
const UNUSUAL_PERCENT: i64 = 15;

/// How many questions [`questions`] asks, where it asks.
const QUESTIONS: usize = 1 + 2 * (WEEKS + 1);

/// Yesterday, if the page is about now and counting has gone on for long enough.
fn yesterday(scene: &Scene, window: &Window) -> Option<Day> {
    let day = Day(window.today.0 - 1);
    let begun = scene.bounds?.0;
    let shown = window.days.contains(&day) && window.days.contains(&window.today);
    (shown && begun.0 <= day.0 - 7 * WEEKS as i32).then_some(day)
}

/// The day and the same weekday of the weeks before.
fn days(day: Day) -> impl Iterator<Item = Day> {
    (0..=WEEKS as i32).map(move |week| Day(day.0 - 7 * week))
}

pub(super) fn questions(scene: &Scene, window: &Window) -> Vec<Query> {
    let Some(day) = yesterday(scene, window) else {
        return Vec::new();
    };
    let month = Day(day.0 - 7 * WEEKS as i32)..=day;
    let mut queries = vec![Query::series(Interval::Day, month, scene.zone)];
    for dim in [Dim::Source, Dim::Page] {
        queries.extend(
            days(day).map(|day| {
                Query::top(Dimension::Value(dim), Metric::Visitors, MAX_ROWS, day..=day, scene.zone)
            }),
        );
    }
    queries
}

/// The sentence, of the answers to [`questions`].
pub(super) fn lede(scene: &Scene, window: &Window, reports: &[Report]) -> Option<Lede> {
    let day = yesterday(scene, window)?;
    let [series, lists @ ..] = reports.get(..QUESTIONS)? else {
        return None;
    };
    let series = series.series();
    let visitors = |back: usize| {
        let (_, counts) = series.get(series.len().checked_sub(1 + 7 * back)?)?;
        Some(counts.visitors)
    };
    let now = visitors(0)?;
    let usual = median((1..=WEEKS).map(visitors).collect::<Option<Vec<i64>>>()?);
    if usual < LEAST_USUAL {
        return None;
    }
    let difference = now - usual;
    let cause = |difference| cause(difference, &lists[..WEEKS + 1], &lists[WEEKS + 1..]);
    let against = match words::change(now as f64, usual as f64) {
        _ if difference.abs() * 100 < usual * UNUSUAL_PERCENT => Against::Usual,
        _ if now == 0 => Against::Nobody(words::many(usual, "person", "people")),
        words::Change::Up(size) if size.ends_with('×') => Against::Times(size, cause(difference)),
        words::Change::Up(size) => Against::More(size, cause(difference)),
        words::Change::Down(size) => Against::Fewer(size, cause(difference)),
        _ => Against::Usual,
    };
    Some(Lede {
        people: if now == 0 { "nobody".to_string() } else { words::many(now, "person", "people") },
        weekday: dates::LONG_WEEKDAYS[dates::weekday(day)],
        against,
    })
}

/// The middle of some numbers; of four, the mean of the middle two.
fn median(mut numbers: Vec<i64>) -> i64 {
    numbers.sort_unstable();
    let n = numbers.len();
    let at = |i: usize| numbers.get(i).copied().unwrap_or(0);
    (at(n.saturating_sub(1) / 2) + at(n / 2)) / 2
}

/// The source and the page that bring half of the difference or more, each against its own usual day.
fn cause(difference: i64, sources: &[Report], pages: &[Report]) -> Option<Cause> {
    let source = largest(difference, sources).map(|value| match value.as_str() {
        "" => "no known source".to_string(),
        value => lists::label(Dim::Source, value).0,
    });
    let page = largest(difference, pages);
    (source.is_some() || page.is_some()).then_some(Cause { source, page })
}

/// The value whose own difference has the largest part of the whole, if that is half or more. `days`: the day
/// itself, then the usual ones.
fn largest(difference: i64, days: &[Report]) -> Option<String> {
    let (now, usual) = days.split_first()?;
    let maps: Vec<HashMap<&str, i64>> = days.iter().map(visitors).collect();
    let of = |map: &HashMap<&str, i64>, value: &str| map.get(value).copied().unwrap_or(0);
    let own = |value: &str| {
        let [now, usual @ ..] = maps.as_slice() else {
            return 0;
        };
        of(now, value) - median(usual.iter().map(|map| of(map, value)).collect())
    };
    let values = std::iter::once(now).chain(usual).flat_map(|report| &report.rows).map(|row| row.label());
    let part = |value: &str| own(value) * difference.signum();
    let (value, part) =
        values.map(|value| (value, part(value))).max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)))?;
    (part * 2 >= difference.abs() && value != OTHER).then(|| value.to_string())
}

fn visitors(report: &Report) -> HashMap<&str, i64> {
    report.rows.iter().map(|row| (row.label(), row.counts.visitors)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let table =
            [(vec![], 0), (vec![7], 7), (vec![1, 9], 5), (vec![900, 10, 12, 11], 11), (vec![3, 1, 2], 2)];
        for (numbers, expected) in table {
            assert_eq!(median(numbers), expected);
        }
    }
}
