//! Answers are stored rollups plus the live state, each event once, whatever moves while they are read.

use passerby::answer::{Live, Source};
use passerby::folder::Folder;
use passerby::store::sqlite::Sqlite;
use passerby::store::{LIVE, Put, Store, Unit};
use passerby_engine::block::{Flush, blocks, encode_flush};
use passerby_engine::event::{Batch, Day, Device, Event, Kind, Origin, Place, SiteId, Text, Visitor};
use passerby_engine::query::{Dimension, Interval, Metric, Query, Report};
use passerby_engine::rollup::{Counts, Dim, Rollup};
use passerby_engine::time::TimeZone;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

const SITE: SiteId = SiteId(7);
const UTC: TimeZone = TimeZone::UTC;
const FIRST: Day = Day(20_000);

fn store(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    Arc::new(Sqlite::open(&folder.path().join("passerby.db")).expect("the store opens"))
}

fn plus(days: i32) -> Day {
    Day(FIRST.0 + days)
}

/// A flush of one page view at noon of a day, by a visitor of its own.
fn view(day: Day, n: u64, page: &str) -> Vec<u8> {
    let at_ms = i64::from(day.0) * 86_400_000 + 43_200_000;
    let event = Event {
        kind: Kind::PageView,
        at_ms,
        offset_s: 0,
        hostname: Text::new("example.com"),
        page: Text::new(page),
        origin: Origin::default(),
        name: Text::default(),
        props: Vec::new(),
        interactive: true,
        engaged_ms: 0,
        scroll: None,
        revenue: None,
        numbers: Vec::new(),
    };
    let batch = Batch {
        id: n,
        received_ms: at_ms + 1,
        sent_ms: 0,
        site: SITE,
        day,
        visitor: NonZeroU64::new(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1).map(Visitor),
        place: Place::default(),
        device: Device::default(),
        language: Text::default(),
        events: vec![event],
    };
    encode_flush(&Flush { blocks: blocks(vec![batch]), dropped: Vec::new() })
}

fn rollup(unit: Unit, day: Day, dim: Dim, value: &str, pageviews: i64) -> Put {
    let counts = Counts { pageviews, visitors: 1, visits: 1, ..Counts::default() };
    let bytes = Rollup { cells: vec![(Text::new(value), counts)] }.encode();
    Put::Rollup { site: SITE, unit, day, dim, bytes: Some(bytes) }
}

fn totals(days: RangeInclusive<Day>) -> Query {
    Query::totals(days, &UTC)
}

/// `label pageviews`, by label.
fn pageviews(report: &Report) -> String {
    let rows: BTreeMap<&str, i64> =
        report.rows.iter().map(|row| (row.label(), row.counts.pageviews)).collect();
    rows.iter().map(|(label, n)| format!("{label} {n}")).collect::<Vec<_>>().join(", ")
}

/// Closed days, an open one, the tail and an import, read both ways, and read again from what was kept.
#[tokio::test(flavor = "multi_thread")]
async fn stored_and_live_and_imported_add_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    // Three days; the first two are over when the third begins.
    for (n, (day, page)) in [(0, "/"), (0, "/a"), (1, "/"), (2, "/"), (2, "/b")].into_iter().enumerate() {
        store.append(view(plus(day), n as u64 + 1, page)).await.expect("appended");
    }
    let live = Folder::start(store.clone(), Arc::new(Notify::new())).await.expect("the folder starts");
    live.settle().await;
    while store.rollups(SITE, &[Dim::Total], FIRST..=plus(1)).await.expect("read").len() < 2 {
        tokio::task::yield_now().await;
    }

    let beside = Source::beside(store.clone(), Arc::new(live.clone()));
    let alone = Source::alone(store.clone());
    let queries = [
        totals(FIRST..=plus(2)),
        totals(plus(2)..=plus(2)),
        Query::series(Interval::Day, FIRST..=plus(3), &UTC),
        Query::top(Dimension::Value(Dim::Page), Metric::Pageviews, 10, FIRST..=plus(2), &UTC),
        Query { include_imports: Some(false), ..totals(plus(-1)..=plus(2)) },
        totals(plus(-1)..=FIRST),
    ];
    let check = async |expected: [&str; 6]| {
        // The second reading of `beside` is from what the first one kept.
        for source in [&beside, &beside, &alone] {
            let reports = source.reports(SITE, &queries).await.expect("answers");
            assert_eq!(reports.iter().map(pageviews).collect::<Vec<_>>(), expected);
            let one = source.report(SITE, &queries[0]).await.expect("an answer");
            assert_eq!(one, reports[0]);
        }
    };
    let days = ["1970", "x"].map(|_| [FIRST, plus(1), plus(2)].map(|day| day.to_string()))[0].clone();
    let series = format!("{} 2, {} 1, {} 2", days[0], days[1], days[2]);
    check([" 5", " 2", &series, "/ 3, /a 1, /b 1", " 5", " 2"]).await;
    let bounds = Some((FIRST, plus(2)));
    assert_eq!((beside.bounds(SITE).await.unwrap(), alone.bounds(SITE).await.unwrap()), (bounds, bounds));

    // An import, of a day before and of one that has live counts too: what was kept is not used any more.
    let watermark = store.load().await.expect("loaded").watermark;
    let import = [rollup(9, plus(-1), Dim::Total, "", 100), rollup(9, FIRST, Dim::Total, "", 10)];
    let pages = rollup(9, FIRST, Dim::Page, "/a", 10);
    let puts = import.into_iter().chain([pages]).collect();
    store.checkpoint(watermark, watermark, puts).await.expect("published");
    let series = format!("{} 12, {} 1, {} 2", days[0], days[1], days[2]);
    check([" 15", " 2", &series, "/ 3, /a 11, /b 1", " 5", " 112"]).await;
    let bounds = Some((plus(-1), plus(2)));
    assert_eq!((beside.bounds(SITE).await.unwrap(), alone.bounds(SITE).await.unwrap()), (bounds, bounds));

    // One's own writes are read at once without a folder, and after it has looked with one.
    store.append(view(plus(2), 99, "/b")).await.expect("appended");
    live.settle().await;
    let series = format!("{} 12, {} 1, {} 3", days[0], days[1], days[2]);
    check([" 16", " 3", &series, "/ 3, /a 11, /b 2", " 6", " 112"]).await;

    // Another site has nothing.
    let other = SiteId(8);
    assert_eq!(pageviews(&beside.report(other, &queries[0]).await.expect("an answer")), " 0");
    assert_eq!(alone.bounds(other).await.expect("bounds"), None);
    live.close().await;
}

/// An open day that is closed by the very reading of it: after the store was read, before the state is.
struct ClosesWhenRead {
    store: Arc<dyn Store>,
    open: Mutex<bool>,
    epoch: AtomicU64,
    runtime: tokio::runtime::Handle,
}

impl Live for ClosesWhenRead {
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn rollups(&self, _: SiteId, _: &[Dim], _: RangeInclusive<Day>) -> Vec<(Day, Dim, Rollup)> {
        let mut open = self.open.lock().expect("not poisoned");
        if std::mem::take(&mut *open) {
            let put = rollup(LIVE, FIRST, Dim::Total, "", 3);
            self.runtime.block_on(self.store.checkpoint(0, 1, vec![put])).expect("closed");
            self.epoch.fetch_add(1, Ordering::SeqCst);
        }
        Vec::new()
    }

    fn days(&self, _: SiteId) -> Option<(Day, Day)> {
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_closed_while_it_is_read_counts_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    let live = ClosesWhenRead {
        store: store.clone(),
        open: Mutex::new(true),
        epoch: AtomicU64::new(1),
        runtime: tokio::runtime::Handle::current(),
    };
    let source = Source::beside(store, Arc::new(live));
    for _ in 0..2 {
        let report = source.report(SITE, &totals(FIRST..=FIRST)).await.expect("an answer");
        assert_eq!(report.totals().pageviews, 3);
    }
}

/// Days close one after the other while two readers ask for all of them: no count is ever missing or double.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_every_count_once_while_days_close() {
    const DAYS: i32 = 40;
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    let wake = Arc::new(Notify::new());
    let live = Folder::start(store.clone(), wake.clone()).await.expect("the folder starts");
    let (done, appended, started) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));

    let write = async {
        for day in 0..DAYS {
            started.fetch_add(1, Ordering::SeqCst);
            store.append(view(plus(day), day as u64 + 1, "/")).await.expect("appended");
            appended.fetch_add(1, Ordering::SeqCst);
            wake.notify_one();
        }
        live.settle().await;
        done.store(true, Ordering::SeqCst);
    };
    let read = async |source: Source, at_once: bool| {
        let mut last = 0;
        let mut reads = 0;
        while !done.load(Ordering::SeqCst) || reads == 0 {
            let least = if at_once { appended.load(Ordering::SeqCst) } else { last };
            let report = source.report(SITE, &totals(FIRST..=plus(DAYS))).await.expect("an answer");
            let seen = report.totals().pageviews as u64;
            let most = started.load(Ordering::SeqCst);
            assert!(least <= seen && seen <= most, "{seen} page views, not {least} to {most}");
            (last, reads) = (seen, reads + 1);
        }
        let report = source.report(SITE, &totals(FIRST..=plus(DAYS))).await.expect("an answer");
        assert_eq!(report.totals().pageviews, i64::from(DAYS));
    };
    let beside = Source::beside(store.clone(), Arc::new(live.clone()));
    tokio::join!(write, read(beside, false), read(Source::alone(store.clone()), true));
    live.close().await;
}

#[tokio::test]
async fn damage_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    let put = Put::Rollup {
        site: SITE,
        unit: LIVE,
        day: FIRST,
        dim: Dim::Page,
        bytes: Some(b"no rollup".to_vec()),
    };
    store.checkpoint(0, 1, vec![put]).await.expect("written");
    let query = Query::top(Dimension::Value(Dim::Page), Metric::Visitors, 5, FIRST..=FIRST, &UTC);
    let error = Source::alone(store).report(SITE, &query).await.expect_err("it is damaged");
    assert_eq!(error.kind, passerby::store::Kind::Corrupt);
    expect_test::expect!["the stored Page of 2024-10-04 is damaged; restore the store's file from a backup"]
        .assert_eq(&error.to_string());
}
