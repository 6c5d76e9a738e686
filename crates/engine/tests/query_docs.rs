//! docs/QUERY.md says what is so: its questions are asked, its answers compared, its lists complete.

use passerby_engine::event::{Day, Text};
use passerby_engine::query::{Metric, parse, plan, report};
use passerby_engine::rollup::{Counts, Dim, Rollup};
use passerby_engine::time::{TimeZone, parse_day};
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/QUERY.md");

/// Sunday, 15 September 2024, noon in Berlin.
const NOW_MS: i64 = 1_726_394_400_000;

fn zone() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("a zone of the built-in data")
}

/// What the page's site has counted: value, then visitors, visits, page views, events, engaged, duration, loose.
fn data() -> Vec<(Day, Dim, Rollup)> {
    let entry = |day: &str, dim, cells: &[(&str, [i64; 7])]| {
        let cells =
            cells.iter().map(|(value, counts)| (Text::from(*value), Counts::from_array(*counts))).collect();
        (parse_day(day).expect("a date"), dim, Rollup { cells })
    };
    vec![
        entry("2024-09-08", Dim::Total, &[("", [100, 130, 310, 40, 60, 5860, 20])]),
        entry("2024-09-10", Dim::Total, &[("", [200, 210, 400, 0, 100, 21_000, 0])]),
        entry(
            "2024-09-08",
            Dim::Source,
            &[("", [60, 80, 200, 0, 0, 0, 0]), ("Google", [40, 50, 110, 0, 0, 0, 0])],
        ),
        entry(
            "2024-09-10",
            Dim::Source,
            &[
                ("", [70, 75, 160, 0, 0, 0, 0]),
                ("Bing", [80, 80, 150, 0, 0, 0, 0]),
                ("Google", [50, 55, 90, 0, 0, 0, 0]),
            ],
        ),
    ]
}

/// The blocks fenced as `kind`, and the one right after each, with its kind.
fn blocks(kind: &str) -> Vec<(&'static str, Option<(&'static str, &'static str)>)> {
    let all: Vec<(&str, &str)> = PAGE
        .split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').expect("a fence with a kind"))
        .collect();
    let wanted = (0..all.len()).filter(|&n| all[n].0 == kind);
    wanted.map(|n| (all[n].1, all.get(n + 1).copied())).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn questions_have_the_answers_given() {
    let bounds = Some((Day(19_974), Day(19_976)));
    let mut compared = 0;
    for (question, next) in blocks("json question") {
        let query = parse(question.as_bytes(), &zone(), NOW_MS, bounds)
            .unwrap_or_else(|sentence| panic!("{sentence} {question}"));
        let plan = plan(&query).expect("parse plans");
        let answer = report(&query, &plan, &data()).to_json(&query, "example.com");
        if let Some(("json answer", expected)) = next {
            assert_eq!(json(&answer), json(expected), "{question}\nis answered\n{answer}");
            compared += 1;
        }
    }
    assert!(compared >= 3);
}

#[test]
fn what_is_refused_is_refused_in_these_words() {
    let refused = blocks("json refused");
    assert!(refused.len() >= 3);
    for (question, next) in refused {
        let sentence = parse(question.as_bytes(), &zone(), NOW_MS, None).expect_err(question);
        assert_eq!(Some(("text sentence", format!("{sentence}\n").as_str())), next);
    }
}

#[test]
fn the_lists_are_complete() {
    for row in &Metric::TABLE {
        assert!(PAGE.contains(&format!("| `{}` |", row.key)), "{} is not on the page", row.key);
    }
    let rows = Dim::TABLE.iter().filter(|row| row.dim != Dim::Total && row.dim != Dim::Prop);
    for row in rows {
        assert!(PAGE.contains(&format!("`{}`", row.key)), "{} is not on the page", row.key);
    }
}
