//! Which rollups answer a query, or why none can.

use super::{Dimension, Interval, Metric, Query};
use crate::event::Day;
use crate::rollup::Dim;
use std::ops::RangeInclusive;

/// What has to be read: all days' rollups of these dimensions.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    pub dims: Vec<Dim>,
    pub days: RangeInclusive<Day>,
    /// Whether imported days are read too.
    pub imports: bool,
}

/// Plans a query; Err is a sentence that says what rollups cannot answer.
///
/// By page, bounce rate and visit duration are those of the visits that *entered* at the page (Plausible's
/// rule), so the entry pages' rollup is read beside the pages'.
pub fn plan(query: &Query) -> Result<Plan, String> {
    let dims = match query.dimensions.as_slice() {
        [] => vec![Dim::Total],
        [Dimension::Time(Interval::Hour)] => vec![Dim::Hour],
        [Dimension::Time(_)] => vec![Dim::Total],
        [Dimension::Value(Dim::Page)] if query.metrics.iter().any(|m| m.is_of_visits()) => {
            vec![Dim::Page, Dim::EntryPage]
        }
        [Dimension::Value(dim)] => vec![*dim],
        [Dimension::Prop(_)] => vec![Dim::Prop],
        _ => {
            return Err(
                "dimensions: more than one at a time, time included, needs a scan of single events, \
                        which a later version brings; ask for one."
                    .into(),
            );
        }
    };
    if !query.is_whole_days() && query.dimensions != [Dimension::Time(Interval::Hour)] {
        return Err(
            "date_range: a part of a day can be asked for by \"time:hour\" only; everything else is kept by \
                    whole local days."
                .into(),
        );
    }
    for dimension in &query.dimensions {
        if let Some(metric) = query.metrics.iter().find(|&&metric| !fits(metric, dimension)) {
            return Err(format!("metrics: {} cannot be broken down by {dimension}.", metric.key()));
        }
    }
    Ok(Plan { dims, days: query.days.clone(), imports: query.include_imports != Some(false) })
}

/// Whether a metric means something by a dimension. A page view or an event has no duration and does not
/// bounce, its visit does; what was dropped is only counted.
pub fn fits(metric: Metric, dimension: &Dimension) -> bool {
    match dimension {
        Dimension::Value(Dim::EventName) | Dimension::Prop(_) => !metric.is_of_visits(),
        Dimension::Value(Dim::Page) => metric != Metric::ViewsPerVisit,
        Dimension::Value(Dim::Dropped) => metric == Metric::Events,
        _ => true,
    }
}
