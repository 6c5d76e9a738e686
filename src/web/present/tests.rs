//! What a page says of what was counted, as text.

use super::{Scene, overview, questions};
use crate::web::face::overview::Content;
use crate::web::face::panel::Cell;
use crate::web::face::shell::Shell;
use crate::web::face::words::Change;
use crate::web::gallery::{self, Data, NOW_MS, day};
use crate::web::view::View;
use expect_test::{Expect, expect};
use passerby_engine::event::Text;
use passerby_engine::rollup::{Counts, Dim, Rollup};

/// Days given as `2026-11-23: 10 visitors`; an hour's row as `2026-11-23 08: 3`. Each visitor visits once and views two
/// pages; every second one bounces.
fn data(text: &str) -> Data {
    let cell = |value: &str, n: i64| Rollup {
        cells: vec![(
            Text::new(value),
            Counts {
                visitors: n,
                visits: n,
                pageviews: 2 * n,
                engaged: n / 2,
                duration_s: 60 * n,
                ..Counts::default()
            },
        )],
    };
    let mut data = Data::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (when, n) = line.split_once(": ").expect("when: how many");
        let n = n.parse().expect("a number");
        match when.split_once(' ') {
            Some((of, hour)) => data.push((day(of), Dim::Hour, cell(hour, n))),
            None => {
                data.push((day(when), Dim::Total, cell("", n)));
                data.push((day(when), Dim::Source, cell("Google", n)));
            }
        }
    }
    data
}

fn mark(change: &Change, inverted: bool) -> String {
    let good = |up: bool| if up != inverted { "good" } else { "bad" };
    match change {
        Change::Unknown => "".into(),
        Change::New => "new".into(),
        Change::Same => "0%".into(),
        Change::Up(size) => format!("▲ {size} {}", good(true)),
        Change::Down(size) => format!("▼ {size} {}", good(false)),
    }
}

fn told(counted: &str, asked: &str) -> String {
    let (data, zone, view) = (data(counted), gallery::berlin(), View::parse(asked));
    let scene = Scene {
        domain: "example.com",
        zone: &zone,
        zone_name: "Europe/Berlin",
        now_ms: NOW_MS,
        bounds: gallery::bounds(&data),
        view: &view,
    };
    let window = scene.window();
    let page =
        overview(&scene, &window, gallery::answer(&data, &questions(&scene, &window)), Shell::default());
    let when = page.shell.when.clone().expect("a period");
    let mut text = format!("{} ({})\n", when.name, when.days);
    for (name, step) in [("earlier", &when.earlier), ("later", &when.later)] {
        if let Some((href, days)) = step {
            text += &format!("{name}: {days} {href}\n");
        }
    }
    if let Some(lede) = &page.lede {
        text += &format!("{lede:?}\n");
    }
    match &page.content {
        Content::Nothing { days, elsewhere } => text += &format!("nothing {days}; {elsewhere:?}\n"),
        Content::Full { figures, chart, panels, .. } => {
            for figure in figures {
                let value: String = figure.value.iter().map(|(n, unit)| format!("{n}{unit}")).collect();
                let line = format!(
                    "{}: {value} {} {}",
                    figure.name,
                    mark(&figure.change, figure.inverted),
                    figure.against.as_deref().unwrap_or("")
                );
                text += &format!("{}\n", line.trim_end());
            }
            text += &format!("[{}] {}\n", chart.line, chart.before.as_deref().unwrap_or("alone"));
            let shown = chart.points.iter().filter(|point| {
                point.value.is_some_and(|x| x > 0.0) || point.before.is_some_and(|x| x > 0.0)
            });
            for point in shown {
                let number = |x: Option<f64>| x.map_or("–".to_string(), |x| chart.unit.text(x));
                let line = format!(
                    "  {}: {} | {} {}{}",
                    point.label,
                    number(point.value),
                    number(point.before),
                    mark(&point.change, chart.inverted),
                    if point.partial { " (partial)" } else { "" }
                );
                text += &format!("{}\n", line.trim_end());
            }
            for row in panels.iter().flat_map(|panel| &panel.tabs).flat_map(|tab| &tab.rows) {
                let cells: Vec<String> = row
                    .cells
                    .iter()
                    .map(|cell| match cell {
                        Cell::Main(text) | Cell::Text(text) => text.clone(),
                        Cell::Change(change) => mark(change, false),
                    })
                    .collect();
                text += &format!("{}: {}\n", row.label, cells.join(", "));
            }
            text += &chart.notes.iter().map(|note| format!("* {note}\n")).collect::<String>();
        }
    }
    text
}

fn check(counted: &str, asked: &str, expected: Expect) {
    expected.assert_eq(&told(counted, asked));
}

#[test]
fn a_day_that_is_not_over_is_left_out_of_changes() {
    check(
        "2026-11-10: 5
         2026-11-15: 10
         2026-11-16: 99
         2026-11-22: 13
         2026-11-23: 4",
        "period=7d",
        expect![[r#"
            Last 7 days (17–23 Nov 2026)
            earlier: 10–16 Nov 2026 /example.com?from=2026-11-10&to=2026-11-16
            Visitors: 17 ▼ 13% bad
            Visits: 17 ▼ 13% bad
            Page views: 34 ▼ 13% bad
            Views per visit: 2.00 0%
            Bounce rate: 53% ▲ 2% bad
            Visit duration: 1m00s 0%
            [Visitors a day] The week before
              Tue 17 Nov: 0 | 5 ▼ 100% bad
              Sun 22 Nov: 13 | 10 ▲ 30% good
              Mon 23 Nov: 4 | 99  (partial)
            Google: 17, ▼ 13% bad
            * Changes leave today out: 6 whole days against as many before.
            * Visitors are counted afresh each day: someone who returns tomorrow counts again.
        "#]],
    );
}

#[test]
fn today_is_compared_by_whole_hours() {
    check(
        "2026-11-20: 1
         2026-11-22: 30
         2026-11-22 08: 10
         2026-11-22 13: 5
         2026-11-22 20: 15
         2026-11-23: 25
         2026-11-23 08: 20
         2026-11-23 13: 1
         2026-11-23 14: 4",
        "period=today&metric=pageviews",
        expect![[r#"
            Today (23 Nov 2026)
            earlier: 22 Nov 2026 /example.com?period=yesterday&metric=pageviews
            Visitors: 25  30 all yesterday
            Visits: 25 ▲ 40% good by 14:00
            Page views: 50 ▲ 40% good by 14:00
            Views per visit: 2.00 0% by 14:00
            Bounce rate: 52% ▼ 2% good by 14:00
            Visit duration: 1m00s 0% by 14:00
            [Page views an hour] The day before
              08:00: 40 | 20 ▲ 100% good
              13:00: 2 | 10 ▼ 80% bad
              14:00: 8 | 0  (partial)
              20:00: – | 30
            Google: 25
            * Changes compare whole hours with the same hours yesterday; visitors of hours do not add up, so theirs is left out.
        "#]],
    );
}

#[test]
fn what_was_not_counted_is_no_decline_and_no_rise() {
    check(
        "2026-11-18: 4\n2026-11-22: 6",
        "period=7d",
        expect![[r#"
        Last 7 days (17–23 Nov 2026)
        Visitors: 10
        Visits: 10
        Page views: 20
        Views per visit: 2.00
        Bounce rate: 50%
        Visit duration: 1m00s
        [Visitors a day] alone
          Wed 18 Nov: 4 | –
          Sun 22 Nov: 6 | –
        Google: 10
        * Visitors are counted afresh each day: someone who returns tomorrow counts again.
    "#]],
    );
}

#[test]
fn more_than_tenfold_reads_as_times() {
    check(
        "2026-11-01: 10\n2026-11-16: 10\n2026-11-17: 190",
        "from=2026-11-17&to=2026-11-17&metric=bounce_rate",
        expect![[r#"
            17 Nov 2026 (17 Nov 2026)
            earlier: 16 Nov 2026 /example.com?from=2026-11-16&to=2026-11-16&metric=bounce_rate
            later: 18 Nov 2026 /example.com?from=2026-11-18&to=2026-11-18&metric=bounce_rate
            Visitors: 190 ▲ 19× good from 10
            Visits: 190 ▲ 19× good from 10
            Page views: 380 ▲ 19× good from 20
            Views per visit: 2.00 0% from 2.00
            Bounce rate: 50% 0% from 50%
            Visit duration: 1m00s 0% from 1m 00s
            [Bounce rate by hour] The day before
            Google: 190, ▲ 19× good
        "#]],
    );
}

#[test]
fn weeks_that_are_cut_are_partial() {
    check(
        "2026-10-01: 1\n2026-11-01: 10\n2026-11-10: 10\n2026-11-17: 190\n2026-11-23: 2",
        "period=28d&by=week",
        expect![[r#"
            Last 28 days (27 Oct – 23 Nov 2026)
            earlier: 29 Sep – 26 Oct 2026 /example.com?from=2026-09-29&to=2026-10-26
            Visitors: 212
            Visits: 212
            Page views: 424
            Views per visit: 2.00
            Bounce rate: 50%
            Visit duration: 1m00s
            [Visitors a week] 4 weeks before
              27 Oct – 1 Nov 2026: 10 | –  (partial)
              9–15 Nov 2026: 10 | 0 new
              16–22 Nov 2026: 190 | 0 new
              23 Nov 2026: 2 | 0  (partial)
            Google: 212
            * Visitors are counted afresh each day: someone who returns tomorrow counts again.
        "#]],
    );
}

#[test]
fn a_period_without_anything_leads_to_the_days_that_have_something() {
    check(
        "2015-05-17: 3\n2015-05-20: 1",
        "",
        expect![[r#"
        Last 30 days (25 Oct – 23 Nov 2026)
        earlier: 25 Sep – 24 Oct 2026 /example.com?from=2026-09-25&to=2026-10-24
        nothing in the last 30 days; Some(("/example.com?from=2015-05-17&to=2015-05-20", "See all 4 days from 17 May 2015"))
    "#]],
    );
    check(
        "2015-05-17: 3\n2015-05-20: 1",
        "from=2015-05-18&to=2015-05-18",
        expect![[r#"
            18 May 2015 (18 May 2015)
            earlier: 17 May 2015 /example.com?from=2015-05-17&to=2015-05-17
            later: 19 May 2015 /example.com?from=2015-05-19&to=2015-05-19
            nothing on 18 May 2015; Some(("/example.com?from=2015-05-17&to=2015-05-20", "See all 4 days from 17 May 2015"))
        "#]],
    );
    check(
        "2015-05-17: 3\n2015-05-20: 1",
        "from=2015-05-17&to=2015-05-20&metric=visits",
        expect![[r#"
            17–20 May 2015 (17–20 May 2015)
            later: 21–24 May 2015 /example.com?from=2015-05-21&to=2015-05-24&metric=visits
            Visitors: 4
            Visits: 4
            Page views: 8
            Views per visit: 2.00
            Bounce rate: 75%
            Visit duration: 1m00s
            [Visits a day] alone
              Sun 17 May: 3 | –
              Wed 20 May: 1 | –
            Google: 4
            * Visitors are counted afresh each day: someone who returns tomorrow counts again.
        "#]],
    );
}

/// What is said of yesterday, Sun 22 Nov, of visitors from two sources to two pages: `day: source page visitors`.
fn said(counted: &str) -> String {
    let mut data = Data::new();
    for line in counted.lines().map(str::trim) {
        let (when, rest) = line.split_once(": ").expect("when: what");
        let cell = |value: &str, n: &str| {
            let counts = Counts {
                visitors: n.parse().expect("a number"),
                visits: 1,
                pageviews: 1,
                ..Counts::default()
            };
            Rollup { cells: vec![(Text::new(value), counts)] }
        };
        let parts: Vec<&str> = rest.split(' ').collect();
        data.push((day(when), Dim::Source, cell(parts[0].trim_matches('-'), parts[2])));
        data.push((day(when), Dim::Page, cell(parts[1], parts[2])));
        data.push((day(when), Dim::Total, cell("", parts[2])));
    }
    let (zone, view) = (gallery::berlin(), View::parse(""));
    let scene = Scene {
        domain: "example.com",
        zone: &zone,
        zone_name: "Europe/Berlin",
        now_ms: NOW_MS,
        bounds: gallery::bounds(&data),
        view: &view,
    };
    let window = scene.window();
    let page =
        overview(&scene, &window, gallery::answer(&data, &questions(&scene, &window)), Shell::default());
    let html = page.lede.map_or("nothing".to_string(), |lede| lede.render().into_string());
    let mut text = String::new();
    for part in html.split('<') {
        text += part.split_once('>').map_or(part, |(_, text)| text);
    }
    text
}

#[test]
fn yesterday_is_told_against_what_is_usual() {
    let month = "2026-10-25: Google / 100
                 2026-11-01: Google / 110
                 2026-11-08: Google / 900
                 2026-11-15: Google / 90";
    let table = [
        (month, "2026-11-22: Google / 112"),
        (month, "2026-11-22: Google / 105\n2026-11-22: Lobsters /blog 45"),
        (month, "2026-11-22: - /blog 2100"),
        (month, "2026-11-22: Google / 20"),
        (month, "2026-11-21: Google / 20"),
        ("2026-11-15: Google / 100", "2026-11-22: Google / 900"),
        ("2026-10-25: Google / 3", "2026-11-22: Google / 9"),
    ];
    let told: String = table.iter().map(|(month, day)| said(&format!("{month}\n{day}")) + "\n").collect();
    expect![[r#"
        Yesterday 112 people passed by, about as many as on a usual Sunday.
        Yesterday 150 people passed by, 43% more than on a usual Sunday. Most of the rise came from Lobsters, most of it to /blog.
        Yesterday 2,100 people passed by, 20× as many as on a usual Sunday. Most of the rise came from no known source, most of it to /blog.
        Yesterday 20 people passed by, 81% fewer than on a usual Sunday. Most of the fall was in visitors from Google, most of it to /.
        Yesterday nobody passed by; on a usual Sunday 105 people do.
        nothing
        nothing
    "#]].assert_eq(&told);
}
