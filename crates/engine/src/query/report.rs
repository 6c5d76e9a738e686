//! Rollups to an answer: add what belongs together, order it, cut the page asked for.

use super::{Dimension, Direction, Interval, Metric, Order, Plan, Query, Value};
use crate::event::{Day, Text};
use crate::rollup::{Counts, Dim, Rollup};
use crate::time;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// One row: the values of the dimensions and the numbers beneath, from which every metric follows.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub labels: Vec<Text>,
    pub counts: Counts,
    /// What bounce rate and visit duration are of: `counts` itself, except by page, where it is the visits
    /// that entered there.
    pub visits: Counts,
}

impl Row {
    fn new(labels: Vec<Text>, counts: Counts) -> Row {
        Row { labels, counts, visits: counts }
    }

    /// The figure of a metric in this row.
    pub fn value(&self, metric: Metric) -> Value {
        metric.value(if metric.is_of_visits() { &self.visits } else { &self.counts })
    }

    /// The value of the only dimension; empty for totals.
    pub fn label(&self) -> &str {
        self.labels.first().map_or("", |label| label.as_str())
    }
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// The page of rows asked for. A query without dimensions has exactly one; by time, hours, days, weeks
    /// and months in which nothing was counted are absent (see [`Report::series`]).
    pub rows: Vec<Row>,
    /// How many rows there are without limit and offset.
    pub total_rows: usize,
    /// Every time label of the range, if time is a dimension.
    pub time_labels: Vec<Text>,
}

/// Makes the answer of the rollups a plan asked for. Several entries of a day and dimension add up, entries of
/// other days or dimensions are ignored, and their order does not matter.
pub fn report<R: Borrow<Rollup>>(query: &Query, plan: &Plan, data: &[(Day, Dim, R)]) -> Report {
    let asked = |dim: Dim| {
        let days = &plan.days;
        data.iter()
            .filter(move |(day, of, _)| *of == dim && days.contains(day))
            .map(|(day, _, rollup)| (*day, rollup.borrow()))
    };
    let mut time_labels = Vec::new();
    let mut rows = match query.dimensions.first() {
        None => vec![Row::new(Vec::new(), total(asked(Dim::Total)))],
        Some(Dimension::Time(interval)) => {
            time_labels = labels(*interval, query);
            let dim = if *interval == Interval::Hour { Dim::Hour } else { Dim::Total };
            by_time(*interval, query, asked(dim))
        }
        Some(Dimension::Value(Dim::Page)) => with_entries(by_value(asked(Dim::Page)), asked(Dim::EntryPage)),
        Some(Dimension::Value(dim)) => by_value(asked(*dim)),
        Some(Dimension::Prop(key)) => by_prop(key, asked(Dim::Prop)),
    };
    rows.sort_unstable_by(|a, b| compare(query, a, b));
    let total_rows = rows.len();
    rows.drain(..query.offset.min(total_rows));
    rows.truncate(query.limit);
    rows.shrink_to_fit();
    Report { rows, total_rows, time_labels }
}

fn total<'a>(rollups: impl Iterator<Item = (Day, &'a Rollup)>) -> Counts {
    let mut sum = Counts::default();
    rollups.flat_map(|(_, rollup)| &rollup.cells).for_each(|(_, counts)| sum += *counts);
    sum
}

/// The cells of all days by value; without those in which nothing is left.
fn by_value<'a>(rollups: impl Iterator<Item = (Day, &'a Rollup)>) -> Vec<Row> {
    let cells = rollups.flat_map(|(_, rollup)| &rollup.cells);
    rows_of(cells.map(|(value, counts)| (value.as_str(), counts)))
}

/// The values of one property: the cells that begin with its key and NUL.
fn by_prop<'a>(key: &Text, rollups: impl Iterator<Item = (Day, &'a Rollup)>) -> Vec<Row> {
    let cells = rollups.flat_map(|(_, rollup)| &rollup.cells);
    let value_of = |cell: &'a Text| cell.strip_prefix(key.as_str())?.strip_prefix('\0');
    rows_of(cells.filter_map(|(value, counts)| Some((value_of(value)?, counts))))
}

fn rows_of<'a>(cells: impl Iterator<Item = (&'a str, &'a Counts)>) -> Vec<Row> {
    let mut sums: HashMap<&str, Counts> = HashMap::new();
    for (value, counts) in cells {
        *sums.entry(value).or_default() += *counts;
    }
    // In no order: the caller sorts, and no two labels are equal.
    let rows = sums.into_iter().filter(|(_, counts)| !counts.is_zero());
    rows.map(|(value, counts)| Row::new(vec![Text::from(value)], counts)).collect()
}

/// Pages, whose bounce rate and duration are those of the visits that entered there.
fn with_entries<'a>(mut pages: Vec<Row>, entries: impl Iterator<Item = (Day, &'a Rollup)>) -> Vec<Row> {
    let mut entries: HashMap<Text, Counts> =
        by_value(entries).into_iter().filter_map(|mut row| Some((row.labels.pop()?, row.counts))).collect();
    for row in &mut pages {
        row.visits = entries.remove(row.label()).unwrap_or_default();
    }
    pages
}

/// The day that names the interval a day lies in. A first week cut by the range has the range's first day, a
/// first month cut by it keeps its own (Plausible's rule).
fn bucket(interval: Interval, day: Day, first: Day) -> Day {
    match interval {
        Interval::Hour | Interval::Day => day,
        Interval::Week => time::first_of_week(day).max(first),
        Interval::Month => time::first_of_month(day, 0),
    }
}

fn by_time<'a>(
    interval: Interval,
    query: &Query,
    rollups: impl Iterator<Item = (Day, &'a Rollup)>,
) -> Vec<Row> {
    let mut sums: BTreeMap<(Day, u8), Counts> = BTreeMap::new();
    for (day, rollup) in rollups {
        let start = bucket(interval, day, *query.days.start());
        for (value, counts) in &rollup.cells {
            let hour = match interval {
                Interval::Hour => value.parse().ok().filter(|&hour| is_asked(query, day, hour)),
                _ => Some(0),
            };
            if let Some(hour) = hour {
                *sums.entry((start, hour)).or_default() += *counts;
            }
        }
    }
    let sums = sums.into_iter().filter(|(_, counts)| !counts.is_zero());
    sums.map(|((day, hour), counts)| Row::new(vec![label(interval, day, hour)], counts)).collect()
}

/// Whether an hour of a day lies in the range, whose first and last day may be parts.
fn is_asked(query: &Query, day: Day, hour: u8) -> bool {
    hour < 24
        && (day != *query.days.start() || hour >= query.first_hour)
        && (day != *query.days.end() || hour <= query.last_hour)
}

/// `2024-09-10 01:00:00` for hours, `2024-09-10` for all else: the day it begins with.
fn label(interval: Interval, day: Day, hour: u8) -> Text {
    match interval {
        Interval::Hour => compact_str::format_compact!("{day} {hour:02}:00:00"),
        _ => compact_str::format_compact!("{day}"),
    }
}

/// Every label of the range. Hours and days that the zone leaps over are not among them.
fn labels(interval: Interval, query: &Query) -> Vec<Text> {
    let first = *query.days.start();
    let mut labels: Vec<Text> = Vec::new();
    for day in (first.0..=query.days.end().0).map(Day) {
        match interval {
            Interval::Hour => {
                let hours =
                    time::hours(&query.zone, day).into_iter().filter(|&hour| is_asked(query, day, hour));
                labels.extend(hours.map(|hour| label(interval, day, hour)));
            }
            Interval::Day if !time::exists(&query.zone, day) => {}
            Interval::Day => labels.push(label(interval, day, 0)),
            Interval::Week | Interval::Month => {
                let start = bucket(interval, day, first);
                if day == first || day == start {
                    labels.push(label(interval, start, 0));
                }
            }
        }
    }
    labels
}

fn compare(query: &Query, a: &Row, b: &Row) -> Ordering {
    for (order, direction) in &query.order {
        let ordering = match order {
            Order::Metric(metric) => a.value(*metric).cmp(&b.value(*metric)),
            Order::Dimension(n) => a.labels.get(*n).cmp(&b.labels.get(*n)),
        };
        let ordering = if *direction == Direction::Descending { ordering.reverse() } else { ordering };
        if ordering.is_ne() {
            return ordering;
        }
    }
    a.labels.cmp(&b.labels)
}

impl Report {
    /// One entry for every time label, zero where nothing was counted: what a chart draws.
    pub fn series(&self) -> Vec<(Text, Counts)> {
        let counts: HashMap<&str, Counts> = self.rows.iter().map(|row| (row.label(), row.counts)).collect();
        let point = |label: &Text| (label.clone(), counts.get(label.as_str()).copied().unwrap_or_default());
        self.time_labels.iter().map(point).collect()
    }

    /// The counts of a query without dimensions.
    pub fn totals(&self) -> Counts {
        self.rows.first().map_or(Counts::default(), |row| row.counts)
    }
}
