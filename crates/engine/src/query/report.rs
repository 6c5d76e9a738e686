//! Rollups to an answer: add what belongs together, order it, cut the page asked for.

use super::{Metric, Plan, Query, Value};
use crate::event::{Day, Text};
use crate::rollup::{Counts, Dim, Rollup};

/// One row: the values of the dimensions and the numbers beneath, from which every metric follows.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub labels: Vec<Text>,
    pub counts: Counts,
    /// What bounce rate and visit duration are of: `counts` itself, except by page, where it is the visits
    /// that entered there.
    pub visits: Counts,
}

impl Row {
    /// The figure of a metric in this row.
    pub fn value(&self, metric: Metric) -> Value {
        metric.value(if metric.is_of_visits() {
            &self.visits
        } else {
            &self.counts
        })
    }

    /// The value of the only dimension; empty for totals.
    pub fn label(&self) -> &str {
        self.labels.first().map_or("", |label| label.as_str())
    }
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// The page of rows asked for. A query without dimensions has exactly one; by time, hours, days, weeks
    /// and months in which nothing was counted are absent (see [`Report::series`]).
    pub rows: Vec<Row>,
    /// How many rows there are without limit and offset.
    pub total_rows: usize,
    /// Every time label of the range, if time is a dimension.
    pub time_labels: Vec<Text>,
}

/// Makes the answer of the rollups a plan asked for. Several entries of a day and dimension add up, entries of
/// other days or dimensions are ignored, and their order does not matter.
pub fn report(_query: &Query, _plan: &Plan, _data: &[(Day, Dim, Rollup)]) -> Report {
    todo!()
}

impl Report {
    /// One entry for every time label, zero where nothing was counted: what a chart draws.
    pub fn series(&self) -> Vec<(Text, Counts)> {
        todo!()
    }

    /// The answer as Plausible's Stats API v2 gives it: `results`, `meta` and the query as it was understood.
    pub fn to_json(&self, _query: &Query, _site: &str) -> String {
        todo!()
    }
}
