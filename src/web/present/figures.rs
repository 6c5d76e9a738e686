//! The headline figures and their changes.

use super::answers::Answers;
use super::steps::hour_of;
use super::{Scene, anything};
use crate::web::face::figures::Figure;
use crate::web::face::words::{self, Change, Unit};
use crate::web::view::FIGURES;
use crate::web::window::{Compared, Window};
use passerby_engine::event::Text;
use passerby_engine::query::Metric;
use passerby_engine::rollup::Counts;

pub(super) fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::ViewsPerVisit => Unit::Ratio,
        Metric::BounceRate => Unit::Percent,
        Metric::VisitDuration => Unit::Seconds,
        _ => Unit::Count,
    }
}

/// A figure's value; None where it is divided by nothing.
pub(super) fn value(metric: Metric, counts: &Counts) -> Option<f64> {
    (!metric.is_of_visits() || counts.visits > 0).then(|| metric.value(counts).to_f64())
}

pub(super) fn figures(scene: &Scene, window: &Window, answers: &Answers) -> Vec<Figure> {
    FIGURES
        .into_iter()
        .map(|metric| {
            let now = value(metric, &answers.totals);
            let (change, against) = figure_change(metric, window, answers);
            Figure {
                name: metric.label(),
                value: match (now, unit(metric)) {
                    (None, _) => vec![("–".to_string(), "")],
                    (Some(x), Unit::Percent) => vec![(format!("{x:.0}"), "%")],
                    (Some(x), Unit::Seconds) => words::duration(x as i64),
                    (Some(x), unit) => vec![(unit.text(x), "")],
                },
                exact: now
                    .filter(|x| unit(metric) == Unit::Count && *x >= 1e6)
                    .map(|x| words::full(x as i64)),
                change,
                against,
                inverted: metric == Metric::BounceRate,
                href: scene.href(&scene.view.with_metric(metric)),
                current: scene.view.metric == metric,
            }
        })
        .collect()
}

/// A headline figure's change, and against what.
pub(super) fn figure_change(metric: Metric, window: &Window, answers: &Answers) -> (Change, Option<String>) {
    let unknown = (Change::Unknown, None);
    let changed = |now: &Counts, before: &Counts| match (value(metric, now), value(metric, before)) {
        (Some(now), Some(before)) if before > 0.0 || now > 0.0 => Some((words::change(now, before), before)),
        _ => None,
    };
    match &window.compared {
        _ if !anything(&answers.before_totals) => unknown,
        Compared::No => unknown,
        Compared::Whole | Compared::WithoutToday(..) => {
            let Some((now, before)) = answers.pair.as_ref().filter(|(_, before)| anything(before)) else {
                return unknown;
            };
            let whole = window.compared == Compared::Whole;
            changed(now, before).map_or(unknown, |(change, before)| {
                (change, whole.then(|| format!("from {}", unit(metric).text(before))))
            })
        }
        // Somebody who comes in two hours is one visitor of the day: hours do not add up to it.
        Compared::Hours(_) if metric == Metric::Visitors => {
            (Change::Unknown, Some(format!("{} all yesterday", words::count(answers.before_totals.visitors))))
        }
        Compared::Hours(0) => unknown,
        Compared::Hours(hours) => {
            let (now, before) = (up_to(&answers.series, *hours), up_to(&answers.before_series, *hours));
            changed(&now, &before).map_or(unknown, |(change, _)| (change, Some(format!("by {hours:02}:00"))))
        }
    }
}

/// The sum of the hours before one.
pub(super) fn up_to(series: &[(Text, Counts)], hour: usize) -> Counts {
    let mut sum = Counts::default();
    for (_, counts) in series.iter().filter(|(label, _)| hour_of(label).is_some_and(|of| of < hour)) {
        sum += *counts;
    }
    sum
}
