//! What an overview asks, and the answers by name.

use super::{Scene, lede};
use crate::web::lists::{List, PANELS, PanelOf};
use crate::web::window::{self, Window};
use passerby_engine::event::{Day, Text};
use passerby_engine::query::{Dimension, Interval, MAX_ROWS, Metric, Query, Report};
use passerby_engine::rollup::{Counts, Dim};
use std::ops::RangeInclusive;

/// The longest range whose hours are read for the picture of the week, days.
pub(super) const HEAT_DAYS: i32 = 400;

/// The lists an overview shows, panel by panel.
pub(super) fn shown() -> impl Iterator<Item = &'static List> {
    PANELS.iter().flat_map(PanelOf::tabs)
}

/// Everything an overview asks, in the order in which [`overview`] takes the answers.
pub fn questions(scene: &Scene, window: &Window) -> Vec<Query> {
    let zone = scene.zone;
    let top = |list: &List, days: &RangeInclusive<Day>| {
        Query::top(Dimension::Value(list.dim), Metric::Visitors, MAX_ROWS, days.clone(), zone)
    };
    let mut queries = vec![
        Query::totals(window.days.clone(), zone),
        Query::series(window.interval, window.days.clone(), zone),
    ];
    queries.push(Query::top(
        Dimension::Value(Dim::Dropped),
        Metric::Events,
        MAX_ROWS,
        window.days.clone(),
        zone,
    ));
    queries.extend(shown().map(|list| top(list, &window.days)));
    if window::length(&window.days) <= HEAT_DAYS {
        queries.push(Query::series(Interval::Hour, window.days.clone(), zone));
    }
    if let Some(before) = &window.before {
        queries.push(Query::series(window.interval, before.clone(), zone));
        queries.push(Query::totals(before.clone(), zone));
    }
    if let Some((these, those)) = window.pair() {
        queries.push(Query::totals(these.clone(), zone));
        queries.push(Query::totals(those.clone(), zone));
        queries.extend(shown().flat_map(|list| [top(list, &these), top(list, &those)]));
    }
    queries.extend(lede::questions(scene, window));
    queries
}

/// The answers to [`questions`], by name.
pub(super) struct Answers {
    /// Of all days shown.
    pub(super) totals: Counts,
    pub(super) series: Vec<(Text, Counts)>,
    pub(super) dropped: Report,
    pub(super) lists: Vec<Report>,
    pub(super) hours: Option<Report>,
    pub(super) before_series: Vec<(Text, Counts)>,
    pub(super) before_totals: Counts,
    pub(super) pair: Option<(Counts, Counts)>,
    pub(super) list_pairs: Vec<(Report, Report)>,
    /// What [`lede::questions`] asked.
    pub(super) lede: Vec<Report>,
}

pub(super) fn totals(report: Option<Report>) -> Counts {
    report.and_then(|report| report.rows.first().map(|row| row.counts)).unwrap_or_default()
}

impl Answers {
    pub(super) fn new(window: &Window, reports: Vec<Report>) -> Answers {
        let mut reports = reports.into_iter();
        let mut next = || reports.next();
        let empty = || Report { rows: Vec::new(), total_rows: 0, time_labels: Vec::new() };
        let total = totals(next());
        let series = next().map_or(Vec::new(), |report| report.series());
        let dropped = next().unwrap_or_else(empty);
        let lists = shown().map(|_| next().unwrap_or_else(empty)).collect();
        let hours = if window::length(&window.days) <= HEAT_DAYS { next() } else { None };
        let (mut before_series, mut before_totals) = (Vec::new(), Counts::default());
        if window.before.is_some() {
            before_series = next().map_or(Vec::new(), |report| report.series());
            before_totals = totals(next());
        }
        let (mut pair, mut list_pairs) = (None, Vec::new());
        if window.pair().is_some() {
            pair = Some((totals(next()), totals(next())));
            list_pairs =
                shown().map(|_| (next().unwrap_or_else(empty), next().unwrap_or_else(empty))).collect();
        }
        let lede = reports.collect();
        Answers {
            totals: total,
            series,
            dropped,
            lists,
            hours,
            before_series,
            before_totals,
            pair,
            list_pairs,
            lede,
        }
    }
}
