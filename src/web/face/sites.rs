//! All sites, or how to make the first.

use super::scale::{self, Scale};
use super::shell::Shell;
use super::words::{self, Unit};
use maud::{Markup, html};

#[derive(Clone, PartialEq, Debug)]
pub struct Sites {
    pub shell: Shell,
    pub rows: Vec<SiteRow>,
    /// The command that adds a site, as it would be typed here.
    pub add: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct SiteRow {
    pub domain: String,
    pub href: String,
    pub here: u32,
    /// Visitors a day, oldest first, today last; None: no event ever came.
    pub curve: Option<Vec<i64>>,
    pub today: i64,
    pub yesterday: i64,
    /// The last seven days, today included.
    pub week: i64,
    /// In place of figures, when there is something to say: `No visitor yet`, `Nothing for 9 days`.
    pub remark: Option<String>,
}

impl Sites {
    pub fn render(&self) -> Markup {
        self.shell.render(html! {
            @if self.rows.is_empty() { (self.first()) } @else { (self.table()) }
        })
    }

    fn first(&self) -> Markup {
        html! {
            div.title { h1 { "Which site shall we count?" } p { "There is none yet. Add one on the machine that runs Passerby; it appears here by itself." } }
            div.narrow #sites data-live {
                pre.code #add tabindex="0" { (self.add) }
                (super::copy_button("#add"))
                p.note { "Or start the server with " code { "--site example.com" } ". A site is a domain, with the time zone of the people who look at it." }
            }
        }
    }

    fn table(&self) -> Markup {
        let today: i64 = self.rows.iter().map(|row| row.today).sum();
        html! {
            div.title { h1 { "All sites" } p #sum data-live { (words::many(self.rows.len() as i64, "site", "sites")) ", " (words::many(today, "visitor", "visitors")) " so far today" } }
            div.scroll tabindex="0" role="region" aria-label="All sites" {
                table.wide.sites #sites data-live {
                    thead { tr {
                        th scope="col" { "Site" }
                        th.w.wide-only scope="col" { "Here now" }
                        th.curve scope="col" { span.wide-only { "Visitors a day, last " } "30 days" }
                        th.w scope="col" { "Today" span.wide-only { " so far" } }
                        th.w.wide-only scope="col" { "Yesterday" }
                        th.w scope="col" { "7 days" }
                    } }
                    tbody { @for row in &self.rows { (row.render()) } }
                }
            }
        }
    }
}

impl SiteRow {
    fn render(&self) -> Markup {
        html! {
            tr {
                td.k { a href=(self.href) { @for (i, part) in self.domain.split('.').enumerate() { @if i > 0 { "." wbr; } (part) } } }
                td.wide-only { (words::count(i64::from(self.here))) }
                td.curve { (curve(self.curve.as_deref())) }
                @if let Some(remark) = &self.remark {
                    td.remark.wide-only colspan="3" { (remark) }
                    td.remark.narrow-only colspan="2" { (remark) }
                } @else {
                    td.main { (words::count(self.today)) }
                    td.wide-only { (words::count(self.yesterday)) }
                    td { (words::count(self.week)) }
                }
            }
        }
    }
}

/// A small curve: whole days as a line, today dotted.
fn curve(values: Option<&[i64]>) -> Markup {
    let values = values.unwrap_or_default();
    let n = values.len();
    let scale = Scale { top: values.iter().copied().max().unwrap_or(0).max(1) as f64, ticks: Vec::new() };
    let place = |i: usize| {
        format!(
            "{} {}",
            scale::short((scale::x(i, n) * 10.0).round()),
            scale::short((scale.y(values[i] as f64) * 0.94 + 4.0).round())
        )
    };
    let join = |range: std::ops::Range<usize>| range.map(place).collect::<Vec<_>>().join(" ");
    html! {
        svg.spark viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label={ "Most in a day: " (Unit::Count.text(scale.top)) } {
            @if n < 2 {
                line.ghost x1="0" x2="1000" y1="98" y2="98" {}
            } @else {
                polygon.area points={ "0 100 " (join(0..n - 1)) " " (scale::short((scale::x(n - 2, n) * 10.0).round())) " 100" } {}
                polyline.line points=(join(0..n - 1)) {}
                polyline.line.part points=(join(n - 2..n)) {}
            }
        }
    }
}
