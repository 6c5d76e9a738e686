//! The JSON of Plausible's Stats API v2 to a [`Query`].
//!
//! Where that API is lenient by accident (a key misspelt, a metric asked twice) this is strict, since a
//! report that answers another question than the one asked is worse than none. Every refusal is one
//! sentence that begins with the key it is about and says what is allowed there. What differs on purpose:
//! imports count unless `"imports": false` is said; `filters` and several dimensions are refused for now;
//! a part of a day is answered by hour only.

use super::{Dimension, Direction, Interval, MAX_ROWS, Metric, Order, Query, plan};
use crate::event::{Day, Text};
use crate::rollup::Dim;
use crate::time;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// The longest range, in days: a hundred years.
const MAX_DAYS: i32 = 36_525;

/// The longest range by hour, in days: about as many hours as an answer has rows.
const MAX_DAYS_BY_HOUR: i32 = 400;

/// The longest key of a custom property, in bytes (the Events API's limit).
const MAX_PROP_KEY: usize = 300;

/// Reads a query. `now_ms` is Unix milliseconds; `bounds` are the first and last day with data, for `all`.
/// Err is one sentence that names the key and what is allowed; of the query it quotes only short pieces.
/// `site_id` is the caller's to read and to check.
pub fn parse(json: &[u8], zone: &TimeZone, now_ms: i64, bounds: Option<(Day, Day)>) -> Result<Query, String> {
    let value: Value =
        serde_json::from_slice(json).map_err(|error| format!("The query is not JSON: {error}."))?;
    let Value::Object(query) = &value else {
        return Err("The query is not a JSON object.".into());
    };
    only(query, "", &KEYS)?;

    let metrics = metrics(query.get("metrics"))?;
    let range = range(query.get("date_range"), zone, now_ms, bounds)?;
    let names = names("dimensions", query.get("dimensions"))?;
    let dimensions = names.iter().map(|name| dimension(name, &range.days)).collect::<Result<Vec<_>, _>>()?;
    let order = order(query.get("order_by"), &metrics, &names, &dimensions)?;
    let include = include(query.get("include"))?;
    let (limit, offset) = pagination(query.get("pagination"))?;
    no_filters(query.get("filters"))?;

    let by_time = dimensions.iter().any(|dimension| matches!(dimension, Dimension::Time(_)));
    if include.time_labels && !by_time {
        return Err("include.time_labels: needs a time dimension: time, time:hour, time:day, time:week or \
                    time:month."
            .into());
    }
    let by_hour = dimensions == [Dimension::Time(Interval::Hour)];
    if by_hour && time::len(&range.days) > MAX_DAYS_BY_HOUR {
        return Err(format!("date_range: by hour at most {MAX_DAYS_BY_HOUR} days at once."));
    }
    let range = if include.trim { range.trimmed(by_hour, zone, now_ms) } else { range };

    let query = Query {
        metrics,
        dimensions,
        days: range.days,
        first_hour: range.first_hour,
        last_hour: range.last_hour,
        zone: zone.clone(),
        order,
        limit,
        offset,
        include_total_rows: include.total_rows,
        include_time_labels: include.time_labels,
        include_imports: include.imports,
    };
    plan(&query)?;
    Ok(query)
}

const KEYS: [&str; 8] =
    ["site_id", "metrics", "date_range", "dimensions", "filters", "order_by", "include", "pagination"];

/// Refuses keys that an object does not have. `path` is the object's own name and a dot, or nothing.
fn only(object: &Map<String, Value>, path: &str, allowed: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(key) => Err(format!("{path}{}: no such key; there are {}.", short(key), allowed.join(", "))),
        None => Ok(()),
    }
}

/// At most 60 characters of something from outside, without control characters.
fn short(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A list of different names; nothing and null are an empty one.
fn names(key: &str, value: Option<&Value>) -> Result<Vec<String>, String> {
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(format!("{key}: not a list of names.")),
    };
    let mut names = Vec::with_capacity(list.len());
    for value in list {
        let Value::String(name) = value else {
            return Err(format!("{key}: not a list of names."));
        };
        if names.contains(name) {
            return Err(format!("{key}: {} stands there twice.", short(name)));
        }
        names.push(name.clone());
    }
    Ok(names)
}

fn metrics(value: Option<&Value>) -> Result<Vec<Metric>, String> {
    let all = || Metric::TABLE.map(|row| row.key).join(", ");
    let names = names("metrics", value)?;
    if names.is_empty() {
        return Err(format!("metrics: at least one of {}.", all()));
    }
    let metric = |name: &String| {
        Metric::from_key(name).ok_or_else(|| format!("metrics: {} is not one of {}.", short(name), all()))
    };
    names.iter().map(metric).collect()
}

/// The days and hours that a `date_range` means.
struct Range {
    days: RangeInclusive<Day>,
    first_hour: u8,
    last_hour: u8,
    /// Whether it was said by a word that means the whole of something not yet over.
    running: bool,
}

impl Range {
    fn whole(first: Day, last: Day) -> Range {
        Range { days: first..=last, first_hour: 0, last_hour: 23, running: false }
    }

    /// Without what is still to come, so that a curve has no empty end.
    fn trimmed(mut self, by_hour: bool, zone: &TimeZone, now_ms: i64) -> Range {
        let now = time::local(zone, now_ms);
        if !self.running || !self.days.contains(&now.day) {
            return self;
        }
        self.days = *self.days.start()..=now.day;
        if by_hour {
            self.last_hour = time::hour_of(now_ms, now.offset_s) as u8;
        }
        self
    }
}

const RANGES: &str = "day, 24h, 7d, 28d, 30d, 91d, month, 6mo, 12mo, year, all, another number of days (1d to \
                      5000d) or months (1mo to 100mo), or a list of two dates or of two times with offset";

fn range(
    value: Option<&Value>,
    zone: &TimeZone,
    now_ms: i64,
    bounds: Option<(Day, Day)>,
) -> Result<Range, String> {
    let range = match value {
        Some(Value::String(word)) => range_of_word(word, zone, now_ms, bounds)
            .ok_or_else(|| format!("date_range: {} is not one of {RANGES}.", short(word)))?,
        Some(Value::Array(ends)) => match ends.as_slice() {
            [Value::String(from), Value::String(to)] => range_of_ends(from, to, zone)?,
            _ => {
                return Err(format!("date_range: neither two dates nor two times; allowed are {RANGES}."));
            }
        },
        _ => return Err(format!("date_range: needed; allowed are {RANGES}.")),
    };
    if time::len(&range.days) > MAX_DAYS {
        return Err(format!("date_range: longer than {MAX_DAYS} days, a hundred years."));
    }
    Ok(range)
}

/// `7d` and the like end yesterday, `6mo` and the like with the month before this one; `day`, `month` and
/// `year` are the whole of the one that is running.
fn range_of_word(word: &str, zone: &TimeZone, now_ms: i64, bounds: Option<(Day, Day)>) -> Option<Range> {
    let today = time::local(zone, now_ms).day;
    let running = |first, last| Some(Range { running: true, ..Range::whole(first, last) });
    match word {
        "day" => return running(today, today),
        "month" => {
            return running(time::first_of_month(today, 0), time::last_of_month(today, 0));
        }
        "year" => return running(time::first_of_year(today), time::last_of_year(today)),
        "all" => {
            let (first, last) = bounds.unwrap_or((today, today));
            let last = last.max(today);
            return Some(Range::whole(first.max(time::plus(last, 1 - MAX_DAYS)), last));
        }
        "24h" => {
            // The running hour and the 23 before it.
            let from_ms = now_ms.saturating_sub(23 * 3_600_000);
            let hour = |at_ms| time::hour_of(at_ms, time::local(zone, at_ms).offset_s) as u8;
            let days = time::local(zone, from_ms).day..=today;
            return Some(Range { days, first_hour: hour(from_ms), last_hour: hour(now_ms), running: false });
        }
        _ => {}
    }
    if let Some(days) = word.strip_suffix('d').and_then(|n| number(n, 5000)) {
        let last = time::day_before(zone, today);
        return Some(Range::whole(time::plus(last, 1 - days), last));
    }
    let months = word.strip_suffix("mo").and_then(|n| number(n, 100))?;
    Some(Range::whole(time::first_of_month(today, -months), time::last_of_month(today, -1)))
}

/// Digits alone, from 1 to `max`.
fn number(text: &str, max: i32) -> Option<i32> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|n| (1..=max).contains(n))
}

fn range_of_ends(from: &str, to: &str, zone: &TimeZone) -> Result<Range, String> {
    if let (Some(from), Some(to)) = (time::parse_day(from), time::parse_day(to)) {
        return Ok(Range::whole(from.min(to), from.max(to)));
    }
    let times = from.parse::<Timestamp>().ok().zip(to.parse::<Timestamp>().ok());
    let Some((from, to)) = times.map(|(a, b)| (a.min(b), a.max(b))) else {
        return Err("date_range: neither two dates (2024-09-01) nor two times with offset \
                    (2024-09-01T00:00:00+02:00)."
            .into());
    };

    // The last second belongs to the range, as in 23:59:59; a full hour ends it.
    let from_ms = from.as_millisecond();
    let mut end_ms = to.as_millisecond();
    if !is_full_hour(zone, end_ms) {
        end_ms = (end_ms.div_euclid(1000) + 1) * 1000;
    }
    if !is_full_hour(zone, from_ms) || !is_full_hour(zone, end_ms) {
        return Err("date_range: counts are kept by local hours and days; let it begin at a full hour and end at one \
                    or in the second before."
            .into());
    }
    if end_ms <= from_ms {
        return Err("date_range: nothing lies between its ends.".into());
    }
    let (first, last) = (time::local(zone, from_ms), time::local(zone, end_ms - 1));
    let begins_day = from_ms == time::start_ms(zone, first.day);
    let ends_day = end_ms == time::start_ms(zone, time::plus(last.day, 1));
    Ok(Range {
        days: first.day..=last.day,
        first_hour: if begins_day { 0 } else { time::hour_of(from_ms, first.offset_s) as u8 },
        last_hour: if ends_day { 23 } else { time::hour_of(end_ms - 1, last.offset_s) as u8 },
        running: false,
    })
}

/// Whether a local hour or day begins at this moment.
fn is_full_hour(zone: &TimeZone, at_ms: i64) -> bool {
    let at = time::local(zone, at_ms);
    (at_ms + i64::from(at.offset_s) * 1000).rem_euclid(3_600_000) == 0
        || at_ms == time::start_ms(zone, at.day)
}

fn dimension(name: &str, days: &RangeInclusive<Day>) -> Result<Dimension, String> {
    if name == "time" {
        return Ok(Dimension::Time(interval(days)));
    }
    if let Some(interval) = name.strip_prefix("time:").and_then(Interval::from_key) {
        return Ok(Dimension::Time(interval));
    }
    if let Some(key) = name.strip_prefix("event:props:") {
        if key.is_empty() || key.len() > MAX_PROP_KEY || key.contains('\0') {
            return Err(format!(
                "dimensions: event:props: is followed by a property's name, 1 to {MAX_PROP_KEY} bytes."
            ));
        }
        return Ok(Dimension::Prop(Text::from(key)));
    }
    if name == "visit:screen" {
        return Ok(Dimension::Value(Dim::Device));
    }
    if let Some(row) = named().find(|row| row.key == name) {
        return Ok(Dimension::Value(row.dim));
    }
    let all: Vec<&str> = named().map(|row| row.key).collect();
    Err(format!(
        "dimensions: {} is not one of time, time:hour, time:day, time:week, time:month, {}, event:props: with a name.",
        short(name),
        all.join(", ")
    ))
}

/// The dimensions that are asked for by their key alone.
fn named() -> impl Iterator<Item = &'static crate::rollup::DimRow> {
    Dim::TABLE.iter().filter(|row| !matches!(row.dim, Dim::Total | Dim::Hour | Dim::Prop))
}

/// What `time` alone means: Plausible's steps (48 hours, 40 days apart, 52 weeks apart).
fn interval(days: &RangeInclusive<Day>) -> Interval {
    match time::len(days) {
        ..=2 => Interval::Hour,
        3..=41 => Interval::Day,
        42..=371 => Interval::Week,
        _ => Interval::Month,
    }
}

/// Without one: time ascending, else the first metric descending.
fn order(
    value: Option<&Value>,
    metrics: &[Metric],
    names: &[String],
    dimensions: &[Dimension],
) -> Result<Vec<(Order, Direction)>, String> {
    let sentence = "order_by: not a list of pairs like [\"visitors\", \"desc\"], with asc or desc.";
    let entries = match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) => return Err(sentence.into()),
    };
    let mut order = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some([Value::String(name), Value::String(direction)]) = entry.as_array().map(Vec::as_slice)
        else {
            return Err(sentence.into());
        };
        let direction = match direction.as_str() {
            "asc" => Direction::Ascending,
            "desc" => Direction::Descending,
            _ => return Err(sentence.into()),
        };
        let metric = Metric::from_key(name).filter(|metric| metrics.contains(metric));
        let known =
            dimensions.iter().zip(names).position(|(dim, asked)| asked == name || dim.to_string() == *name);
        let by = metric.map(Order::Metric).or(known.map(Order::Dimension));
        let by =
            by.ok_or_else(|| format!("order_by: {} is not among metrics or dimensions.", short(name)))?;
        if order.iter().any(|(other, _)| *other == by) {
            return Err(format!("order_by: {} stands there twice.", short(name)));
        }
        order.push((by, direction));
    }
    if order.is_empty() {
        if let Some(time) = dimensions.iter().position(|dimension| matches!(dimension, Dimension::Time(_))) {
            order.push((Order::Dimension(time), Direction::Ascending));
        }
        order.extend(metrics.first().map(|&metric| (Order::Metric(metric), Direction::Descending)));
    }
    Ok(order)
}

#[derive(Default)]
struct Include {
    total_rows: bool,
    time_labels: bool,
    imports: Option<bool>,
    trim: bool,
}

fn include(value: Option<&Value>) -> Result<Include, String> {
    let object = match value {
        None | Some(Value::Null) => return Ok(Include::default()),
        Some(Value::Object(object)) => object,
        Some(_) => return Err("include: not an object.".into()),
    };
    only(object, "include.", &["total_rows", "time_labels", "imports", "trim_relative_date_range"])?;
    let flag = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(format!("include.{key}: true or false.")),
    };
    Ok(Include {
        total_rows: flag("total_rows")?.unwrap_or(false),
        time_labels: flag("time_labels")?.unwrap_or(false),
        imports: flag("imports")?,
        trim: flag("trim_relative_date_range")?.unwrap_or(false),
    })
}

/// Limit and offset.
fn pagination(value: Option<&Value>) -> Result<(usize, usize), String> {
    let object = match value {
        None | Some(Value::Null) => return Ok((MAX_ROWS, 0)),
        Some(Value::Object(object)) => object,
        Some(_) => return Err("pagination: not an object.".into()),
    };
    only(object, "pagination.", &["limit", "offset"])?;
    let whole = |key: &str| object.get(key).map(|value| value.as_u64().and_then(|n| usize::try_from(n).ok()));
    let limit = match whole("limit") {
        None => MAX_ROWS,
        Some(Some(limit)) if (1..=MAX_ROWS).contains(&limit) => limit,
        Some(_) => {
            return Err(format!("pagination.limit: a whole number from 1 to {MAX_ROWS}."));
        }
    };
    match whole("offset") {
        None => Ok((limit, 0)),
        Some(Some(offset)) => Ok((limit, offset)),
        Some(None) => Err("pagination.offset: a whole number from 0 on.".into()),
    }
}

fn no_filters(value: Option<&Value>) -> Result<(), String> {
    match value {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(list)) if list.is_empty() => Ok(()),
        Some(Value::Array(_)) => {
            Err("filters: not there yet; a later version answers them by scanning single events.".into())
        }
        Some(_) => Err("filters: not a list.".into()),
    }
}
