//! Text in, text out: queries as JSON, and what they mean; small rollups, and what they answer.

use super::*;
use crate::rollup::Rollup;
use crate::time;
use expect_test::{Expect, expect};
use proptest::prelude::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone of the built-in data")
}

/// Unix milliseconds of a time with offset.
fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
}

fn day(text: &str) -> Day {
    time::parse_day(text).expect("a date")
}

const BOUNDS: Option<(Day, Day)> = Some((Day(16_572), Day(16_575)));

/// A `date_range` as days, with hours where they are not whole; or the sentence that refuses it.
fn range(range: &str, zone_name: &str, now: &str, dimension: &str) -> String {
    let json = format!(r#"{{"metrics":["visits"],"date_range":{range},"dimensions":[{dimension}]}}"#);
    match parse(json.as_bytes(), &zone(zone_name), at(now), BOUNDS) {
        Ok(q) if q.is_whole_days() => format!("{} {}", q.days.start(), q.days.end()),
        Ok(q) => format!("{} {:02}h {} {:02}h", q.days.start(), q.first_hour, q.days.end(), q.last_hour),
        Err(sentence) => sentence,
    }
}

#[test]
fn words_of_date_range() {
    let words = [
        "day", "24h", "1d", "7d", "28d", "30d", "91d", "5000d", "month", "1mo", "6mo", "12mo", "100mo",
        "year", "all",
    ];
    let table = |zone: &str, now: &str| {
        let rows = words.map(|word| {
            let by = if word == "24h" { r#""time:hour""# } else { "" };
            format!("{word:>5}  {}\n", range(&format!("{word:?}"), zone, now, by))
        });
        format!("{zone}, now {now}\n{}", rows.concat())
    };
    let check = |zone, now, expect: Expect| expect.assert_eq(&table(zone, now));

    // The day on which the clock leaps over 02:00: it is 01:30 UTC, 03:30 local.
    check(
        "Europe/Berlin",
        "2024-03-31T01:30:00Z",
        expect![[r#"
        Europe/Berlin, now 2024-03-31T01:30:00Z
          day  2024-03-31 2024-03-31
          24h  2024-03-30 03h 2024-03-31 03h
           1d  2024-03-30 2024-03-30
           7d  2024-03-24 2024-03-30
          28d  2024-03-03 2024-03-30
          30d  2024-03-01 2024-03-30
          91d  2023-12-31 2024-03-30
        5000d  2010-07-23 2024-03-30
        month  2024-03-01 2024-03-31
          1mo  2024-02-01 2024-02-29
          6mo  2023-09-01 2024-02-29
         12mo  2023-03-01 2024-02-29
        100mo  2015-11-01 2024-02-29
         year  2024-01-01 2024-12-31
          all  2015-05-17 2024-03-31
    "#]],
    );
    // The day on which 02:00 comes twice; this is the second.
    check(
        "Europe/Berlin",
        "2024-10-27T01:10:00Z",
        expect![[r#"
        Europe/Berlin, now 2024-10-27T01:10:00Z
          day  2024-10-27 2024-10-27
          24h  2024-10-26 04h 2024-10-27 02h
           1d  2024-10-26 2024-10-26
           7d  2024-10-20 2024-10-26
          28d  2024-09-29 2024-10-26
          30d  2024-09-27 2024-10-26
          91d  2024-07-28 2024-10-26
        5000d  2011-02-18 2024-10-26
        month  2024-10-01 2024-10-31
          1mo  2024-09-01 2024-09-30
          6mo  2024-04-01 2024-09-30
         12mo  2023-10-01 2024-09-30
        100mo  2016-06-01 2024-09-30
         year  2024-01-01 2024-12-31
          all  2015-05-17 2024-10-27
    "#]],
    );
    // Half an hour off: still the 31st in London, 1 January here.
    check(
        "Asia/Kolkata",
        "2023-12-31T18:30:00Z",
        expect![[r#"
        Asia/Kolkata, now 2023-12-31T18:30:00Z
          day  2024-01-01 2024-01-01
          24h  2023-12-31 01h 2024-01-01 00h
           1d  2023-12-31 2023-12-31
           7d  2023-12-25 2023-12-31
          28d  2023-12-04 2023-12-31
          30d  2023-12-02 2023-12-31
          91d  2023-10-02 2023-12-31
        5000d  2010-04-24 2023-12-31
        month  2024-01-01 2024-01-31
          1mo  2023-12-01 2023-12-31
          6mo  2023-07-01 2023-12-31
         12mo  2023-01-01 2023-12-31
        100mo  2015-09-01 2023-12-31
         year  2024-01-01 2024-12-31
          all  2015-05-17 2024-01-01
    "#]],
    );
    // The day after the one that was skipped.
    check(
        "Pacific/Apia",
        "2011-12-30T10:00:00Z",
        expect![[r#"
        Pacific/Apia, now 2011-12-30T10:00:00Z
          day  2011-12-31 2011-12-31
          24h  2011-12-29 01h 2011-12-31 00h
           1d  2011-12-29 2011-12-29
           7d  2011-12-23 2011-12-29
          28d  2011-12-02 2011-12-29
          30d  2011-11-30 2011-12-29
          91d  2011-09-30 2011-12-29
        5000d  1998-04-22 2011-12-29
        month  2011-12-01 2011-12-31
          1mo  2011-11-01 2011-11-30
          6mo  2011-06-01 2011-11-30
         12mo  2010-12-01 2011-11-30
        100mo  2003-08-01 2011-11-30
         year  2011-01-01 2011-12-31
          all  2015-05-17 2015-05-20
    "#]],
    );
    check(
        "America/Los_Angeles",
        "2024-02-29T12:00:00Z",
        expect![[r#"
        America/Los_Angeles, now 2024-02-29T12:00:00Z
          day  2024-02-29 2024-02-29
          24h  2024-02-28 05h 2024-02-29 04h
           1d  2024-02-28 2024-02-28
           7d  2024-02-22 2024-02-28
          28d  2024-02-01 2024-02-28
          30d  2024-01-30 2024-02-28
          91d  2023-11-30 2024-02-28
        5000d  2010-06-22 2024-02-28
        month  2024-02-01 2024-02-29
          1mo  2024-01-01 2024-01-31
          6mo  2023-08-01 2024-01-31
         12mo  2023-02-01 2024-01-31
        100mo  2015-10-01 2024-01-31
         year  2024-01-01 2024-12-31
          all  2015-05-17 2024-02-29
    "#]],
    );
}

#[test]
fn ends_of_date_range() {
    let rows = [
        // Two dates, also turned round, also of one day.
        (r#"["2024-09-01","2024-09-30"]"#, ""),
        (r#"["2024-09-30","2024-09-01"]"#, ""),
        (r#"["2024-09-10","2024-09-10"]"#, ""),
        // Times that mean whole days of Berlin, in whatever offset they are said.
        (r#"["2024-09-10T00:00:00+02:00","2024-09-11T23:59:59+02:00"]"#, ""),
        (r#"["2024-09-09T22:00:00Z","2024-09-11T21:59:59.999Z"]"#, ""),
        (r#"["2024-09-10T00:00:00+02:00","2024-09-11T00:00:00+02:00"]"#, ""),
        (r#"["2024-10-27T00:00:00+02:00","2024-10-27T23:59:59+01:00"]"#, ""),
        // Parts of a day: by hour only.
        (r#"["2024-09-10T06:00:00+02:00","2024-09-11T11:59:59+02:00"]"#, r#""time:hour""#),
        (r#"["2024-09-10T06:00:00+02:00","2024-09-11T12:00:00+02:00"]"#, r#""time""#),
        (r#"["2024-09-10T06:00:00+02:00","2024-09-11T11:59:59+02:00"]"#, ""),
        (r#"["2024-09-10T06:00:00+02:00","2024-09-11T11:59:59+02:00"]"#, r#""visit:source""#),
        (r#""24h""#, ""),
        (r#"["2024-09-10T06:30:00+02:00","2024-09-11T11:59:59+02:00"]"#, r#""time:hour""#),
        (r#"["2024-09-10T06:00:00+02:00","2024-09-10T06:00:00+02:00"]"#, r#""time:hour""#),
        // What is none.
        (r#"["2024-09-10","2024-09-11T11:59:59+02:00"]"#, ""),
        (r#"["2024-09-10T06:00:00","2024-09-11T12:00:00"]"#, ""),
        (r#"["2024-02-30","2024-03-01"]"#, ""),
        (r#"["2024-09-01"]"#, ""),
        (r#"[1,2]"#, ""),
        (r#""realtime""#, ""),
        (r#""0d""#, ""),
        (r#""5001d""#, ""),
        (r#""101mo""#, ""),
        (r#""+7d""#, ""),
        (r#""""#, ""),
        ("null", ""),
        ("7", ""),
        (r#"["0001-01-01","9999-12-31"]"#, ""),
        (r#"["2023-01-01","2024-12-31"]"#, r#""time:hour""#),
        (r#"["-009999-01-01T00:00:00Z","9999-12-30T00:00:00Z"]"#, ""),
    ];
    let mut table = String::new();
    for (ends, by) in rows {
        let meant = range(ends, "Europe/Berlin", "2024-09-15T12:00:00Z", by);
        // The list of all that is allowed is long, and shown once below.
        let meant = meant.split_once("is not one of day, ").map_or(meant.as_str(), |(start, _)| start);
        table += &format!("{ends} {by}\n    {meant}\n");
    }
    expect![[r#"
        ["2024-09-01","2024-09-30"] 
            2024-09-01 2024-09-30
        ["2024-09-30","2024-09-01"] 
            2024-09-01 2024-09-30
        ["2024-09-10","2024-09-10"] 
            2024-09-10 2024-09-10
        ["2024-09-10T00:00:00+02:00","2024-09-11T23:59:59+02:00"] 
            2024-09-10 2024-09-11
        ["2024-09-09T22:00:00Z","2024-09-11T21:59:59.999Z"] 
            2024-09-10 2024-09-11
        ["2024-09-10T00:00:00+02:00","2024-09-11T00:00:00+02:00"] 
            2024-09-10 2024-09-10
        ["2024-10-27T00:00:00+02:00","2024-10-27T23:59:59+01:00"] 
            2024-10-27 2024-10-27
        ["2024-09-10T06:00:00+02:00","2024-09-11T11:59:59+02:00"] "time:hour"
            2024-09-10 06h 2024-09-11 11h
        ["2024-09-10T06:00:00+02:00","2024-09-11T12:00:00+02:00"] "time"
            2024-09-10 06h 2024-09-11 11h
        ["2024-09-10T06:00:00+02:00","2024-09-11T11:59:59+02:00"] 
            date_range: a part of a day can be asked for by "time:hour" only; everything else is kept by whole local days.
        ["2024-09-10T06:00:00+02:00","2024-09-11T11:59:59+02:00"] "visit:source"
            date_range: a part of a day can be asked for by "time:hour" only; everything else is kept by whole local days.
        "24h" 
            date_range: a part of a day can be asked for by "time:hour" only; everything else is kept by whole local days.
        ["2024-09-10T06:30:00+02:00","2024-09-11T11:59:59+02:00"] "time:hour"
            date_range: counts are kept by local hours and days; let it begin at a full hour and end at one or in the second before.
        ["2024-09-10T06:00:00+02:00","2024-09-10T06:00:00+02:00"] "time:hour"
            date_range: nothing lies between its ends.
        ["2024-09-10","2024-09-11T11:59:59+02:00"] 
            date_range: neither two dates (2024-09-01) nor two times with offset (2024-09-01T00:00:00+02:00).
        ["2024-09-10T06:00:00","2024-09-11T12:00:00"] 
            date_range: neither two dates (2024-09-01) nor two times with offset (2024-09-01T00:00:00+02:00).
        ["2024-02-30","2024-03-01"] 
            date_range: neither two dates (2024-09-01) nor two times with offset (2024-09-01T00:00:00+02:00).
        ["2024-09-01"] 
            date_range: neither two dates nor two times; allowed are day, 24h, 7d, 28d, 30d, 91d, month, 6mo, 12mo, year, all, another number of days (1d to 5000d) or months (1mo to 100mo), or a list of two dates or of two times with offset.
        [1,2] 
            date_range: neither two dates nor two times; allowed are day, 24h, 7d, 28d, 30d, 91d, month, 6mo, 12mo, year, all, another number of days (1d to 5000d) or months (1mo to 100mo), or a list of two dates or of two times with offset.
        "realtime" 
            date_range: realtime 
        "0d" 
            date_range: 0d 
        "5001d" 
            date_range: 5001d 
        "101mo" 
            date_range: 101mo 
        "+7d" 
            date_range: +7d 
        "" 
            date_range:  
        null 
            date_range: needed; allowed are day, 24h, 7d, 28d, 30d, 91d, month, 6mo, 12mo, year, all, another number of days (1d to 5000d) or months (1mo to 100mo), or a list of two dates or of two times with offset.
        7 
            date_range: needed; allowed are day, 24h, 7d, 28d, 30d, 91d, month, 6mo, 12mo, year, all, another number of days (1d to 5000d) or months (1mo to 100mo), or a list of two dates or of two times with offset.
        ["0001-01-01","9999-12-31"] 
            date_range: longer than 36525 days, a hundred years.
        ["2023-01-01","2024-12-31"] "time:hour"
            date_range: by hour at most 400 days at once.
        ["-009999-01-01T00:00:00Z","9999-12-30T00:00:00Z"] 
            date_range: neither two dates (2024-09-01) nor two times with offset (2024-09-01T00:00:00+02:00).
    "#]].assert_eq(&table);
    expect!["date_range: fortnight is not one of day, 24h, 7d, 28d, 30d, 91d, month, 6mo, 12mo, year, all, another number of days (1d to 5000d) or months (1mo to 100mo), or a list of two dates or of two times with offset."].assert_eq(&range(r#""fortnight""#, "UTC", "2024-09-15T12:00:00Z", ""));
}

#[test]
fn refusals_name_the_key() {
    let rows = [
        "",
        "[]",
        "{\"metrics\":",
        r#"{}"#,
        r#"{"metrics":[]}"#,
        r#"{"metrics":"visits"}"#,
        r#"{"metrics":["visits","visits"]}"#,
        r#"{"metrics":["conversion_rate"]}"#,
        r#"{"metrics":[7]}"#,
        r#"{"metrics":["visits"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","metric":1}"#,
        r#"{"metrics":["visits"],"date_range":"7d","a\u0007very long key, longer than anybody needs to see it in an error, \u00e4":1}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":["visit:colour"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":["total"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":["time:minute"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":["event:props:"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":["event:props:a\u0000b"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":"time"}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":["time","time"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":["visit:source","visit:country"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","dimensions":["time:day","visit:country"]}"#,
        r#"{"metrics":["visits","bounce_rate"],"date_range":"7d","dimensions":["event:name"]}"#,
        r#"{"metrics":["visit_duration"],"date_range":"7d","dimensions":["event:props:plan"]}"#,
        r#"{"metrics":["views_per_visit"],"date_range":"7d","dimensions":["event:page"]}"#,
        r#"{"metrics":["visitors"],"date_range":"7d","dimensions":["dropped"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","filters":[["is","event:page",["/"]]]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","filters":{}}"#,
        r#"{"metrics":["visits"],"date_range":"7d","order_by":["visits","desc"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","order_by":[["visits","down"]]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","order_by":[["visitors","desc"]]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","order_by":[["time","asc"]]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","order_by":[["visits","asc"],["visits","desc"]]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","include":["time_labels"]}"#,
        r#"{"metrics":["visits"],"date_range":"7d","include":{"time_labels":true}}"#,
        r#"{"metrics":["visits"],"date_range":"7d","include":{"total_rows":"yes"}}"#,
        r#"{"metrics":["visits"],"date_range":"7d","include":{"compare":"previous_period"}}"#,
        r#"{"metrics":["visits"],"date_range":"7d","pagination":{"limit":0}}"#,
        r#"{"metrics":["visits"],"date_range":"7d","pagination":{"limit":10001}}"#,
        r#"{"metrics":["visits"],"date_range":"7d","pagination":{"limit":"5"}}"#,
        r#"{"metrics":["visits"],"date_range":"7d","pagination":{"offset":-1}}"#,
        r#"{"metrics":["visits"],"date_range":"7d","pagination":{"page":2}}"#,
    ];
    let now = at("2024-09-15T12:00:00Z");
    let mut table = String::new();
    for json in rows {
        let sentence = parse(json.as_bytes(), &TimeZone::UTC, now, None).expect_err(json);
        let json = json.replace(r#"{"metrics":["visits"],"date_range":"7d","#, "{.., ");
        table += &format!("{json}\n    {sentence}\n");
    }
    expect![[r#"

            The query is not JSON: EOF while parsing a value at line 1 column 0.
        []
            The query is not a JSON object.
        {"metrics":
            The query is not JSON: EOF while parsing a value at line 1 column 11.
        {}
            metrics: at least one of visitors, visits, pageviews, views_per_visit, bounce_rate, visit_duration, events.
        {"metrics":[]}
            metrics: at least one of visitors, visits, pageviews, views_per_visit, bounce_rate, visit_duration, events.
        {"metrics":"visits"}
            metrics: not a list of names.
        {"metrics":["visits","visits"]}
            metrics: visits stands there twice.
        {"metrics":["conversion_rate"]}
            metrics: conversion_rate is not one of visitors, visits, pageviews, views_per_visit, bounce_rate, visit_duration, events.
        {"metrics":[7]}
            metrics: not a list of names.
        {"metrics":["visits"]}
            date_range: needed; allowed are day, 24h, 7d, 28d, 30d, 91d, month, 6mo, 12mo, year, all, another number of days (1d to 5000d) or months (1mo to 100mo), or a list of two dates or of two times with offset.
        {.., "metric":1}
            metric: no such key; there are site_id, metrics, date_range, dimensions, filters, order_by, include, pagination.
        {.., "a\u0007very long key, longer than anybody needs to see it in an error, \u00e4":1}
            a?very long key, longer than anybody needs to see it in an e: no such key; there are site_id, metrics, date_range, dimensions, filters, order_by, include, pagination.
        {.., "dimensions":["visit:colour"]}
            dimensions: visit:colour is not one of time, time:hour, time:day, time:week, time:month, dropped, event:page, visit:entry_page, visit:exit_page, visit:source, visit:channel, visit:referrer, visit:utm_source, visit:utm_medium, visit:utm_campaign, visit:utm_content, visit:utm_term, visit:country, visit:region, visit:city, visit:device, visit:browser, visit:browser_version, visit:os, visit:os_version, visit:language, event:hostname, event:name, event:props: with a name.
        {.., "dimensions":["total"]}
            dimensions: total is not one of time, time:hour, time:day, time:week, time:month, dropped, event:page, visit:entry_page, visit:exit_page, visit:source, visit:channel, visit:referrer, visit:utm_source, visit:utm_medium, visit:utm_campaign, visit:utm_content, visit:utm_term, visit:country, visit:region, visit:city, visit:device, visit:browser, visit:browser_version, visit:os, visit:os_version, visit:language, event:hostname, event:name, event:props: with a name.
        {.., "dimensions":["time:minute"]}
            dimensions: time:minute is not one of time, time:hour, time:day, time:week, time:month, dropped, event:page, visit:entry_page, visit:exit_page, visit:source, visit:channel, visit:referrer, visit:utm_source, visit:utm_medium, visit:utm_campaign, visit:utm_content, visit:utm_term, visit:country, visit:region, visit:city, visit:device, visit:browser, visit:browser_version, visit:os, visit:os_version, visit:language, event:hostname, event:name, event:props: with a name.
        {.., "dimensions":["event:props:"]}
            dimensions: event:props: is followed by a property's name, 1 to 300 bytes.
        {.., "dimensions":["event:props:a\u0000b"]}
            dimensions: event:props: is followed by a property's name, 1 to 300 bytes.
        {.., "dimensions":"time"}
            dimensions: not a list of names.
        {.., "dimensions":["time","time"]}
            dimensions: time stands there twice.
        {.., "dimensions":["visit:source","visit:country"]}
            dimensions: more than one at a time, time included, needs a scan of single events, which a later version brings; ask for one.
        {.., "dimensions":["time:day","visit:country"]}
            dimensions: more than one at a time, time included, needs a scan of single events, which a later version brings; ask for one.
        {"metrics":["visits","bounce_rate"],"date_range":"7d","dimensions":["event:name"]}
            metrics: bounce_rate cannot be broken down by event:name.
        {"metrics":["visit_duration"],"date_range":"7d","dimensions":["event:props:plan"]}
            metrics: visit_duration cannot be broken down by event:props:plan.
        {"metrics":["views_per_visit"],"date_range":"7d","dimensions":["event:page"]}
            metrics: views_per_visit cannot be broken down by event:page.
        {"metrics":["visitors"],"date_range":"7d","dimensions":["dropped"]}
            metrics: visitors cannot be broken down by dropped.
        {.., "filters":[["is","event:page",["/"]]]}
            filters: not there yet; a later version answers them by scanning single events.
        {.., "filters":{}}
            filters: not a list.
        {.., "order_by":["visits","desc"]}
            order_by: not a list of pairs like ["visitors", "desc"], with asc or desc.
        {.., "order_by":[["visits","down"]]}
            order_by: not a list of pairs like ["visitors", "desc"], with asc or desc.
        {.., "order_by":[["visitors","desc"]]}
            order_by: visitors is not among metrics or dimensions.
        {.., "order_by":[["time","asc"]]}
            order_by: time is not among metrics or dimensions.
        {.., "order_by":[["visits","asc"],["visits","desc"]]}
            order_by: visits stands there twice.
        {.., "include":["time_labels"]}
            include: not an object.
        {.., "include":{"time_labels":true}}
            include.time_labels: needs a time dimension: time, time:hour, time:day, time:week or time:month.
        {.., "include":{"total_rows":"yes"}}
            include.total_rows: true or false.
        {.., "include":{"compare":"previous_period"}}
            include.compare: no such key; there are total_rows, time_labels, imports, trim_relative_date_range.
        {.., "pagination":{"limit":0}}
            pagination.limit: a whole number from 1 to 10000.
        {.., "pagination":{"limit":10001}}
            pagination.limit: a whole number from 1 to 10000.
        {.., "pagination":{"limit":"5"}}
            pagination.limit: a whole number from 1 to 10000.
        {.., "pagination":{"offset":-1}}
            pagination.offset: a whole number from 0 on.
        {.., "pagination":{"page":2}}
            pagination.page: no such key; there are limit, offset.
    "#]].assert_eq(&table);
}

/// A query against a week of small rollups, as it is answered in JSON, one row a line.
fn answer(json: &str) -> String {
    let now = at("2024-09-15T12:00:00Z");
    let query = parse(json.as_bytes(), &zone("Europe/Berlin"), now, None).expect("a query");
    let plan = plan(&query).expect("a plan");
    let answer = report(&query, &plan, &week()).to_json(&query, "example.com");
    let rows = answer.replace("{\"metrics\"", "\n  {\"metrics\"").replace("],\"meta\"", "],\n\"meta\"");
    rows.replace(",\"query\"", ",\n\"query\"")
}

/// `visitors visits pageviews events engaged duration loose`, as far as they are not 0.
fn counts(text: &str) -> Counts {
    let mut array = [0; 7];
    for (n, number) in text.split_whitespace().enumerate() {
        array[n] = number.parse().expect("a number");
    }
    Counts::from_array(array)
}

fn entry(on: &str, dim: Dim, cells: &[(&str, &str)]) -> (Day, Dim, Rollup) {
    let cells = cells.iter().map(|(value, numbers)| (Text::from(*value), counts(numbers))).collect();
    (day(on), dim, Rollup { cells })
}

/// Two days of the live log, one of them also imported; the second day lies in another week.
fn week() -> Vec<(Day, Dim, Rollup)> {
    vec![
        entry("2024-09-08", Dim::Total, &[("", "10 12 30 4 6 600 2")]),
        entry("2024-09-08", Dim::Total, &[("", "1 1 1")]),
        entry("2024-09-10", Dim::Total, &[("", "20 21 40 0 10 2100")]),
        entry("2024-09-08", Dim::Hour, &[("00", "4 4 10"), ("23", "6 8 20 4 6 600 2")]),
        entry("2024-09-10", Dim::Hour, &[("06", "20 21 40")]),
        entry("2024-09-08", Dim::Source, &[("", "6 8 20"), ("Google", "4 4 10")]),
        entry("2024-09-08", Dim::Source, &[("", "1 1 1")]),
        entry("2024-09-10", Dim::Source, &[("Google", "3 3 6"), ("Bing", "7 8 20"), ("gone", "0")]),
        entry("2024-09-08", Dim::Page, &[("/", "9 9 20"), ("/a", "5 5 10")]),
        entry("2024-09-08", Dim::EntryPage, &[("/", "8 8 20 0 2 80")]),
        entry(
            "2024-09-08",
            Dim::Prop,
            &[("plan\0free", "3 0 0 3"), ("plan\0pro", "1 0 0 1"), ("planet\0earth", "9 0 0 9")],
        ),
        entry("2024-09-08", Dim::Dropped, &[("bot", "0 0 0 17")]),
        // Outside of what is asked.
        entry("2024-09-01", Dim::Total, &[("", "99 99 99")]),
        entry("2024-09-30", Dim::Source, &[("Google", "99 99 99")]),
    ]
}

#[test]
fn answers() {
    let check = |json, expect: Expect| expect.assert_eq(&answer(json));

    // Totals: views per visit without those of nobody, duration and bounce rate over visits.
    check(
        r#"{"site_id":"example.com","metrics":["visitors","visits","pageviews","views_per_visit","bounce_rate","visit_duration","events"],"date_range":["2024-09-07","2024-09-14"]}"#,
        expect![[r#"
            {"results":[
              {"metrics":[31,34,71,2.03,53,79,75],"dimensions":[]}],
            "meta":{},
            "query":{"site_id":"example.com","metrics":["visitors","visits","pageviews","views_per_visit","bounce_rate","visit_duration","events"],"date_range":["2024-09-07T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":[],"order_by":[["visitors","desc"]],"include":{},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    // Nothing there: a row of zeros.
    check(
        r#"{"metrics":["visitors","views_per_visit","bounce_rate"],"date_range":["2020-01-01","2020-01-02"]}"#,
        expect![[r#"
            {"results":[
              {"metrics":[0,0.0,0],"dimensions":[]}],
            "meta":{},
            "query":{"site_id":"example.com","metrics":["visitors","views_per_visit","bounce_rate"],"date_range":["2020-01-01T00:00:00+01:00","2020-01-02T23:59:59+01:00"],"filters":[],"dimensions":[],"order_by":[["visitors","desc"]],"include":{},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    // Days: what is empty is absent, the labels are all.
    check(
        r#"{"metrics":["visitors"],"date_range":["2024-09-07","2024-09-10"],"dimensions":["time"],"include":{"time_labels":true}}"#,
        expect![[r#"
            {"results":[
              {"metrics":[11],"dimensions":["2024-09-08"]},
              {"metrics":[20],"dimensions":["2024-09-10"]}],
            "meta":{"time_labels":["2024-09-07","2024-09-08","2024-09-09","2024-09-10"]},
            "query":{"site_id":"example.com","metrics":["visitors"],"date_range":["2024-09-07T00:00:00+02:00","2024-09-10T23:59:59+02:00"],"filters":[],"dimensions":["time:day"],"order_by":[["time:day","asc"],["visitors","desc"]],"include":{"time_labels":true},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    // The first week is cut, the second begins on a Monday.
    check(
        r#"{"metrics":["visitors"],"date_range":["2024-09-06","2024-09-14"],"dimensions":["time:week"],"include":{"time_labels":true},"order_by":[["time:week","desc"]]}"#,
        expect![[r#"
            {"results":[
              {"metrics":[20],"dimensions":["2024-09-09"]},
              {"metrics":[11],"dimensions":["2024-09-06"]}],
            "meta":{"time_labels":["2024-09-06","2024-09-09"]},
            "query":{"site_id":"example.com","metrics":["visitors"],"date_range":["2024-09-06T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":["time:week"],"order_by":[["time:week","desc"]],"include":{"time_labels":true},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    check(
        r#"{"metrics":["visitors"],"date_range":["2024-08-06","2024-09-14"],"dimensions":["time:month"],"include":{"time_labels":true,"imports":true}}"#,
        expect![[r#"
            {"results":[
              {"metrics":[130],"dimensions":["2024-09-01"]}],
            "meta":{"imports_included":true,"time_labels":["2024-08-01","2024-09-01"]},
            "query":{"site_id":"example.com","metrics":["visitors"],"date_range":["2024-08-06T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":["time:month"],"order_by":[["time:month","asc"],["visitors","desc"]],"include":{"imports":true,"time_labels":true},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    // By hour, and a part of a day.
    check(
        r#"{"metrics":["visits"],"date_range":["2024-09-08T22:00:00+02:00","2024-09-09T02:00:00+02:00"],"dimensions":["time:hour"],"include":{"time_labels":true}}"#,
        expect![[r#"
            {"results":[
              {"metrics":[8],"dimensions":["2024-09-08 23:00:00"]}],
            "meta":{"time_labels":["2024-09-08 22:00:00","2024-09-08 23:00:00","2024-09-09 00:00:00","2024-09-09 01:00:00"]},
            "query":{"site_id":"example.com","metrics":["visits"],"date_range":["2024-09-08T22:00:00+02:00","2024-09-09T01:59:59+02:00"],"filters":[],"dimensions":["time:hour"],"order_by":[["time:hour","asc"],["visits","desc"]],"include":{"time_labels":true},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    // Top of a dimension: ties by label, one row a page.
    check(
        r#"{"metrics":["visitors","visits"],"date_range":["2024-09-07","2024-09-14"],"dimensions":["visit:source"]}"#,
        expect![[r#"
            {"results":[
              {"metrics":[7,9],"dimensions":["Direct / None"]},
              {"metrics":[7,8],"dimensions":["Bing"]},
              {"metrics":[7,7],"dimensions":["Google"]}],
            "meta":{},
            "query":{"site_id":"example.com","metrics":["visitors","visits"],"date_range":["2024-09-07T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":["visit:source"],"order_by":[["visitors","desc"]],"include":{},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    check(
        r#"{"metrics":["visitors"],"date_range":["2024-09-07","2024-09-14"],"dimensions":["visit:source"],"order_by":[["visit:source","asc"]],"include":{"total_rows":true},"pagination":{"limit":1,"offset":1}}"#,
        expect![[r#"
            {"results":[
              {"metrics":[7],"dimensions":["Bing"]}],
            "meta":{"total_rows":3},
            "query":{"site_id":"example.com","metrics":["visitors"],"date_range":["2024-09-07T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":["visit:source"],"order_by":[["visit:source","asc"]],"include":{"total_rows":true},"pagination":{"offset":1,"limit":1}}}"#]],
    );
    check(
        r#"{"metrics":["visitors"],"date_range":["2024-09-07","2024-09-14"],"dimensions":["visit:source"],"include":{"total_rows":true},"pagination":{"offset":9}}"#,
        expect![[r#"
            {"results":[],
            "meta":{"total_rows":3},
            "query":{"site_id":"example.com","metrics":["visitors"],"date_range":["2024-09-07T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":["visit:source"],"order_by":[["visitors","desc"]],"include":{"total_rows":true},"pagination":{"offset":9,"limit":10000}}}"#]],
    );
    // Pages: bounce rate and duration of those who entered there.
    check(
        r#"{"metrics":["pageviews","bounce_rate","visit_duration"],"date_range":["2024-09-07","2024-09-14"],"dimensions":["event:page"]}"#,
        expect![[r#"
            {"results":[
              {"metrics":[20,75,10],"dimensions":["/"]},
              {"metrics":[10,0,0],"dimensions":["/a"]}],
            "meta":{},
            "query":{"site_id":"example.com","metrics":["pageviews","bounce_rate","visit_duration"],"date_range":["2024-09-07T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":["event:page"],"order_by":[["pageviews","desc"]],"include":{},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    // One property, not another whose name begins alike.
    check(
        r#"{"metrics":["visitors","events"],"date_range":["2024-09-07","2024-09-14"],"dimensions":["event:props:plan"]}"#,
        expect![[r#"
            {"results":[
              {"metrics":[3,3],"dimensions":["free"]},
              {"metrics":[1,1],"dimensions":["pro"]}],
            "meta":{},
            "query":{"site_id":"example.com","metrics":["visitors","events"],"date_range":["2024-09-07T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":["event:props:plan"],"order_by":[["visitors","desc"]],"include":{},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    check(
        r#"{"metrics":["events"],"date_range":["2024-09-07","2024-09-14"],"dimensions":["dropped"]}"#,
        expect![[r#"
            {"results":[
              {"metrics":[17],"dimensions":["bot"]}],
            "meta":{},
            "query":{"site_id":"example.com","metrics":["events"],"date_range":["2024-09-07T00:00:00+02:00","2024-09-14T23:59:59+02:00"],"filters":[],"dimensions":["dropped"],"order_by":[["events","desc"]],"include":{},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    // The running day and the running month up to now.
    check(
        r#"{"metrics":["visits"],"date_range":"day","dimensions":["time"],"include":{"trim_relative_date_range":true,"time_labels":true}}"#,
        expect![[r#"
            {"results":[],
            "meta":{"time_labels":["2024-09-15 00:00:00","2024-09-15 01:00:00","2024-09-15 02:00:00","2024-09-15 03:00:00","2024-09-15 04:00:00","2024-09-15 05:00:00","2024-09-15 06:00:00","2024-09-15 07:00:00","2024-09-15 08:00:00","2024-09-15 09:00:00","2024-09-15 10:00:00","2024-09-15 11:00:00","2024-09-15 12:00:00","2024-09-15 13:00:00","2024-09-15 14:00:00"]},
            "query":{"site_id":"example.com","metrics":["visits"],"date_range":["2024-09-15T00:00:00+02:00","2024-09-15T14:59:59+02:00"],"filters":[],"dimensions":["time:hour"],"order_by":[["time:hour","asc"],["visits","desc"]],"include":{"time_labels":true},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
    check(
        r#"{"metrics":["visits"],"date_range":"month","dimensions":["time:week"],"include":{"trim_relative_date_range":true,"time_labels":true}}"#,
        expect![[r#"
            {"results":[
              {"metrics":[99],"dimensions":["2024-09-01"]},
              {"metrics":[13],"dimensions":["2024-09-02"]},
              {"metrics":[21],"dimensions":["2024-09-09"]}],
            "meta":{"time_labels":["2024-09-01","2024-09-02","2024-09-09"]},
            "query":{"site_id":"example.com","metrics":["visits"],"date_range":["2024-09-01T00:00:00+02:00","2024-09-15T23:59:59+02:00"],"filters":[],"dimensions":["time:week"],"order_by":[["time:week","asc"],["visits","desc"]],"include":{"time_labels":true},"pagination":{"offset":0,"limit":10000}}}"#]],
    );
}

#[test]
fn labels_follow_the_zone() {
    let labels = |zone_name: &str, days: RangeInclusive<Day>, interval| {
        let query = Query::series(interval, days, &zone(zone_name));
        let report = report::<Rollup>(&query, &plan(&query).expect("a plan"), &[]);
        assert_eq!(report.series().len(), report.time_labels.len());
        report.time_labels
    };
    let berlin = |on: &str| labels("Europe/Berlin", day(on)..=day(on), Interval::Hour);
    assert_eq!(berlin("2024-03-31").len(), 23);
    assert!(!berlin("2024-03-31").iter().any(|label| label == "2024-03-31 02:00:00"));
    assert_eq!(berlin("2024-10-27").len(), 24);
    assert_eq!(labels("Asia/Kolkata", day("2024-03-31")..=day("2024-04-01"), Interval::Hour).len(), 48);
    expect!["2011-12-28 2011-12-29 2011-12-31 2012-01-01"]
        .assert_eq(&labels("Pacific/Apia", day("2011-12-28")..=day("2012-01-01"), Interval::Day).join(" "));
    expect!["2011-12-28 2012-01-02 2012-01-09"]
        .assert_eq(&labels("Pacific/Apia", day("2011-12-28")..=day("2012-01-11"), Interval::Week).join(" "));
    expect!["2011-12-01 2012-01-01 2012-02-01"]
        .assert_eq(&labels("UTC", day("2011-12-28")..=day("2012-02-01"), Interval::Month).join(" "));
}

#[test]
fn values() {
    let row = counts("10 4 11 3 1 7 1");
    let shown: Vec<String> =
        Metric::TABLE.iter().map(|m| format!("{} {}", m.key, m.metric.value(&row))).collect();
    expect!["visitors 10, visits 4, pageviews 11, views_per_visit 2.50, bounce_rate 75, visit_duration 2, events 14"].assert_eq(&shown.join(", "));
    // Counts may be anything: nothing overflows, nothing is below zero.
    let wild =
        counts("0 1 9223372036854775807 9223372036854775807 -9223372036854775808 -5 -9223372036854775808");
    let shown: Vec<String> =
        Metric::TABLE.iter().map(|m| format!("{} {}", m.key, m.metric.value(&wild))).collect();
    expect!["visitors 0, visits 1, pageviews 9223372036854775807, views_per_visit 92233720368547758.07, bounce_rate 9223372036854775807, visit_duration 0, events 9223372036854775807"].assert_eq(&shown.join(", "));
}

#[test]
fn periods() {
    // It is Sunday, 15 September 2024, 01:30 in Berlin; there is data from 1 August on.
    let (now, zone) = (at("2024-09-14T23:30:00Z"), zone("Europe/Berlin"));
    let bounds = Some((day("2024-08-01"), day("2024-09-14")));
    let urls = [
        "period=today",
        "period=day",
        "period=yesterday",
        "period=7d",
        "period=30d",
        "period=90d",
        "period=month",
        "period=year",
        "period=all",
        "from=2024-08-01&to=2024-08-31",
        "to=2024-09-02&from=2024-09-06&x",
        "from=2024-09-01&to=2024-09-15",
        "x=1&period=28d&from=2024-09-06",
        "from=2024-08-16&to=2024-09-01",
        "from=2023-01-01&to=2023-12-31",
        // Nothing that can be understood.
        "",
        "period=",
        "period=0d",
        "period=5001d",
        "period=+7d",
        "period=%37d",
        "from=2024-09-06",
        "from=x&to=y",
        "from=0001-01-01&to=9999-12-31",
    ];
    let mut table = String::new();
    for url in urls {
        let Some(period) = Period::from_url(url) else {
            table += &format!("{url:?}: none\n");
            continue;
        };
        let days = period.days(now, &zone, bounds);
        let before = previous(&days);
        let step = |by| period.step(by, now, &zone, bounds).map_or("-".into(), |period| period.to_url());
        table += &format!(
            "{url} = {}\n    {} {} by {}, compared with {} {}\n    < {}   {} >\n",
            period.to_url(),
            days.start(),
            days.end(),
            interval(&days).key(),
            before.start(),
            before.end(),
            step(-1),
            step(1),
        );
    }
    expect![[r#"
        period=today = period=today
            2024-09-15 2024-09-15 by hour, compared with 2024-09-14 2024-09-14
            < period=yesterday   - >
        period=day = period=today
            2024-09-15 2024-09-15 by hour, compared with 2024-09-14 2024-09-14
            < period=yesterday   - >
        period=yesterday = period=yesterday
            2024-09-14 2024-09-14 by hour, compared with 2024-09-13 2024-09-13
            < from=2024-09-13&to=2024-09-13   period=today >
        period=7d = period=7d
            2024-09-09 2024-09-15 by day, compared with 2024-09-02 2024-09-08
            < from=2024-09-02&to=2024-09-08   - >
        period=30d = period=30d
            2024-08-17 2024-09-15 by day, compared with 2024-07-13 2024-08-11
            < from=2024-07-18&to=2024-08-16   - >
        period=90d = period=90d
            2024-06-18 2024-09-15 by day, compared with 2024-03-19 2024-06-16
            < -   - >
        period=month = period=month
            2024-09-01 2024-09-15 by day, compared with 2024-08-11 2024-08-25
            < from=2024-08-01&to=2024-08-31   - >
        period=year = period=year
            2024-01-01 2024-09-15 by week, compared with 2023-04-17 2023-12-31
            < -   - >
        period=all = period=all
            2024-08-01 2024-09-15 by day, compared with 2024-06-13 2024-07-28
            < -   - >
        from=2024-08-01&to=2024-08-31 = from=2024-08-01&to=2024-08-31
            2024-08-01 2024-08-31 by day, compared with 2024-06-27 2024-07-27
            < -   period=month >
        to=2024-09-02&from=2024-09-06&x = from=2024-09-02&to=2024-09-06
            2024-09-02 2024-09-06 by day, compared with 2024-08-28 2024-09-01
            < from=2024-08-28&to=2024-09-01   from=2024-09-07&to=2024-09-11 >
        from=2024-09-01&to=2024-09-15 = from=2024-09-01&to=2024-09-15
            2024-09-01 2024-09-15 by day, compared with 2024-08-11 2024-08-25
            < from=2024-08-17&to=2024-08-31   - >
        x=1&period=28d&from=2024-09-06 = period=28d
            2024-08-19 2024-09-15 by day, compared with 2024-07-22 2024-08-18
            < from=2024-07-22&to=2024-08-18   - >
        from=2024-08-16&to=2024-09-01 = from=2024-08-16&to=2024-09-01
            2024-08-16 2024-09-01 by day, compared with 2024-07-26 2024-08-11
            < from=2024-07-30&to=2024-08-15   from=2024-09-02&to=2024-09-15 >
        from=2023-01-01&to=2023-12-31 = from=2023-01-01&to=2023-12-31
            2023-01-01 2023-12-31 by week, compared with 2021-12-26 2022-12-25
            < -   period=year >
        "": none
        "period=": none
        "period=0d": none
        "period=5001d": none
        "period=+7d": none
        "period=%37d": none
        "from=2024-09-06": none
        "from=x&to=y": none
        "from=0001-01-01&to=9999-12-31": none
    "#]]
    .assert_eq(&table);

    // On the first of a month, today and this month are the same days and still step differently.
    let first = at("2024-09-01T10:00:00Z");
    let step = |period: Period, by| period.step(by, first, &zone, bounds).map(|period| period.to_url());
    assert_eq!(step(Period::Today, -1).as_deref(), Some("period=yesterday"));
    assert_eq!(step(Period::Month, -1).as_deref(), Some("from=2024-08-01&to=2024-08-31"));
    assert_eq!(
        step(Period::Custom(day("2024-08-01")..=day("2024-08-31")), 1).as_deref(),
        Some("period=month")
    );
    assert_eq!(step(Period::Yesterday, 1).as_deref(), Some("period=today"));
}

fn rollups(dim: Dim) -> impl Strategy<Value = Vec<(Day, Dim, Rollup)>> {
    let counts = prop::array::uniform7(0i64..5).prop_map(Counts::from_array);
    let cells = prop::collection::btree_map("[a-e]", counts, 0..5);
    let entry = (0i32..30, cells).prop_map(move |(day, cells)| {
        let cells = cells.into_iter().map(|(value, counts)| (Text::from(value), counts)).collect();
        (Day(day), dim, Rollup { cells })
    });
    prop::collection::vec(entry, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Merging days, units and the live state first, or reporting on them apart and adding: the same.
    #[test]
    fn report_of_a_sum_is_the_sum_of_reports(a in rollups(Dim::Source), b in rollups(Dim::Source)) {
        let query = Query::top(Dimension::Value(Dim::Source), Metric::Visitors, usize::MAX, Day(0)..=Day(29), &TimeZone::UTC);
        let plan = plan(&query).expect("a plan");
        let rows = |data: &[_]| {
            let report = report(&query, &plan, data);
            report.rows.iter().map(|row| (row.label().to_owned(), row.counts)).collect::<Vec<_>>()
        };
        let mut sum = std::collections::BTreeMap::<String, Counts>::new();
        for (label, counts) in rows(&a).into_iter().chain(rows(&b)) {
            *sum.entry(label).or_default() += counts;
        }
        let both: Vec<_> = a.iter().chain(&b).cloned().collect();
        let mut merged = rows(&both);
        merged.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(merged, sum.into_iter().collect::<Vec<_>>());
        let reversed: Vec<_> = both.iter().rev().cloned().collect();
        prop_assert_eq!(rows(&both), rows(&reversed));
    }

    /// The first N by a metric, against picking the greatest that is left, N times.
    #[test]
    fn top_is_the_greatest_one_by_one(
        data in rollups(Dim::Source), limit in 1usize..4, offset in 0usize..4,
        metric in prop::sample::select(Metric::TABLE.iter().map(|row| row.metric).collect::<Vec<_>>()),
    ) {
        let mut query = Query::top(Dimension::Value(Dim::Source), metric, limit, Day(3)..=Day(20), &TimeZone::UTC);
        query.offset = offset;
        let report = report(&query, &plan(&query).expect("a plan"), &data);

        let mut left = Vec::new();
        for label in ["a", "b", "c", "d", "e"] {
            let mut sum = Counts::default();
            for (day, _, rollup) in &data {
                for (_, counts) in rollup.cells.iter().filter(|(value, _)| (3..=20).contains(&day.0) && value == label) {
                    sum += *counts;
                }
            }
            left.push((label, sum));
        }
        left.retain(|(_, counts)| !counts.is_zero());
        prop_assert_eq!(report.total_rows, left.len());
        let mut expected = Vec::new();
        while !left.is_empty() {
            let mut best = 0;
            for n in 1..left.len() {
                if metric.value(&left[n].1) > metric.value(&left[best].1) {
                    best = n;
                }
            }
            expected.push(left.remove(best));
        }
        let expected: Vec<_> = expected.into_iter().skip(offset).take(limit).collect();
        let rows: Vec<_> = report.rows.iter().map(|row| (row.label(), row.counts)).collect();
        prop_assert_eq!(rows, expected);
    }

    /// However a range is cut, every count lands in exactly one bucket, and every bucket has a label.
    #[test]
    fn a_series_loses_nothing(data in rollups(Dim::Total), from in 0i32..30, to in 0i32..30) {
        let days = Day(from.min(to))..=Day(from.max(to));
        let total = Query::totals(days.clone(), &TimeZone::UTC);
        let total = report(&total, &plan(&total).expect("a plan"), &data).totals();
        for interval in [Interval::Day, Interval::Week, Interval::Month] {
            let query = Query::series(interval, days.clone(), &TimeZone::UTC);
            let mut sum = Counts::default();
            for (_, counts) in report(&query, &plan(&query).expect("a plan"), &data).series() {
                sum += counts;
            }
            prop_assert_eq!(sum, total);
        }
    }
}

proptest! {
    // A hundred years of labels take a moment.
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever comes in, there is an answer or a sentence.
    #[test]
    fn no_query_panics(
        word in "[0-9+-]{0,6}(d|mo|h|day)|\\PC{0,12}", from in "\\PC{0,8}|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:00Z)?",
        now in any::<i64>(), text in "\\PC{0,40}", bounds in any::<Option<(i32, i32)>>(),
    ) {
        let bounds = bounds.map(|(a, b)| (Day(a.min(b)), Day(a.max(b))));
        let zone = zone("Europe/Berlin");
        for range in [serde_json::json!(word), serde_json::json!([from, word]), serde_json::json!([from, from]), serde_json::json!("all")] {
            for by in ["time", "time:week", "time:hour", "visit:source", &text] {
                let json = serde_json::json!({"metrics": ["visits"], "date_range": range, "dimensions": [by]});
                if let Ok(query) = parse(json.to_string().as_bytes(), &zone, now, bounds) {
                    let report = report::<Rollup>(&query, &plan(&query).expect("parse plans"), &[]);
                    report.to_json(&query, "example.com");
                }
            }
        }
        let _ = parse(text.as_bytes(), &zone, now, bounds);
        if let Some(period) = Period::from_url(&text).or(Period::from_url(&format!("period={word}"))) {
            let days = period.days(now, &zone, bounds);
            let _ = (previous(&days), interval(&days), period.step(-1, now, &zone, bounds), period.step(1, now, &zone, bounds));
        }
    }
}
