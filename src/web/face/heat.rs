//! When people come: weekdays by hours, in five steps of the busiest hour.

use super::dates;
use super::words;
use maud::{Markup, html};

/// How many of what is named, by weekday (Monday first) and hour.
#[derive(Clone, PartialEq, Debug)]
pub struct Heat {
    pub cells: [[i64; 24]; 7],
    /// `page view`, `page views`.
    pub one: &'static str,
    pub many: &'static str,
}

/// The step of a cell, 0 for none and 1 to 5: a fifth of the busiest hour each.
fn step(n: i64, most: i64) -> i64 {
    if n <= 0 || most <= 0 { 0 } else { ((n * 5 + most - 1) / most).clamp(1, 5) }
}

const NAMES: [&str; 6] = ["m0", "m1", "m2", "m3", "m4", "m5"];

pub fn render(heat: &Heat) -> Markup {
    let cells = || (0..7).flat_map(|weekday| (0..24).map(move |hour| (weekday, hour)));
    let most = cells().map(|(weekday, hour)| heat.cells[weekday][hour]).max().unwrap_or(0);
    let busiest = cells().find(|&(weekday, hour)| most > 0 && heat.cells[weekday][hour] == most);
    let percent = |n: f64| format!("{}%", super::scale::short(n));
    html! {
        section.panel #hours data-live aria-labelledby="hours-h" {
            h2.vh #hours-h { "When people come" }
            div.tabs aria-hidden="true" { span aria-current="true" { "When people come" } em { (heat.many) span.wide-only { " by weekday and hour" } } }
            svg.heat aria-hidden="true" {
                @for weekday in 0..7 {
                    text.day x="0" y=(percent((weekday as f64 + 0.5) * 100.0 / 7.0)) dy="4" { (dates::weekday_name(weekday)) }
                }
                @for (weekday, hour) in cells() {
                    @let n = heat.cells[weekday][hour];
                    rect class={ (NAMES[step(n, most) as usize]) @if busiest == Some((weekday, hour)) { " hot" } }
                        x=(percent(hour as f64 * 100.0 / 24.0)) y=(percent(weekday as f64 * 100.0 / 7.0)) width="3.85%" height="12.8%" {
                        @if n > 0 { title { (dates::weekday_name(weekday)) " " (format!("{hour:02}")) ":00, " (words::many(n, heat.one, heat.many)) } }
                    }
                }
                @for hour in (0..24).step_by(3) {
                    text.wide-only[hour % 6 == 3] x=(percent(hour as f64 * 100.0 / 24.0)) y="100%" dy="16" { (format!("{hour:02}")) }
                }
            }
            @if let Some((weekday, hour)) = busiest {
                p.note { "Busiest: " b { (dates::LONG_WEEKDAYS[weekday]) " " (format!("{hour:02}–{:02} h", hour + 1)) } ", " (words::many(most, heat.one, heat.many)) "." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn steps_are_fifths_of_the_busiest_hour() {
        let table = [
            (0, 0, 0),
            (0, 9, 0),
            (1, 100, 1),
            (20, 100, 1),
            (21, 100, 2),
            (99, 100, 5),
            (100, 100, 5),
            (1, 1, 5),
        ];
        for (n, most, expected) in table {
            assert_eq!(step(n, most), expected, "{n} of {most}");
        }
    }
}
