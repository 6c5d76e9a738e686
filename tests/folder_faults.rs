//! The store fails once, at any one of the folder's calls, with the work done or not done: nothing is lost and
//! nothing counts twice.

use async_trait::async_trait;
use passerby::folder::Folder;
use passerby::store::{
    self, Checkpoint, Error, Kind as ErrorKind, LogRead, Position, Put, Result, Setting, Store, StoredRollup,
    Unit,
};
use passerby::{answer::Source, sites};
use passerby_engine::block::{Flush, blocks, encode_flush};
use passerby_engine::event::*;
use passerby_engine::query::{Dimension, Metric, Query};
use passerby_engine::rollup::Dim;
use passerby_engine::time::TimeZone;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Fails at the call of this number, from 0: before it is done, or after.
struct Failing {
    store: Arc<dyn Store>,
    calls: AtomicUsize,
    at: usize,
    done: bool,
}

impl Failing {
    async fn call<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if self.calls.fetch_add(1, Ordering::SeqCst) != self.at {
            return work.await;
        }
        if self.done {
            work.await?;
        }
        Err(Error::new(ErrorKind::Unavailable, "as the test wants it"))
    }
}

#[async_trait]
impl Store for Failing {
    async fn append(&self, flush: Vec<u8>) -> Result<Position> {
        self.call(self.store.append(flush)).await
    }
    async fn read_log(&self, after: Position, max_bytes: usize) -> Result<LogRead> {
        self.call(self.store.read_log(after, max_bytes)).await
    }
    async fn load(&self) -> Result<Checkpoint> {
        self.call(self.store.load()).await
    }
    async fn checkpoint(&self, expected: Position, next: Position, puts: Vec<Put>) -> Result<()> {
        self.call(self.store.checkpoint(expected, next, puts)).await
    }
    async fn trim(&self, through: Position) -> Result<()> {
        self.call(self.store.trim(through)).await
    }
    async fn rollups(&self, s: SiteId, dims: &[Dim], d: RangeInclusive<Day>) -> Result<Vec<StoredRollup>> {
        self.call(self.store.rollups(s, dims, d)).await
    }
    async fn days(&self, site: SiteId) -> Result<Option<(Day, Day)>> {
        self.call(self.store.days(site)).await
    }
    async fn segments(&self, s: SiteId, u: Unit, d: RangeInclusive<Day>) -> Result<Vec<(Day, u32, Vec<u8>)>> {
        self.call(self.store.segments(s, u, d)).await
    }
    async fn unit_rows(&self, site: SiteId, unit: Unit) -> Result<(Vec<(Day, Dim)>, Vec<(Day, u32)>)> {
        self.call(self.store.unit_rows(site, unit)).await
    }
    async fn setting(&self, key: &str) -> Result<Option<Setting>> {
        self.call(self.store.setting(key)).await
    }
    async fn settings(&self, prefix: &str) -> Result<Vec<Setting>> {
        self.call(self.store.settings(prefix)).await
    }
    async fn put_setting(&self, key: &str, expected: u64, value: Option<Vec<u8>>) -> Result<()> {
        self.call(self.store.put_setting(key, expected, value)).await
    }
    async fn revision(&self) -> Result<u64> {
        self.call(self.store.revision()).await
    }
    async fn forget_segments(&self, site: SiteId, before: Day) -> Result<()> {
        self.call(self.store.forget_segments(site, before)).await
    }
    async fn erase_site(&self, site: SiteId) -> Result<()> {
        self.call(self.store.erase_site(site)).await
    }
    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

const SITE: SiteId = SiteId(7);
const FIRST: Day = Day(20_000);

fn view(id: u64, day: i32, visitor: u64, page: u64) -> Batch {
    let at_ms = i64::from(FIRST.0 + day) * 86_400_000 + 10_800_000 + id as i64 % 10_000 * 1000;
    let event = Event {
        kind: Kind::PageView,
        at_ms,
        offset_s: 0,
        hostname: "example.com".into(),
        page: format!("/{page}").into(),
        origin: Origin::default(),
        name: Text::default(),
        props: Vec::new(),
        interactive: true,
        engaged_ms: 0,
        scroll: None,
        revenue: None,
        numbers: Vec::new(),
    };
    Batch {
        id,
        received_ms: at_ms,
        sent_ms: 0,
        site: SITE,
        day: Day(FIRST.0 + day),
        visitor: NonZeroU64::new(visitor).map(Visitor),
        place: Place::default(),
        device: Device::default(),
        language: Text::default(),
        events: vec![event],
    }
}

async fn append(store: &Arc<dyn Store>, batches: Vec<Batch>) {
    store.append(encode_flush(&Flush { blocks: blocks(batches), dropped: Vec::new() })).await.unwrap();
}

/// Pages of three days with views and visitors, as somebody reads them who has only the store.
async fn counted(store: &Arc<dyn Store>) -> String {
    let days = FIRST..=Day(FIRST.0 + 2);
    let query = Query::top(Dimension::Value(Dim::Page), Metric::Pageviews, 10, days, &TimeZone::UTC);
    let report = Source::alone(store.clone()).report(SITE, &query).await.unwrap();
    let mut rows: Vec<String> = report
        .rows
        .iter()
        .map(|row| format!("{} {} {}", row.label(), row.counts.pageviews, row.counts.visitors))
        .collect();
    rows.sort();
    rows.join(", ")
}

/// Three days, the first so large that its events leave as a part, each life of the folder ended by a close.
/// Says how many calls of the store there were.
async fn three_days(at: usize, done: bool) -> (usize, String) {
    let dir = tempfile::tempdir().unwrap();
    let store = store::open(&format!("sqlite:{}", dir.path().join("p.db").display())).unwrap();
    let failing = Arc::new(Failing { store: store.clone(), calls: AtomicUsize::new(0), at, done });
    let start = async || {
        let through: Arc<dyn Store> = failing.clone();
        match Folder::start(through.clone(), Arc::new(Notify::new())).await {
            Ok(folder) => folder,
            Err(_) => Folder::start(through, Arc::new(Notify::new())).await.expect("it fails once"),
        }
    };
    for day in 0..3 {
        let first = day as u64 * 10_000 + 1;
        let many = if day == 0 { 4_200 } else { 30 };
        append(&store, (first..first + many).map(|n| view(n, day, n % 9 + 1, n % 4)).collect()).await;
        let folder = start().await;
        // The first of the day before is sent once more, among something new.
        let again = first.saturating_sub(10_000);
        let again =
            if day == 0 { view(first, 0, 2, 1) } else { view(again, day - 1, again % 9 + 1, again % 4) };
        append(&store, vec![again, view(first + 5_000, day, 77, 9)]).await;
        folder.settle().await;
        folder.close().await;
    }
    assert!(sites::removed(&*store).await.unwrap().is_empty());
    (failing.calls.load(Ordering::SeqCst), counted(&store).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_anywhere_loses_nothing_and_doubles_nothing() {
    let (calls, without) = three_days(usize::MAX, false).await;
    assert_eq!(without, "/0 1064 23, /1 1066 25, /2 1066 25, /3 1064 23, /9 3 3");
    assert!(calls > 20, "{calls}");
    // A few more than there were: a failure makes further calls, and where it falls is up to the threads.
    let failures: Vec<_> = (0..calls + 4).flat_map(|at| [(at, false), (at, true)]).collect();
    for some in failures.chunks(8) {
        let some: Vec<_> =
            some.iter().map(|&(at, done)| (at, done, tokio::spawn(three_days(at, done)))).collect();
        for (at, done, with) in some {
            assert_eq!(with.await.unwrap().1, without, "a failure at call {at}, the work done: {done}");
        }
    }
}
