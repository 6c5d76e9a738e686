//! Bytes to hits: our batch format, a bare JSON array, and Plausible's event.

use crate::event::{Kind, Measure, Reason, Revenue, Text};

/// Greatest body, bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// What one request sent, before anything is known about who sent it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Hits {
    /// The sites it is for: one domain, or several for Plausible's comma-separated list. Without `www.`.
    pub sites: Vec<Text>,
    /// The browser's random id of the batch, if it sent one.
    pub batch: Option<Text>,
    /// How long ago the batch was first sent, ms.
    pub sent_ms: u32,
    pub hits: Vec<Hit>,
    /// Hits refused while reading, by their index in the request.
    pub dropped: Vec<(u32, Reason)>,
}

/// One thing that a page sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// Its index in the request.
    pub index: u32,
    pub kind: Kind,
    /// As sent, except that it is cut to what we read of it.
    pub url: Text,
    pub referrer: Text,
    /// Milliseconds since it happened, by the sender's own clock differences.
    pub age_ms: i64,
    /// Whether the fragment belongs to the path.
    pub hash_mode: bool,
    pub name: Text,
    pub props: Vec<(Text, Text)>,
    pub interactive: bool,
    pub engaged_ms: u32,
    pub scroll: Option<u8>,
    pub revenue: Option<Revenue>,
    /// Sorted by measure, each at most once.
    pub numbers: Vec<(Measure, i64)>,
}
