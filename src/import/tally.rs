//! What became of an import's lines: counted, not page views, dropped, unreadable; each by name.

use super::access_log::{NoView, Refusal};
use passerby_engine::event::Reason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every line is in exactly one of these: `lines` is the sum of page views and of the three tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub lines: u64,
    /// Lines that were counted as page views.
    pub pageviews: u64,
    /// Requests that are no page views, by [`NoView`]'s name.
    #[serde(default)]
    pub not_views: BTreeMap<String, u64>,
    /// Page views that were not counted, by [`Reason`]'s name, or `day_closed`.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    /// Lines that could not be read, by [`Refusal`]'s name.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
}

/// A page view of a day that had to leave memory before it came: files were not given oldest first.
pub const DAY_CLOSED: &str = "day_closed";

impl Tally {
    pub fn refuse(&mut self, refusal: Refusal) {
        *self.refused.entry(refusal.name().into()).or_default() += 1;
    }

    pub fn no_view(&mut self, why: NoView) {
        *self.not_views.entry(why.name().into()).or_default() += 1;
    }

    pub fn drop(&mut self, reason: Reason) {
        *self.dropped.entry(reason.name().into()).or_default() += 1;
    }

    pub fn drop_late(&mut self) {
        *self.dropped.entry(DAY_CLOSED.into()).or_default() += 1;
    }

    /// What the names mean, for people.
    pub fn meaning(name: &str) -> &'static str {
        match name {
            "not_get" => "other methods than GET",
            "not_answered" => "errors and redirections",
            "asset" => "images, styles and other files",
            "bot" => "agents that say they are machines (--keep-bots counts them)",
            "day_closed" => "too far out of order (give the files oldest first)",
            "empty" => "empty",
            "too_long" => "longer than 64 KiB",
            "virtual_host" => "begin with a virtual host's name (cut it off: `cut -d' ' -f2-`)",
            "no_address" => "do not begin with an address",
            "no_time" => "without a time",
            "bad_time" => "a time that cannot be",
            "no_request" => "without an HTTP request",
            "no_status" => "without a status",
            "cut_off" => "cut off",
            _ => "",
        }
    }
}
