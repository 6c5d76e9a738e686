//! An answer as Plausible's Stats API v2 gives it: `results`, `meta`, and the query as it was understood.
//! The order of keys is theirs; a meta key is there only if it was asked for.

use super::{Dimension, Direction, MAX_ROWS, Metric, Order, Query, Report, Row, Value};
use crate::event::Text;
use crate::rollup::Dim;
use crate::time;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Response<'a> {
    results: Vec<ResponseRow<'a>>,
    meta: Meta<'a>,
    query: Echo<'a>,
}

#[derive(Serialize)]
struct ResponseRow<'a> {
    metrics: Vec<Value>,
    dimensions: Vec<&'a str>,
}

#[derive(Serialize)]
struct Meta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    imports_included: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_labels: Option<&'a [Text]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_rows: Option<usize>,
}

#[derive(Serialize)]
struct Echo<'a> {
    site_id: &'a str,
    metrics: Vec<&'static str>,
    date_range: [String; 2],
    filters: [(); 0],
    dimensions: Vec<String>,
    order_by: Vec<(String, &'static str)>,
    include: Include,
    pagination: Pagination,
}

#[derive(Serialize)]
struct Include {
    #[serde(skip_serializing_if = "Option::is_none")]
    imports: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    time_labels: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_rows: bool,
}

#[derive(Serialize)]
struct Pagination {
    offset: usize,
    limit: usize,
}

impl Report {
    /// The answer as Plausible's Stats API v2 gives it: `results`, `meta` and the query as it was understood.
    /// `site` is the site's domain.
    pub fn to_json(&self, query: &Query, site: &str) -> String {
        let response = Response {
            results: self.rows.iter().map(|row| result(row, query)).collect(),
            meta: Meta {
                imports_included: query.include_imports,
                time_labels: query.include_time_labels.then_some(&self.time_labels[..]),
                total_rows: query.include_total_rows.then_some(self.total_rows),
            },
            query: echo(query, site),
        };
        serde_json::to_string(&response).unwrap_or_default()
    }
}

fn result<'a>(row: &'a Row, query: &Query) -> ResponseRow<'a> {
    let labels = row.labels.iter().zip(&query.dimensions);
    ResponseRow {
        metrics: query.metrics.iter().map(|&metric| row.value(metric)).collect(),
        dimensions: labels.map(|(text, dimension)| shown(text, dimension)).collect(),
    }
}

/// What stands for a value that is not there, as in Plausible.
fn shown<'a>(text: &'a str, dimension: &Dimension) -> &'a str {
    match dimension {
        _ if !text.is_empty() => text,
        Dimension::Value(Dim::Source | Dim::Referrer) => "Direct / None",
        Dimension::Prop(_) => "(none)",
        _ => "(not set)",
    }
}

fn echo<'a>(query: &Query, site: &'a str) -> Echo<'a> {
    let by = |order: &Order| match order {
        Order::Metric(metric) => metric.key().to_owned(),
        Order::Dimension(n) => query.dimensions.get(*n).map(Dimension::to_string).unwrap_or_default(),
    };
    let way = |direction: Direction| {
        if direction == Direction::Ascending { "asc" } else { "desc" }
    };
    Echo {
        site_id: site,
        metrics: query.metrics.iter().map(|metric: &Metric| metric.key()).collect(),
        date_range: date_range(query),
        filters: [],
        dimensions: query.dimensions.iter().map(Dimension::to_string).collect(),
        order_by: query.order.iter().map(|(order, direction)| (by(order), way(*direction))).collect(),
        include: Include {
            imports: query.include_imports,
            time_labels: query.include_time_labels,
            total_rows: query.include_total_rows,
        },
        pagination: Pagination { offset: query.offset, limit: query.limit.min(MAX_ROWS) },
    }
}

/// The first and the last second of the range, with the zone's offset then.
fn date_range(query: &Query) -> [String; 2] {
    let (first, last) = (*query.days.start(), *query.days.end());
    let first_ms = time::hour_ms(&query.zone, first, query.first_hour);
    // An end within a day is an hour's; whole days end where the next begins, be they 23 hours long or 25.
    let end_ms = match query.last_hour {
        23.. => time::start_ms(&query.zone, time::plus(last, 1)),
        hour => time::hour_ms(&query.zone, last, hour + 1),
    };
    [first_ms, end_ms - 1000].map(|at_ms| {
        let offset_s = time::local(&query.zone, at_ms).offset_s;
        let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX);
        let offset = jiff::tz::Offset::from_seconds(offset_s).unwrap_or(jiff::tz::Offset::UTC);
        at.display_with_offset(offset).to_string()
    })
}
