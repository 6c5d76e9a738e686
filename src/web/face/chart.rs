//! The main chart, and the table beneath it that is its one source for tooltip, keys and screen readers.
//!
//! What is not finished is not drawn as if it were: a partial day is reached by a dotted line and ends in
//! a hollow dot; hours to come are not drawn at all; a value that cannot be known (a bounce rate without
//! visits) leaves a gap.

use super::panel::change_cell;
use super::scale::{self, Scale};
use super::words::{Change, Unit};
use maud::{Markup, html};

/// The chart of one figure.
#[derive(Clone, PartialEq, Debug)]
pub struct Chart {
    /// What a screen reader calls it: `Visitors by day`.
    pub title: String,
    /// The line: `Visitors a day`.
    pub line: String,
    /// The comparison's line, if there is one: `28 days before`.
    pub before: Option<String>,
    pub unit: Unit,
    /// Less is better.
    pub inverted: bool,
    /// What a row of the table is: `Day`.
    pub step: &'static str,
    pub points: Vec<Point>,
    /// Other ways to cut the time: name, address, whether it is this one. Shown from two on.
    pub intervals: Vec<(&'static str, String, bool)>,
    /// Sentences under the chart that say how to read it.
    pub notes: Vec<String>,
}

/// One step of time.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// `Mon 23 Nov`.
    pub label: String,
    /// The label on the axis, where there is one.
    pub axis: Option<String>,
    pub weekend: bool,
    /// None: not known, or still to come.
    pub value: Option<f64>,
    pub before: Option<f64>,
    /// The step is not over, or begins before the period does.
    pub partial: bool,
    pub change: Change,
    /// A page about this step alone.
    pub href: Option<String>,
}

/// A run of points that are drawn in one stroke: their places in a box of 1000 by 1000.
#[derive(Clone, PartialEq, Debug)]
struct Run {
    partial: bool,
    places: Vec<(f64, f64)>,
}

impl Run {
    fn points(&self) -> String {
        let places: Vec<String> =
            self.places.iter().map(|(x, y)| format!("{} {}", tenth(*x), tenth(*y))).collect();
        places.join(" ")
    }

    fn area(&self) -> String {
        let (first, last) = (self.places[0].0, self.places[self.places.len() - 1].0);
        format!("{} 1000 {} {} 1000", tenth(first), self.points(), tenth(last))
    }
}

fn tenth(value: f64) -> String {
    scale::short((value * 10.0).round() / 10.0)
}

/// Cuts a series into runs: at gaps, and where whole steps meet partial ones (the joining point is in both).
fn runs(values: &[(Option<f64>, bool)], scale: &Scale) -> Vec<Run> {
    let n = values.len();
    let place = |i: usize, value: f64| (scale::x(i, n) * 10.0, scale.y(value) * 10.0);
    let mut runs: Vec<Run> = Vec::new();
    let mut last: Option<((f64, f64), bool)> = None;
    let mut open = false;
    for (i, (value, partial)) in values.iter().enumerate() {
        let Some(value) = value else {
            (last, open) = (None, false);
            continue;
        };
        let here = place(i, *value);
        if let Some((before, was_partial)) = last {
            let dotted = was_partial || *partial;
            match runs.last_mut() {
                Some(run) if open && run.partial == dotted => run.places.push(here),
                _ => runs.push(Run { partial: dotted, places: vec![before, here] }),
            }
            open = true;
        }
        last = Some((here, *partial));
    }
    runs
}

/// Points that no line reaches: alone between gaps.
fn lonely(values: &[Option<f64>]) -> Vec<usize> {
    let known = |i: Option<usize>| i.and_then(|i| values.get(i)).is_some_and(|value| value.is_some());
    (0..values.len()).filter(|&i| known(Some(i)) && !known(i.checked_sub(1)) && !known(Some(i + 1))).collect()
}

/// Weekends as (left, width), per cent: half a step to both sides, neighbours joined.
fn weekends(points: &[Point]) -> Vec<(f64, f64)> {
    let n = points.len();
    if n < 3 {
        return Vec::new();
    }
    let half = 50.0 / (n - 1) as f64;
    let mut bands: Vec<(f64, f64)> = Vec::new();
    for (i, _) in points.iter().enumerate().filter(|(_, point)| point.weekend) {
        let (left, right) = ((scale::x(i, n) - half).max(0.0), (scale::x(i, n) + half).min(100.0));
        match bands.last_mut() {
            Some(band) if band.0 + band.1 + 0.01 >= left => band.1 = right - band.0,
            _ => bands.push((left, right - left)),
        }
    }
    bands
}

impl Chart {
    pub fn render(&self) -> Markup {
        let n = self.points.len();
        let values: Vec<Option<f64>> = self.points.iter().map(|point| point.value).collect();
        let earlier: Vec<(Option<f64>, bool)> =
            self.points.iter().map(|point| (point.before, false)).collect();
        let all = values.iter().chain(earlier.iter().map(|(value, _)| value)).flatten();
        let scale = Scale::new(all.fold(0.0, |max, value| value.max(max)), self.unit);
        let line: Vec<(Option<f64>, bool)> =
            self.points.iter().map(|point| (point.value, point.partial)).collect();
        let line = runs(&line, &scale);
        let ys: Vec<String> = values
            .iter()
            .map(|value| value.map_or("-".to_string(), |value| scale::short(scale.y(value))))
            .collect();
        let percent = |value: f64| format!("{}%", scale::short(value));
        let peak = self.peak();
        let open =
            self.points.iter().rposition(|point| point.value.is_some()).filter(|&i| self.points[i].partial);
        html! {
            figure.chart #chart data-live aria-label=(self.title) {
                div.chart-head {
                    div.legend {
                        span { svg aria-hidden="true" { line.line x1="1" x2="19" y1="4" y2="4" {} } (self.line) }
                        @if let Some(before) = &self.before {
                            span { svg aria-hidden="true" { line.cmp x1="0" x2="20" y1="4" y2="4" {} } (before) }
                        }
                    }
                    @if self.intervals.len() > 1 {
                        nav.seg aria-label="Steps" {
                            @for (name, href, current) in &self.intervals {
                                a href=(href) aria-current=[current.then_some("true")] { (name) }
                            }
                        }
                    }
                }
                div.plot tabindex="0" role="group" aria-label={ (self.title) ". Arrow keys read each step." } data-y=(ys.join(" ")) {
                    svg aria-hidden="true" {
                        @for (left, width) in weekends(&self.points) {
                            rect.wk x=(percent(left)) width=(percent(width)) height="100%" {}
                        }
                        line.base x1="0" x2="100%" y1="100%" y2="100%" {}
                        @for tick in &scale.ticks {
                            line.grid x1="0" x2="100%" y1=(percent(scale.y(*tick))) y2=(percent(scale.y(*tick))) {}
                        }
                        svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%" {
                            defs { linearGradient #fade x1="0" x2="0" y1="0" y2="1" { stop.s0 offset="0" {} stop.s1 offset="1" {} } }
                            @for run in line.iter().filter(|run| !run.partial && self.unit == Unit::Count) { polygon fill="url(#fade)" points=(run.area()) {} }
                            @for run in runs(&earlier, &scale) { polyline.cmp points=(run.points()) {} }
                            @for run in &line { polyline class=(if run.partial { "line part" } else { "line" }) points=(run.points()) {} }
                        }
                        @for tick in &scale.ticks {
                            text x="0" y=(percent(scale.y(*tick))) dy="-5" { (self.unit.tick(*tick)) }
                        }
                        (self.axis())
                        @for i in lonely(&values) {
                            circle.pt cx=(percent(scale::x(i, n))) cy={ (ys[i]) "%" } r="3.5" {}
                        }
                        @if let Some(i) = peak {
                            circle.pt cx=(percent(scale::x(i, n))) cy={ (ys[i]) "%" } r="3.5" {}
                            @let anchor = if i * 25 < n { "start" } else if (n - 1 - i) * 25 < n { "end" } else { "middle" };
                            text.peak x=(percent(scale::x(i, n))) y={ (ys[i]) "%" } dy="-10" text-anchor=(anchor) {
                                (self.unit.text(values[i].unwrap_or(0.0)))
                            }
                        }
                        @if let Some(i) = open {
                            circle.open cx=(percent(scale::x(i, n))) cy={ (ys[i]) "%" } r="4" {}
                        }
                        g.cross visibility="hidden" { line y1="0" y2="100%" {} circle.pt r="4.5" {} }
                    }
                    div.tip hidden {}
                    span.vh.say aria-live="polite" {}
                }
                div.under {
                    details #table data-keep { summary { "Show as a table" } (self.table()) }
                    @if !self.notes.is_empty() { p { (self.notes.join(" ")) } }
                }
            }
        }
    }

    /// The largest value, if it is finished and alone, and naming it says something.
    fn peak(&self) -> Option<usize> {
        let whole = self.points.iter().enumerate().filter(|(_, point)| !point.partial);
        let known: Vec<(usize, f64)> = whole.filter_map(|(i, point)| Some((i, point.value?))).collect();
        if known.len() < 4 || self.unit != Unit::Count {
            return None;
        }
        let max = known.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
        let others = self.points.iter().enumerate();
        let others =
            others.filter(|(i, _)| *i != max.0).filter_map(|(_, point)| point.value).fold(0.0, f64::max);
        (max.1 > 0.0 && max.1 > others).then_some(max.0)
    }

    /// Labels under the plot; on a phone every other one stays.
    fn axis(&self) -> Markup {
        let n = self.points.len();
        let labels: Vec<(usize, &String)> =
            self.points.iter().enumerate().filter_map(|(i, point)| Some((i, point.axis.as_ref()?))).collect();
        html! {
            @for (nth, (i, label)) in labels.iter().enumerate() {
                @let anchor = if n > 1 && i * 25 < n { "start" } else if n > 1 && *i == n - 1 { "end" } else { "middle" };
                text.wide-only[nth % 2 == 1 && *i != n - 1] x={ (scale::short(scale::x(*i, n))) "%" } y="100%" dy="19" text-anchor=(anchor) { (label) }
            }
        }
    }

    fn table(&self) -> Markup {
        let text = |value: Option<f64>| value.map_or("–".to_string(), |value| self.unit.text(value));
        let name = self.title.split(" by ").next().unwrap_or(&self.title);
        html! {
            table {
                thead { tr {
                    th scope="col" { span.vh { (self.step) } }
                    th.w scope="col" { (name) }
                    @if let Some(before) = &self.before { th.w scope="col" { (before) } th.w scope="col" { "Change" } }
                } }
                tbody {
                    @for point in &self.points {
                        tr {
                            td.k {
                                @let label = if point.partial && point.value.is_some() { format!("{}, partly", point.label) } else { point.label.clone() };
                                @if let Some(href) = &point.href { a href=(href) { (label) } } @else { span { (label) } }
                            }
                            td.main { (text(point.value)) }
                            @if self.before.is_some() { td { (text(point.before)) } (change_cell(&point.change, self.inverted)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// A chart of values such as `3 5 - 4?`: `-` is not known, `?` is partial.
    fn chart(values: &str) -> Chart {
        let point = |(i, text): (usize, &str)| Point {
            label: format!("day {i}"),
            axis: (i == 0).then(|| "begin".to_string()),
            weekend: i % 7 >= 5,
            value: text.trim_end_matches('?').parse().ok(),
            before: None,
            partial: text.ends_with('?'),
            change: Change::Unknown,
            href: None,
        };
        Chart {
            title: "Visitors by day".into(),
            line: "Visitors a day".into(),
            before: None,
            unit: Unit::Count,
            inverted: false,
            step: "Day",
            points: values.split(' ').enumerate().map(point).collect(),
            intervals: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn drawn(values: &str) -> String {
        let chart = chart(values);
        let line: Vec<(Option<f64>, bool)> = chart.points.iter().map(|p| (p.value, p.partial)).collect();
        let values: Vec<Option<f64>> = chart.points.iter().map(|p| p.value).collect();
        let mut text = String::new();
        for run in runs(&line, &Scale::new(6.0, Unit::Count)) {
            text += &format!("{} {}\n", if run.partial { "dotted" } else { "whole " }, run.points());
        }
        for i in lonely(&values) {
            text += &format!("dot    at {i}\n");
        }
        for (left, width) in weekends(&chart.points) {
            text += &format!("shade  {} wide {}\n", scale::short(left), scale::short(width));
        }
        if let Some(i) = chart.peak() {
            text += &format!("peak   at {i}\n");
        }
        text
    }

    fn check(values: &str, expected: Expect) {
        expected.assert_eq(&drawn(values));
    }

    #[test]
    fn lines_are_drawn_as_far_as_they_are_known() {
        check("", expect![""]);
        check(
            "3",
            expect![[r#"
            dot    at 0
        "#]],
        );
        check(
            "3 6 0",
            expect![[r#"
            whole  0 500 500 0 1000 1000
        "#]],
        );
        check(
            "3 6 3 2?",
            expect![[r#"
            whole  0 500 333.3 0 666.7 500
            dotted 666.7 500 1000 666.7
        "#]],
        );
        check(
            "3? 6 3 2?",
            expect![[r#"
            dotted 0 500 333.3 0
            whole  333.3 0 666.7 500
            dotted 666.7 500 1000 666.7
        "#]],
        );
        check(
            "3 - 3 2 - -",
            expect![[r#"
            whole  400 500 600 666.7
            dot    at 0
            shade  90 wide 10
        "#]],
        );
        check(
            "1 1 1 1 1 1 1 5 2 2?",
            expect![[r#"
            whole  0 833.3 111.1 833.3 222.2 833.3 333.3 833.3 444.4 833.3 555.6 833.3 666.7 833.3 777.8 166.7 888.9 666.7
            dotted 888.9 666.7 1000 666.7
            shade  50 wide 22.22
            peak   at 7
        "#]],
        );
        check(
            "1 1 1 2 2?",
            expect![[r#"
            whole  0 833.3 250 833.3 500 833.3 750 666.7
            dotted 750 666.7 1000 666.7
        "#]],
        );
    }

    #[test]
    fn a_small_chart() {
        let mut chart = chart("2 4?");
        chart.before = Some("2 days before".into());
        chart.points[0].before = Some(1.0);
        chart.points[0].change = Change::Up("100%".into());
        chart.points[0].href = Some("/x?from=1&to=2".into());
        let html = chart.render().into_string().replace("><", ">\n<");
        expect![[r#"
            <figure class="chart" id="chart" data-live aria-label="Visitors by day">
            <div class="chart-head">
            <div class="legend">
            <span>
            <svg aria-hidden="true">
            <line class="line" x1="1" x2="19" y1="4" y2="4">
            </line>
            </svg>Visitors a day</span>
            <span>
            <svg aria-hidden="true">
            <line class="cmp" x1="0" x2="20" y1="4" y2="4">
            </line>
            </svg>2 days before</span>
            </div>
            </div>
            <div class="plot" tabindex="0" role="group" aria-label="Visitors by day. Arrow keys read each step." data-y="66.67 33.33">
            <svg aria-hidden="true">
            <line class="base" x1="0" x2="100%" y1="100%" y2="100%">
            </line>
            <line class="grid" x1="0" x2="100%" y1="66.67%" y2="66.67%">
            </line>
            <line class="grid" x1="0" x2="100%" y1="33.33%" y2="33.33%">
            </line>
            <line class="grid" x1="0" x2="100%" y1="0%" y2="0%">
            </line>
            <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%">
            <defs>
            <linearGradient id="fade" x1="0" x2="0" y1="0" y2="1">
            <stop class="s0" offset="0">
            </stop>
            <stop class="s1" offset="1">
            </stop>
            </linearGradient>
            </defs>
            <polyline class="line part" points="0 666.7 1000 333.3">
            </polyline>
            </svg>
            <text x="0" y="66.67%" dy="-5">2</text>
            <text x="0" y="33.33%" dy="-5">4</text>
            <text x="0" y="0%" dy="-5">6</text>
            <text class="" x="0%" y="100%" dy="19" text-anchor="start">begin</text>
            <circle class="open" cx="100%" cy="33.33%" r="4">
            </circle>
            <g class="cross" visibility="hidden">
            <line y1="0" y2="100%">
            </line>
            <circle class="pt" r="4.5">
            </circle>
            </g>
            </svg>
            <div class="tip" hidden>
            </div>
            <span class="vh say" aria-live="polite">
            </span>
            </div>
            <div class="under">
            <details id="table" data-keep>
            <summary>Show as a table</summary>
            <table>
            <thead>
            <tr>
            <th scope="col">
            <span class="vh">Day</span>
            </th>
            <th class="w" scope="col">Visitors</th>
            <th class="w" scope="col">2 days before</th>
            <th class="w" scope="col">Change</th>
            </tr>
            </thead>
            <tbody>
            <tr>
            <td class="k">
            <a href="/x?from=1&amp;to=2">day 0</a>
            </td>
            <td class="main">2</td>
            <td>1</td>
            <td class="ch">
            <span class="good">▲ 100%</span>
            </td>
            </tr>
            <tr>
            <td class="k">
            <span>day 1, partly</span>
            </td>
            <td class="main">4</td>
            <td>–</td>
            <td class="ch">
            </td>
            </tr>
            </tbody>
            </table>
            </details>
            </div>
            </figure>"#]].assert_eq(&html);
    }
}
