//! Reports to pages: which questions an overview asks, and what its components get of the answers.
//!
//! Pure: the clock, the view and the answers come in, finished values go out.

use super::face::chart::{Chart, Point};
use super::face::dates;
use super::face::details::Details;
use super::face::figures::Figure;
use super::face::heat::Heat;
use super::face::overview::{Content, Overview};
use super::face::panel::{Cell, Column, Panel, Row, Tab};
use super::face::shell::{Form, Shell, When};
use super::face::words::{self, Change, Unit};
use super::lists::{self, Beside, List, PANELS, PanelOf};
use super::view::{FIGURES, View, path};
use super::window::{self, Compared, Window};
use jiff::tz::TimeZone;
use passerby_engine::event::Day;
use passerby_engine::query::{Dimension, Interval, MAX_ROWS, Metric, Period, Query, Report};
use passerby_engine::rollup::{Counts, Dim};
use passerby_engine::time;
use std::collections::HashMap;

/// Where and when a page is made.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    pub domain: &'a str,
    pub zone: &'a TimeZone,
    pub zone_name: &'a str,
    pub now_ms: i64,
    /// First and last day with data.
    pub bounds: Option<(Day, Day)>,
    pub view: &'a View,
}

/// Rows of a panel on the overview, and of a page of a list.
const PANEL_ROWS: usize = 9;
const PAGE_ROWS: usize = 100;

/// Below this many visitors shares say little and are left out.
const SHARES_FROM: i64 = 30;

/// The longest range whose hours are read for the picture of the week, days.
const HEAT_DAYS: i32 = 400;

impl Scene<'_> {
    pub fn window(&self) -> Window {
        Window::new(self.view, self.now_ms, self.zone, self.bounds)
    }

    /// What the top bar and the foot say; `shell` brings what is the same for all sites.
    fn shell(&self, shell: Shell, title: String, window: &Window) -> Shell {
        let mut foot = vec![format!(
            "All times in {} ({}).",
            self.zone_name,
            utc(self.zone, self.now_ms)
        )];
        if self
            .bounds
            .is_some_and(|(first, _)| window.days.start() < &first)
            && self.view.period != Period::All
        {
            foot.push(format!(
                "Counting began on {}.",
                self.bounds
                    .map_or(String::new(), |(first, _)| dates::whole(first))
            ));
        }
        let live = window.days.contains(&window.today);
        Shell {
            title,
            here: self.domain.to_string(),
            when: Some(self.when(window)),
            refresh_s: live.then_some(20),
            foot,
            ..shell
        }
    }

    fn href(&self, view: &View) -> String {
        view.overview(self.domain)
    }

    fn when(&self, window: &Window) -> When {
        let choice = |name: &'static str, period: Period| {
            let current = self.view.period == period;
            (name, self.href(&self.view.with_period(period)), current)
        };
        let step = |by: i32| {
            let period = self
                .view
                .period
                .step(by, self.now_ms, self.zone, self.bounds)?;
            let days = period.days(self.now_ms, self.zone, self.bounds);
            Some((
                self.href(&self.view.with_period(period)),
                dates::range(&days),
            ))
        };
        let steps_kept = |(name, _): &(String, String)| name != "by";
        When {
            name: period_name(&self.view.period, window),
            days: dates::range(&window.days),
            earlier: step(-1),
            later: step(1),
            choices: vec![
                vec![
                    choice("Today", Period::Today),
                    choice("Yesterday", Period::Yesterday),
                ],
                vec![
                    choice("Last 7 days", Period::Last(7)),
                    choice("Last 28 days", Period::Last(28)),
                    choice("Last 30 days", Period::Last(30)),
                    choice("Last 90 days", Period::Last(90)),
                ],
                vec![
                    choice("This month", Period::Month),
                    choice("This year", Period::Year),
                    choice("All time", Period::All),
                ],
            ],
            form: Form {
                action: path(self.domain),
                hidden: self.view.pairs().into_iter().filter(steps_kept).collect(),
                from: window.days.start().to_string(),
                to: window.days.end().to_string(),
                max: window.today.to_string(),
            },
        }
    }
}

/// `Last 30 days`, `17–20 May 2015`.
fn period_name(period: &Period, window: &Window) -> String {
    match period {
        Period::Today => "Today".to_string(),
        Period::Yesterday => "Yesterday".to_string(),
        Period::Last(days) => format!("Last {days} days"),
        Period::Month => "This month".to_string(),
        Period::Year => "This year".to_string(),
        Period::All => "All time".to_string(),
        Period::Custom(days) if days.start() == days.end() && *days.end() == window.today => {
            "Today".to_string()
        }
        Period::Custom(_) => dates::range(&window.days),
    }
}

/// `UTC+1`, `UTC−3:30`.
fn utc(zone: &TimeZone, now_ms: i64) -> String {
    let offset_min = time::local(zone, now_ms).offset_s / 60;
    let (hours, minutes) = (offset_min.abs() / 60, offset_min.abs() % 60);
    match (offset_min, minutes) {
        (0, _) => "UTC".to_string(),
        (_, 0) => format!("UTC{}{hours}", if offset_min < 0 { "−" } else { "+" }),
        _ => format!(
            "UTC{}{hours}:{minutes:02}",
            if offset_min < 0 { "−" } else { "+" }
        ),
    }
}

/// The lists an overview shows, panel by panel.
fn shown() -> impl Iterator<Item = &'static List> {
    PANELS.iter().flat_map(PanelOf::tabs)
}

/// Everything an overview asks, in the order in which [`overview`] takes the answers.
pub fn questions(scene: &Scene, window: &Window) -> Vec<Query> {
    let zone = scene.zone;
    let top = |list: &List, days: &std::ops::RangeInclusive<Day>| {
        Query::top(
            Dimension::Value(list.dim),
            Metric::Visitors,
            MAX_ROWS,
            days.clone(),
            zone,
        )
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
    queries
}

/// The answers to [`questions`], by name.
struct Answers {
    totals: Counts,
    series: Vec<(passerby_engine::event::Text, Counts)>,
    dropped: Report,
    lists: Vec<Report>,
    hours: Option<Report>,
    before_series: Vec<(passerby_engine::event::Text, Counts)>,
    before_totals: Counts,
    pair: Option<(Counts, Counts)>,
    list_pairs: Vec<(Report, Report)>,
}

fn totals(report: Option<Report>) -> Counts {
    report
        .and_then(|report| report.rows.first().map(|row| row.counts))
        .unwrap_or_default()
}

impl Answers {
    fn new(window: &Window, reports: Vec<Report>) -> Answers {
        let mut reports = reports.into_iter();
        let mut next = || reports.next();
        let empty = || Report {
            rows: Vec::new(),
            total_rows: 0,
            time_labels: Vec::new(),
        };
        let total = totals(next());
        let series = next().map_or(Vec::new(), |report| report.series());
        let dropped = next().unwrap_or_else(empty);
        let lists = shown().map(|_| next().unwrap_or_else(empty)).collect();
        let hours = if window::length(&window.days) <= HEAT_DAYS {
            next()
        } else {
            None
        };
        let (mut before_series, mut before_totals) = (Vec::new(), Counts::default());
        if window.before.is_some() {
            before_series = next().map_or(Vec::new(), |report| report.series());
            before_totals = totals(next());
        }
        let (mut pair, mut list_pairs) = (None, Vec::new());
        if window.pair().is_some() {
            pair = Some((totals(next()), totals(next())));
            list_pairs = shown()
                .map(|_| (next().unwrap_or_else(empty), next().unwrap_or_else(empty)))
                .collect();
        }
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
        }
    }
}

/// Whether anything was counted at all.
pub fn anything(counts: &Counts) -> bool {
    counts.visitors > 0 || counts.pageviews > 0 || counts.events > 0 || counts.visits > 0
}

/// The overview of the answers to [`questions`].
pub fn overview(scene: &Scene, window: &Window, reports: Vec<Report>, shell: Shell) -> Overview {
    let answers = Answers::new(window, reports);
    let name = period_name(&scene.view.period, window);
    let shell = scene.shell(shell, scene.domain.to_string(), window);
    let heading = format!("{}, {}", scene.domain, name.to_lowercase());
    if !anything(&answers.totals) {
        return Overview {
            shell,
            heading,
            flags: Vec::new(),
            content: nothing(scene, window),
        };
    }
    let mut panels: Vec<Panel> = PANELS
        .iter()
        .enumerate()
        .filter_map(|(i, _)| panel(scene, i, &answers))
        .collect();
    let small = panels
        .extract_if(.., |panel| panel.id == "events")
        .chain(dropped(&answers.dropped))
        .collect();
    let content = Content::Full {
        figures: figures(scene, window, &answers),
        chart: Box::new(chart(scene, window, &answers)),
        panels,
        heat: answers
            .hours
            .as_ref()
            .and_then(|hours| heat(window, hours))
            .map(Box::new),
        small,
    };
    Overview {
        shell,
        heading,
        flags: Vec::new(),
        content,
    }
}

/// A period without anything: says so, and leads to where there is something.
fn nothing(scene: &Scene, window: &Window) -> Content {
    let days = match &scene.view.period {
        Period::Today => "today, so far".to_string(),
        Period::Yesterday => "yesterday".to_string(),
        Period::Last(n) => format!("in the last {n} days"),
        Period::Month => "this month".to_string(),
        Period::Year => "this year".to_string(),
        Period::All => "of what is shown".to_string(),
        Period::Custom(_) if window.days.start() == window.days.end() => {
            format!("on {}", dates::range(&window.days))
        }
        Period::Custom(_) => format!("in {}", dates::range(&window.days)),
    };
    let elsewhere = scene.bounds.map(|(first, last)| {
        let all = first..=last;
        let words = match window::length(&all) {
            1 => format!("The one day with data, {}", dates::whole(first)),
            n => format!(
                "All {} days from {}",
                words::count(i64::from(n)),
                dates::whole(first)
            ),
        };
        (
            scene.href(&scene.view.with_period(Period::Custom(all))),
            words,
        )
    });
    Content::Nothing { days, elsewhere }
}

fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::ViewsPerVisit => Unit::Ratio,
        Metric::BounceRate => Unit::Percent,
        Metric::VisitDuration => Unit::Seconds,
        _ => Unit::Count,
    }
}

/// A figure's value; None where it is divided by nothing.
fn value(metric: Metric, counts: &Counts) -> Option<f64> {
    (!metric.is_of_visits() || counts.visits > 0).then(|| metric.value(counts).to_f64())
}

fn figures(scene: &Scene, window: &Window, answers: &Answers) -> Vec<Figure> {
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
fn figure_change(metric: Metric, window: &Window, answers: &Answers) -> (Change, Option<String>) {
    let unknown = (Change::Unknown, None);
    let changed = |now: &Counts, before: &Counts| match (value(metric, now), value(metric, before))
    {
        (Some(now), Some(before)) if before > 0.0 || now > 0.0 => {
            Some((words::change(now, before), before))
        }
        _ => None,
    };
    match &window.compared {
        _ if !anything(&answers.before_totals) => unknown,
        Compared::No => unknown,
        Compared::Whole | Compared::WithoutToday(..) => {
            let Some((now, before)) = answers.pair.as_ref().filter(|(_, before)| anything(before))
            else {
                return unknown;
            };
            let whole = window.compared == Compared::Whole;
            changed(now, before).map_or(unknown, |(change, before)| {
                (
                    change,
                    whole.then(|| format!("from {}", unit(metric).text(before))),
                )
            })
        }
        // Somebody who comes in two hours is one visitor of the day: hours do not add up to it.
        Compared::Hours(_) if metric == Metric::Visitors => (
            Change::Unknown,
            Some(format!(
                "{} all yesterday",
                words::count(answers.before_totals.visitors)
            )),
        ),
        Compared::Hours(0) => unknown,
        Compared::Hours(hours) => {
            let (now, before) = (
                up_to(&answers.series, *hours),
                up_to(&answers.before_series, *hours),
            );
            changed(&now, &before).map_or(unknown, |(change, _)| {
                (change, Some(format!("by {hours:02}:00")))
            })
        }
    }
}

/// The sum of the hours before one.
fn up_to(series: &[(passerby_engine::event::Text, Counts)], hour: usize) -> Counts {
    let mut sum = Counts::default();
    for (_, counts) in series
        .iter()
        .filter(|(label, _)| hour_of(label).is_some_and(|of| of < hour))
    {
        sum += *counts;
    }
    sum
}

/// The hour of a time label (`2026-11-23 14:00:00`).
fn hour_of(label: &str) -> Option<usize> {
    label.get(11..13)?.parse().ok().filter(|hour| *hour < 24)
}

/// The day of a time label: the first of a week or month.
fn day_of(label: &str) -> Option<Day> {
    Some(time::day(label.get(..10)?.parse().ok()?))
}

/// The last day of the step that begins on a day.
fn step_end(interval: Interval, day: Day) -> Day {
    match interval {
        Interval::Hour | Interval::Day => day,
        Interval::Week => Day(day.0 + 6 - dates::weekday(day) as i32),
        Interval::Month => {
            let date = time::date(day);
            Day(day.0 + i32::from(date.days_in_month()) - i32::from(date.day()))
        }
    }
}

fn chart(scene: &Scene, window: &Window, answers: &Answers) -> Chart {
    let metric = scene.view.metric;
    let compare = window.before.is_some() && anything(&answers.before_totals);
    let mut points: Vec<Point> = answers
        .series
        .iter()
        .enumerate()
        .filter_map(|(i, (label, counts))| {
            let before = answers
                .before_series
                .get(i)
                .filter(|_| compare)
                .map(|(_, counts)| counts);
            let earlier = answers
                .before_series
                .get(i)
                .and_then(|(label, _)| day_of(label))
                .unwrap_or(Day(i32::MIN));
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
        let by = (interval != passerby_engine::query::interval(&window.days)).then_some(interval);
        scene.href(&View {
            by,
            ..scene.view.clone()
        })
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
        before: window
            .before
            .as_ref()
            .filter(|_| compare)
            .map(|before| before_name(window, before)),
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
fn before_name(window: &Window, before: &std::ops::RangeInclusive<Day>) -> String {
    let moved = window.days.start().0 - before.start().0;
    match window::length(&window.days) {
        1 if moved == 1 => "The day before".to_string(),
        _ if moved == 7 => "The week before".to_string(),
        _ if moved % 7 == 0 => format!("{} weeks before", moved / 7),
        n if moved == n => format!("{n} days before"),
        _ => format!(
            "{} – {}",
            dates::brief(*before.start()),
            dates::brief(*before.end())
        ),
    }
}

fn point(
    scene: &Scene,
    window: &Window,
    label: &str,
    counts: &Counts,
    before: Option<&Counts>,
    earlier: Day,
) -> Option<Point> {
    let metric = scene.view.metric;
    let day = day_of(label)?;
    let (first, last) = (
        day.max(*window.days.start()),
        step_end(window.interval, day).min(*window.days.end()),
    );
    let hour = hour_of(label).filter(|_| window.interval == Interval::Hour);
    let (to_come, open) = match hour {
        Some(hour) => (
            day > window.today || day == window.today && hour > window.hour,
            day == window.today && hour == window.hour,
        ),
        None => (first > window.today, (first..=last).contains(&window.today)),
    };
    let cut = hour.is_none() && (first > day || last < step_end(window.interval, day));
    let begun = scene.bounds.is_none_or(|(began, _)| last >= began);
    let now = value(metric, counts).filter(|_| !to_come && begun);
    let counting = scene.bounds.is_none_or(|(began, _)| earlier >= began);
    let before = before
        .filter(|_| counting)
        .and_then(|before| value(metric, before));
    let partial = open || cut;
    Some(Point {
        label: match (hour, window.interval) {
            (Some(hour), _) if window::length(&window.days) == 1 => format!("{hour:02}:00"),
            (Some(hour), _) => format!("{} {hour:02}:00", dates::with_weekday(day)),
            (None, Interval::Month) => dates::month(dates::month_of(day)),
            (None, Interval::Week) => format!("{} – {}", dates::brief(first), dates::brief(last)),
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
fn axis(window: &Window, points: &mut [Point], series: &[(passerby_engine::event::Text, Counts)]) {
    let days: Vec<Option<Day>> = series.iter().map(|(label, _)| day_of(label)).collect();
    let n = points.len();
    let mut labels: Vec<(usize, String)> = Vec::new();
    for (i, day) in days.iter().enumerate().take(n) {
        let Some(day) = *day else { continue };
        let hour = series
            .get(i)
            .and_then(|(label, _)| hour_of(label))
            .unwrap_or(0);
        let label = match window.interval {
            Interval::Hour if n <= 26 => (hour % 3 == 0).then(|| format!("{hour:02}:00")),
            Interval::Hour => (hour == 0).then(|| dates::with_weekday(day)),
            Interval::Day if n <= 10 => Some(dates::with_weekday(day)),
            Interval::Day if n <= 100 => (dates::weekday(day) == 0).then(|| dates::brief(day)),
            Interval::Day => {
                (time::date(day).day() == 1).then(|| dates::month_brief(dates::month_of(day)))
            }
            Interval::Week if n <= 20 => Some(dates::brief(day)),
            Interval::Week => {
                (time::date(day).day() <= 7).then(|| dates::month_brief(dates::month_of(day)))
            }
            Interval::Month if n <= 18 => Some(dates::month_brief(dates::month_of(day))),
            Interval::Month => {
                (dates::month_of(day).1 == 1).then(|| time::date(day).year().to_string())
            }
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
fn notes(scene: &Scene, window: &Window, answers: &Answers) -> Vec<String> {
    let mut notes = Vec::new();
    if let Compared::WithoutToday(these, _) = &window.compared
        && answers
            .pair
            .as_ref()
            .is_some_and(|(_, before)| anything(before))
    {
        let days = words::many(i64::from(window::length(these)), "whole day", "whole days");
        notes.push(format!(
            "Changes leave today out: {days} against as many before."
        ));
    }
    if matches!(window.compared, Compared::Hours(hours) if hours > 0)
        && anything(&answers.before_totals)
    {
        notes.push("Changes compare whole hours with the same hours yesterday; visitors of hours do not add up, so theirs is left out.".to_string());
    }
    if window::length(&window.days) > 1 {
        notes.push(
            "Visitors are counted afresh each day: someone who returns tomorrow counts again."
                .to_string(),
        );
    }
    if answers.totals.loose > 0 {
        let views = words::many(
            answers.totals.loose,
            "page view belongs",
            "page views belong",
        );
        notes.push(format!(
            "{views} to no visit: the browser asked not to be followed."
        ));
    }
    if scene.view.metric == Metric::Visitors
        && window.interval == Interval::Hour
        && window::length(&window.days) == 1
    {
        notes.push("Who stays for two hours is in both.".to_string());
    }
    notes
}

fn heat(window: &Window, hours: &Report) -> Option<Heat> {
    if window::length(&window.days) < 2 {
        return None;
    }
    let mut cells = [[0i64; 24]; 7];
    for (label, counts) in hours.rows.iter().map(|row| (row.label(), row.counts)) {
        if let (Some(day), Some(hour)) = (day_of(label), hour_of(label)) {
            let cell = &mut cells[dates::weekday(day)][hour];
            *cell = cell.saturating_add(counts.pageviews);
        }
    }
    cells.iter().flatten().any(|n| *n > 0).then_some(Heat {
        cells,
        unit: "page views",
    })
}

fn dropped(report: &Report) -> Option<Panel> {
    let rows: Vec<(&str, i64)> = report
        .rows
        .iter()
        .map(|row| (row.label(), row.counts.events))
        .filter(|(_, n)| *n > 0)
        .collect();
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
        columns: vec![Column {
            name: "Times",
            wide_only: false,
        }],
        rows: rows.iter().map(row).collect(),
        empty: "",
        all: None,
    };
    let note = "Counted in no figure above.".to_string();
    Some(Panel {
        id: "kept-out",
        title: "Kept out",
        tabs: vec![tab],
        open: 0,
        note: Some(note),
    })
}

/// The rows of a report that a list shows: a missing campaign is no campaign.
fn listed(list: &List, report: &Report) -> (Vec<(String, Counts, Counts)>, usize) {
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
        rows.map(|row| (row.label().to_string(), row.counts, row.visits))
            .collect(),
        report.total_rows.saturating_sub(hidden),
    )
}

/// The change of each value's visitors, from two lists; nothing where there was nothing at all before.
struct Changes<'a> {
    now: HashMap<&'a str, i64>,
    before: HashMap<&'a str, i64>,
    known: bool,
}

impl<'a> Changes<'a> {
    fn new(pair: Option<&'a (Report, Report)>, totals: Option<&(Counts, Counts)>) -> Changes<'a> {
        let map = |report: &'a Report| {
            report
                .rows
                .iter()
                .map(|row| (row.label(), row.counts.visitors))
                .collect()
        };
        let (now, before) = pair.map_or((HashMap::new(), HashMap::new()), |(now, before)| {
            (map(now), map(before))
        });
        Changes {
            now,
            before,
            known: totals.is_some_and(|(_, before)| anything(before)),
        }
    }

    fn of(&self, label: &str) -> Change {
        let visitors = |of: &HashMap<&str, i64>| of.get(label).copied().unwrap_or(0);
        let (now, before) = (visitors(&self.now), visitors(&self.before));
        if !self.known || now <= 0 && before <= 0 {
            Change::Unknown
        } else {
            words::change(now as f64, before as f64)
        }
    }
}

fn panel(scene: &Scene, nth: usize, answers: &Answers) -> Option<Panel> {
    let of = &PANELS[nth];
    let first = PANELS[..nth]
        .iter()
        .map(|panel| panel.tabs().count())
        .sum::<usize>();
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

fn tab(
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
    let mut columns = vec![Column {
        name: "Visitors",
        wide_only: false,
    }];
    match beside {
        Beside::Nothing => {}
        Beside::Share => columns.push(Column {
            name: "Share",
            wide_only: false,
        }),
        Beside::Metric(_, name) => columns.push(Column {
            name,
            wide_only: false,
        }),
    }
    if changes.known {
        columns.push(Column {
            name: "Change",
            wide_only: beside != Beside::Nothing,
        });
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
        Row {
            label,
            soft,
            bar: counts.visitors as f64 / most.max(1) as f64,
            cells,
        }
    };
    let all = (total > PANEL_ROWS)
        .then(|| format!("All {}", words::many(total as i64, list.one, list.many)));
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
fn cell(metric: Metric, counts: &Counts, visits: &Counts) -> String {
    let of = if metric.is_of_visits() {
        visits
    } else {
        counts
    };
    match (value(metric, of), unit(metric)) {
        (None, _) => "–".to_string(),
        (Some(x), Unit::Seconds) => words::clock(x as i64),
        (Some(x), unit) => unit.text(x),
    }
}

/// What a page of one list asks.
pub fn list_questions(scene: &Scene, window: &Window, list: &List) -> Vec<Query> {
    let top = |days| {
        Query::top(
            Dimension::Value(list.dim),
            Metric::Visitors,
            MAX_ROWS,
            days,
            scene.zone,
        )
    };
    let mut queries = vec![
        Query::totals(window.days.clone(), scene.zone),
        top(window.days.clone()),
    ];
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
    let (rows, count) = report
        .as_ref()
        .map_or((Vec::new(), 0), |report| listed(list, report));

    let dimension = Dimension::Value(list.dim);
    let with = |metric: Metric| passerby_engine::query::fits(metric, &dimension);
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
    let metrics: Vec<(Metric, &'static str)> = metrics
        .into_iter()
        .filter(|(metric, _)| with(*metric))
        .collect();
    let column = |name| Column {
        name,
        wide_only: false,
    };
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
        cells.extend(
            metrics
                .iter()
                .map(|(metric, _)| Cell::Text(cell(*metric, counts, visits))),
        );
        Row {
            label,
            soft,
            bar: counts.visitors as f64 / most.max(1) as f64,
            cells,
        }
    };
    let pages = rows.len().div_ceil(PAGE_ROWS).max(1);
    let page = scene.view.page.min(pages);
    let from = (page - 1) * PAGE_ROWS;
    let to = (from + PAGE_ROWS).min(rows.len());
    let turned = |page: usize| {
        View {
            page,
            ..scene.view.clone()
        }
        .list(scene.domain, list)
    };
    let mut shell = scene.shell(shell, format!("{} · {}", list.title, scene.domain), window);
    shell.refresh_s = None;
    if let Some(when) = &mut shell.when {
        stay_on(list, scene, when);
    }
    Details {
        title: list.title,
        lead: format!(
            "{}, {}",
            words::many(count as i64, list.one, list.many),
            dates::range(&window.days)
        ),
        back: scene.href(scene.view),
        kin: of
            .lists
            .iter()
            .map(|kin| {
                (
                    kin.title,
                    View {
                        page: 1,
                        ..scene.view.clone()
                    }
                    .list(scene.domain, kin),
                    kin.slug == list.slug,
                )
            })
            .collect(),
        heading: list.title,
        columns,
        rows: rows
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .map(row)
            .collect(),
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
fn stay_on(list: &List, scene: &Scene, when: &mut When) {
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
