//! What every page has around it: head, top bar, foot.

use super::icons::{self, Icon, icon};
use super::now::{self, Now};
use crate::web::assets;
use maud::{DOCTYPE, Markup, html};

/// Everything around a page's own content.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Shell {
    /// The window's title, before ` · Passerby`.
    pub title: String,
    /// What the top bar names: a domain, or `All sites`.
    pub here: String,
    /// Other sites one may go to: domain, address, whether it is this one.
    pub sites: Vec<(String, String, bool)>,
    pub now: Option<Now>,
    pub when: Option<When>,
    pub account: Account,
    /// How often the script asks for the page again, seconds; None: never.
    pub refresh_s: Option<u32>,
    /// For a page that waits for the first visitor: where the script asks whether somebody came.
    pub poll: Option<String>,
    /// Sentences at the foot: the zone, how people are counted.
    pub foot: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Account {
    SignedIn,
    #[default]
    SignedOut,
}

/// The period: its name, the ways to others, and the two dates of a form.
#[derive(Clone, PartialEq, Debug)]
pub struct When {
    pub name: String,
    /// The days themselves: `27 Oct – 23 Nov 2026`.
    pub days: String,
    /// Address and name of the period before.
    pub earlier: Option<(String, String)>,
    pub later: Option<(String, String)>,
    /// Groups of name, address, whether it is this one.
    pub choices: Vec<Vec<(&'static str, String, bool)>>,
    pub form: Form,
}

/// A plain form that asks for two dates.
#[derive(Clone, PartialEq, Debug)]
pub struct Form {
    pub action: String,
    /// What else the address holds and must keep.
    pub hidden: Vec<(String, String)>,
    pub from: String,
    pub to: String,
    /// The last day that can be chosen: today.
    pub max: String,
}

impl Shell {
    pub fn render(&self, main: Markup) -> Markup {
        html! {
            (head(&self.title, self.poll.as_ref().map(|_| 5)))
            body data-refresh=[self.refresh_s] data-poll=[self.poll.as_deref()] {
                a.skip href="#main" { "Skip to the figures" }
                header.top { div.wrap {
                    a.home href="/" aria-label="All sites" { (icons::mark()) }
                    @if self.sites.len() > 1 {
                        details.menu {
                            summary { span.site { (self.here) } (icon(Icon::Down)) }
                            div.pop.left {
                                @for (domain, href, current) in &self.sites {
                                    a href=(href) aria-current=[current.then_some("page")] { (domain) }
                                }
                                hr; a href="/" { "All sites" }
                            }
                        }
                    } @else {
                        span.site { (self.here) }
                    }
                    @if let Some(now) = &self.now { (now::render(now)) }
                    span.grow {}
                    @if let Some(when) = &self.when { (when.render()) }
                    @match self.account {
                        Account::SignedIn => form.out method="post" action="/sign-out" { button.btn type="submit" { "Sign out" } },
                        Account::SignedOut => a.btn href="/sign-in" { "Sign in" },
                    }
                } }
                main.wrap #main { (main) }
                footer.wrap { div.foot {
                    @for line in &self.foot { span { (line) } }
                    span { "People pass by. Nobody is followed." }
                } }
            }
        }
    }
}

/// Doctype and head. `wait_s`: how often a browser without scripts should ask again.
pub fn head(title: &str, wait_s: Option<u32>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en";
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="same-origin";
            title { (title) " · Passerby" }
            link rel="icon" type="image/svg+xml" href=(assets::icon().path());
            link rel="stylesheet" href=(assets::style().path());
            script src=(assets::script().path()) defer {}
            @if let Some(wait_s) = wait_s { noscript { meta http-equiv="refresh" content=(wait_s); } }
        }
    }
}

impl When {
    fn render(&self) -> Markup {
        let step = |to: &Option<(String, String)>, which: Icon| {
            html! {
                @match to {
                    Some((href, name)) => a.btn.icon href=(href) aria-label=(name) title=(name) { (icon(which)) },
                    None => span.btn.icon aria-disabled="true" { (icon(which)) },
                }
            }
        };
        html! {
            div.when {
                (step(&self.earlier, Icon::Left))
                details.menu {
                    summary title=(self.days) { (self.name) (icon(Icon::Down)) }
                    div.pop {
                        @for (i, group) in self.choices.iter().enumerate() {
                            @if i > 0 { hr; }
                            @for (name, href, current) in group {
                                a href=(href) aria-current=[current.then_some("true")] { (name) }
                            }
                        }
                        hr;
                        form.dates method="get" action=(self.form.action) {
                            @for (name, value) in &self.form.hidden { input type="hidden" name=(name) value=(value); }
                            label { "From" input type="date" name="from" value=(self.form.from) max=(self.form.max) required; }
                            label { "To" input type="date" name="to" value=(self.form.to) max=(self.form.max) required; }
                            button.btn.main type="submit" { "Show these days" }
                        }
                    }
                }
                (step(&self.later, Icon::Right))
            }
        }
    }
}
