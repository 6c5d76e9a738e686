//! The answer in one breath: how yesterday was, against what such a weekday usually is, and why.

use maud::{Markup, html};

#[derive(Clone, PartialEq, Debug)]
pub struct Lede {
    /// `1,487 people`; `nobody`.
    pub people: String,
    /// `Sunday`.
    pub weekday: &'static str,
    pub against: Against,
}

/// How the day was against the usual one.
#[derive(Clone, PartialEq, Debug)]
pub enum Against {
    /// About as many.
    Usual,
    /// `38%` more, and what brought most of the difference, if one source or page did.
    More(String, Option<Cause>),
    /// `19×` as many.
    Times(String, Option<Cause>),
    Fewer(String, Option<Cause>),
    /// Nobody, where so many usually come.
    Nobody(String),
}

/// Where most of a difference lies. At least one is there.
#[derive(Clone, PartialEq, Debug)]
pub struct Cause {
    /// `Lobsters`; `no known source`.
    pub source: Option<String>,
    pub page: Option<String>,
}

impl Lede {
    pub fn render(&self) -> Markup {
        html! {
            p.lede #lede data-live {
                "Yesterday " b { (self.people) } " passed by"
                @match &self.against {
                    Against::Usual => { ", about as many as on a usual " (self.weekday) "." },
                    Against::More(size, cause) => { ", " b { (size) " more" } " than on a usual " (self.weekday) "." (because("Most of the rise came", cause.as_ref())) },
                    Against::Times(size, cause) => { ", " b { (size) " as many" } " as on a usual " (self.weekday) "." (because("Most of the rise came", cause.as_ref())) },
                    Against::Fewer(size, cause) => { ", " b { (size) " fewer" } " than on a usual " (self.weekday) "." (because("Most of the fall was in visitors", cause.as_ref())) },
                    Against::Nobody(usual) => { "; on a usual " (self.weekday) " " (usual) " do." },
                }
            }
        }
    }
}

fn because(begin: &str, cause: Option<&Cause>) -> Markup {
    html! {
        @if let Some(cause) = cause {
            " " (begin)
            @if let Some(source) = &cause.source { " from " b { bdi { (source) } } }
            @if let Some(page) = &cause.page { @if cause.source.is_some() { ", most of it" } " to " b { bdi { (page) } } }
            "."
        }
    }
}
