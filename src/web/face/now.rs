//! Who is here now: the count of the last five minutes, and the last thirty as bars.

use super::{scale, words};
use maud::{Markup, html};

/// Visitors with an event in the last five minutes, and in each of the last thirty (oldest first).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Now {
    pub here: u32,
    pub minutes: Vec<u32>,
}

pub fn render(now: &Now) -> Markup {
    let most = now.minutes.iter().copied().max().unwrap_or(0).max(4);
    let height = |n: u32| f64::from(n) / f64::from(most) * 16.0;
    html! {
        p.now #now data-live title="In the last 5 minutes. The bars are the last 30, by minute." {
            span.pulse.still[now.here == 0] {}
            span { b { (words::count(i64::from(now.here))) } span.wide-only { " here" } " now" }
            svg.minutes viewBox="0 0 74.5 16" aria-hidden="true" {
                @for (i, n) in now.minutes.iter().enumerate() {
                    @let tall = height(*n).max(if *n > 0 { 2.0 } else { 1.0 });
                    rect.none[*n == 0] x=(scale::short(i as f64 * 2.5)) y=(scale::short(16.0 - tall)) width="2" height=(scale::short(tall)) {}
                }
            }
        }
    }
}
