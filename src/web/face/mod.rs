//! The pages: components that take finished values and know no store, no query and no clock.
//!
//! Everything that comes from outside is escaped by `maud`. There is no inline style and no inline script,
//! so that the strictest content policy holds: lengths are attributes of SVG.

pub mod chart;
pub mod countries;
pub mod dates;
pub mod details;
pub mod figures;
pub mod first;
pub mod heat;
pub mod icons;
pub mod lede;
pub mod now;
pub mod overview;
pub mod panel;
pub mod scale;
pub mod shell;
pub mod sign_in;
pub mod sites;
pub mod trouble;
pub mod words;

use maud::{Markup, html};

/// A button that copies the text of another element. Without a script it does not show.
fn copy_button(of: &str) -> Markup {
    html! { button.btn.line type="button" data-copy=(of) hidden { (icons::icon(icons::Icon::Copy)) span { "Copy" } } }
}
