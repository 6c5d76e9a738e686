//! The six headline figures: each with its change, and each a link that puts it into the chart.

use super::panel::change_mark;
use super::words::Change;
use maud::{Markup, html};

#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    pub name: &'static str,
    /// Number and unit pairs: `[("2", "m"), ("41", "s")]`; an empty unit for a plain number.
    pub value: Vec<(String, &'static str)>,
    /// All digits, where `value` is shortened.
    pub exact: Option<String>,
    pub change: Change,
    /// What the change compares with, in a few words: `from 38,204`, `at 14:00`.
    pub against: Option<String>,
    /// Less is better.
    pub inverted: bool,
    /// This page with the figure in the chart.
    pub href: String,
    pub current: bool,
}

pub fn render(figures: &[Figure]) -> Markup {
    // Where no figure has a change, none keeps room for one.
    let compared = figures.iter().any(|figure| figure.change != Change::Unknown || figure.against.is_some());
    html! {
        nav.figs #figures data-live aria-label="Figures; choose one for the chart" {
            @for figure in figures {
                a.fig href=(figure.href) aria-current=[figure.current.then_some("true")] {
                    span.name { (figure.name) }
                    span.value title=[figure.exact.as_deref()] {
                        @for (number, unit) in &figure.value { (number) @if !unit.is_empty() { small { (unit) } } }
                    }
                    @if compared { span.delta {
                        (change_mark(&figure.change, figure.inverted))
                        @if let Some(against) = &figure.against { " " span.wide-only { (against) } }
                        @if figure.change == Change::Unknown && figure.against.is_none() { "\u{a0}" }
                    } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_figure_names_its_change_and_leads_to_its_chart() {
        let duration = Figure {
            name: "Visit duration",
            value: vec![("2".into(), "m"), ("41".into(), "s")],
            exact: None,
            change: Change::Up("12%".into()),
            against: Some("from 2m 24s".into()),
            inverted: false,
            href: "/example.com?metric=visit_duration".into(),
            current: true,
        };
        let millions = Figure {
            name: "Visitors",
            value: vec![("128M".into(), "")],
            exact: Some("128,402,117".into()),
            change: Change::Unknown,
            against: None,
            inverted: false,
            href: "/example.com".into(),
            current: false,
        };
        expect![[r#"
            <nav class="figs" id="figures" data-live aria-label="Figures; choose one for the chart">
            <a class="fig" href="/example.com?metric=visit_duration" aria-current="true">
            <span class="name">Visit duration</span>
            <span class="value">2<small>m</small>41<small>s</small>
            </span>
            <span class="delta">
            <span class="good">▲ 12%</span> <span class="wide-only">from 2m 24s</span>
            </span>
            </a>
            <a class="fig" href="/example.com">
            <span class="name">Visitors</span>
            <span class="value" title="128,402,117">128M</span>
            <span class="delta"> </span>
            </a>
            </nav>"#]]
        .assert_eq(&render(&[duration, millions]).into_string().replace("><", ">\n<"));
    }
}
