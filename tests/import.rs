//! Imports of access logs over a real store: the figures against a count made by other means, once and again,
//! taken out again, beside live counts, and over a store that fails.

mod common;

use async_trait::async_trait;
use passerby::answer::Source;
use passerby::folder;
use passerby::import::{self, AccessLog, Outcome, RulesInTime};
use passerby::store::{
    self, Checkpoint, Error, LIVE, LogRead, Position, Put, Result, Setting, Store, StoredRollup, Unit,
};
use passerby_engine::block::{Flush, blocks, encode_flush};
use passerby_engine::enrich::{OptOut, PlaceDetail, Rules, Tables};
use passerby_engine::event::*;
use passerby_engine::place;
use passerby_engine::query::Query;
use passerby_engine::rollup::{Counts, Dim, Rollup};
use passerby_engine::{segment, time};
use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const SITE: SiteId = SiteId(0xfeed_0000_0000_0001);
const NOW_MS: i64 = 1_780_000_000_000;

/// A real log, beside the project; elsewhere if `PASSERBY_TEST_SHARED` says so.
fn semicomplete() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("PASSERBY_TEST_SHARED").map_or_else(beside, PathBuf::from);
    shared.join("data/semicomplete-access.log.gz")
}

fn rules(zone: &str) -> RulesInTime {
    let rules = Rules {
        id: SITE,
        domain: "semicomplete.com".into(),
        zone: jiff::tz::TimeZone::get(zone).unwrap(),
        place_detail: PlaceDetail::City,
        cut_address: false,
        opt_out: OptOut::default(),
        keep_bots: false,
        keep_params: Vec::new(),
    };
    vec![(i64::MIN, rules)]
}

fn tables() -> Tables {
    Tables::new([7; 16], place::Tables::new())
}

fn open(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    store::open(&format!("sqlite:{}", folder.path().join("p.db").display())).unwrap()
}

async fn run(store: &dyn Store, file: &Path, keep_bots: bool) -> anyhow::Result<Outcome> {
    let what = AccessLog { files: vec![file.to_owned()], keep_bots };
    import::run(store, None, rules("UTC"), &tables(), &what, NOW_MS).await
}

/// Every row that the store has for the site: unit, day, dimension, cells; settings; segments of the live unit.
async fn everything(store: &dyn Store) -> String {
    let days = Day(i32::MIN / 2)..=Day(i32::MAX / 2);
    let dims: Vec<Dim> = Dim::TABLE.iter().map(|row| row.dim).collect();
    let mut lines = Vec::new();
    for row in store.rollups(SITE, &dims, days.clone()).await.unwrap() {
        let cells = Rollup::decode(&row.bytes).unwrap().cells;
        lines.push(format!("{:x} {} {:?} {cells:?}", row.unit, row.day, row.dim));
    }
    for setting in store.settings("").await.unwrap() {
        lines.push(format!("{} {}", setting.key, String::from_utf8_lossy(&setting.value)));
    }
    for (_, unit, _) in import::list(store).await.unwrap() {
        for (day, part, bytes) in store.segments(SITE, unit, days.clone()).await.unwrap() {
            lines.push(format!("segment {unit:x} {day} {part} {bytes:?}"));
        }
    }
    for (day, part, bytes) in store.segments(SITE, LIVE, days).await.unwrap() {
        lines.push(format!("segment live {day} {part} {bytes:?}"));
    }
    lines.push(format!("{:?}", store.load().await.unwrap()));
    lines.join("\n")
}

/// Totals of a unit by day.
async fn totals(store: &dyn Store, unit: Unit) -> BTreeMap<Day, Counts> {
    let days = Day(0)..=Day(100_000);
    let rows = store.rollups(SITE, &[Dim::Total], days).await.unwrap();
    let of_unit = rows.into_iter().filter(|row| row.unit == unit);
    of_unit.map(|row| (row.day, Rollup::decode(&row.bytes).unwrap().cells[0].1)).collect()
}

/// Page views and visitors by day, without the program's parser: lines cut at quotes and spaces, everything in
/// hash sets. The extensions are those that this log holds.
fn count_by_other_means(file: &Path) -> BTreeMap<String, (i64, i64)> {
    let mut text = Vec::new();
    let packed = std::fs::File::open(file).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    let assets: HashSet<&str> =
        "png css ico jpg js txt gif ttf pdf xml jar svg exe xsl jpeg deb swf gz doc woff"
            .split(' ')
            .collect();
    let mut days: BTreeMap<String, (i64, HashSet<(String, String)>)> = BTreeMap::new();
    for line in text.lines() {
        let quoted: Vec<&str> = line.splitn(6, '"').collect();
        let before: Vec<&str> = quoted[0].split(' ').collect();
        let request: Vec<&str> = quoted[1].split(' ').collect();
        let status = quoted[2].split(' ').nth(1).unwrap();
        let path = request[1].split(['?', '#']).next().unwrap();
        let name = path.rsplit('/').next().unwrap();
        let is_asset = name.contains('.') && assets.contains(name.rsplit('.').next().unwrap());
        if request[0] != "GET" || !(status.starts_with('2') || status == "304") || is_asset {
            continue;
        }
        let agent = quoted.get(5).unwrap().trim_end_matches('"');
        // The log's own offset is UTC, and so is the site here: `[17/May/2015:10:05:03` is that day.
        assert_eq!(before[4], "+0000]");
        let date = &before[3][1..12];
        let (views, visitors) = days.entry(date.to_owned()).or_default();
        *views += 1;
        visitors.insert((before[0].to_owned(), agent.to_owned()));
    }
    days.into_iter().map(|(date, (views, visitors))| (date, (views, visitors.len() as i64))).collect()
}

#[tokio::test]
async fn the_figures_are_those_of_an_independent_count() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let Outcome::Imported(unit, entry) = run(&*store, &semicomplete(), true).await.unwrap() else {
        panic!("it is new");
    };
    let counted = totals(&*store, unit).await;
    let shown = |day: Day| time::date(day).strftime("%d/%b/%Y").to_string();
    let found: BTreeMap<String, (i64, i64)> =
        counted.iter().map(|(day, c)| (shown(*day), (c.pageviews, c.visitors))).collect();
    assert_eq!(found, count_by_other_means(&semicomplete()));
    // As docs/IMPORT.md quotes them.
    let quoted = [("17", 700, 258), ("18", 1_282, 422), ("19", 1_025, 414), ("20", 883, 368)];
    let quoted = quoted.map(|(day, views, visitors)| (format!("{day}/May/2015"), (views, visitors)));
    assert_eq!(found, BTreeMap::from(quoted));

    let sum = |field: fn(&Counts) -> i64| counted.values().map(field).sum::<i64>();
    assert_eq!(entry.tally.lines, 10_000);
    assert_eq!(entry.tally.pageviews as i64, sum(|c| c.pageviews));
    assert_eq!(entry.visitors, sum(|c| c.visitors));
    let others = [&entry.tally.not_views, &entry.tally.dropped, &entry.tally.refused];
    let others: u64 = others.iter().flat_map(|table| table.values()).sum();
    assert_eq!(entry.tally.lines, entry.tally.pageviews + others, "each line is somewhere: {entry:#?}");

    // The events lie there too, once each, and belong to as many visitors.
    for (day, counts) in &counted {
        let segments = store.segments(SITE, unit, *day..=*day).await.unwrap();
        assert_eq!(segments.len(), 1);
        let segment = segment::decode(&segments[0].2).unwrap();
        assert_eq!(segment.events.events.len() as i64, counts.pageviews);
        assert_eq!(segment.visits.len() as i64, counts.visits);
        let visitors: HashSet<u32> = segment.visits.iter().map(|visit| visit.visitor).collect();
        assert_eq!(visitors.len() as i64, counts.visitors);
    }
    // And a question about those days finds the sum.
    let query = Query::totals(entry.days(), &jiff::tz::TimeZone::UTC);
    let source = Source::alone(store.clone());
    let report = source.report(SITE, &query).await.unwrap();
    assert_eq!(report.totals().pageviews, sum(|c| c.pageviews));
    assert_eq!(report.totals().visitors, entry.visitors);
}

#[tokio::test]
async fn without_the_flag_machines_are_left_out_and_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let Outcome::Imported(unit, entry) = run(&*store, &semicomplete(), false).await.unwrap() else {
        panic!("it is new");
    };
    let bots = entry.tally.dropped["bot"];
    assert!(bots > 500, "{bots}");
    let days = totals(&*store, unit).await;
    assert_eq!(days.values().map(|c| c.pageviews).sum::<i64>() as u64, entry.tally.pageviews);
    let rows = store.rollups(SITE, &[Dim::Dropped], entry.days()).await.unwrap();
    let dropped = rows.iter().flat_map(|row| Rollup::decode(&row.bytes).unwrap().cells);
    assert_eq!(dropped.map(|(_, c)| c.events).sum::<i64>() as u64, bots, "the site's owner sees them by day");
}

#[tokio::test]
async fn a_second_run_changes_nothing_and_taking_it_out_brings_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    // A live unit beside it, on one of the very days.
    let live = Batch {
        id: 1,
        received_ms: 1_431_900_000_000,
        sent_ms: 0,
        site: SITE,
        day: time::day_of(1_431_900_000_000, 0),
        visitor: None,
        place: Place::default(),
        device: Device::default(),
        language: Text::default(),
        events: vec![Event {
            kind: Kind::PageView,
            at_ms: 1_431_900_000_000,
            offset_s: 0,
            hostname: "semicomplete.com".into(),
            page: "/live".into(),
            origin: Origin::default(),
            name: Text::default(),
            props: Vec::new(),
            interactive: true,
            engaged_ms: 0,
            scroll: None,
            revenue: None,
            numbers: Vec::new(),
        }],
    };
    let flush = Flush { blocks: blocks(vec![live]), dropped: Vec::new() };
    store.append(encode_flush(&flush)).await.unwrap();
    let folder_ = folder::Folder::start(store.clone(), Arc::default()).await.unwrap();
    folder_.settle().await;
    folder_.close().await;

    let before = everything(&*store).await;
    let Outcome::Imported(unit, entry) = run(&*store, &semicomplete(), true).await.unwrap() else {
        panic!("it is new");
    };
    let after = everything(&*store).await;
    assert_ne!(after, before);
    let others = |all: &str| -> Vec<String> {
        let id = format!("{unit:x}");
        all.lines().filter(|line| !line.contains(&id)).map(str::to_owned).collect()
    };
    assert_eq!(others(&after), before.lines().collect::<Vec<_>>(), "nothing else was touched");

    // The same log, plain, in two files, with another flag: the same import.
    let mut text = Vec::new();
    let packed = std::fs::File::open(semicomplete()).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap();
    let half = text.iter().skip(text.len() / 2).position(|&b| b == b'\n').unwrap() + text.len() / 2 + 1;
    let files: Vec<PathBuf> = [("a", &text[..half]), ("b", &text[half..])]
        .map(|(name, text)| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        })
        .into();
    let what = AccessLog { files, keep_bots: false };
    let again = import::run(&*store, None, rules("UTC"), &tables(), &what, NOW_MS + 1).await.unwrap();
    assert_eq!(again, Outcome::AlreadyHere(unit, entry.clone()));
    assert_eq!(everything(&*store).await, after);

    assert_eq!(import::list(&*store).await.unwrap(), [(SITE, unit, entry.clone())]);
    assert_eq!(import::remove(&*store, unit ^ 1).await.unwrap(), None);
    assert_eq!(import::remove(&*store, unit).await.unwrap(), Some((SITE, entry)));
    assert_eq!(everything(&*store).await, before);

    // And may come again.
    assert!(
        matches!(run(&*store, &semicomplete(), true).await.unwrap(), Outcome::Imported(id, _) if id == unit)
    );
}

#[tokio::test]
async fn days_are_the_sites_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let line = |time: &str, n: u32| {
        format!("192.0.2.{n} - - [{time}] \"GET /{n} HTTP/1.1\" 200 1 \"-\" \"Mozilla\"\n")
    };
    // Half past six hours ahead of UTC; the lines' own offsets differ.
    let text = [
        line("17/May/2015:18:29:59 +0000", 1),
        line("17/May/2015:18:30:00 +0000", 2),
        line("17/May/2015:14:30:00 -0400", 2),
        line("18/May/2015:00:00:00 +0530", 1),
        line("19/May/2015:02:00:00 +0900", 3),
    ];
    let file = folder.path().join("log");
    std::fs::write(&file, text.concat()).unwrap();
    let what = AccessLog { files: vec![file], keep_bots: true };
    let outcome = import::run(&*store, None, rules("Asia/Kolkata"), &tables(), &what, NOW_MS).await.unwrap();
    let Outcome::Imported(unit, _) = outcome else { panic!("it is new") };
    let days = totals(&*store, unit).await;
    let shown: Vec<String> =
        days.iter().map(|(day, c)| format!("{day} {} views {} visitors", c.pageviews, c.visitors)).collect();
    assert_eq!(shown, ["2015-05-17 1 views 1 visitors", "2015-05-18 4 views 3 visitors"]);
}

/// A store that reads well and fails to write: always, or so many times with a conflict.
struct Failing {
    store: Arc<dyn Store>,
    conflicts: AtomicU32,
}

#[async_trait]
impl Store for Failing {
    async fn append(&self, flush: Vec<u8>) -> Result<Position> {
        self.store.append(flush).await
    }
    async fn read_log(&self, after: Position, max_bytes: usize) -> Result<LogRead> {
        self.store.read_log(after, max_bytes).await
    }
    async fn load(&self) -> Result<Checkpoint> {
        self.store.load().await
    }
    async fn checkpoint(&self, expected: Position, next: Position, puts: Vec<Put>) -> Result<()> {
        let left = self.conflicts.load(Ordering::SeqCst);
        let (kind, message) = match left {
            0 => return self.store.checkpoint(expected, next, puts).await,
            u32::MAX => (store::Kind::Unavailable, "the disk is full"),
            _ => (store::Kind::Conflict, "somebody else was first"),
        };
        if left < u32::MAX {
            self.conflicts.store(left - 1, Ordering::SeqCst);
        }
        Err(Error { kind, message: message.into() })
    }
    async fn trim(&self, through: Position) -> Result<()> {
        self.store.trim(through).await
    }
    async fn rollups(
        &self,
        site: SiteId,
        dims: &[Dim],
        days: RangeInclusive<Day>,
    ) -> Result<Vec<StoredRollup>> {
        self.store.rollups(site, dims, days).await
    }
    async fn days(&self, site: SiteId) -> Result<Option<(Day, Day)>> {
        self.store.days(site).await
    }
    async fn segments(
        &self,
        site: SiteId,
        unit: Unit,
        days: RangeInclusive<Day>,
    ) -> Result<Vec<(Day, u32, Vec<u8>)>> {
        self.store.segments(site, unit, days).await
    }
    async fn unit_rows(&self, site: SiteId, unit: Unit) -> Result<(Vec<(Day, Dim)>, Vec<(Day, u32)>)> {
        self.store.unit_rows(site, unit).await
    }
    async fn setting(&self, key: &str) -> Result<Option<Setting>> {
        self.store.setting(key).await
    }
    async fn settings(&self, prefix: &str) -> Result<Vec<Setting>> {
        self.store.settings(prefix).await
    }
    async fn put_setting(&self, key: &str, expected: u64, value: Option<Vec<u8>>) -> Result<()> {
        self.store.put_setting(key, expected, value).await
    }
    async fn revision(&self) -> Result<u64> {
        self.store.revision().await
    }
    async fn forget_segments(&self, site: SiteId, before: Day) -> Result<()> {
        self.store.forget_segments(site, before).await
    }
    async fn erase_site(&self, site: SiteId) -> Result<()> {
        self.store.erase_site(site).await
    }
    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

#[tokio::test]
async fn a_store_that_fails_has_nothing_and_one_that_is_busy_has_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let before = everything(&*store).await;
    let full = Failing { store: store.clone(), conflicts: AtomicU32::new(u32::MAX) };
    let error = run(&full, &semicomplete(), true).await.unwrap_err();
    assert_eq!(error.to_string(), "the disk is full");
    assert_eq!(everything(&*store).await, before);

    let busy = Failing { store: store.clone(), conflicts: AtomicU32::new(3) };
    assert!(matches!(run(&busy, &semicomplete(), true).await.unwrap(), Outcome::Imported(..)));
}

/// With a site go its imports, also one that is under way.
#[tokio::test]
async fn a_removed_sites_imports_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let before = everything(&*store).await;
    run(&*store, &semicomplete(), true).await.unwrap();
    let removed = format!("removed/{SITE}");
    store.put_setting(&removed, 0, Some(Vec::new())).await.unwrap();
    passerby::sites::erase(&store, SITE).await.unwrap();
    let error = run(&*store, &semicomplete(), true).await.unwrap_err();
    assert_eq!(error.to_string(), "the site was removed meanwhile: nothing is kept");
    store
        .put_setting(&removed, store.setting(&removed).await.unwrap().unwrap().revision, None)
        .await
        .unwrap();
    assert_eq!(everything(&*store).await, before);
}

#[tokio::test]
async fn a_log_that_is_cut_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let before = everything(&*store).await;
    let whole = std::fs::read(semicomplete()).unwrap();
    let file = folder.path().join("cut.gz");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert!(run(&*store, &file, true).await.is_err());
    assert_eq!(everything(&*store).await, before);
}

/// The program as it is typed: from standard input, ended with Ctrl-C when half is read, and then to the end.
#[test]
fn the_command_ends_without_a_trace_or_with_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("data/passerby.db");
    let mut text = Vec::new();
    let packed = std::fs::File::open(semicomplete()).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap();
    let list = || {
        let output = common::server::command(&db, &["import", "list"]);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let start = || {
        std::process::Command::new(common::server::BINARY)
            .args(["import", "access-log", "-", "--site", "semicomplete.com", "--keep-bots"])
            .args(["--store", &common::server::store_url(&db)])
            .env_clear()
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };

    let mut child = start();
    let mut input = child.stdin.take().unwrap();
    // More than a pipe holds: when this is written, most of it is read.
    input.write_all(&text[..text.len() / 2]).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
    drop(input);
    assert_eq!(list(), "");

    let mut child = start();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let summary = String::from_utf8(output.stdout).unwrap();
    let shown: Vec<&str> = summary.lines().map(str::trim).collect();
    assert!(shown.contains(&"3,890  page views"), "{summary}");
    assert!(shown.contains(&"See it at /semicomplete.com?from=2015-05-17&to=2015-05-20"), "{summary}");
    let listed = list();
    let id = listed.split('\t').next().unwrap();
    assert!(listed.contains("standard input"), "{listed}");
    let removed = common::server::command(&db, &["import", "remove", id]);
    assert!(removed.status.success());
    assert_eq!(list(), "");
}
