//! A site's overview: figures, chart, panels; or where to look when the period holds nothing.

use super::chart::Chart;
use super::figures::{self, Figure};
use super::heat::{self, Heat};
use super::lede::Lede;
use super::panel::Panel;
use super::shell::Shell;
use maud::{Markup, html};

#[derive(Clone, PartialEq, Debug)]
pub struct Overview {
    pub shell: Shell,
    /// Read aloud, not shown: `example.com, last 28 days`.
    pub heading: String,
    /// How yesterday was, where the page is about now.
    pub lede: Option<Lede>,
    pub content: Content,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// `small` panels stand above each other beside the heat, or under the last of `panels`.
    Full {
        figures: Vec<Figure>,
        chart: Box<Chart>,
        panels: Vec<Panel>,
        heat: Option<Box<Heat>>,
        small: Vec<Panel>,
    },
    /// Nothing in these days: in words which, and where there is something.
    Nothing { days: String, elsewhere: Option<(String, String)> },
}

impl Overview {
    /// Whether the period holds nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self.content, Content::Nothing { .. })
    }

    pub fn render(&self) -> Markup {
        self.shell.render(html! {
            h1.vh { (self.heading) }
            @if let Some(lede) = &self.lede { (lede.render()) }
            @match &self.content {
                Content::Full { figures, chart, panels, heat, small } => {
                    (figures::render(figures))
                    (chart.render())
                    div.panels {
                        @match (heat, panels.split_last()) {
                            // Without the heat small panels go under the last list, so that none stands alone in a row.
                            (None, Some((last, others))) if !small.is_empty() => {
                                @for panel in others { (panel.render()) }
                                div.stack.under-panel { @for panel in std::iter::once(last).chain(small) { (panel.render()) } }
                            }
                            _ => {
                                @for panel in panels { (panel.render()) }
                                @if let Some(heat) = heat { (heat::render(heat)) }
                                @if !small.is_empty() { div.stack { @for panel in small { (panel.render()) } } }
                            }
                        }
                    }
                }
                Content::Nothing { days, elsewhere } => {
                    div.quiet #figures data-live {
                        h2 { "Nobody passed by" }
                        p { "Nothing was counted " (days) "." }
                        @if let Some((href, words)) = elsewhere { p { a.btn.main href=(href) { (words) } } }
                    }
                }
            }
        })
    }
}
