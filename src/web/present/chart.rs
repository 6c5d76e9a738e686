//! The main chart: its points, its axis, and what has to be said about it.

use super::answers::Answers;
use super::figures::{unit, value};
use super::steps::{day_of, hour_of, step_end, step_start};
use super::{Scene, anything};
use crate::web::face::chart::{Chart, Point};
use crate::web::face::dates;
use crate::web::face::words::{self, Change, Unit};
use crate::web::view::View;
use crate::web::window::{self, Compared, Window};
use passerby_engine::event::{Day, Text};
use passerby_engine::query::{self, Interval, Metric, Period};
use passerby_engine::rollup::Counts;
use passerby_engine::time;
use std::ops::RangeInclusive;

pub(super) fn chart(scene: &Scene, window: &Window, answers: &Answers) -> Chart {
    let metric = scene.view.metric;
    let compare = window.before.is_some() && anything(&answers.before_totals);
    let mut points: Vec<Point> = answers
        .series
        .iter()
        .enumerate()
        .filter_map(|(i, (label, counts))| {
            let before = answers.before_series.get(i).filter(|_| compare).map(|(_, counts)| counts);
            let earlier =
                answers.before_series.get(i).and_then(|(label, _)| day_of(label)).unwrap_or(Day(i32::MIN));
            point(scene, window, label, counts, before, earlier)
        })
        .collect();
    axis(window, &mut points, &answers.series);
    let steps = match window.interval {
        Interval::Hour => ("hour", "an hour", "Hour"),
        Interval::Day => ("day", "a day", "Day"),
        Interval::Week => ("week", "a week", "Week"),
        Interval::Month => ("month", "a month", "Month"),
    };
    let chosen = |interval: Interval| {
        let by = (interval != query::interval(&window.days)).then_some(interval);
        scene.href(&View { by, ..scene.view.clone() })
    };
    let name = |interval: Interval| match interval {
        Interval::Hour => "Hours",
        Interval::Day => "Days",
        Interval::Week => "Weeks",
        Interval::Month => "Months",
    };
    Chart {
        title: format!("{} by {}", metric.label(), steps.0),
        line: match unit(metric) {
            Unit::Count => format!("{} {}", metric.label(), steps.1),
            _ => format!("{} by {}", metric.label(), steps.0),
        },
        before: window.before.as_ref().filter(|_| compare).map(|before| before_name(window, before)),
        unit: unit(metric),
        inverted: metric == Metric::BounceRate,
        step: steps.2,
        points,
        intervals: window::intervals(&window.days)
            .into_iter()
            .map(|by| (name(by), chosen(by), by == window.interval))
            .collect(),
        notes: notes(scene, window, answers),
    }
}

/// `The day before`, `5 weeks before`: how far the comparison lies back.
pub(super) fn before_name(window: &Window, before: &RangeInclusive<Day>) -> String {
    let moved = window.days.start().0 - before.start().0;
    match window::length(&window.days) {
        1 if moved == 1 => "The day before".to_string(),
        _ if moved == 7 => "The week before".to_string(),
        _ if moved % 7 == 0 => format!("{} weeks before", moved / 7),
        n if moved == n => format!("{n} days before"),
        _ => format!("{} – {}", dates::brief(*before.start()), dates::brief(*before.end())),
    }
}

pub(super) fn point(
    scene: &Scene,
    window: &Window,
    label: &str,
    counts: &Counts,
    before: Option<&Counts>,
    earlier: Day,
) -> Option<Point> {
    let metric = scene.view.metric;
    let day = day_of(label)?;
    let (first, last) =
        (day.max(*window.days.start()), step_end(window.interval, day).min(*window.days.end()));
    let hour = hour_of(label).filter(|_| window.interval == Interval::Hour);
    let (to_come, open) = match hour {
        Some(hour) => (
            day > window.today || day == window.today && hour > window.hour,
            day == window.today && hour == window.hour,
        ),
        None => (first > window.today, (first..=last).contains(&window.today)),
    };
    let cut =
        hour.is_none() && (first > step_start(window.interval, day) || last < step_end(window.interval, day));
    let begun = scene.bounds.is_none_or(|(began, _)| last >= began);
    let now = value(metric, counts).filter(|_| !to_come && begun);
    let counting = scene.bounds.is_none_or(|(began, _)| earlier >= began);
    let before = before.filter(|_| counting).and_then(|before| value(metric, before));
    let partial = open || cut;
    Some(Point {
        label: match (hour, window.interval) {
            (Some(hour), _) if window::length(&window.days) == 1 => format!("{hour:02}:00"),
            (Some(hour), _) => format!("{} {hour:02}:00", dates::with_weekday(day)),
            (None, Interval::Month) => dates::month(dates::month_of(day)),
            (None, Interval::Week) => dates::range(&(first..=last)),
            (None, _) => dates::with_weekday(day),
        },
        axis: None,
        weekend: window.interval == Interval::Day && dates::weekday(day) >= 5,
        value: now,
        before,
        partial,
        change: match (now, before) {
            (Some(now), Some(before)) if !partial && (now > 0.0 || before > 0.0) => {
                words::change(now, before)
            }
            _ => Change::Unknown,
        },
        href: (window.interval != Interval::Hour && window::length(&window.days) > 1)
            .then(|| scene.href(&scene.view.with_period(Period::Custom(first..=last)))),
    })
}

/// Puts labels under the plot: the ones a calendar would print, thinned to what fits.
pub(super) fn axis(window: &Window, points: &mut [Point], series: &[(Text, Counts)]) {
    let days: Vec<Option<Day>> = series.iter().map(|(label, _)| day_of(label)).collect();
    let n = points.len();
    let mut labels: Vec<(usize, String)> = Vec::new();
    for (i, day) in days.iter().enumerate().take(n) {
        let Some(day) = *day else { continue };
        let hour = series.get(i).and_then(|(label, _)| hour_of(label)).unwrap_or(0);
        let label = match window.interval {
            Interval::Hour if n <= 26 => (hour % 3 == 0).then(|| format!("{hour:02}:00")),
            Interval::Hour => (hour == 0).then(|| dates::with_weekday(day)),
            Interval::Day if n <= 10 => Some(dates::with_weekday(day)),
            Interval::Day if n <= 100 => (dates::weekday(day) == 0).then(|| dates::brief(day)),
            Interval::Day => (time::date(day).day() == 1).then(|| dates::month_brief(dates::month_of(day))),
            Interval::Week if n <= 20 => Some(dates::brief(day)),
            Interval::Week => (time::date(day).day() <= 7).then(|| dates::month_brief(dates::month_of(day))),
            Interval::Month if n <= 18 => Some(dates::month_brief(dates::month_of(day))),
            Interval::Month => (dates::month_of(day).1 == 1).then(|| time::date(day).year().to_string()),
        };
        let label = label.filter(|label| labels.last().is_none_or(|(_, last)| last != label));
        labels.extend(label.map(|label| (i, label)));
    }
    let so_far = match window.interval {
        Interval::Hour => None,
        Interval::Day => Some("Today so far"),
        Interval::Week => Some("This week so far"),
        Interval::Month => Some("This month so far"),
    };
    let ends_open = so_far.filter(|_| n > 1 && window.days.contains(&window.today));
    if ends_open.is_some() {
        labels.retain(|(i, _)| (n - 1 - i) * 8 >= n);
    }
    let every = labels.len().div_ceil(10).max(1);
    for (i, label) in labels.into_iter().step_by(every) {
        points[i].axis = Some(label);
    }
    if let (Some(words), Some(last)) = (ends_open, points.last_mut()) {
        last.axis = Some(words.to_string());
    }
}

/// How to read the chart and the figures, said once.
pub(super) fn notes(scene: &Scene, window: &Window, answers: &Answers) -> Vec<String> {
    let mut notes = Vec::new();
    if let Compared::WithoutToday(these, _) = &window.compared
        && answers.pair.as_ref().is_some_and(|(_, before)| anything(before))
    {
        let days = words::many(i64::from(window::length(these)), "whole day", "whole days");
        notes.push(format!("Changes leave today out: {days} against as many before."));
    }
    if matches!(window.compared, Compared::Hours(hours) if hours > 0) && anything(&answers.before_totals) {
        notes.push("Changes compare whole hours with the same hours yesterday; visitors of hours do not add up, so theirs is left out.".to_string());
    }
    if window::length(&window.days) > 1 {
        notes.push(
            "Visitors are counted afresh each day: someone who returns tomorrow counts again.".to_string(),
        );
    }
    if answers.totals.loose > 0 {
        let views = words::many(answers.totals.loose, "page view belongs", "page views belong");
        notes.push(format!("{views} to no visit: the browser asked not to be followed."));
    }
    if scene.view.metric == Metric::Visitors
        && window.interval == Interval::Hour
        && window::length(&window.days) == 1
    {
        notes.push("A visitor who is here in two hours counts in both.".to_string());
    }
    notes
}
