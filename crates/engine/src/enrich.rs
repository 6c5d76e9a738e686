//! Hits to events. The address and the user agent end here.
//!
//! What one site makes of a request: who it was (a hash), with what, from where; which page, and what led
//! to it; and which hits are not counted, by name. Hits that fall on two local days become two batches that
//! share nothing by which they could be put together again.

use crate::agent::Agents;
use crate::event::{Batch, Day, Device, Event, Kind, Origin, Place, Reason, SiteId, Text, Visitor};
use crate::place;
use crate::receive::{Form, Hit, Hits};
use crate::source;
use crate::time;
use crate::url;
use crate::visitor::{self, BatchName, Salt};
use jiff::tz::TimeZone;
use std::net::IpAddr;
use std::sync::Arc;

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
    /// Counted as page views only: page, hostname and time are kept, and nothing of who, whence, where or
    /// with what. All but page views are dropped.
    #[default]
    PageViewsOnly,
    Drop,
    Ignore,
}

/// The salts of the days that may still be hashed: today's, and yesterday's for 30 minutes.
pub type Salts<'a> = &'a [(Day, Salt)];

/// What agents and addresses are looked up in. Cheap to clone: to replace the places, make another that
/// shares the agents.
#[derive(Clone, Debug)]
pub struct Tables {
    pub agents: Arc<Agents>,
    pub places: Arc<place::Tables>,
}

impl Tables {
    /// `key` is random, made anew in each process: the cache of agents is keyed by it.
    pub fn new(key: [u8; 16], places: place::Tables) -> Tables {
        Tables {
            agents: Arc::new(Agents::new(key)),
            places: Arc::new(places),
        }
    }
}

/// What batches get their ids from.
#[derive(Clone, Copy, Debug)]
pub struct BatchKey {
    /// The store's random key, the same for as long as ids are remembered.
    pub key: [u8; 16],
    /// A random number made for this request. It names what has nothing to tell a retry by: Plausible's
    /// events, and batches without an id from someone who opted out.
    pub fresh: u64,
}

/// What became of the hits of one request at one site.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Enriched {
    /// At most one for each local day, by day.
    pub batches: Vec<Batch>,
    /// By index in the request; what was refused while reading is in [`Hits::dropped`].
    pub dropped: Vec<(u32, Reason)>,
}

/// One site's view of the hits of a request, received at `now_ms` (Unix milliseconds).
pub fn events(
    hits: &Hits,
    rules: &Rules,
    salts: Salts,
    peer: &Peer,
    tables: &Tables,
    now_ms: i64,
    key: &BatchKey,
) -> Enriched {
    let opt_out = if peer.opted_out {
        rules.opt_out
    } else {
        OptOut::Ignore
    };
    if opt_out == OptOut::Drop {
        return nothing(hits, Reason::OptedOut);
    }
    let agent = tables.agents.look_up(peer.agent);
    if agent.bot && !rules.keep_bots {
        return nothing(hits, Reason::Bot);
    }
    let known = match opt_out {
        OptOut::PageViewsOnly => Shared::default(),
        _ => Shared {
            device: agent.device,
            place: place(rules, peer, tables),
            language: language(peer.languages),
        },
    };
    let mut enriched = Enriched::default();
    for hit in &hits.hits {
        if opt_out == OptOut::PageViewsOnly && hit.kind != Kind::PageView {
            enriched.dropped.push((hit.index, Reason::OptedOut));
            continue;
        }
        let at_ms = now_ms.saturating_sub(hit.age_ms);
        let local = time::local(&rules.zone, at_ms);
        let mut event = event(hit, hits.form, rules, at_ms, local.offset_s);
        if opt_out == OptOut::PageViewsOnly {
            event.origin = Origin::default();
            event.numbers.clear();
        }
        let batch = match enriched
            .batches
            .iter()
            .position(|batch| batch.day == local.day)
        {
            Some(at) => &mut enriched.batches[at],
            None => {
                let salt = salts
                    .iter()
                    .find(|(day, _)| *day == local.day && opt_out == OptOut::Ignore);
                let visitor = salt.map(|(_, salt)| {
                    visitor::hash(salt, rules.id, peer.address, peer.agent, rules.cut_address)
                });
                enriched.batches.push(Batch {
                    id: visitor::batch_id(&key.key, rules.id, local.day, name(hits, visitor, key)),
                    received_ms: now_ms,
                    sent_ms: hits.sent_ms,
                    site: rules.id,
                    day: local.day,
                    visitor,
                    place: known.place.clone(),
                    device: known.device.clone(),
                    language: known.language.clone(),
                    events: Vec::with_capacity(hits.hits.len()),
                });
                let last = enriched.batches.len() - 1;
                &mut enriched.batches[last]
            }
        };
        batch.events.push(event);
    }
    enriched.batches.sort_by_key(|batch| batch.day);
    for batch in &mut enriched.batches {
        batch.events.sort_by_key(|event| event.at_ms);
    }
    enriched
}

/// What all events of a request share, for as far as it may be known.
#[derive(Default)]
struct Shared {
    device: Device,
    place: Place,
    language: Text,
}

fn nothing(hits: &Hits, reason: Reason) -> Enriched {
    Enriched {
        batches: Vec::new(),
        dropped: hits.hits.iter().map(|hit| (hit.index, reason)).collect(),
    }
}

fn name<'a>(hits: &'a Hits, visitor: Option<Visitor>, key: &BatchKey) -> BatchName<'a> {
    match (&hits.batch, visitor, hits.form) {
        (Some(id), _, _) => BatchName::Sent(id),
        (None, Some(visitor), Form::Batch | Form::Bare) => {
            BatchName::Contents(visitor, hits.contents)
        }
        _ => BatchName::Fresh(key.fresh),
    }
}

fn place(rules: &Rules, peer: &Peer, tables: &Tables) -> Place {
    if rules.place_detail == PlaceDetail::Nothing {
        return Place::default();
    }
    let place = match &peer.place {
        Some(place) => place.clone(),
        None => tables.places.look_up(peer.address),
    };
    match rules.place_detail {
        PlaceDetail::City => place,
        _ => Place {
            country: place.country,
            ..Place::default()
        },
    }
}

/// The primary language of the one preferred: `de` of `de-AT,de;q=0.9,en;q=0.8`.
fn language(languages: &str) -> Text {
    let first = languages
        .split([',', ';', '-', '_'])
        .next()
        .unwrap_or("")
        .trim();
    let is_one = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    if is_one {
        first.to_ascii_lowercase().into()
    } else {
        Text::default()
    }
}

/// Events whose page is also a property, unless the page sent one.
const PATH_EVENTS: [&str; 3] = ["404", "Form: Submission", "WP Form Completions"];

fn event(hit: &Hit, form: Form, rules: &Rules, at_ms: i64, offset_s: i32) -> Event {
    let parts = url::parts(&hit.url);
    let hostname = match (parts.host, form) {
        ("", Form::Plausible) => "(none)".into(),
        ("", _) => url::hostname(&rules.domain),
        (host, _) => url::hostname(host),
    };
    let page = url::page(&parts, hit.hash_mode, &rules.keep_params);
    let origin = source::origin(
        &parts,
        &hit.referrer,
        &[hostname.as_str(), rules.domain.as_str()],
    );
    let mut props = hit.props.clone();
    if PATH_EVENTS.contains(&hit.name.as_str()) && !props.iter().any(|(key, _)| key == "path") {
        props.push(("path".into(), page.clone()));
    }
    Event {
        kind: hit.kind,
        at_ms,
        offset_s,
        hostname,
        page,
        origin,
        name: hit.name.clone(),
        props,
        interactive: hit.interactive,
        engaged_ms: hit.engaged_ms,
        scroll: hit.scroll,
        revenue: hit.revenue,
        numbers: hit.numbers.clone(),
    }
}
