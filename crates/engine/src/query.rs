//! Questions and answers: a [`Query`] is planned into the rollups it needs, and those make a [`Report`].

use crate::event::{Day, Text};
use crate::rollup::{Counts, Dim};
use std::ops::RangeInclusive;

/// A figure of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    Visitors,
    Visits,
    Pageviews,
    /// Page views that belong to visits, a visit. Two decimals.
    ViewsPerVisit,
    /// Visits that did not engage, per cent.
    BounceRate,
    /// Mean duration, whole seconds.
    VisitDuration,
    Events,
}

/// What time is cut into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interval {
    Hour,
    Day,
    Week,
    Month,
}

/// What rows of a report are about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dimension {
    Time(Interval),
    Value(Dim),
    /// One custom property.
    Prop(Text),
}

/// A question about one site. `Filter`s are parsed into a tree; the planner refuses what it cannot answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    pub metrics: Vec<Metric>,
    /// None, or one; (time and one other is for a scan).
    pub dimensions: Vec<Dimension>,
    /// Whole local days.
    pub days: RangeInclusive<Day>,
    pub order: Vec<(Order, Direction)>,
    pub limit: usize,
    pub offset: usize,
    pub include_total_rows: bool,
    pub include_time_labels: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    Metric(Metric),
    Dimension(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Ascending,
    Descending,
}

/// What a plan needs to be read: all days' rollups of these dimensions.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    pub dims: Vec<Dim>,
    pub days: RangeInclusive<Day>,
}

/// One row: the values of the dimensions and the numbers beneath, from which every metric follows.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub labels: Vec<Text>,
    pub counts: Counts,
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub rows: Vec<Row>,
    /// How many rows there are without the limit.
    pub total_rows: usize,
    /// Every time label of the range, if time is a dimension.
    pub time_labels: Vec<Text>,
}
