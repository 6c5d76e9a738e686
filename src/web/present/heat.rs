//! The picture of the week, from hours.

use super::Scene;
use super::steps::{day_of, hour_of};
use crate::web::face::dates;
use crate::web::face::heat::Heat;
use crate::web::window::{self, Window};
use passerby_engine::query::Report;

/// None until a week has been counted: a weekday that has not come yet is not a quiet one.
pub(super) fn heat(scene: &Scene, window: &Window, hours: &Report) -> Option<Heat> {
    let begun = scene.bounds.map_or(window.today, |(first, _)| first);
    let counted = begun.max(*window.days.start())..=*window.days.end();
    if window::length(&counted) < 7 {
        return None;
    }
    let mut cells = [[0i64; 24]; 7];
    for (label, counts) in hours.rows.iter().map(|row| (row.label(), row.counts)) {
        if let (Some(day), Some(hour)) = (day_of(label), hour_of(label)) {
            let cell = &mut cells[dates::weekday(day)][hour];
            *cell = cell.saturating_add(counts.pageviews);
        }
    }
    cells.iter().flatten().any(|n| *n > 0).then_some(Heat { cells, one: "page view", many: "page views" })
}
