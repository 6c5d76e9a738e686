//! The JSON of Plausible's Stats API v2 to a [`Query`].

use super::Query;
use crate::event::Day;
use jiff::tz::TimeZone;

/// Reads a query. `now_ms` is Unix milliseconds; `bounds` are the first and last day with data, for `all`.
/// Err is one sentence that names the key and what is allowed; it holds nothing but names from the query.
pub fn parse(
    _json: &[u8],
    _zone: &TimeZone,
    _now_ms: i64,
    _bounds: Option<(Day, Day)>,
) -> Result<Query, String> {
    todo!()
}
