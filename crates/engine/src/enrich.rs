//! Hits to events. The address and the user agent end here.

use crate::event::{Batch, Day, Place, Reason, SiteId, Text};
use crate::visitor::Salt;
use jiff::tz::TimeZone;
use std::net::IpAddr;

/// Who sent a request, as far as it may be believed. Never stored; lives as long as the request.
pub struct Peer<'a> {
    /// The client's address, after trusted proxies.
    pub address: IpAddr,
    pub agent: &'a str,
    /// `Accept-Language`.
    pub languages: &'a str,
    /// `Sec-GPC: 1` or `DNT: 1`.
    pub opted_out: bool,
    /// Place from a trusted platform's headers; wins over the tables.
    pub place: Option<Place>,
}

/// What a site chooses about counting.
#[derive(Clone, Debug)]
pub struct Rules {
    pub id: SiteId,
    pub domain: Text,
    pub zone: TimeZone,
    pub place_detail: PlaceDetail,
    /// Cut the address to /24 or /48 before hashing.
    pub cut_address: bool,
    pub opt_out: OptOut,
    /// Count agents that say they are machines (imports with `--keep-bots`).
    pub keep_bots: bool,
    /// Query parameters kept in the page's path, beyond the campaign's.
    pub keep_params: Vec<Text>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PlaceDetail {
    #[default]
    City,
    Country,
    Nothing,
}

/// What Sec-GPC and DNT mean to a site.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OptOut {
    /// Counted as page views only.
    #[default]
    PageViewsOnly,
    Drop,
    Ignore,
}

/// The salts of the days that may still be hashed: today's, and yesterday's for 30 minutes.
pub type Salts<'a> = &'a [(Day, Salt)];

/// What became of the hits of one request at one site.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Enriched {
    /// At most one for each local day.
    pub batches: Vec<Batch>,
    /// By index in the request.
    pub dropped: Vec<(u32, Reason)>,
}
