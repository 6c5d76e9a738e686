//! The page of one list: all its rows, a hundred at a time.

use super::Scene;
use super::answers::totals;
use super::panels::{Changes, SHARES_FROM, cell, listed};
use crate::web::face::dates;
use crate::web::face::details::Details;
use crate::web::face::panel::{Cell, Column, Row};
use crate::web::face::shell::{Shell, When};
use crate::web::face::words;
use crate::web::lists::{self, List, PanelOf};
use crate::web::view::{View, path};
use crate::web::window::Window;
use passerby_engine::query::{self, Dimension, MAX_ROWS, Metric, Query, Report};
use passerby_engine::rollup::{Counts, Dim};

pub(super) const PAGE_ROWS: usize = 100;

/// What a page of one list asks.
pub fn list_questions(scene: &Scene, window: &Window, list: &List) -> Vec<Query> {
    let top = |days| Query::top(Dimension::Value(list.dim), Metric::Visitors, MAX_ROWS, days, scene.zone);
    let mut queries = vec![Query::totals(window.days.clone(), scene.zone), top(window.days.clone())];
    if let Some((these, those)) = window.pair() {
        queries.push(Query::totals(those.clone(), scene.zone));
        queries.extend([top(these), top(those)]);
    }
    queries
}

/// The page of one list, of the answers to [`list_questions`].
pub fn list_page(
    scene: &Scene,
    window: &Window,
    of: &'static PanelOf,
    list: &'static List,
    reports: Vec<Report>,
    shell: Shell,
) -> Details {
    let mut reports = reports.into_iter();
    let total = totals(reports.next());
    let report = reports.next();
    let before = totals(reports.next());
    let pair = reports.next().zip(reports.next());
    let compared = (Counts::default(), before);
    let changes = Changes::new(pair.as_ref(), pair.as_ref().map(|_| &compared));
    let (rows, count) = report.as_ref().map_or((Vec::new(), 0), |report| listed(list, report));

    let dimension = Dimension::Value(list.dim);
    let with = |metric: Metric| query::fits(metric, &dimension);
    let shares = total.visitors >= SHARES_FROM;
    let metrics: Vec<(Metric, &'static str)> = match list.dim {
        Dim::EventName => vec![(Metric::Events, "Times")],
        Dim::Page | Dim::Hostname => vec![
            (Metric::Pageviews, "Page views"),
            (Metric::BounceRate, "Bounce rate"),
            (Metric::VisitDuration, "Duration"),
        ],
        Dim::EntryPage => vec![
            (Metric::Visits, "Entries"),
            (Metric::BounceRate, "Bounce rate"),
            (Metric::VisitDuration, "Duration"),
        ],
        Dim::ExitPage => vec![(Metric::Visits, "Exits")],
        _ => vec![
            (Metric::Visits, "Visits"),
            (Metric::Pageviews, "Page views"),
            (Metric::BounceRate, "Bounce rate"),
            (Metric::VisitDuration, "Duration"),
        ],
    };
    let metrics: Vec<(Metric, &'static str)> =
        metrics.into_iter().filter(|(metric, _)| with(*metric)).collect();
    let column = |name| Column { name, wide_only: false };
    let mut columns = vec![column("Visitors")];
    columns.extend(shares.then(|| column("Share")));
    columns.extend(changes.known.then(|| column("Change")));
    columns.extend(metrics.iter().map(|(_, name)| column(name)));

    let most = rows.first().map_or(0, |(_, counts, _)| counts.visitors);
    let row = |(value, counts, visits): &(String, Counts, Counts)| {
        let (label, soft) = lists::label(list.dim, value);
        let mut cells = vec![Cell::Main(words::count(counts.visitors))];
        cells.extend(shares.then(|| Cell::Text(words::share(counts.visitors, total.visitors))));
        cells.extend(changes.known.then(|| Cell::Change(changes.of(value))));
        cells.extend(metrics.iter().map(|(metric, _)| Cell::Text(cell(*metric, counts, visits))));
        Row { label, soft, bar: counts.visitors as f64 / most.max(1) as f64, cells }
    };
    let pages = rows.len().div_ceil(PAGE_ROWS).max(1);
    let page = scene.view.page.min(pages);
    let from = (page - 1) * PAGE_ROWS;
    let to = (from + PAGE_ROWS).min(rows.len());
    let turned = |page: usize| View { page, ..scene.view.clone() }.list(scene.domain, list);
    let mut shell = scene.shell(shell, format!("{} · {}", list.title, scene.domain), window);
    shell.refresh_s = None;
    if let Some(when) = &mut shell.when {
        stay_on(list, scene, when);
    }
    Details {
        title: list.title,
        lead: format!("{}, {}", words::many(count as i64, list.one, list.many), dates::range(&window.days)),
        back: scene.href(scene.view),
        kin: of
            .lists
            .iter()
            .map(|kin| {
                (
                    kin.title,
                    View { page: 1, ..scene.view.clone() }.list(scene.domain, kin),
                    kin.slug == list.slug,
                )
            })
            .collect(),
        heading: list.title,
        columns,
        rows: rows.get(from..to).unwrap_or_default().iter().map(row).collect(),
        range: format!(
            "{}–{} of {}",
            words::count(from as i64 + 1),
            words::count(to as i64),
            words::count(count as i64)
        ),
        previous: (page > 1).then(|| turned(page - 1)),
        next: (page < pages).then(|| turned(page + 1)),
        shell,
    }
}

/// Another period of a list is still that list: the period's links lead to it, not to the overview.
pub(super) fn stay_on(list: &List, scene: &Scene, when: &mut When) {
    let base = path(scene.domain);
    let moved = |href: &str| match href.strip_prefix(&base) {
        Some(query) => format!("{base}/{}{query}", list.slug),
        None => href.to_string(),
    };
    for (href, _) in when.earlier.iter_mut().chain(&mut when.later) {
        *href = moved(href);
    }
    for (_, href, _) in when.choices.iter_mut().flatten() {
        *href = moved(href);
    }
    when.form.action = moved(&when.form.action);
}
