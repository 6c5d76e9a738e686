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
        Tables { agents: Arc::new(Agents::new(key)), places: Arc::new(places) }
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
    let opt_out = if peer.opted_out { rules.opt_out } else { OptOut::Ignore };
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
        let batch = match enriched.batches.iter().position(|batch| batch.day == local.day) {
            Some(at) => &mut enriched.batches[at],
            None => {
                let salt = salts.iter().find(|(day, _)| *day == local.day && opt_out == OptOut::Ignore);
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
    Enriched { batches: Vec::new(), dropped: hits.hits.iter().map(|hit| (hit.index, reason)).collect() }
}

fn name<'a>(hits: &'a Hits, visitor: Option<Visitor>, key: &BatchKey) -> BatchName<'a> {
    match (&hits.batch, visitor, hits.form) {
        (Some(id), _, _) => BatchName::Sent(id),
        (None, Some(visitor), Form::Batch | Form::Bare) => BatchName::Contents(visitor, hits.contents),
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
        _ => Place { country: place.country, ..Place::default() },
    }
}

/// The primary language of the one preferred: `de` of `de-AT,de;q=0.9,en;q=0.8`.
fn language(languages: &str) -> Text {
    let first = languages.split([',', ';', '-', '_']).next().unwrap_or("").trim();
    let is_one = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    if is_one { first.to_ascii_lowercase().into() } else { Text::default() }
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
    let origin = source::origin(&parts, &hit.referrer, &[hostname.as_str(), rules.domain.as_str()]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    /// 2024-05-01T12:00:00Z, a Wednesday noon.
    const NOON: i64 = 1_714_564_800_000;
    const DAY: Day = Day(19_844);
    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

    fn rules() -> Rules {
        Rules {
            id: SiteId(7),
            domain: "example.com".into(),
            zone: TimeZone::UTC,
            place_detail: PlaceDetail::City,
            cut_address: false,
            opt_out: OptOut::PageViewsOnly,
            keep_bots: false,
            keep_params: Vec::new(),
        }
    }

    fn peer() -> Peer<'static> {
        Peer {
            address: IpAddr::from([8, 8, 8, 8]),
            agent: CHROME,
            languages: "de-AT,de;q=0.9,en;q=0.8",
            opted_out: false,
            place: None,
        }
    }

    fn tables() -> Tables {
        Tables::new([1; 16], place::Tables::new())
    }

    fn batch(events: &str) -> Hits {
        let body = format!(r#"{{"site":"example.com","batch":"0123456789abcdef","events":[{events}]}}"#);
        receive::batch(body.as_bytes(), None, NOON).unwrap()
    }

    const SALTS: [(Day, Salt); 2] = [(Day(19_843), [2; 16]), (DAY, [3; 16])];

    fn enrich(hits: &Hits, rules: &Rules, peer: &Peer, now_ms: i64) -> Enriched {
        events(hits, rules, &SALTS, peer, &tables(), now_ms, &BatchKey { key: [4; 16], fresh: 5 })
    }

    /// What becomes of events at noon: a line for each, under a line for each batch.
    fn check(events: &str, rules: Rules, peer: Peer, expected: Expect) {
        let enriched = enrich(&batch(events), &rules, &peer, NOON);
        let mut out = String::new();
        for batch in &enriched.batches {
            let (place, device) = (&batch.place, &batch.device);
            let who = if batch.visitor.is_some() { "visitor" } else { "nobody" };
            out += &format!(
                "{} {who} [{}] [{} {}] [{}]\n",
                batch.day, place.country, device.browser, device.class, batch.language
            );
            for event in &batch.events {
                let (ago, origin) = ((NOON - event.at_ms) / 1000, &event.origin);
                out += &format!(
                    "  -{ago}s {:?} {}{} [{}, {}] {} {:?}\n",
                    event.kind,
                    event.hostname,
                    event.page,
                    origin.source,
                    origin.channel,
                    event.name,
                    event.props
                );
            }
        }
        for (index, reason) in &enriched.dropped {
            out += &format!("{index} {}\n", reason.name());
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn a_page_view_and_what_follows() {
        check(
            r#"{"url":"https://www.Example.com/b?utm_source=hn#x","age":5000,"ref":"https://example.com/a"},
               {"url":"https://jane:pw@example.com:8443/a?email=a@b.de","age":9000,"ref":"https://www.google.de/"},
               {"url":"/c","type":"event","name":"Signup","props":{"plan":"pro"}},
               {"url":"https://shop.example.com/404?x","type":"event","name":404},
               {"url":"/u/jane@mail.example","type":"event","name":"Form: Submission"},
               {"url":"/x","type":"event","name":"404","props":{"path":"/mine"}}"#,
            rules(),
            peer(),
            expect![[r#"
                2024-05-01 visitor [US] [Chrome Desktop] [de]
                  -9s PageView example.com/a [Google, Organic Search]  []
                  -5s PageView example.com/b [Hacker News, Organic Social]  []
                  -0s Custom example.com/c [, Direct] Signup [("plan", "pro")]
                  -0s Custom shop.example.com/404 [, Direct] 404 [("path", "/404")]
                  -0s Custom example.com/u/(email) [, Direct] Form: Submission [("path", "/u/(email)")]
                  -0s Custom example.com/x [, Direct] 404 [("path", "/mine")]
            "#]],
        );
    }

    #[test]
    fn who_opts_out_is_counted_as_the_site_chooses() {
        let events = r#"{"url":"/a?utm_source=blog","ref":"https://google.com/"}, {"type":"event","name":"x","url":"/a"}, {"type":"engagement","engaged":5,"url":"/a"}"#;
        let peer = || Peer { opted_out: true, ..peer() };
        check(
            events,
            rules(),
            peer(),
            expect![[r#"
                2024-05-01 nobody [] [ ] []
                  -0s PageView example.com/a [, ]  []
                1 opted_out
                2 opted_out
            "#]],
        );
        check(
            events,
            Rules { opt_out: OptOut::Drop, ..rules() },
            peer(),
            expect![[r#"
                0 opted_out
                1 opted_out
                2 opted_out
            "#]],
        );
        check(
            events,
            Rules { opt_out: OptOut::Ignore, ..rules() },
            peer(),
            expect![[r#"
                2024-05-01 visitor [US] [Chrome Desktop] [de]
                  -0s PageView example.com/a [blog, Referral]  []
                  -0s Custom example.com/a [, Direct] x []
                  -0s Engagement example.com/a [, Direct]  []
            "#]],
        );
    }

    #[test]
    fn bots_are_dropped_unless_they_are_wanted() {
        let bot = || Peer { agent: "Googlebot/2.1 (+http://www.google.com/bot.html)", ..peer() };
        check(
            r#"{"url":"/a"},{"url":"/b"}"#,
            rules(),
            bot(),
            expect![[r#"
            0 bot
            1 bot
        "#]],
        );
        check(
            r#"{"url":"/a"}"#,
            Rules { keep_bots: true, ..rules() },
            bot(),
            expect![[r#"
            2024-05-01 visitor [US] [ ] [de]
              -0s PageView example.com/a [, Direct]  []
        "#]],
        );
    }

    #[test]
    fn midnight_parts_a_batch() {
        // Half an hour past midnight in Kolkata (five and a half hours east of UTC).
        let now = NOON + 7 * 3_600_000;
        let rules = Rules { zone: TimeZone::get("Asia/Kolkata").unwrap(), ..rules() };
        let hits = batch(
            r#"{"url":"/after"},{"url":"/before","age":3600000},{"url":"/long_before","age":86000000}"#,
        );
        let salts = [(Day(19_844), [2; 16]), (Day(19_845), [3; 16])];
        let key = BatchKey { key: [4; 16], fresh: 5 };
        let enriched = events(&hits, &rules, &salts, &peer(), &tables(), now, &key);
        let days: Vec<Day> = enriched.batches.iter().map(|batch| batch.day).collect();
        assert_eq!(days, [Day(19_844), Day(19_845)]);
        let [before, after] = &enriched.batches[..] else { panic!("two batches") };
        assert_eq!(
            before.events.iter().map(|e| e.page.as_str()).collect::<Vec<_>>(),
            ["/long_before", "/before"]
        );
        assert_eq!(after.events[0].offset_s, 19_800);
        assert!(before.visitor.is_some() && before.visitor != after.visitor, "two visitors");
        assert_ne!(before.id, after.id, "two ids");
        // When yesterday's salt is wiped, what was yesterday has no visitor.
        let enriched = events(&hits, &rules, &salts[1..], &peer(), &tables(), now, &key);
        assert_eq!(
            enriched.batches.iter().map(|batch| batch.visitor.is_some()).collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[test]
    fn ids_tell_retries() {
        let id = |hits: &Hits, peer: &Peer, fresh: u64| {
            let key = BatchKey { key: [4; 16], fresh };
            events(hits, &rules(), &SALTS, peer, &tables(), NOON, &key).batches[0].id
        };
        let other = || Peer { address: IpAddr::from([8, 8, 4, 4]), ..peer() };
        let out = || Peer { opted_out: true, ..peer() };
        let read = |body: &str| receive::batch(body.as_bytes(), Some("example.com"), NOON).unwrap();
        let named = batch(r#"{"url":"/a"}"#);
        assert_eq!(id(&named, &peer(), 1), id(&named, &other(), 2), "the browser's id alone counts");
        let bare = read(r#"[{"url":"/a","timestamp":1714564799}]"#);
        assert_eq!(id(&bare, &peer(), 1), id(&bare, &peer(), 2), "the same bytes from the same visitor");
        assert_ne!(id(&bare, &peer(), 1), id(&bare, &other(), 1), "from another visitor");
        assert_ne!(
            id(&bare, &peer(), 1),
            id(&read(r#"[{"url":"/a","timestamp":1714564798}]"#), &peer(), 1),
            "other bytes"
        );
        assert_ne!(id(&bare, &out(), 1), id(&bare, &out(), 2), "nobody has no retries");
        let plausible = receive::plausible(br#"{"n":"pageview","u":"https://example.com/"}"#).unwrap();
        assert_ne!(id(&plausible, &peer(), 1), id(&plausible, &peer(), 2), "nothing tells a retry");
    }

    #[test]
    fn plausibles_events_without_a_host() {
        let hits = receive::plausible(br#"{"n":"pageview","u":"/a","d":"example.com"}"#).unwrap();
        let enriched = enrich(&hits, &rules(), &peer(), NOON);
        assert_eq!(enriched.batches[0].events[0].hostname, "(none)");
    }

    #[test]
    fn places_are_as_fine_as_the_site_wants() {
        let place = Place { country: "DE".into(), region: "DE-BE".into(), city: "Berlin, DE".into() };
        let seen = |detail: PlaceDetail| {
            let rules = Rules { place_detail: detail, ..rules() };
            let peer = Peer { place: Some(place.clone()), ..peer() };
            let place = enrich(&batch(r#"{"url":"/"}"#), &rules, &peer, NOON).batches[0].place.clone();
            [place.country, place.region, place.city].join("|")
        };
        assert_eq!(seen(PlaceDetail::City), "DE|DE-BE|Berlin, DE");
        assert_eq!(seen(PlaceDetail::Country), "DE||");
        assert_eq!(seen(PlaceDetail::Nothing), "||");
    }

    #[test]
    fn languages() {
        for (header, expected) in [
            ("de-AT,de;q=0.9", "de"),
            ("EN", "en"),
            ("*", ""),
            ("", ""),
            ("zh_CN", "zh"),
            ("yue-HK", "yue"),
            ("é", ""),
        ] {
            assert_eq!(language(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn each_hit_becomes_an_event_or_a_reason(
            ages in prop::collection::vec(0i64..=86_400_000, 0..6), now in 0i64..4_000_000_000_000, agent in ".{0,20}", languages in ".{0,9}",
            address in any::<[u8; 16]>(), opted_out in any::<bool>(), url in "(https?://)?[a-z.@:/?#%=&]{1,20}",
        ) {
            let hits: Vec<_> = (0..).zip(ages).map(|(index, age_ms)| Hit { index, age_ms, url: url.as_str().into(), ..batch(r#"{"url":"/"}"#).hits[0].clone() }).collect();
            let hits = Hits { hits, ..batch("") };
            let rules = Rules { zone: TimeZone::get("Pacific/Apia").unwrap(), ..rules() };
            let peer = Peer { address: IpAddr::from(address), agent: &agent, languages: &languages, opted_out, place: None };
            let enriched = events(&hits, &rules, &SALTS, &peer, &tables(), now, &BatchKey { key: [4; 16], fresh: 5 });
            let kept: usize = enriched.batches.iter().map(|batch| batch.events.len()).sum();
            prop_assert_eq!(kept + enriched.dropped.len(), hits.hits.len());
            prop_assert!(enriched.batches.windows(2).all(|pair| pair[0].day < pair[1].day));
            for batch in &enriched.batches {
                prop_assert!(!batch.events.is_empty() && batch.events.is_sorted_by_key(|event| event.at_ms));
                prop_assert!(batch.events.iter().all(|event| time::local(&rules.zone, event.at_ms).day == batch.day));
                prop_assert!(!(opted_out && batch.visitor.is_some()));
            }
        }
    }
}
