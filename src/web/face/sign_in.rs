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

/// `next`: where to go afterwards, a path of this server.
pub fn render(said: &Said, next: &str) -> Markup {
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
                        Said::LinkSpent => p.flag.bad role="alert" { "This link has been used or is too old. Sign in with the password, or start the server again for a new link." },
                    }
                    input type="hidden" name="next" value=(next);
                    label { "Password" input.field type="password" name="password" autocomplete="current-password" required autofocus; }
                    button.btn.main type="submit" { "Sign in" }
                    p.soft { "No password yet? Whoever runs this server sets it in " code { "PASSERBY_ADMIN_PASSWORD" } "." }
                }
            }
            footer { "People pass by. Nobody is followed." }
        }
    }
}
