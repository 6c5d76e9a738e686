//! The panels: the first rows of each list.

use super::answers::Answers;
use super::figures::{unit, value};
use super::{Scene, anything};
use crate::web::face::panel::{Cell, Column, Panel, Row, Tab};
use crate::web::face::words::{self, Change, Unit};
use crate::web::lists::{self, Beside, List, PANELS};
use passerby_engine::query::{Metric, Report};
use passerby_engine::rollup::{Counts, Dim};
use std::collections::HashMap;

/// Rows of a panel on the overview, and of a page of a list.
pub(super) const PANEL_ROWS: usize = 9;

/// Below this many visitors shares say little and are left out.
pub(super) const SHARES_FROM: i64 = 30;

pub(super) fn dropped(report: &Report) -> Option<Panel> {
    let rows: Vec<(&str, i64)> =
        report.rows.iter().map(|row| (row.label(), row.counts.events)).filter(|(_, n)| *n > 0).collect();
    let most = rows.first()?.1;
    let row = |(name, n): &(&str, i64)| Row {
        label: lists::reason(name).to_string(),
        soft: false,
        bar: *n as f64 / most as f64,
        cells: vec![Cell::Main(words::count(*n))],
    };
    let tab = Tab {
        key: "kept-out",
        name: "Kept out",
        href: String::new(),
        heading: "Reason",
        columns: vec![Column { name: "Times", wide_only: false }],
        rows: rows.iter().map(row).collect(),
        empty: "",
        all: None,
    };
    let note = "Counted in no figure above.".to_string();
    Some(Panel { id: "kept-out", title: "Kept out", tabs: vec![tab], open: 0, note: Some(note) })
}

/// The rows of a report that a list shows: a missing campaign is no campaign.
pub(super) fn listed(list: &List, report: &Report) -> (Vec<(String, Counts, Counts)>, usize) {
    let hides = |label: &str| {
        label.is_empty()
            && matches!(
                list.dim,
                Dim::UtmSource
                    | Dim::UtmMedium
                    | Dim::UtmCampaign
                    | Dim::UtmContent
                    | Dim::UtmTerm
                    | Dim::EventName
            )
    };
    let hidden = report.rows.iter().filter(|row| hides(row.label())).count();
    let rows = report.rows.iter().filter(|row| !hides(row.label()));
    (
        rows.map(|row| (row.label().to_string(), row.counts, row.visits)).collect(),
        report.total_rows.saturating_sub(hidden),
    )
}

/// The change of each value's visitors, from two lists; nothing where there was nothing at all before.
pub(super) struct Changes<'a> {
    now: HashMap<&'a str, i64>,
    before: HashMap<&'a str, i64>,
    /// Whether there is anything to compare with.
    pub(super) known: bool,
}

impl<'a> Changes<'a> {
    pub(super) fn new(pair: Option<&'a (Report, Report)>, totals: Option<&(Counts, Counts)>) -> Changes<'a> {
        let map =
            |report: &'a Report| report.rows.iter().map(|row| (row.label(), row.counts.visitors)).collect();
        let (now, before) =
            pair.map_or((HashMap::new(), HashMap::new()), |(now, before)| (map(now), map(before)));
        Changes { now, before, known: totals.is_some_and(|(_, before)| anything(before)) }
    }

    pub(super) fn of(&self, label: &str) -> Change {
        let visitors = |of: &HashMap<&str, i64>| of.get(label).copied().unwrap_or(0);
        let (now, before) = (visitors(&self.now), visitors(&self.before));
        if !self.known || now <= 0 && before <= 0 {
            Change::Unknown
        } else {
            words::change(now as f64, before as f64)
        }
    }
}

pub(super) fn panel(scene: &Scene, nth: usize, answers: &Answers) -> Option<Panel> {
    let of = &PANELS[nth];
    let first = PANELS[..nth].iter().map(|panel| panel.tabs().count()).sum::<usize>();
    let tabs: Vec<Tab> = of
        .tabs()
        .enumerate()
        .filter_map(|(i, list)| {
            let report = answers.lists.get(first + i)?;
            let changes = Changes::new(answers.list_pairs.get(first + i), answers.pair.as_ref());
            Some(tab(scene, nth, i, list, report, &changes, &answers.totals))
        })
        .collect();
    if of.id == "events" && tabs.iter().all(|tab| tab.rows.is_empty()) {
        return None;
    }
    Some(Panel {
        id: of.id,
        title: of.title,
        open: scene.view.tabs[nth].min(tabs.len().saturating_sub(1)),
        tabs,
        note: None,
    })
}

pub(super) fn tab(
    scene: &Scene,
    nth: usize,
    i: usize,
    list: &List,
    report: &Report,
    changes: &Changes,
    totals: &Counts,
) -> Tab {
    let (rows, total) = listed(list, report);
    let beside = match list.beside {
        Beside::Share if totals.visitors < SHARES_FROM => Beside::Nothing,
        beside => beside,
    };
    let mut columns = vec![Column { name: "Visitors", wide_only: false }];
    match beside {
        Beside::Nothing => {}
        Beside::Share => columns.push(Column { name: "Share", wide_only: false }),
        Beside::Metric(_, name) => columns.push(Column { name, wide_only: false }),
    }
    if changes.known {
        columns.push(Column { name: "Change", wide_only: beside != Beside::Nothing });
    }
    let most = rows.first().map_or(0, |(_, counts, _)| counts.visitors);
    let row = |(value, counts, visits): &(String, Counts, Counts)| {
        let (label, soft) = lists::label(list.dim, value);
        let mut cells = vec![Cell::Main(words::count(counts.visitors))];
        match beside {
            Beside::Nothing => {}
            Beside::Share => cells.push(Cell::Text(words::share(counts.visitors, totals.visitors))),
            Beside::Metric(metric, _) => cells.push(Cell::Text(cell(metric, counts, visits))),
        }
        if changes.known {
            cells.push(Cell::Change(changes.of(value)));
        }
        Row { label, soft, bar: counts.visitors as f64 / most.max(1) as f64, cells }
    };
    let all = (total > PANEL_ROWS).then(|| format!("All {}", words::many(total as i64, list.one, list.many)));
    let more = all.or((!rows.is_empty()).then(|| format!("{} in detail", list.title)));
    Tab {
        key: list.slug,
        name: list.tab.unwrap_or(list.title),
        href: scene.href(&scene.view.with_tab(nth, i)),
        heading: list.title,
        columns,
        rows: rows.iter().take(PANEL_ROWS).map(row).collect(),
        empty: list.empty,
        all: more.map(|words| (scene.view.list(scene.domain, list), words)),
    }
}

/// A metric of a row, for a table.
pub(super) fn cell(metric: Metric, counts: &Counts, visits: &Counts) -> String {
    let of = if metric.is_of_visits() { visits } else { counts };
    match (value(metric, of), unit(metric)) {
        (None, _) => "–".to_string(),
        (Some(x), Unit::Seconds) => words::clock(x as i64),
        (Some(x), unit) => unit.text(x),
    }
}
