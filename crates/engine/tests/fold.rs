//! What the fold makes of a day, told as text.

mod common;

use common::*;
use expect_test::{Expect, expect};
use passerby_engine::fold::{State, fold};
use passerby_engine::rollup::{Counts, Dim};
use std::fmt::Write;

fn state_of(text: &str) -> State {
    let mut state = State::new();
    for flush in flushes(text) {
        fold(&mut state, &flush);
    }
    state
}

fn numbers(c: &Counts) -> String {
    let named = [
        (c.visitors, "visitors"),
        (c.visits, "visits"),
        (c.pageviews, "views"),
        (c.events, "events"),
        (c.engaged, "engaged"),
        (c.duration_s, "s"),
        (c.loose, "loose"),
    ];
    let shown: Vec<String> =
        named.iter().filter(|n| n.0 != 0).map(|(n, name)| format!("{n} {name}")).collect();
    shown.join(", ")
}

/// Folds a day and prints its total and the cells of some dimensions.
fn check(text: &str, dims: &[Dim], expected: Expect) {
    let state = state_of(text);
    let day = state.day(SITE, DAY).unwrap();
    let mut out = String::new();
    for dim in [&[Dim::Total], dims].concat() {
        for (value, counts) in &day.rollup(dim).cells {
            let label = if dim == Dim::Total {
                String::from("total")
            } else {
                format!("  {} {}", dim.key(), value.replace('\0', "="))
            };
            writeln!(out, "{label}: {}", numbers(counts)).unwrap();
        }
    }
    expected.assert_eq(&out);
}

#[test]
fn a_visit_is_a_run_with_gaps_of_half_an_hour_at_most() {
    check(
        "A 10:00 /a
         A 10:30 /b
         A 11:00:01 /c",
        &[Dim::EntryPage, Dim::ExitPage, Dim::Hour],
        expect![[r#"
            total: 1 visitors, 2 visits, 3 views, 1 engaged, 1800 s
              visit:entry_page /a: 1 visitors, 1 visits, 2 views, 1 engaged, 1800 s
              visit:entry_page /c: 1 visitors, 1 visits, 1 views
              visit:exit_page /b: 1 visitors, 1 visits, 2 views, 1 engaged, 1800 s
              visit:exit_page /c: 1 visitors, 1 visits, 1 views
              time:hour 10: 1 visitors, 1 visits, 2 views, 1 engaged, 1800 s
              time:hour 11: 1 visitors, 1 visits, 1 views
        "#]],
    );
}

#[test]
fn the_first_event_in_the_log_names_the_visit_and_a_late_one_lengthens_it() {
    check(
        "A 10:10 /b source=Google
         A 10:00 /a source=Bing
         A 10:20 /c",
        &[Dim::Source, Dim::EntryPage, Dim::ExitPage],
        expect![[r#"
            total: 1 visitors, 1 visits, 3 views, 1 engaged, 1200 s
              visit:source Google: 1 visitors, 1 visits, 3 views, 1 engaged, 1200 s
              visit:entry_page /b: 1 visitors, 1 visits, 3 views, 1 engaged, 1200 s
              visit:exit_page /c: 1 visitors, 1 visits, 3 views, 1 engaged, 1200 s
        "#]],
    );
}

#[test]
fn visits_are_never_merged_by_what_comes_late() {
    check(
        "A 10:00 /a
         A 10:50 /b
         A 10:25 /c",
        &[Dim::EntryPage],
        expect![[r#"
            total: 1 visitors, 2 visits, 3 views, 1 engaged, 1500 s
              visit:entry_page /a: 1 visitors, 1 visits, 1 views
              visit:entry_page /b: 1 visitors, 1 visits, 2 views, 1 engaged, 1500 s
        "#]],
    );
}

#[test]
fn engagement_keeps_a_visit_alive_without_lengthening_or_engaging_it() {
    check(
        "A 10:00 /a
         A 10:29 ~
         A 10:58 /b
         B 09:00 ~
         - 09:00 ~",
        &[Dim::Dropped],
        expect![[r#"
            total: 1 visitors, 1 visits, 2 views, 1 engaged, 3480 s
              dropped no_visit: 2 events
        "#]],
    );
}

#[test]
fn an_interactive_event_ends_a_bounce_and_sets_no_page() {
    check(
        "A 10:00 !Signup plan=pro
         A 10:01 /a
         B 10:00 /a
         B 10:02 ?Seen plan=pro
         B 10:03 ?Seen plan=free",
        &[Dim::EventName, Dim::Prop, Dim::EntryPage],
        expect![[r#"
            total: 2 visitors, 2 visits, 2 views, 3 events, 1 engaged, 240 s
              event:name Seen: 1 visitors, 1 visits, 2 events
              event:name Signup: 1 visitors, 1 visits, 1 events
              event:props plan=free: 1 visitors, 1 visits, 1 events
              event:props plan=pro: 2 visitors, 2 visits, 2 events
              visit:entry_page /a: 2 visitors, 2 visits, 2 views, 3 events, 1 engaged, 240 s
        "#]],
    );
}

#[test]
fn without_a_visitor_only_page_views_and_their_own_dimensions_count() {
    check(
        "- 10:00 /a source=Google country=FR
         - 10:01 /a source=Google country=FR
         A 10:02 /a source=Google country=FR",
        &[Dim::Page, Dim::Source, Dim::Country, Dim::EntryPage],
        expect![[r#"
            total: 1 visitors, 1 visits, 3 views, 2 loose
              event:page /a: 1 visitors, 1 visits, 3 views, 2 loose
              visit:source Google: 1 visitors, 1 visits, 1 views
              visit:country FR: 1 visitors, 1 visits, 3 views, 2 loose
              visit:entry_page /a: 1 visitors, 1 visits, 1 views
        "#]],
    );
}

#[test]
fn a_visitor_counts_once_for_each_value_however_often_he_comes() {
    check(
        "A 08:00 /a source=Google
         A 10:00 /a source=Bing
         A 12:00 /a source=Google campaign=spring
         A 12:01 /b
         B 12:00 /b source=Bing",
        &[Dim::Page, Dim::Source, Dim::UtmCampaign, Dim::ExitPage],
        expect![[r#"
            total: 2 visitors, 4 visits, 5 views, 1 engaged, 60 s
              event:page /a: 1 visitors, 3 visits, 3 views
              event:page /b: 2 visitors, 2 visits, 2 views
              visit:source Bing: 2 visitors, 2 visits, 2 views
              visit:source Google: 1 visitors, 2 visits, 3 views, 1 engaged, 60 s
              visit:utm_campaign : 2 visitors, 3 visits, 3 views
              visit:utm_campaign spring: 1 visitors, 1 visits, 2 views, 1 engaged, 60 s
              visit:exit_page /a: 1 visitors, 2 visits, 2 views
              visit:exit_page /b: 2 visitors, 2 visits, 3 views, 1 engaged, 60 s
        "#]],
    );
}

#[test]
fn a_batch_sent_again_counts_once() {
    check(
        "A 10:00 /a
         + 10:01 /b
         again 1
         ---
         again 1
         A 10:02 /c",
        &[],
        expect![[r#"
            total: 1 visitors, 1 visits, 3 views, 1 engaged, 120 s
        "#]],
    );
}

#[test]
fn who_is_here_are_those_seen_in_the_last_five_minutes() {
    let state = state_of(
        "A 10:00 /a
         B 10:02 /a
         A 10:07 /b
         C 09:00 /a",
    );
    let at = |h: i64, m: i64| i64::from(DAY.0) * 86_400_000 + (h * 60 + m) * 60_000;
    let here = state.here(SITE, at(10, 8));
    assert_eq!(here.now, 1);
    assert_eq!(here.minutes[21..], [1, 1, 2, 1, 1, 1, 1, 1, 0], "10:00 to 10:08");
    assert_eq!(state.here(SITE, at(10, 3)).now, 2, "A has been here since 10:00");
}

#[test]
fn a_flood_of_invented_values_ends_in_other() {
    let mut text = String::new();
    for n in 0..11_000 {
        writeln!(text, "A 10:00 /{n}").unwrap();
    }
    let state = state_of(&text);
    let pages = state.day(SITE, DAY).unwrap().rollup(Dim::Page);
    assert!(pages.cells.len() <= passerby_engine::cells::VALUE_CAP + 1);
    let other = pages.cells.iter().find(|(value, _)| value == "(other)").unwrap().1;
    assert_eq!(other.visitors, 1);
    assert_eq!(pages.cells.iter().map(|(_, c)| c.pageviews).sum::<i64>(), 11_000);
}
