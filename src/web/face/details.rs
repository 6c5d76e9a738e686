//! One dimension with all its rows, a page at a time.

use super::icons::{Icon, icon};
use super::panel::{self, Column, Row};
use super::shell::Shell;
use maud::{Markup, html};

#[derive(Clone, PartialEq, Debug)]
pub struct Details {
    pub shell: Shell,
    pub title: &'static str,
    /// `1,204 pages, 27 Oct – 23 Nov 2026`.
    pub lead: String,
    /// Back to the overview.
    pub back: String,
    /// Dimensions of the same kind: name, address, whether it is this one.
    pub kin: Vec<(&'static str, String, bool)>,
    pub heading: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// `1–100 of 1,204`.
    pub range: String,
    pub previous: Option<String>,
    pub next: Option<String>,
}

impl Details {
    pub fn render(&self) -> Markup {
        self.shell.render(html! {
            p.back { a.link href=(self.back) { "Overview" } }
            div.title { h1 { (self.title) } p { (self.lead) } }
            @if self.kin.len() > 1 {
                nav.tabs aria-label="Of the same kind" {
                    @for (name, href, current) in &self.kin { a href=(href) aria-current=[current.then_some("page")] { (name) } }
                }
            }
            @if self.rows.is_empty() {
                div.quiet { h2 { "Nothing to list" } p { "Nothing of this kind was counted in these days." } }
            } @else {
                div.scroll tabindex="0" role="region" aria-label=(self.title) {
                    table.wide { (panel::head(self.heading, &self.columns)) tbody { (panel::rows(&self.rows, &self.columns)) } }
                }
                nav.pager aria-label="Pages of this list" {
                    span { (self.range) }
                    @if self.previous.is_some() || self.next.is_some() {
                        span.when {
                            @match &self.previous { Some(href) => a.btn href=(href) rel="prev" { (icon(Icon::Left)) "Previous" }, None => span.btn aria-disabled="true" { (icon(Icon::Left)) "Previous" } }
                            @match &self.next { Some(href) => a.btn href=(href) rel="next" { "Next" (icon(Icon::Right)) }, None => span.btn aria-disabled="true" { "Next" (icon(Icon::Right)) } }
                        }
                    }
                }
            }
        })
    }
}
