//! The way in: one password.

use super::{icons, shell};
use maud::{Markup, html};

/// What the last try came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    Nothing,
    Wrong,
    /// Too many tries: how many seconds to wait.
    Slowed(u64),
    /// The one-time link was used or is too old.
    LinkSpent,
}

/// `has_password`: whether this server has one; without, only a link leads in.
pub fn render(said: &Said, has_password: bool) -> Markup {
    html! {
        (shell::head("Sign in", None))
        body.sign {
            main #main {
                form method="post" action="/sign-in" {
                    (icons::mark())
                    h1 { "Sign in to Passerby" }
                    @match said {
                        Said::Nothing => {},
                        Said::Wrong => p.flag.bad role="alert" { "That is not the password." },
                        Said::Slowed(seconds) => p.flag.bad role="alert" { "Too many tries. Wait " (super::words::many(*seconds as i64, "second", "seconds")) ", then try again." },
                        Said::LinkSpent => p.flag.bad role="alert" { "This link has been used or is too old." @if has_password { " Make another with passerby sign-in, or give the password." } },
                    }
                    @if has_password {
                        label { "Password" input.field type="password" name="password" autocomplete="current-password" required autofocus; }
                        button.btn.main type="submit" { "Sign in" }
                    } @else {
                        p { @if *said == Said::LinkSpent { "Make another:" } @else { "This server has no password. Open the link that it printed when it was first started, or make another:" } }
                        p { code { "passerby sign-in" } }
                        p.soft { "For a password, start it with " code { "PASSERBY_ADMIN_PASSWORD" } "." }
                    }
                }
            }
            footer { "People pass by. Nobody is followed." }
        }
    }
}
