//! The sites: settings of the store (`site/<id>`), kept in memory, fresh within a second.
//!
//! Other processes add and remove sites while a server runs. So at most once a second a request asks the
//! store for its revision, and only when that has moved are the sites read again. A request that names a
//! site which is not here asks at once (but that too only once a second, or strangers could make the
//! server read all day).

use crate::folder::Folder;
use crate::secret;
use crate::store::{Error, Kind, Put, Result, Store};
use passerby_engine::block::decode_flush;
use passerby_engine::enrich::{OptOut, PlaceDetail, Rules};
use passerby_engine::event::{SiteId, Text};
use passerby_engine::time;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Under which settings stands which sites were removed.
const REMOVED: &str = "removed/";

/// How long the cache is believed, ms.
const BELIEVED_MS: i64 = 1_000;

/// How a site is kept: the JSON of its setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredSite {
    pub domain: Text,
    pub created_ms: i64,
    /// From when (Unix ms) which zone (IANA name) is in force; ascending, the first from the beginning of time.
    pub zones: Vec<(i64, Text)>,
    #[serde(default)]
    pub place_detail: StoredPlaceDetail,
    #[serde(default)]
    pub cut_address: bool,
    #[serde(default)]
    pub opt_out: StoredOptOut,
    #[serde(default)]
    pub keep_params: Vec<Text>,
    /// Whether everybody may read its dashboard.
    #[serde(default)]
    pub public: bool,
}

/// [`PlaceDetail`] by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredPlaceDetail {
    #[default]
    City,
    Country,
    Nothing,
}

/// [`OptOut`] by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredOptOut {
    #[default]
    PageViewsOnly,
    Drop,
    Ignore,
}

/// A site, ready for use.
#[derive(Debug)]
pub struct Site {
    pub id: SiteId,
    pub stored: StoredSite,
    /// From when which rules are in force; ascending, never empty.
    rules: Vec<(i64, Rules)>,
    revision: u64,
}

impl Site {
    fn new(id: SiteId, stored: StoredSite, revision: u64) -> Result<Site> {
        let mut rules = Vec::with_capacity(stored.zones.len());
        for (from_ms, name) in &stored.zones {
            let zone = jiff::tz::TimeZone::get(name).map_err(|_| {
                corrupt(format!("site {} has a time zone that is not known: {name}", stored.domain))
            })?;
            rules.push((
                *from_ms,
                Rules {
                    id,
                    domain: stored.domain.clone(),
                    zone,
                    place_detail: match stored.place_detail {
                        StoredPlaceDetail::City => PlaceDetail::City,
                        StoredPlaceDetail::Country => PlaceDetail::Country,
                        StoredPlaceDetail::Nothing => PlaceDetail::Nothing,
                    },
                    cut_address: stored.cut_address,
                    opt_out: match stored.opt_out {
                        StoredOptOut::PageViewsOnly => OptOut::PageViewsOnly,
                        StoredOptOut::Drop => OptOut::Drop,
                        StoredOptOut::Ignore => OptOut::Ignore,
                    },
                    keep_bots: false,
                    keep_params: stored.keep_params.clone(),
                },
            ));
        }
        if rules.is_empty() {
            return Err(corrupt(format!("site {} has no time zone", stored.domain)));
        }
        Ok(Site { id, stored, rules, revision })
    }

    /// A new site, with an id of its own, that is in no store yet.
    pub fn drafted(domain: &Text, zone: Option<&str>, now_ms: i64) -> Result<Site> {
        let stored = StoredSite {
            domain: domain.clone(),
            created_ms: now_ms,
            zones: vec![(i64::MIN, Text::from(zone.unwrap_or("UTC")))],
            place_detail: StoredPlaceDetail::default(),
            cut_address: false,
            opt_out: StoredOptOut::default(),
            keep_params: Vec::new(),
            public: false,
        };
        Site::new(SiteId(secret::random_u64()?), stored, 0)
    }

    /// What puts the site into a store, to be part of a checkpoint.
    pub fn put(&self) -> Result<Put> {
        Ok(Put::Setting { key: key(self.id), value: Some(to_json(&self.stored)?) })
    }

    pub fn domain(&self) -> &Text {
        &self.stored.domain
    }

    /// What the site chooses about counting, at a moment (Unix ms).
    pub fn rules(&self, at_ms: i64) -> &Rules {
        let in_force = self.rules.partition_point(|(from_ms, _)| *from_ms <= at_ms);
        &self.rules[in_force.saturating_sub(1)].1
    }

    /// The name of the zone in force at a moment.
    pub fn zone_name(&self, at_ms: i64) -> &str {
        let in_force = self.stored.zones.partition_point(|(from_ms, _)| *from_ms <= at_ms);
        &self.stored.zones[in_force.saturating_sub(1)].1
    }
}

/// All sites at one revision of the store.
#[derive(Debug, Default)]
struct Known {
    revision: u64,
    by_domain: HashMap<Text, Arc<Site>>,
}

pub struct Sites {
    store: Arc<dyn Store>,
    known: RwLock<Arc<Known>>,
    /// When (Unix ms) the next request may ask the store for its revision.
    next_check_ms: AtomicI64,
    /// The same for a request that names a site which is not here.
    next_search_ms: AtomicI64,
}

impl Sites {
    /// Reads the sites.
    pub async fn open(store: Arc<dyn Store>) -> Result<Sites> {
        let known = RwLock::new(Arc::new(read(&*store).await?));
        Ok(Sites { store, known, next_check_ms: AtomicI64::new(0), next_search_ms: AtomicI64::new(0) })
    }

    /// The site of a normalised domain, if it is here. An error only if the domain is not known and the store
    /// cannot be asked: sites that are known stay so while the store is away.
    pub async fn get(&self, domain: &str, now_ms: i64) -> Result<Option<Arc<Site>>> {
        if may_again(&self.next_check_ms, now_ms) {
            // An error here is told by whoever needs the store for more than this.
            let _ = self.refresh().await;
        }
        if let Some(site) = self.known().by_domain.get(domain) {
            return Ok(Some(site.clone()));
        }
        if may_again(&self.next_search_ms, now_ms) {
            self.refresh().await?;
        }
        Ok(self.known().by_domain.get(domain).cloned())
    }

    /// All sites, by domain.
    pub async fn all(&self, now_ms: i64) -> Result<Vec<Arc<Site>>> {
        if may_again(&self.next_check_ms, now_ms) {
            self.refresh().await?;
        }
        let mut sites: Vec<_> = self.known().by_domain.values().cloned().collect();
        sites.sort_by(|a, b| a.domain().cmp(b.domain()));
        Ok(sites)
    }

    /// Adds a site, or changes the zone of one that is there from its next local midnight on. Says which.
    pub async fn add(&self, domain: &Text, zone: Option<&str>, now_ms: i64) -> Result<Added> {
        self.refresh().await?;
        let mut id = None;
        let added = match self.known().by_domain.get(domain.as_str()).cloned() {
            None => {
                let site = Site::drafted(domain, zone, now_ms)?;
                self.store.put_setting(&key(site.id), 0, Some(to_json(&site.stored)?)).await?;
                id = Some(site.id);
                Added::New
            }
            Some(site) => match zone {
                Some(zone) if site.stored.zones.last().is_none_or(|(_, last)| last != zone) => {
                    let from_ms = next_midnight_ms(&site.rules(now_ms).zone, now_ms);
                    let mut stored = site.stored.clone();
                    // A change that is not yet in force gives way to this one.
                    stored.zones.retain(|(at, _)| *at <= now_ms);
                    if stored.zones.last().is_none_or(|(_, name)| name != zone) {
                        stored.zones.push((from_ms, zone.into()));
                    }
                    self.store.put_setting(&key(site.id), site.revision, Some(to_json(&stored)?)).await?;
                    Added::ZoneFrom(from_ms)
                }
                _ => Added::Unchanged,
            },
        };
        self.refresh().await?;
        if let (Added::New, Some(ours)) = (added, id) {
            return self.yield_to_the_first(domain, ours).await;
        }
        Ok(added)
    }

    /// Two processes may add one domain at once, each under an id of its own. Every process counts for the one
    /// that was written first, and the other is taken back before anything was counted for it.
    async fn yield_to_the_first(&self, domain: &Text, ours: SiteId) -> Result<Added> {
        let counted = self.known().by_domain.get(domain.as_str()).map(|site| site.id);
        if counted.is_none_or(|counted| counted == ours) {
            return Ok(Added::New);
        }
        if let Some(setting) = self.store.setting(&key(ours)).await? {
            self.store.put_setting(&setting.key, setting.revision, None).await?;
        }
        Ok(Added::Unchanged)
    }

    /// Removes a site, and leaves word for every fold that nothing of it is to be kept. From then on, within a
    /// second, no process counts for it. What was counted is erased by [`erase`].
    pub async fn remove(&self, domain: &str) -> Result<Option<SiteId>> {
        self.refresh().await?;
        let Some(site) = self.known().by_domain.get(domain).cloned() else {
            return Ok(None);
        };
        match self.store.put_setting(&format!("{REMOVED}{}", site.id), 0, Some(Vec::new())).await {
            // Word was left before, by somebody who came no further.
            Err(e) if e.kind == Kind::Conflict => {}
            other => other?,
        }
        self.store.put_setting(&key(site.id), site.revision, None).await?;
        self.refresh().await?;
        Ok(Some(site.id))
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(&self) -> Result<()> {
        let revision = self.store.revision().await?;
        if revision != self.known().revision {
            let fresh = Arc::new(read(&*self.store).await?);
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            // Of two that refresh at once the later revision stays.
            if fresh.revision > known.revision {
                *known = fresh;
            }
        }
        Ok(())
    }
}

/// Whether a store has a site of this domain, asked of the store itself.
pub async fn is_here(store: &dyn Store, domain: &str) -> Result<bool> {
    Ok(read(store).await?.by_domain.contains_key(domain))
}

/// The sites that were removed. Their ids are random, and never come again.
pub async fn removed(store: &dyn Store) -> Result<HashSet<SiteId>> {
    let settings = store.settings(REMOVED).await?;
    let ids = settings.iter().filter_map(|setting| setting.key.strip_prefix(REMOVED));
    Ok(ids.filter_map(|id| u64::from_str_radix(id, 16).ok().map(SiteId)).collect())
}

/// Erases what was counted for a site that was removed: lets servers learn of it, folds the log to its end
/// without the site, and has the store erase the rest. A flush that a server had in hand meanwhile may have
/// come into the log behind that: then once more.
pub async fn erase(store: &Arc<dyn Store>, site: SiteId) -> Result<()> {
    const ROUNDS: u32 = 5;
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(BELIEVED_MS.unsigned_abs() + 200)).await;
        // What is known of its imports: the names of files, and counts.
        for setting in store.settings(&format!("import/{site}/")).await? {
            store.put_setting(&setting.key, setting.revision, None).await?;
        }
        let folder = Folder::start(store.clone(), Arc::default()).await?;
        folder.close().await;
        erase_rows(store, site).await?;
        if !is_in_log(&**store, site).await? {
            return Ok(());
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        "a server still has some of it in hand, and erases that within minutes",
    ))
}

async fn erase_rows(store: &Arc<dyn Store>, site: SiteId) -> Result<()> {
    const TRIES: u32 = 5;
    for tried in 1.. {
        match store.erase_site(site).await {
            // Another process was reading, and holds some bytes for a moment.
            Err(e) if e.kind == Kind::Unavailable && tried < TRIES => {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            done => return done,
        }
    }
    Ok(())
}

/// Whether the log holds anything that was sent for a site.
async fn is_in_log(store: &dyn Store, site: SiteId) -> Result<bool> {
    const READ_BYTES: usize = 4 << 20;
    let mut position = 0;
    loop {
        let read = store.read_log(position, READ_BYTES).await?;
        for (at, bytes) in &read.flushes {
            // A damaged flush is the fold's to report.
            if decode_flush(bytes).is_ok_and(|flush| flush.blocks.iter().any(|block| block.site == site)) {
                return Ok(true);
            }
            position = *at;
        }
        if !read.more {
            return Ok(false);
        }
    }
}

/// What [`Sites::add`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    New,
    /// The new zone is in force from then (Unix ms).
    ZoneFrom(i64),
    Unchanged,
}

/// A domain as sites are known by: lower case, without scheme, `www.`, port, path and a last dot. None if
/// it cannot be one. Names in other scripts are kept as typed, ASCII or Unicode.
pub fn normal_domain(typed: &str) -> Option<Text> {
    let rest = typed.trim();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let rest = rest
        .rsplit_once(':')
        .map_or(rest, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { rest });
    let lower = rest.to_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    let name = name.strip_prefix("www.").unwrap_or(name);
    let label_is_good = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| {
                c.is_alphanumeric()
                    || c == '-'
                    || c == '_'
                    || (!c.is_ascii() && !c.is_whitespace() && !c.is_control())
            })
    };
    (name.len() <= 253 && name.split('.').all(label_is_good)).then(|| name.into())
}

/// Whether this is the caller's turn: at most one a [`BELIEVED_MS`].
fn may_again(next_ms: &AtomicI64, now_ms: i64) -> bool {
    let next = next_ms.load(Ordering::Relaxed);
    // A clock that was set back must not stop us from asking.
    let due = now_ms >= next || next > now_ms + BELIEVED_MS;
    due && next_ms.compare_exchange(next, now_ms + BELIEVED_MS, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

async fn read(store: &dyn Store) -> Result<Known> {
    // The revision first: what changes while we read is then read again, never missed.
    let revision = store.revision().await?;
    let mut by_domain: HashMap<Text, Arc<Site>> = HashMap::new();
    for setting in store.settings("site/").await? {
        let id = setting.key.strip_prefix("site/").and_then(|id| u64::from_str_radix(id, 16).ok());
        let id = id.ok_or_else(|| corrupt(format!("the setting {} is not a site's", setting.key)))?;
        let stored: StoredSite = serde_json::from_slice(&setting.value)
            .map_err(|e| corrupt(format!("the setting {} cannot be read: {e}", setting.key)))?;
        let site = Site::new(SiteId(id), stored, setting.revision)?;
        // Of two that were added at once the first: see Sites::add.
        if by_domain.get(site.domain()).is_none_or(|other| other.revision > site.revision) {
            by_domain.insert(site.domain().clone(), Arc::new(site));
        }
    }
    Ok(Known { revision, by_domain })
}

fn next_midnight_ms(zone: &jiff::tz::TimeZone, now_ms: i64) -> i64 {
    let today = time::local(zone, now_ms).day;
    time::start_ms(zone, passerby_engine::event::Day(today.0 + 1))
}

fn key(id: SiteId) -> String {
    format!("site/{id}")
}

fn to_json(stored: &StoredSite) -> Result<Vec<u8>> {
    serde_json::to_vec(stored).map_err(|e| corrupt(format!("a site cannot be written: {e}")))
}

fn corrupt(message: String) -> Error {
    Error { kind: Kind::Corrupt, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_normalised_or_refused() {
        for (typed, normal) in [
            ("example.com", Some("example.com")),
            ("  WWW.Example.COM. ", Some("example.com")),
            ("https://www.example.com/a/b?c#d", Some("example.com")),
            ("http://example.com:8080", Some("example.com")),
            ("localhost", Some("localhost")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("bücher.example", Some("bücher.example")),
            ("BÜCHER.example", Some("bücher.example")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("my_host.example", Some("my_host.example")),
            ("", None),
            ("www.", Some("www")),
            (".", None),
            ("a..b", None),
            ("-a.example", None),
            ("a b.example", None),
            ("a\tb", None),
            ("a,b", None),
            ("<script>", None),
            ("\"quoted\"", None),
            ("user@example.com", None),
            (&"a".repeat(64), None),
            (&"a.".repeat(130), None),
        ] {
            assert_eq!(normal_domain(typed).as_deref(), normal, "{typed:?}");
        }
    }

    fn site(zones: &[(i64, &str)]) -> Result<Site> {
        let zones = zones.iter().map(|(from_ms, name)| (*from_ms, Text::from(*name))).collect();
        let stored = StoredSite {
            domain: "example.com".into(),
            created_ms: 0,
            zones,
            place_detail: StoredPlaceDetail::City,
            cut_address: false,
            opt_out: StoredOptOut::PageViewsOnly,
            keep_params: Vec::new(),
            public: false,
        };
        Site::new(SiteId(1), stored, 1)
    }

    #[test]
    fn a_zone_is_in_force_from_its_moment_on() {
        let site = site(&[(i64::MIN, "UTC"), (1_000, "Europe/Berlin"), (2_000, "Asia/Tokyo")]).unwrap();
        for (at_ms, zone) in [
            (i64::MIN, "UTC"),
            (0, "UTC"),
            (999, "UTC"),
            (1_000, "Europe/Berlin"),
            (1_999, "Europe/Berlin"),
            (2_000, "Asia/Tokyo"),
            (i64::MAX, "Asia/Tokyo"),
        ] {
            assert_eq!(site.zone_name(at_ms), zone, "{at_ms}");
            assert_eq!(site.rules(at_ms).zone.iana_name(), Some(zone), "{at_ms}");
        }
    }

    #[test]
    fn what_cannot_be_a_site_is_corrupt() {
        assert_eq!(site(&[]).unwrap_err().kind, Kind::Corrupt);
        assert_eq!(site(&[(0, "Mars/Olympus")]).unwrap_err().kind, Kind::Corrupt);
    }

    /// However many ask, the store is asked once a second.
    #[test]
    fn one_in_a_second_may_ask() {
        let next_ms = AtomicI64::new(0);
        let asked: Vec<i64> = (10_000..13_000).filter(|now_ms| may_again(&next_ms, *now_ms)).collect();
        assert_eq!(asked, [10_000, 11_000, 12_000]);
        assert!(may_again(&next_ms, 0), "a clock that was set back stops nothing");
    }

    fn store(folder: &tempfile::TempDir) -> Arc<dyn Store> {
        crate::store::open(&format!("sqlite:{}/passerby.db", folder.path().display())).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_domain_added_by_many_at_once_is_one_site() {
        let folder = tempfile::tempdir().unwrap();
        let domain = Text::from("example.com");
        let mut all = Vec::new();
        for _ in 0..8 {
            all.push(Arc::new(Sites::open(store(&folder)).await.unwrap()));
        }
        let adding = all.iter().cloned().map(|sites| {
            let domain = domain.clone();
            tokio::spawn(async move { sites.add(&domain, None, 0).await })
        });
        let adding: Vec<_> = adding.collect();
        let mut new = 0;
        for added in adding {
            new += usize::from(added.await.unwrap() == Ok(Added::New));
        }
        assert_eq!(new, 1);
        assert_eq!(store(&folder).settings("site/").await.unwrap().len(), 1);
        let mut ids = HashSet::new();
        for sites in all {
            sites.refresh().await.unwrap();
            ids.insert(sites.get("example.com", 0).await.unwrap().unwrap().id);
        }
        assert_eq!(ids.len(), 1);
    }

    #[tokio::test]
    async fn a_removal_that_was_cut_off_can_be_finished() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let sites = Sites::open(store.clone()).await.unwrap();
        let domain = Text::from("example.com");
        sites.add(&domain, None, 0).await.unwrap();
        let id = sites.get(&domain, 0).await.unwrap().unwrap().id;
        // What stands there when the process ends between the two.
        store.put_setting(&format!("{REMOVED}{id}"), 0, Some(Vec::new())).await.unwrap();
        assert_eq!(sites.remove(&domain).await, Ok(Some(id)));
        assert_eq!(sites.add(&domain, None, 0).await, Ok(Added::New));
        assert_ne!(sites.get(&domain, 0).await.unwrap().unwrap().id, id, "added again it is another one");
    }

    #[tokio::test]
    async fn a_zone_changes_from_the_next_local_midnight() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let sites = Sites::open(store).await.unwrap();
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let noon_ms = at("2026-07-01T12:00:00Z");
        let domain = Text::from("example.com");
        assert_eq!(sites.add(&domain, Some("Asia/Tokyo"), noon_ms).await, Ok(Added::New));
        // 12:00 in UTC is 21:00 in Tokyo, where midnight comes at 15:00 UTC.
        let midnight_ms = at("2026-07-01T15:00:00Z");
        assert_eq!(sites.add(&domain, Some("UTC"), noon_ms).await, Ok(Added::ZoneFrom(midnight_ms)));
        assert_eq!(sites.add(&domain, Some("UTC"), noon_ms).await, Ok(Added::Unchanged));
        let site = sites.get("example.com", noon_ms).await.unwrap().unwrap();
        assert_eq!((site.zone_name(midnight_ms - 1), site.zone_name(midnight_ms)), ("Asia/Tokyo", "UTC"));
        // Before it is in force a change may be taken back.
        assert_eq!(sites.add(&domain, Some("Asia/Tokyo"), noon_ms).await, Ok(Added::ZoneFrom(midnight_ms)));
        let site = sites.get("example.com", noon_ms).await.unwrap().unwrap();
        assert_eq!(site.stored.zones.len(), 1);
    }
}
