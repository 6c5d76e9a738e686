//! Reports to pages: which questions a page asks, and what its components get of the answers.
//!
//! Pure: the clock, the view and the answers come in, finished values go out.

mod answers;
mod chart;
mod figures;
mod heat;
mod lede;
mod list;
mod panels;
mod steps;
#[cfg(test)]
mod tests;

pub use answers::questions;
pub use list::{list_page, list_questions};

use super::face::dates;
use super::face::overview::{Content, Overview};
use super::face::panel::Panel;
use super::face::shell::{Form, Shell, When};
use super::face::words;
use super::lists::PANELS;
use super::view::{View, path};
use super::window::{self, Window};
use answers::Answers;
use jiff::tz::TimeZone;
use passerby_engine::event::Day;
use passerby_engine::query::{Period, Report};
use passerby_engine::rollup::Counts;
use passerby_engine::time;

/// Where and when a page is made.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    pub domain: &'a str,
    pub zone: &'a TimeZone,
    pub zone_name: &'a str,
    pub now_ms: i64,
    /// First and last day with data.
    pub bounds: Option<(Day, Day)>,
    pub view: &'a View,
}

impl Scene<'_> {
    pub fn window(&self) -> Window {
        Window::new(self.view, self.now_ms, self.zone, self.bounds)
    }

    /// What the top bar and the foot say; `shell` brings what is the same for all sites.
    fn shell(&self, shell: Shell, title: String, window: &Window) -> Shell {
        let mut foot = vec![match utc(self.zone, self.now_ms) {
            utc if utc == self.zone_name => format!("All times in {utc}."),
            utc => format!("All times in {} ({utc}).", self.zone_name),
        }];
        if self.bounds.is_some_and(|(first, _)| window.days.start() < &first)
            && self.view.period != Period::All
        {
            foot.push(format!(
                "Counting began on {}.",
                self.bounds.map_or(String::new(), |(first, _)| dates::whole(first))
            ));
        }
        let live = window.days.contains(&window.today);
        Shell {
            title,
            here: self.domain.to_string(),
            when: Some(self.when(window)),
            refresh_s: live.then_some(20),
            foot,
            ..shell
        }
    }

    fn href(&self, view: &View) -> String {
        view.overview(self.domain)
    }

    fn when(&self, window: &Window) -> When {
        let choice = |name: &'static str, period: Period| {
            let current = self.view.period == period;
            (name, self.href(&self.view.with_period(period)), current)
        };
        let step = |by: i32| {
            let period = self.view.period.step(by, self.now_ms, self.zone, self.bounds)?;
            let days = period.days(self.now_ms, self.zone, self.bounds);
            Some((self.href(&self.view.with_period(period)), dates::range(&days)))
        };
        let steps_kept = |(name, _): &(String, String)| name != "by";
        When {
            name: period_name(&self.view.period, window),
            days: dates::range(&window.days),
            earlier: step(-1),
            later: step(1),
            choices: vec![
                vec![choice("Today", Period::Today), choice("Yesterday", Period::Yesterday)],
                vec![
                    choice("Last 7 days", Period::Last(7)),
                    choice("Last 28 days", Period::Last(28)),
                    choice("Last 30 days", Period::Last(30)),
                    choice("Last 90 days", Period::Last(90)),
                ],
                vec![
                    choice("This month", Period::Month),
                    choice("This year", Period::Year),
                    choice("All time", Period::All),
                ],
            ],
            form: Form {
                action: path(self.domain),
                hidden: self.view.pairs().into_iter().filter(steps_kept).collect(),
                from: window.days.start().to_string(),
                to: window.days.end().to_string(),
                max: window.today.to_string(),
            },
        }
    }
}

/// `Last 30 days`, `17–20 May 2015`.
fn period_name(period: &Period, window: &Window) -> String {
    match period {
        Period::Today => "Today".to_string(),
        Period::Yesterday => "Yesterday".to_string(),
        Period::Last(days) => format!("Last {days} days"),
        Period::Month => "This month".to_string(),
        Period::Year => "This year".to_string(),
        Period::All => "All time".to_string(),
        Period::Custom(days) if days.start() == days.end() && *days.end() == window.today => {
            "Today".to_string()
        }
        Period::Custom(_) => dates::range(&window.days),
    }
}

/// `UTC+1`, `UTC−3:30`.
fn utc(zone: &TimeZone, now_ms: i64) -> String {
    let offset_min = time::local(zone, now_ms).offset_s / 60;
    let (hours, minutes) = (offset_min.abs() / 60, offset_min.abs() % 60);
    match (offset_min, minutes) {
        (0, _) => "UTC".to_string(),
        (_, 0) => format!("UTC{}{hours}", if offset_min < 0 { "−" } else { "+" }),
        _ => format!("UTC{}{hours}:{minutes:02}", if offset_min < 0 { "−" } else { "+" }),
    }
}

/// Whether anything was counted at all.
pub fn anything(counts: &Counts) -> bool {
    counts.visitors > 0 || counts.pageviews > 0 || counts.events > 0 || counts.visits > 0
}

/// The overview of the answers to [`questions`].
pub fn overview(scene: &Scene, window: &Window, reports: Vec<Report>, shell: Shell) -> Overview {
    let answers = Answers::new(window, reports);
    let name = period_name(&scene.view.period, window);
    let shell = scene.shell(shell, scene.domain.to_string(), window);
    let heading = format!("{}, {}", scene.domain, name.to_lowercase());
    if !anything(&answers.totals) {
        return Overview { shell, heading, lede: None, content: nothing(scene, window) };
    }
    let mut panels: Vec<Panel> =
        PANELS.iter().enumerate().filter_map(|(i, _)| panels::panel(scene, i, &answers)).collect();
    let small = panels
        .extract_if(.., |panel| panel.id == "events")
        .chain(panels::dropped(&answers.dropped))
        .collect();
    let content = Content::Full {
        figures: figures::figures(scene, window, &answers),
        chart: Box::new(chart::chart(scene, window, &answers)),
        panels,
        heat: answers.hours.as_ref().and_then(|hours| heat::heat(scene, window, hours)).map(Box::new),
        small,
    };
    Overview { shell, heading, lede: lede::lede(scene, window, &answers.lede), content }
}

/// A period without anything: says so, and leads to where there is something.
fn nothing(scene: &Scene, window: &Window) -> Content {
    let days = match &scene.view.period {
        Period::Today => "today, so far".to_string(),
        Period::Yesterday => "yesterday".to_string(),
        Period::Last(n) => format!("in the last {n} days"),
        Period::Month => "this month".to_string(),
        Period::Year => "this year".to_string(),
        Period::All => "of what is shown".to_string(),
        Period::Custom(_) if window.days.start() == window.days.end() => {
            format!("on {}", dates::range(&window.days))
        }
        Period::Custom(_) => format!("in {}", dates::range(&window.days)),
    };
    let elsewhere = scene.bounds.map(|(first, last)| {
        let all = first..=last;
        let words = match window::length(&all) {
            1 => format!("See the one day with data, {}", dates::whole(first)),
            n => format!("See all {} days from {}", words::count(i64::from(n)), dates::whole(first)),
        };
        (scene.href(&scene.view.with_period(Period::Custom(all))), words)
    });
    Content::Nothing { days, elsewhere }
}
