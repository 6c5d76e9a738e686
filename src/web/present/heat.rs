//! The picture of the week, from hours.

use super::steps::{day_of, hour_of};
use crate::web::face::dates;
use crate::web::face::heat::Heat;
use crate::web::window::{self, Window};
use passerby_engine::query::Report;

pub(super) fn heat(window: &Window, hours: &Report) -> Option<Heat> {
    if window::length(&window.days) < 2 {
        return None;
    }
    let mut cells = [[0i64; 24]; 7];
    for (label, counts) in hours.rows.iter().map(|row| (row.label(), row.counts)) {
        if let (Some(day), Some(hour)) = (day_of(label), hour_of(label)) {
            let cell = &mut cells[dates::weekday(day)][hour];
            *cell = cell.saturating_add(counts.pageviews);
        }
    }
    cells.iter().flatten().any(|n| *n > 0).then_some(Heat {
        cells,
        unit: "page views",
    })
}
