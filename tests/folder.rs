//! The folder over a real store: what it reads, keeps, closes and survives.

use passerby::answer::Live;
use passerby::folder::{Folder, Progress, catch_up, load};
use passerby::store::{self, LIVE, Put, Store};
use passerby_engine::block::{Flush, blocks, encode_flush};
use passerby_engine::event::*;
use passerby_engine::rollup::{Counts, Dim, Rollup};
use std::num::NonZeroU64;
use std::sync::Arc;
use tokio::sync::Notify;

const SITE: SiteId = SiteId(0xfeed_0000_0000_0001);
const DAY: Day = Day(20_000);

/// One page view: batch id, visitor, day, minute of the day.
fn view(id: u64, visitor: u64, day: Day, minute: i64) -> Batch {
    let at_ms = i64::from(day.0) * 86_400_000 + minute * 60_000;
    let event = Event {
        kind: Kind::PageView,
        at_ms,
        offset_s: 0,
        hostname: "example.com".into(),
        page: format!("/{id}").into(),
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
        day,
        visitor: NonZeroU64::new(visitor).map(Visitor),
        place: Place::default(),
        device: Device::default(),
        language: Text::default(),
        events: vec![event],
    }
}

async fn append(store: &dyn Store, batches: Vec<Batch>) {
    let flush = Flush { blocks: blocks(batches), dropped: Vec::new() };
    store.append(encode_flush(&flush)).await.unwrap();
}

fn open(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    store::open(&format!("sqlite:{}", folder.path().join("p.db").display())).unwrap()
}

async fn start(store: &Arc<dyn Store>) -> Folder {
    Folder::start(store.clone(), Arc::new(Notify::new())).await.unwrap()
}

/// A day's totals: what is stored and what is live, added.
async fn total(store: &dyn Store, folder: &Folder, day: Day) -> Counts {
    let mut total = Counts::default();
    for row in store.rollups(SITE, &[Dim::Total], day..=day).await.unwrap() {
        Rollup::decode(&row.bytes).unwrap().cells.iter().for_each(|(_, c)| total += *c);
    }
    for (_, _, rollup) in folder.rollups(SITE, &[Dim::Total], day..=day) {
        rollup.cells.iter().for_each(|(_, c)| total += *c);
    }
    total
}

#[tokio::test(flavor = "multi_thread")]
async fn you_read_your_own_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let folder = start(&store).await;
    for n in 1..50 {
        append(&*store, vec![view(n, n % 7 + 1, DAY, 600)]).await;
        folder.settle().await;
        assert_eq!(total(&*store, &folder, DAY).await.pageviews, n as i64);
    }
    assert_eq!(total(&*store, &folder, DAY).await.visitors, 7);
    folder.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_last_life_ended() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for life in 0..4 {
        let folder = start(&store).await;
        append(&*store, vec![view(life * 2 + 1, 1, DAY, 600), view(life * 2 + 2, life + 2, DAY, 601)]).await;
        // A batch of an earlier life, sent again.
        append(&*store, vec![view(1, 1, DAY, 600)]).await;
        folder.settle().await;
        let total = total(&*store, &folder, DAY).await;
        assert_eq!((total.pageviews, total.visitors), (life as i64 * 2 + 2, life as i64 + 2));
        // Every other life ends without a checkpoint.
        if life % 2 == 0 {
            folder.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_over_moves_into_the_store_and_counts_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let folder = start(&store).await;
    append(&*store, (1..=9).map(|n| view(n, n % 3 + 1, DAY, 10 * n as i64)).collect()).await;
    folder.settle().await;
    let before = total(&*store, &folder, DAY).await;
    let epoch = folder.epoch();

    append(&*store, vec![view(100, 1, Day(DAY.0 + 1), 60), view(101, 1, Day(DAY.0 + 1), 180)]).await;
    folder.settle().await;
    while folder.epoch() == epoch {
        folder.settle().await;
    }
    assert!(folder.rollups(SITE, &[Dim::Total], DAY..=DAY).is_empty(), "the day is out of memory");
    assert_eq!(total(&*store, &folder, DAY).await, before);
    let segments = store.segments(SITE, LIVE, DAY..=DAY).await.unwrap();
    assert_eq!(segments.len(), 1);
    assert_eq!(passerby_engine::segment::decode(&segments[0].2).unwrap().events.events.len(), 9);

    // What comes late for a closed day adds to it. Not each straggler closes it again: the day after does.
    for n in 0..9 {
        let mut late = view(200 + n, 0, DAY, 1430 + n as i64);
        late.received_ms += 4 * 3_600_000;
        append(&*store, vec![late]).await;
        folder.settle().await;
    }
    let after = total(&*store, &folder, DAY).await;
    assert_eq!((after.pageviews, after.loose, after.visitors), (before.pageviews + 9, 9, before.visitors));
    assert_eq!(folder.epoch(), epoch + 1, "the day is closed once so far");
    append(&*store, vec![view(300, 1, Day(DAY.0 + 2), 121)]).await;
    while !folder.rollups(SITE, &[Dim::Total], DAY..=DAY).is_empty() {
        folder.settle().await;
    }
    assert_eq!(total(&*store, &folder, DAY).await, after);
    assert_eq!(store.segments(SITE, LIVE, DAY..=DAY).await.unwrap().len(), 2);
    folder.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_folders_on_one_store_end_with_the_same_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, other) = (open(&dir), open(&dir));
    let (a, b) = (start(&store).await, start(&other).await);
    for n in 1..=40_u64 {
        let day = Day(DAY.0 + n as i32 / 10);
        append(if n % 2 == 0 { &*store } else { &*other }, vec![view(n, n % 5 + 1, day, 200 + n as i64)])
            .await;
        a.settle().await;
        b.settle().await;
    }
    a.close().await;
    b.close().await;
    let c = start(&store).await;
    let mut views = 0;
    for day in 0..=4 {
        views += total(&*store, &c, Day(DAY.0 + day)).await.pageviews;
    }
    assert_eq!(views, 40);
    c.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_alone_loads_the_checkpoint_and_folds_the_tail() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let folder = start(&store).await;
    append(&*store, vec![view(1, 1, DAY, 600)]).await;
    folder.close().await;
    append(&*store, vec![view(2, 2, DAY, 601)]).await;
    let mut fold = load(&*store).await.unwrap();
    assert_eq!(fold.state.day(SITE, DAY).unwrap().cells.total.pageviews, 1, "the checkpoint");
    assert!(matches!(catch_up(&*store, &mut fold).await.unwrap(), Progress::Caught(_)));
    assert_eq!(fold.state.day(SITE, DAY).unwrap().cells.total.pageviews, 2, "and the tail");
}

/// Another process closes a day that this one has open: soon it is counted once again.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_closed_leaves_this_ones_memory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let folder = start(&store).await;
    append(&*store, vec![view(1, 1, DAY, 600)]).await;
    folder.settle().await;
    let live = total(&*store, &folder, DAY).await;
    let (position, epoch) = (folder.position(), folder.epoch());
    let rollup = Rollup { cells: vec![(Text::default(), live)] };
    let bytes = Some(rollup.encode());
    let closed = Put::Rollup { site: SITE, unit: LIVE, day: DAY, dim: Dim::Total, bytes };
    open(&dir).checkpoint(0, position, vec![closed]).await.unwrap();
    folder.settle().await;
    assert_eq!(total(&*store, &folder, DAY).await, live);
    assert!(folder.epoch() > epoch, "readers are told");
    // Its own checkpoints go on from there.
    append(&*store, vec![view(2, 1, Day(DAY.0 + 1), 600)]).await;
    folder.close().await;
    assert_eq!(store.load().await.unwrap().watermark, position + 1);
}

/// A machine's clock ran years ahead for a moment. The days that come afterwards are closed when they are over.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_ran_ahead_closes_no_day_early() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let folder = start(&store).await;
    let today = Day((jiff::Timestamp::now().as_second() / 86_400) as i32);
    append(&*store, vec![view(1, 1, Day(today.0 + 1000), 0)]).await;
    folder.settle().await;
    for n in 2..9 {
        append(&*store, vec![view(n, 1, today, n as i64)]).await;
        folder.settle().await;
        assert_eq!(total(&*store, &folder, today).await.visitors, 1);
    }
    folder.close().await;
}

/// What of a day lies damaged in the store stops neither its end nor the log.
#[tokio::test(flavor = "multi_thread")]
async fn damage_to_one_day_stops_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let bytes = || Some(b"damaged".to_vec());
    let puts = vec![
        Put::Rollup { site: SITE, unit: LIVE, day: DAY, dim: Dim::Total, bytes: bytes() },
        Put::Segment { site: SITE, unit: LIVE, day: DAY, part: 0, bytes: bytes() },
    ];
    store.checkpoint(0, 0, puts).await.unwrap();
    // The log is damaged too.
    store.append(b"damaged".to_vec()).await.unwrap();
    append(&*store, vec![view(1, 1, DAY, 600)]).await;
    let folder = start(&store).await;
    append(&*store, vec![view(2, 1, Day(DAY.0 + 1), 600)]).await;
    while !folder.rollups(SITE, &[Dim::Total], DAY..=DAY).is_empty() {
        folder.settle().await;
    }
    let rows = store.rollups(SITE, &[Dim::Total, Dim::Page], DAY..=DAY).await.unwrap();
    let sound = |row: &store::StoredRollup| Rollup::decode(&row.bytes).is_ok();
    assert_eq!(
        rows.iter().map(|row| (row.dim, sound(row))).collect::<Vec<_>>(),
        [(Dim::Total, false), (Dim::Page, true)]
    );
    assert_eq!(total_of(&folder, Day(DAY.0 + 1)), 1);
    folder.close().await;
    assert_eq!(store.load().await.unwrap().watermark, 3);
}

fn total_of(folder: &Folder, day: Day) -> i64 {
    folder
        .rollups(SITE, &[Dim::Total], day..=day)
        .iter()
        .flat_map(|r| &r.2.cells)
        .map(|c| c.1.pageviews)
        .sum()
}

/// A start that fails after the folder runs ends the runtime under it.
#[test]
fn it_outlives_the_runtime_that_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let first = runtime();
    let folder = first.block_on(start(&store));
    first.shutdown_background();
    runtime().block_on(async {
        append(&*store, vec![view(1, 1, DAY, 600)]).await;
        folder.settle().await;
        assert_eq!(total(&*store, &folder, DAY).await.pageviews, 1);
        folder.close().await;
    });
    assert_eq!(runtime().block_on(store.load()).unwrap().watermark, 1);
}
