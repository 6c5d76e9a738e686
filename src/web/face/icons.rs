//! The few drawings: the mark, arrows, a check. Sixteen by sixteen, in strokes of the text's colour.

use maud::{Markup, html};

/// Three passers-by, coming nearer: Passerby's mark.
pub fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" aria-hidden="true" {
            circle cx="17" cy="12" r="5" {}
            circle cx="8.5" cy="12" r="3" opacity=".6" {}
            circle cx="2.5" cy="12" r="1.75" opacity=".35" {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icon {
    Left,
    Right,
    Down,
    Check,
    Clock,
    Copy,
}

pub fn icon(icon: Icon) -> Markup {
    let path = match icon {
        Icon::Left => "M10 3 5 8l5 5",
        Icon::Right => "m6 3 5 5-5 5",
        Icon::Down => "m3 6 5 5 5-5",
        Icon::Check => "m3 8.5 3.5 3.5L13 5",
        Icon::Clock => "M8 4.5V8l2.5 1.5M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z",
        Icon::Copy => "M6 6h8v8H6zM10 6V2H2v8h4",
    };
    html! { svg.i viewBox="0 0 16 16" aria-hidden="true" { path d=(path) {} } }
}
