//! A panel: tabs on a ruled line, and rows whose quiet bar shows how they stand to the first.

use super::scale;
use super::words::Change;
use maud::{Markup, html};

/// One panel with its tabs. All tabs are in the page, so that changing them needs no round trip; without
/// a script the tab's link asks for the page with that tab open.
#[derive(Clone, PartialEq, Debug)]
pub struct Panel {
    /// Its name in addresses and ids: `sources`.
    pub id: &'static str,
    pub title: &'static str,
    pub tabs: Vec<Tab>,
    /// Which tab is open.
    pub open: usize,
    /// A remark under the rows.
    pub note: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Tab {
    /// `channels`: its name in the address.
    pub key: &'static str,
    pub name: &'static str,
    /// This page with the tab open.
    pub href: String,
    /// What a row is: `Channel`.
    pub heading: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// What to say when there are no rows.
    pub empty: &'static str,
    /// The page with all rows: address and words (`All 214 sources`).
    pub all: Option<(String, String)>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    pub name: &'static str,
    /// Left out on narrow pages.
    pub wide_only: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub label: String,
    /// A softer name stands for something that has no value of its own (`Direct or unknown`, `(other)`).
    pub soft: bool,
    /// Share of the first row, 0 to 1: the bar's length.
    pub bar: f64,
    pub cells: Vec<Cell>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Cell {
    /// The number that rows are sorted by.
    Main(String),
    Text(String),
    Change(Change),
}

/// A change as a cell of a table. `inverted`: less is better.
pub fn change_cell(change: &Change, inverted: bool) -> Markup {
    html! { td.ch { (change_mark(change, inverted)) } }
}

/// A change as ▲ or ▼ with its size, coloured by whether it is good.
pub fn change_mark(change: &Change, inverted: bool) -> Markup {
    let class = |up: bool| if up != inverted { "good" } else { "bad" };
    html! {
        @match change {
            Change::Unknown => {},
            Change::New => span.soft { "new" },
            Change::Same => span.soft { "0%" },
            Change::Up(size) => span class=(class(true)) { "▲ " (size) },
            Change::Down(size) => span class=(class(false)) { "▼ " (size) },
        }
    }
}

/// Table rows: the label over its bar, then the cells. `columns` says which cells stay on narrow pages.
pub fn rows(rows: &[Row], columns: &[Column]) -> Markup {
    html! {
        @for row in rows {
            tr {
                td.k {
                    svg.bar aria-hidden="true" { rect width={ (scale::short((row.bar * 100.0).clamp(0.0, 100.0))) "%" } {} }
                    span.soft[row.soft] title=(row.label) { (row.label) }
                }
                @for (i, cell) in row.cells.iter().enumerate() {
                    @let wide = columns.get(i).is_some_and(|column| column.wide_only);
                    @match cell {
                        Cell::Main(text) => td.main.wide-only[wide] { (text) },
                        Cell::Text(text) => td.wide-only[wide] { (text) },
                        Cell::Change(change) => td.ch.wide-only[wide] { (change_mark(change, false)) },
                    }
                }
            }
        }
    }
}

/// The head of such a table.
pub fn head(heading: &str, columns: &[Column]) -> Markup {
    html! {
        thead { tr {
            th scope="col" { span { (heading) } }
            @for column in columns { th.w.wide-only[column.wide_only] scope="col" { (column.name) } }
        } }
    }
}

impl Panel {
    pub fn render(&self) -> Markup {
        html! {
            section.panel id=(self.id) data-live aria-labelledby={ (self.id) "-h" } {
                h2.vh id={ (self.id) "-h" } { (self.title) }
                @if self.tabs.len() > 1 {
                    nav.tabs aria-label=(self.title) {
                        @for (i, tab) in self.tabs.iter().enumerate() {
                            a href={ (tab.href) "#" (self.id) } data-tab=(tab.key) aria-current=[(i == self.open).then_some("true")] { (tab.name) }
                        }
                    }
                } @else {
                    div.tabs aria-hidden="true" { @for tab in &self.tabs { span aria-current="true" { (tab.name) } } }
                }
                @for (i, tab) in self.tabs.iter().enumerate() {
                    div.tab data-tab=(tab.key) hidden[i != self.open] {
                        @if tab.rows.is_empty() {
                            div.none { p { (tab.empty) } }
                        } @else {
                            table { (head(tab.heading, &tab.columns)) tbody { (rows(&tab.rows, &tab.columns)) } }
                        }
                        @if let Some((href, words)) = &tab.all {
                            p.more { a.link href=(href) { (words) } }
                        }
                    }
                }
                @if let Some(note) = &self.note { p.note { (note) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(markup: Markup, expected: Expect) {
        expected.assert_eq(&markup.into_string().replace("><", ">\n<"));
    }

    #[test]
    fn a_panel_has_all_its_tabs_and_shows_one() {
        let tab = |key: &'static str, rows: Vec<Row>| Tab {
            key,
            name: "Name",
            href: format!("/example.com?sources={key}"),
            heading: "Source",
            columns: vec![
                Column { name: "Visitors", wide_only: false },
                Column { name: "Change", wide_only: true },
            ],
            rows,
            empty: "Nothing yet.",
            all: Some(("/example.com/sources".into(), "All 12 sources".into())),
        };
        let row = Row {
            label: "</span><script>\"'&".into(),
            soft: false,
            bar: 1.0 / 3.0,
            cells: vec![Cell::Main("1,204".into()), Cell::Change(Change::Down("3%".into()))],
        };
        let panel = Panel {
            id: "sources",
            title: "Sources",
            tabs: vec![tab("sources", vec![row]), tab("channels", Vec::new())],
            open: 0,
            note: None,
        };
        check(
            panel.render(),
            expect![[r#"
            <section class="panel" id="sources" data-live aria-labelledby="sources-h">
            <h2 class="vh" id="sources-h">Sources</h2>
            <nav class="tabs" aria-label="Sources">
            <a href="/example.com?sources=sources#sources" data-tab="sources" aria-current="true">Name</a>
            <a href="/example.com?sources=channels#sources" data-tab="channels">Name</a>
            </nav>
            <div class="tab" data-tab="sources">
            <table>
            <thead>
            <tr>
            <th scope="col">
            <span>Source</span>
            </th>
            <th class="w" scope="col">Visitors</th>
            <th class="w wide-only" scope="col">Change</th>
            </tr>
            </thead>
            <tbody>
            <tr>
            <td class="k">
            <svg class="bar" aria-hidden="true">
            <rect width="33.33%">
            </rect>
            </svg>
            <span class="" title="&lt;/span&gt;&lt;script&gt;&quot;'&amp;">&lt;/span&gt;&lt;script&gt;&quot;'&amp;</span>
            </td>
            <td class="main">1,204</td>
            <td class="ch wide-only">
            <span class="bad">▼ 3%</span>
            </td>
            </tr>
            </tbody>
            </table>
            <p class="more">
            <a class="link" href="/example.com/sources">All 12 sources</a>
            </p>
            </div>
            <div class="tab" data-tab="channels" hidden>
            <div class="none">
            <p>Nothing yet.</p>
            </div>
            <p class="more">
            <a class="link" href="/example.com/sources">All 12 sources</a>
            </p>
            </div>
            </section>"#]],
        );
    }

    #[test]
    fn a_change_is_coloured_by_whether_it_is_good() {
        let up = Change::Up("19×".into());
        check(change_mark(&up, false), expect![[r#"<span class="good">▲ 19×</span>"#]]);
        check(change_mark(&up, true), expect![[r#"<span class="bad">▲ 19×</span>"#]]);
        check(change_mark(&Change::Down("2%".into()), true), expect![[r#"<span class="good">▼ 2%</span>"#]]);
        check(change_mark(&Change::Same, true), expect![[r#"<span class="soft">0%</span>"#]]);
        check(change_mark(&Change::New, false), expect![[r#"<span class="soft">new</span>"#]]);
        check(change_mark(&Change::Unknown, false), expect![""]);
    }
}
