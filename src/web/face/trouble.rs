//! Pages for what is not there, and for what went wrong.

use super::{icons, shell};
use maud::{Markup, html};

/// A page with one message. The text names no path and no internals: it looks alike for whatever is not here
/// and whatever may not be seen.
pub fn render(title: &str, what: &str, link: Option<(&str, &str)>) -> Markup {
    html! {
        (shell::head(title, None))
        body.sign {
            main #main {
                (icons::mark())
                h1 { (title) }
                p { (what) }
                @if let Some((href, words)) = link { p { a.btn.main href=(href) { (words) } } }
            }
            footer { "People pass by. Nobody is followed." }
        }
    }
}

pub fn not_found() -> Markup {
    render(
        "Nothing here",
        "There is no such page, or it is not for you to see. If it is yours, signing in may help.",
        Some(("/", "To the sites")),
    )
}

pub fn unavailable() -> Markup {
    render(
        "Not just now",
        "The store cannot be read at the moment. Nothing is lost: browsers keep what was not taken and send it again.",
        None,
    )
}

pub fn failed() -> Markup {
    render(
        "Something went wrong",
        "This page could not be made. The server’s log says why.",
        Some(("/", "To the sites")),
    )
}

/// Sent from a page that is not ours.
pub fn foreign() -> Markup {
    render(
        "Not from here",
        "This was sent from a page of another site, so nothing was done.",
        Some(("/", "To the sites")),
    )
}

/// A request that makes no sense.
pub fn refused() -> Markup {
    render("That did not work", "The request could not be understood.", Some(("/", "To the sites")))
}
