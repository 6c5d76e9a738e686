//! Time is moved by hand; the store is one that does what it is told.

use super::*;
use crate::store::{Checkpoint, LogRead, Put, Setting, StoredRollup, Unit};
use async_trait::async_trait;
use passerby_engine::event::{Device, Kind as EventKind, Origin, Place};
use passerby_engine::rollup::Dim;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Takes appends when it is let, and fails when told to.
struct Told {
    /// A flush as text, once it is durable.
    log: Mutex<Vec<String>>,
    /// How many appends may go on.
    go: Semaphore,
    fail: AtomicBool,
}

impl Told {
    fn new(go: usize) -> Arc<Told> {
        Arc::new(Told { log: Mutex::default(), go: Semaphore::new(go), fail: AtomicBool::new(false) })
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// The batches' ids and the drops of a flush.
fn show(bytes: &[u8]) -> String {
    let flush = block::decode_flush(bytes).unwrap();
    let ids = flush.blocks.iter().flat_map(|block| block.batches.iter().map(|batch| batch.id.to_string()));
    let drops = flush.dropped.iter().map(|d| format!("-{} {}", d.count, d.reason.name()));
    ids.chain(drops).collect::<Vec<_>>().join(" ")
}

fn unavailable<T>() -> Result<T> {
    Err(Error::new(Kind::Unavailable, "the disk is full"))
}

#[async_trait]
impl Store for Told {
    async fn append(&self, flush: Vec<u8>) -> Result<Position> {
        self.go.acquire().await.unwrap().forget();
        if self.fail.load(Ordering::Relaxed) {
            return unavailable();
        }
        let mut log = self.log.lock().unwrap();
        log.push(show(&flush));
        Ok(log.len() as Position)
    }

    async fn read_log(&self, _: Position, _: usize) -> Result<LogRead> {
        unavailable()
    }
    async fn load(&self) -> Result<Checkpoint> {
        unavailable()
    }
    async fn checkpoint(&self, _: Position, _: Position, _: Vec<Put>) -> Result<()> {
        unavailable()
    }
    async fn trim(&self, _: Position) -> Result<()> {
        unavailable()
    }
    async fn rollups(&self, _: SiteId, _: &[Dim], _: RangeInclusive<Day>) -> Result<Vec<StoredRollup>> {
        unavailable()
    }
    async fn days(&self, _: SiteId) -> Result<Option<(Day, Day)>> {
        unavailable()
    }
    async fn segments(&self, _: SiteId, _: Unit, _: RangeInclusive<Day>) -> Result<Vec<(Day, u32, Vec<u8>)>> {
        unavailable()
    }
    async fn unit_rows(&self, _: SiteId, _: Unit) -> Result<(Vec<(Day, Dim)>, Vec<(Day, u32)>)> {
        unavailable()
    }
    async fn setting(&self, _: &str) -> Result<Option<Setting>> {
        unavailable()
    }
    async fn settings(&self, _: &str) -> Result<Vec<Setting>> {
        unavailable()
    }
    async fn put_setting(&self, _: &str, _: u64, _: Option<Vec<u8>>) -> Result<()> {
        unavailable()
    }
    async fn revision(&self) -> Result<u64> {
        unavailable()
    }
    async fn forget_segments(&self, _: SiteId, _: Day) -> Result<()> {
        unavailable()
    }
    async fn erase_site(&self, _: SiteId) -> Result<()> {
        unavailable()
    }
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

fn batch(id: u64) -> Batch {
    let event = Event {
        kind: EventKind::PageView,
        at_ms: 1_750_000_000_000,
        offset_s: 0,
        hostname: "example.com".into(),
        page: "/".into(),
        origin: Origin::default(),
        name: Text::default(),
        props: Vec::new(),
        interactive: false,
        engaged_ms: 0,
        scroll: None,
        revenue: None,
        numbers: Vec::new(),
    };
    Batch {
        id,
        received_ms: 1_750_000_000_000,
        sent_ms: 0,
        site: SiteId(1),
        day: Day(20_254),
        visitor: None,
        place: Place::default(),
        device: Device::default(),
        language: Text::default(),
        events: vec![event],
    }
}

fn drops(reason: Reason, count: u32) -> Dropped {
    Dropped { site: SiteId(1), day: Day(20_254), reason, count }
}

fn spawn(committer: &Committer, id: u64) -> JoinHandle<Result<()>> {
    let committer = committer.clone();
    tokio::spawn(async move { committer.append(vec![batch(id)]).await })
}

/// Lets every task go as far as it can without time passing.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn yes_comes_after_the_store_and_never_before() {
    let store = Told::new(0);
    let committer = Committer::start(store.clone());
    let mut grown = committer.subscribe();
    let request = spawn(&committer, 1);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!request.is_finished());
    assert!(!grown.has_changed().unwrap());
    store.go.add_permits(1);
    request.await.unwrap().unwrap();
    assert_eq!(store.log(), ["1"]);
    grown.changed().await.unwrap();
    assert_eq!(*grown.borrow(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_comes_during_an_append_is_one_flush() {
    let store = Told::new(0);
    let committer = Committer::start(store.clone());
    let mut requests = vec![spawn(&committer, 0)];
    settle().await;
    requests.extend((1..=5).map(|id| spawn(&committer, id)));
    settle().await;
    store.go.add_permits(2);
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!(store.log(), ["0", "1 2 3 4 5"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_site_never_waits() {
    let store = Told::new(1000);
    let committer = Committer::start(store.clone());
    let start = Instant::now();
    for id in 0..100 {
        committer.append(vec![batch(id)]).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(store.log().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn after_a_large_flush_the_next_gathers_for_two_milliseconds_or_until_it_is_as_large() {
    let store = Told::new(0);
    let committer = Committer::start(store.clone());
    let mut requests = vec![spawn(&committer, 0)];
    settle().await;
    requests.extend((1..=65).map(|id| spawn(&committer, id)));
    settle().await;
    store.go.add_permits(1000);
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!(store.log().len(), 2);

    let start = Instant::now();
    let first = spawn(&committer, 66);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let second = spawn(&committer, 67);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), GATHER);
    assert_eq!(store.log()[2], "66 67");

    // That flush was small: no waiting any more.
    spawn(&committer, 68).await.unwrap().unwrap();
    assert_eq!(start.elapsed(), GATHER);

    for requests in [66, 66] {
        let requests: Vec<_> = (0..requests).map(|id| spawn(&committer, id)).collect();
        for request in requests {
            request.await.unwrap().unwrap();
        }
    }
    assert_eq!(start.elapsed(), GATHER, "as many as last time are enough at once");
}

#[tokio::test(start_paused = true)]
async fn a_failed_append_is_said_to_all_and_not_tried_again() {
    let store = Told::new(1000);
    let committer = Committer::start(store.clone());
    store.fail.store(true, Ordering::Relaxed);
    let requests: Vec<_> = (1..=3).map(|id| spawn(&committer, id)).collect();
    for request in requests {
        let error = request.await.unwrap().unwrap_err();
        assert_eq!((error.kind, &*error.message), (Kind::Unavailable, "the disk is full"));
    }
    store.fail.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(store.log(), [""; 0]);
    assert!(!committer.subscribe().has_changed().unwrap());
    committer.append(vec![batch(4)]).await.unwrap();
    assert_eq!(store.log(), ["4"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_away_takes_nothing_back() {
    let store = Told::new(0);
    let committer = Committer::start(store.clone());
    let (gone, stays) = (spawn(&committer, 1), spawn(&committer, 2));
    settle().await;
    gone.abort();
    store.go.add_permits(1000);
    stays.await.unwrap().unwrap();
    assert_eq!(store.log(), ["1 2"]);
}

#[tokio::test(start_paused = true)]
async fn drops_ride_along_merged_or_go_alone_after_ten_seconds() {
    let store = Told::new(1000);
    let committer = Committer::start(store.clone());
    for _ in 0..100_000 {
        committer.dropped(drops(Reason::Bot, 1));
    }
    committer.dropped(drops(Reason::Bot, u32::MAX - 1));
    committer.dropped(drops(Reason::BadUrl, 2));
    assert_eq!(committer.desk.room().dropped.len(), 2, "a flood takes no memory");
    committer.append(vec![batch(1)]).await.unwrap();
    assert_eq!(store.log(), ["1 -2 bad_url -4294967295 bot"]);

    let start = Instant::now();
    committer.dropped(drops(Reason::TooOld, 1));
    tokio::time::sleep(Duration::from_secs(9)).await;
    committer.dropped(drops(Reason::TooOld, 1));
    let mut grown = committer.subscribe();
    grown.changed().await.unwrap();
    assert_eq!(start.elapsed(), DROPS_WAIT);
    assert_eq!(store.log()[1], "-2 too_old");
}

#[tokio::test(start_paused = true)]
async fn drops_of_a_failed_append_are_not_lost() {
    let store = Told::new(1000);
    let committer = Committer::start(store.clone());
    store.fail.store(true, Ordering::Relaxed);
    committer.dropped(drops(Reason::Bot, 3));
    committer.append(vec![batch(1)]).await.unwrap_err();
    committer.dropped(drops(Reason::Bot, 4));
    store.fail.store(false, Ordering::Relaxed);
    committer.append(vec![batch(2)]).await.unwrap();
    assert_eq!(store.log(), ["2 -7 bot"]);
}

#[tokio::test(start_paused = true)]
async fn too_much_is_refused_at_once_and_harms_nothing_that_waits() {
    let store = Told::new(0);
    let committer = Committer::start(store.clone());
    let mut requests = vec![spawn(&committer, 0)];
    settle().await;
    requests.extend((0..ROOM_REQUESTS as u64).map(|id| spawn(&committer, id)));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let refused = committer.append(vec![batch(0)]).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Unavailable);
    store.go.add_permits(1000);
    for request in requests {
        request.await.unwrap().unwrap();
    }
    // The room is empty again; now by memory.
    let large = |id| {
        let mut batch = batch(id);
        batch.events = vec![batch.events[0].clone(); 100];
        for event in &mut batch.events {
            event.page = "x".repeat(2000).into();
        }
        batch
    };
    let mut waiting = 0;
    let refused = loop {
        match committer.desk.room().enter(vec![large(waiting)], &committer.desk.knock) {
            Ok(_) => waiting += 1,
            Err(e) => break e,
        }
    };
    assert_eq!(refused.kind, Kind::Unavailable);
    assert!((40..80).contains(&waiting), "{waiting} of about 0.25 MB fit into 16 MB");
}

#[tokio::test(start_paused = true)]
async fn closing_appends_what_waits_and_refuses_what_comes() {
    let store = Told::new(0);
    let committer = Committer::start(store.clone());
    let first = spawn(&committer, 1);
    settle().await;
    let second = spawn(&committer, 2);
    committer.dropped(drops(Reason::Bot, 1));
    settle().await;
    let closing = tokio::spawn({
        let committer = committer.clone();
        async move { committer.close().await }
    });
    settle().await;
    assert!(!closing.is_finished());
    assert_eq!(spawn(&committer, 3).await.unwrap().unwrap_err().kind, Kind::Unavailable);
    store.go.add_permits(1000);
    closing.await.unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(store.log(), ["1", "2 -1 bot"]);
    committer.close().await;
}

#[tokio::test(start_paused = true)]
async fn closing_ends_even_when_the_store_takes_nothing() {
    let store = Told::new(1000);
    store.fail.store(true, Ordering::Relaxed);
    let committer = Committer::start(store.clone());
    committer.dropped(drops(Reason::Bot, 1));
    let request = spawn(&committer, 1);
    settle().await;
    committer.close().await;
    assert!(request.await.unwrap().is_err());
    committer.dropped(drops(Reason::Bot, 1));
    assert_eq!(store.log(), [""; 0]);
}

#[tokio::test]
async fn nobody_waits_for_a_loop_that_is_gone() {
    let (send, receive) = std::sync::mpsc::channel();
    // Its runtime ends under it.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        send.send(runtime.block_on(async { Committer::start(Told::new(1)) })).unwrap();
    });
    let committer = tokio::task::spawn_blocking(move || receive.recv().unwrap()).await.unwrap();
    committer.close().await;
    assert_eq!(committer.append(vec![batch(1)]).await.unwrap_err().kind, Kind::Unavailable);
}
