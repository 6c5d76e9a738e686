//! A site that nobody has visited yet: the line to paste, and a page that waits with you.

use super::icons::{Icon, icon};
use super::shell::Shell;
use maud::{Markup, html};

#[derive(Clone, PartialEq, Debug)]
pub struct First {
    pub shell: Shell,
    pub domain: String,
    /// `https://stats.example.com`: where this page was asked for.
    pub origin: String,
    /// The site's zone: `Europe/Berlin`.
    pub zone: String,
    /// What came and was refused today, by reason in plain words.
    pub refused: Vec<(String, i64)>,
}

impl First {
    /// The line to paste into every page.
    pub fn snippet(&self) -> String {
        format!(r#"<script defer src="{}/p.js" data-site="{}"></script>"#, self.origin, self.domain)
    }

    pub fn render(&self) -> Markup {
        self.shell.render(html! {
            div.title { h1 { "One line, then you are counting" } p { (self.domain) " is ready. Put in the script and open your site once." } }
            div.first {
                ol.steps {
                    li {
                        h2 { "Put this into the head of every page" }
                        pre.code #snippet tabindex="0" { (self.snippet()) }
                        (super::copy_button("#snippet"))
                    }
                    li {
                        h2 { "Open your site" }
                        p { "One visit is enough, yours included. It shows up here within two seconds." }
                        p { a.link href={ "https://" (self.domain) "/" } rel="noreferrer noopener" target="_blank" { "Open " (self.domain) } }
                    }
                    li {
                        h2 { "Or bring what you have" }
                        p { "A web server’s access log holds the past: " code { "passerby import access-log FILE --site " (self.domain) } }
                    }
                }
                section.watch #waiting data-live aria-live="polite" {
                    h2 { span.pulse {} "Waiting for the first visitor" }
                    ul {
                        li.done { (icon(Icon::Check)) div { "The site exists" p { "Days begin at midnight in " (self.zone) "." } } }
                        li.done { (icon(Icon::Check)) div { "The script is served" p { a.link href="/p.js" { (self.origin) "/p.js" } } } }
                        li { (icon(Icon::Clock)) div {
                            @if self.refused.is_empty() {
                                "No page has sent anything yet" p { "This page looks every two seconds." }
                            } @else {
                                "Something came, and was not counted"
                                @for (reason, n) in &self.refused { p { (reason) ": " (super::words::count(*n)) } }
                            }
                        } }
                    }
                    noscript { p { a.link href="" { "Look again" } } }
                }
            }
        })
    }
}
