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
    html! {
        nav.figs #figures data-live aria-label="Figures; choose one for the chart" {
            @for figure in figures {
                a.fig href=(figure.href) aria-current=[figure.current.then_some("true")] {
                    span.name { (figure.name) }
                    span.value title=[figure.exact.as_deref()] {
                        @for (number, unit) in &figure.value { (number) @if !unit.is_empty() { small { (unit) } } }
                    }
                    span.delta {
                        (change_mark(&figure.change, figure.inverted))
                        @if let Some(against) = &figure.against { " " span.wide-only { (against) } }
                        @if figure.change == Change::Unknown && figure.against.is_none() { "\u{a0}" }
                    }
                }
            }
        }
    }
}
