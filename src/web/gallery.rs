//! Every page with invented data, for the tests of what holds on all of them. With `PASSERBY_GALLERY=FOLDER`
//! in the environment they are written there, to be looked at.

use super::assets;
use super::face::first::First;
use super::face::now::Now;
use super::face::shell::{Account, Shell};
use super::face::sign_in::{self, Said};
use super::face::sites::{SiteRow, Sites};
use super::face::trouble;
use super::lists;
use super::present::{self, Scene};
use super::view::View;
use jiff::tz::TimeZone;
use passerby_engine::event::{Day, Text};
use passerby_engine::query::{self, Query, Report};
use passerby_engine::rollup::{Counts, Dim, Rollup};
use passerby_engine::time;
use std::collections::BTreeMap;

pub type Data = Vec<(Day, Dim, Rollup)>;

pub fn day(text: &str) -> Day {
    time::parse_day(text).expect("a date")
}

/// Mon 23 November 2026, 14:20 in Berlin.
pub const NOW_MS: i64 = 1_795_440_000_000;

pub fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("a zone")
}

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, most: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % most.max(1)
    }
}

const PAGES: [&str; 24] = [
    "/",
    "/blog/one-command-per-flush",
    "/docs/getting-started",
    "/pricing",
    "/docs/api/stats",
    "/blog/the-log-is-the-truth",
    "/changelog",
    "/docs/deploy/serverless-functions-on-a-free-tier",
    "/blog",
    "/docs/configuration",
    "/blog/why-not",
    "/docs/self-hosting/docker",
    "/about",
    "/docs/tracker/single-page-apps",
    "/privacy",
    "/docs/redis/cluster",
    "/integrations",
    "/blog/a-salt-that-dies-at-midnight",
    "/docs/import",
    "/docs/goals",
    "/security",
    "/blog/hyperloglog",
    "/docs/backup",
    "(other)",
];
const SOURCES: [&str; 12] = [
    "Google",
    "",
    "Hacker News",
    "GitHub",
    "Lobsters",
    "DuckDuckGo",
    "ChatGPT",
    "Reddit",
    "Bing",
    "Mastodon",
    "LinkedIn",
    "Kagi",
];
const COUNTRIES: [&str; 13] = ["US", "DE", "GB", "IN", "FR", "CA", "NL", "PL", "BR", "SE", "ES", "JP", "CI"];

/// Two months of a lively site, Tuesdays first; day `i` of a list's value `v` has its share of the day.
pub fn lively() -> Data {
    let mut dice = Dice(7);
    let mut data = Data::new();
    let last = day("2026-11-23");
    for back in (0..70).rev() {
        let day = Day(last.0 - back);
        let weekend = super::face::dates::weekday(day) >= 5;
        let mut visitors = 1_300 + dice.roll(500) - if weekend { 700 } else { 0 } + (70 - back as i64) * 6;
        if back == 12 {
            visitors = 5_874;
        }
        if back == 0 {
            visitors = visitors * 55 / 100;
        }
        data.extend(a_day(day, visitors, if back == 0 { 15 } else { 24 }, &mut dice));
    }
    data
}

fn counts(visitors: i64, dice: &mut Dice) -> Counts {
    let visits = visitors + visitors / 5;
    Counts {
        visitors,
        visits,
        pageviews: visits * 2 + dice.roll(visits / 3 + 1),
        events: visitors / 9,
        engaged: visits * 54 / 100,
        duration_s: visits * (100 + dice.roll(80)),
        loose: visitors / 50,
    }
}

fn a_day(day: Day, visitors: i64, hours: usize, dice: &mut Dice) -> Data {
    let mut data = Data::new();
    let spread = |names: &[&str], dice: &mut Dice| {
        let mut cells: BTreeMap<Text, Counts> = BTreeMap::new();
        let mut left = visitors;
        for (i, name) in names.iter().enumerate() {
            let part = if i + 1 == names.len() {
                left.min(visitors / 40)
            } else {
                (left * (25 + dice.roll(12)) / 100).max(0)
            };
            left -= part;
            if part > 0 {
                cells.insert(Text::new(name), counts(part, dice));
            }
        }
        Rollup { cells: cells.into_iter().collect() }
    };
    let hours: Vec<(Text, Counts)> = (0..hours)
        .map(|hour| {
            let peak = 12 - (hour as i64 - 14).abs();
            (Text::new(format!("{hour:02}")), counts(visitors * peak.max(1) / 130, dice))
        })
        .collect();
    let mut total = counts(visitors, dice);
    total.pageviews = hours.iter().map(|(_, counts)| counts.pageviews).sum();
    let mut add = |dim: Dim, rollup: Rollup| data.push((day, dim, rollup));
    add(Dim::Total, Rollup { cells: vec![(Text::new(""), total)] });
    add(Dim::Hour, Rollup { cells: hours });
    for (dim, names) in [
        (Dim::Page, &PAGES[..]),
        (Dim::EntryPage, &PAGES[..12]),
        (Dim::ExitPage, &PAGES[..18]),
        (Dim::Source, &SOURCES[..]),
        (Dim::Channel, &["Organic Search", "Direct", "Referral", "Organic Social", "AI Assistants"]),
        (
            Dim::Referrer,
            &["google.com", "", "news.ycombinator.com/item", "github.com/passerby", "lobste.rs/s/1"],
        ),
        (Dim::UtmCampaign, &["", "spring-letter", "launch"]),
        (Dim::Country, &COUNTRIES[..]),
        (Dim::Region, &["US-CA", "DE-BE", "GB-ENG", "FR-IDF"]),
        (Dim::City, &["San Francisco, US", "Berlin, DE", "London, GB", "Paris, FR"]),
        (Dim::Device, &["Desktop", "Mobile", "Tablet"]),
        (Dim::Browser, &["Chrome", "Firefox", "Safari", "Edge", "Samsung Internet"]),
        (Dim::System, &["macOS", "Windows", "Linux", "iOS", "Android"]),
        (Dim::Hostname, &["northlight.example"]),
        (Dim::EventName, &["Signed up", "Copied the install command"]),
    ] {
        let cells = spread(names, dice);
        add(dim, cells);
    }
    let dropped = |name: &str, n| (Text::new(name), Counts { events: n, ..Counts::default() });
    add(
        Dim::Dropped,
        Rollup { cells: vec![dropped("bot", visitors / 3), dropped("malformed", 3), dropped("too_old", 1)] },
    );
    data
}

/// One visitor, one page, today.
pub fn lonely() -> Data {
    a_day_of_one(day("2026-11-23"), "/")
}

/// One visitor on each of many pages whose names want to break out.
pub fn strange() -> Data {
    let mut data = Data::new();
    let long = format!("/{}", "a-very-long-path-without-an-end/".repeat(12));
    let mut names = vec![
        "/<script>alert(1)</script>",
        "/\"onload=\"x",
        "/'><img src=x>",
        "/ü/日本語/שלום/مرحبا",
        &long,
        "/&amp;&lt;",
        "/%3Cb%3E",
        "/\u{202e}gnp.exe",
    ];
    let numbered: Vec<String> = (0..130).map(|i| format!("/page/{i:03}")).collect();
    names.extend(numbered.iter().map(String::as_str));
    let today = day("2026-11-23");
    for dim in [
        Dim::Page,
        Dim::Source,
        Dim::Referrer,
        Dim::UtmCampaign,
        Dim::City,
        Dim::Browser,
        Dim::EventName,
        Dim::Country,
    ] {
        let mut cells: Vec<(Text, Counts)> = names.iter().map(|name| (Text::new(name), one())).collect();
        cells.sort_by(|a, b| a.0.cmp(&b.0));
        data.push((today, dim, Rollup { cells }));
    }
    let mut total = one();
    total.visitors = names.len() as i64;
    data.push((today, Dim::Total, Rollup { cells: vec![(Text::new(""), total)] }));
    data
}

fn one() -> Counts {
    Counts { visitors: 1, visits: 1, pageviews: 1, ..Counts::default() }
}

fn a_day_of_one(day: Day, page: &str) -> Data {
    let cell = |value: &str| Rollup { cells: vec![(Text::new(value), one())] };
    [
        (Dim::Total, ""),
        (Dim::Hour, "14"),
        (Dim::Page, page),
        (Dim::EntryPage, page),
        (Dim::ExitPage, page),
        (Dim::Source, ""),
        (Dim::Channel, "Direct"),
        (Dim::Browser, "Firefox"),
        (Dim::System, "Linux"),
        (Dim::Device, "Desktop"),
        (Dim::Country, "DE"),
    ]
    .into_iter()
    .map(|(dim, value)| (day, dim, cell(value)))
    .collect()
}

pub fn answer(data: &Data, queries: &[Query]) -> Vec<Report> {
    let ask = |query: &Query| {
        let plan = query::plan(query).expect("rollups answer it");
        let wanted: Data = data
            .iter()
            .filter(|(day, dim, _)| plan.days.contains(day) && plan.dims.contains(dim))
            .cloned()
            .collect();
        query::report(query, &plan, &wanted)
    };
    queries.iter().map(ask).collect()
}

pub fn bounds(data: &Data) -> Option<(Day, Day)> {
    let days = || data.iter().map(|(day, _, _)| *day);
    days().min().zip(days().max())
}

pub fn shell() -> Shell {
    let minutes = (0..30).map(|i| (i * 7 + 3) % 11).collect();
    let sites = ["northlight.example", "docs.northlight.example", "fieldnotes.example"];
    Shell {
        now: Some(Now { here: 38, minutes }),
        sites: sites
            .iter()
            .enumerate()
            .map(|(i, site)| (site.to_string(), format!("/{site}"), i == 0))
            .collect(),
        account: Account::SignedIn,
        ..Shell::default()
    }
}

pub fn overview(data: &Data, asked: &str) -> String {
    let (zone, view) = (berlin(), View::parse(asked));
    let scene = Scene {
        domain: "northlight.example",
        zone: &zone,
        zone_name: "Europe/Berlin",
        now_ms: NOW_MS,
        bounds: bounds(data),
        view: &view,
    };
    let window = scene.window();
    let reports = answer(data, &present::questions(&scene, &window));
    present::overview(&scene, &window, reports, shell()).render().into_string()
}

pub fn list(data: &Data, slug: &str, asked: &str) -> String {
    let (zone, view) = (berlin(), View::parse(asked));
    let scene = Scene {
        domain: "northlight.example",
        zone: &zone,
        zone_name: "Europe/Berlin",
        now_ms: NOW_MS,
        bounds: bounds(data),
        view: &view,
    };
    let window = scene.window();
    let (panel, list) = lists::find(slug).expect("a list");
    let reports = answer(data, &present::list_questions(&scene, &window, list));
    present::list_page(&scene, &window, panel, list, reports, shell()).render().into_string()
}

pub fn first() -> String {
    let shell = Shell {
        title: "new-venture.example".into(),
        here: "new-venture.example".into(),
        poll: Some("/new-venture.example/first".into()),
        account: Account::SignedIn,
        ..Shell::default()
    };
    let page = First {
        shell,
        domain: "new-venture.example".into(),
        origin: "https://stats.new-venture.example".into(),
        zone: "Europe/Berlin".into(),
        refused: Vec::new(),
    };
    page.render().into_string()
}

pub fn sites() -> String {
    let row = |domain: &str, scale: i64, remark: Option<&str>| SiteRow {
        domain: domain.into(),
        href: format!("/{domain}"),
        here: (scale / 40) as u32,
        curve: (scale > 0).then(|| {
            (0..30).map(|i| scale * (10 + (i * 13 % 7) - if i % 7 > 4 { 5 } else { 0 }) / 10).collect()
        }),
        today: scale,
        yesterday: scale * 12 / 10,
        week: scale * 7,
        remark: remark.map(str::to_string),
    };
    let rows = vec![
        row("northlight.example", 1_487, None),
        row("alpine-huts.example", 820, None),
        row("a-rather-long-name-for-a-small-shop.example", 12, None),
        row("new-venture.example", 0, Some("No visitor yet")),
    ];
    let shell = Shell {
        title: "All sites".into(),
        here: "All sites".into(),
        refresh_s: Some(20),
        sites: shell().sites,
        account: Account::SignedIn,
        now: shell().now,
        ..Shell::default()
    };
    Sites { shell, rows, add: "passerby site add example.com".into() }.render().into_string()
}

pub fn no_sites() -> String {
    let shell = Shell {
        title: "All sites".into(),
        here: "All sites".into(),
        refresh_s: Some(5),
        account: Account::SignedIn,
        ..Shell::default()
    };
    Sites { shell, rows: Vec::new(), add: "passerby site add example.com --timezone Europe/Berlin".into() }
        .render()
        .into_string()
}

/// All pages, by name.
pub fn all() -> Vec<(&'static str, String)> {
    let (lively, lonely, strange) = (lively(), lonely(), strange());
    let old = a_day_of_one(day("2015-05-17"), "/");
    vec![
        ("overview", overview(&lively, "")),
        ("bounce", overview(&lively, "period=28d&metric=bounce_rate&sources=channels&pages=entry-pages")),
        ("today", overview(&lively, "period=today&metric=pageviews")),
        ("week", overview(&lively, "period=7d&metric=visit_duration")),
        ("year", overview(&lively, "period=year")),
        ("all", overview(&lively, "period=all&by=week")),
        ("one", overview(&lonely, "period=today")),
        ("one-month", overview(&lonely, "")),
        ("strange", overview(&strange, "period=today")),
        ("elsewhere", overview(&old, "")),
        ("pages", list(&lively, "pages", "")),
        ("strange-pages", list(&strange, "pages", "period=today")),
        ("channels", list(&lively, "channels", "period=28d")),
        ("nothing", list(&old, "events", "")),
        ("first", first()),
        ("sites", sites()),
        ("no-sites", no_sites()),
        ("sign-in", sign_in::render(&Said::Nothing, true).into_string()),
        ("wrong", sign_in::render(&Said::Wrong, true).into_string()),
        ("slowed", sign_in::render(&Said::Slowed(32), true).into_string()),
        ("no-password", sign_in::render(&Said::Nothing, false).into_string()),
        ("link-spent", sign_in::render(&Said::LinkSpent, true).into_string()),
        ("not-found", trouble::not_found().into_string()),
        ("unavailable", trouble::unavailable().into_string()),
    ]
}

/// Names and attributes of a page's tags, in order; text is left out. Panics where a page is not well formed.
fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        let mut quoted = false;
        let end = rest
            .find(|c: char| {
                if c == '"' {
                    quoted = !quoted;
                }
                c == '>' && !quoted
            })
            .expect("a tag ends");
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut found = Vec::new();
        let mut left = attributes;
        while !left.is_empty() {
            let stop = left.find([' ', '=']).unwrap_or(left.len());
            let key = &left[..stop];
            if left[stop..].starts_with("=\"") {
                let value = &left[stop + 2..];
                let close = value.find('"').expect("a value ends");
                found.push((key.to_string(), value[..close].to_string()));
                left = value[close + 1..].trim_start();
            } else {
                found.push((key.to_string(), String::new()));
                left = left[stop..].trim_start();
            }
        }
        tags.push((name.to_string(), found));
    }
    tags
}

const VOID: [&str; 9] = ["wbr", "!DOCTYPE", "html", "meta", "link", "input", "hr", "br", "img"];

#[test]
fn what_holds_on_every_page() {
    let folder = std::env::var_os("PASSERBY_GALLERY");
    for (name, page) in all() {
        if let Some(folder) = &folder {
            let path = std::path::Path::new(folder).join(format!("{name}.html"));
            let (css, js, svg) = (assets::style().path(), assets::script().path(), assets::icon().path());
            let page =
                page.replace(css, "passerby.css").replace(js, "passerby.js").replace(svg, "passerby.svg");
            std::fs::write(path, page).expect("the folder can be written");
        }
        let weight = assets::gzip_page(&page).len();
        assert!(weight < 40_000, "{name}: {weight} bytes");

        let mut open: Vec<String> = Vec::new();
        let mut ids: Vec<String> = Vec::new();
        let mut targets: Vec<String> = Vec::new();
        for (tag, attributes) in tags(&page) {
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(closed), "{name}");
            } else if !VOID.contains(&tag.as_str()) {
                open.push(tag.clone());
            }
            let mut keys: Vec<&String> = attributes.iter().map(|(key, _)| key).collect();
            keys.sort();
            assert!(
                keys.windows(2).all(|pair| pair[0] != pair[1]),
                "{name}: <{tag}> says something twice: {keys:?}"
            );
            for (key, value) in attributes {
                assert!(key != "style" && !key.starts_with("on"), "{name}: {key}");
                assert!(!value.starts_with("javascript:"), "{name}: {value}");
                match key.as_str() {
                    "id" => ids.push(value.clone()),
                    "src" => assert!(value.starts_with("/_/"), "{name}: {value}"),
                    "aria-labelledby" | "for" => targets.push(value.clone()),
                    "href" if value.starts_with('#') => targets.push(value[1..].to_string()),
                    "href" => assert!(
                        value.is_empty() || value.starts_with('/') || value == "https://new-venture.example/",
                        "{name}: {value}"
                    ),
                    _ => {}
                }
            }
        }
        assert!(open.is_empty(), "{name}: {open:?} is not closed");
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: an id twice");
        for target in targets {
            assert!(ids.contains(&target), "{name}: #{target} leads nowhere");
        }
        assert_eq!(page.matches("<script").count(), 1, "{name}: no script but ours");
        assert_eq!(page.matches("<h1").count(), 1, "{name}: one title");
    }
}
