//! The suite. Each function is one promise, told by what a caller would see.

use crate::Place;
use passerby::store::{Checkpoint, Kind, LIVE, Position, Put, Setting, Store, StoredRollup};
use passerby_engine::event::{Day, SiteId};
use passerby_engine::rollup::{Counts, Dim};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Runs the whole suite on the places that a function makes: `conformance!(sqlite);`
#[macro_export]
macro_rules! conformance {
    ($place:ident) => {
        $crate::conformance!($place:
            a_new_store_is_empty,
            appends_are_read_in_order,
            a_read_stops_at_its_size_and_says_that_more_follows,
            a_reader_never_sees_a_gap,
            another_handle_sees_each_write,
            appends_of_two_handles_get_positions_of_their_own,
            a_checkpoint_is_all,
            a_checkpoint_is_nothing_when_another_was_first,
            of_racing_checkpoints_one_wins,
            a_load_is_of_one_moment,
            puts_are_idempotent_and_take_back,
            a_trim_stops_at_the_watermark,
            a_reader_that_was_trimmed_away_is_told,
            a_reader_is_told_the_watermark,
            positions_ascend_over_a_trim_to_nothing,
            rollups_come_by_dimension_day_and_unit,
            days_span_all_rollups,
            segments_come_by_day_and_part,
            a_unit_lists_its_rows,
            a_setting_changes_only_at_its_revision,
            a_revision_is_never_used_twice,
            settings_are_listed_by_prefix,
            the_revision_grows_with_settings_and_units,
            segments_are_forgotten_before_a_day,
            a_site_is_erased_and_no_other,
            odd_values_survive,
            what_was_answered_survives_a_reopening,
            after_close_everything_is_unavailable,
        );
    };
    ($place:ident: $($promise:ident),+ $(,)?) => {
        mod $place {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    $crate::suite::$promise(&super::$place()).await;
                }
            )+
        }
    };
}

const SITE: SiteId = SiteId(0xf00d_0000_0000_0001);
const OTHER: SiteId = SiteId(2);
const TODAY: Day = Day(20_000);
/// An import's id: its upper bit is set, as in half of all hashes.
const IMPORT: u64 = 0x8000_0000_0000_0007;

fn rollup(site: SiteId, unit: u64, day: Day, dim: Dim, bytes: &[u8]) -> Put {
    let bytes = Some(bytes.to_vec());
    Put::Rollup { site, unit, day, dim, bytes }
}

fn segment(site: SiteId, unit: u64, day: Day, part: u32, bytes: &[u8]) -> Put {
    let bytes = Some(bytes.to_vec());
    Put::Segment { site, unit, day, part, bytes }
}

fn state(site: SiteId, day: Day, bytes: &[u8]) -> Put {
    let bytes = Some(bytes.to_vec());
    Put::State { site, day, bytes }
}

/// The log after a position, as "position:bytes", with a star when more follow.
async fn log(store: &dyn Store, after: Position, max_bytes: usize) -> String {
    let read = store.read_log(after, max_bytes).await.unwrap();
    let show = |(at, flush): &(Position, Vec<u8>)| format!("{at}:{}", String::from_utf8_lossy(flush));
    let flushes: Vec<String> = read.flushes.iter().map(show).collect();
    flushes.join(" ") + if read.more { " *" } else { "" }
}

async fn append(store: &dyn Store, flush: &str) -> Position {
    store.append(flush.into()).await.unwrap()
}

pub async fn a_new_store_is_empty(place: &dyn Place) {
    let store = place.open();
    assert_eq!(store.load().await.unwrap(), Checkpoint::default());
    assert_eq!(store.read_log(0, 1 << 20).await.unwrap(), Default::default());
    assert_eq!(store.days(SITE).await.unwrap(), None);
    assert_eq!(store.settings("").await.unwrap(), []);
}

pub async fn appends_are_read_in_order(place: &dyn Place) {
    let store = place.open();
    let positions = [append(&*store, "a").await, append(&*store, "b").await, append(&*store, "c").await];
    assert!(0 < positions[0] && positions.is_sorted(), "{positions:?}");
    let [a, b, c] = positions;
    assert_eq!(log(&*store, 0, 1 << 20).await, format!("{a}:a {b}:b {c}:c"));
    assert_eq!(log(&*store, a, 1 << 20).await, format!("{b}:b {c}:c"));
    assert_eq!(log(&*store, c, 1 << 20).await, "");
    assert_eq!(log(&*store, Position::MAX, 1 << 20).await, "");
}

pub async fn a_read_stops_at_its_size_and_says_that_more_follows(place: &dyn Place) {
    let store = place.open();
    for flush in ["aaaa", "bbbb", "cccc"] {
        append(&*store, flush).await;
    }
    let (a, b) = (store.read_log(0, 0).await.unwrap(), store.read_log(0, 8).await.unwrap());
    assert_eq!((a.flushes.len(), a.more), (1, true), "at least one, however large");
    assert_eq!((b.flushes.len(), b.more), (2, true));
    let c = store.read_log(0, 12).await.unwrap();
    assert_eq!((c.flushes.len(), c.more), (3, false));
}

pub async fn a_reader_never_sees_a_gap(place: &dyn Place) {
    let (writer, reader) = (place.open(), place.open());
    let writing: Vec<_> = (0..4)
        .map(|n| {
            let writer = writer.clone();
            tokio::spawn(async move {
                for i in 0..25 {
                    append(&*writer, &format!("{n}.{i}")).await;
                }
            })
        })
        .collect();
    // What is read piece by piece while it grows must be what is read at the end at once.
    let (mut after, mut pieces) = (0, Vec::new());
    while pieces.len() < 100 {
        for (position, flush) in reader.read_log(after, 64).await.unwrap().flushes {
            assert!(position > after);
            after = position;
            pieces.push((position, flush));
        }
    }
    for task in writing {
        task.await.unwrap();
    }
    assert_eq!(reader.read_log(0, 1 << 20).await.unwrap().flushes, pieces);
}

pub async fn another_handle_sees_each_write(place: &dyn Place) {
    let (a, b) = (place.open(), place.open());
    let position = append(&*a, "x").await;
    assert_eq!(log(&*b, 0, 100).await, format!("{position}:x"));
    a.checkpoint(0, position, vec![state(SITE, TODAY, b"s")]).await.unwrap();
    assert_eq!(b.load().await.unwrap().watermark, position);
    let before = b.revision().await.unwrap();
    a.put_setting("k", 0, Some(b"v".to_vec())).await.unwrap();
    assert_eq!(b.setting("k").await.unwrap().unwrap().value, b"v");
    assert!(b.revision().await.unwrap() > before);
}

pub async fn appends_of_two_handles_get_positions_of_their_own(place: &dyn Place) {
    let stores = [place.open(), place.open()];
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move { (append(&*store, &n.to_string()).await, n.to_string().into_bytes()) })
        })
        .collect();
    let mut answered = BTreeSet::new();
    for task in tasks {
        answered.insert(task.await.unwrap());
    }
    let found = stores[0].read_log(0, 1 << 20).await.unwrap().flushes;
    assert_eq!(found, answered.into_iter().collect::<Vec<_>>());
    assert_eq!(found.len(), 40);
}

pub async fn a_checkpoint_is_all(place: &dyn Place) {
    let store = place.open();
    let to = append(&*store, "x").await;
    let puts = vec![
        state(SITE, TODAY, b"state"),
        Put::Batches { chunk: 3, bytes: Some(b"ids".to_vec()) },
        rollup(SITE, LIVE, TODAY, Dim::Page, b"pages"),
        segment(SITE, LIVE, TODAY, 1, b"part"),
        Put::Daily { site: SITE, unit: LIVE, day: TODAY, totals: Some(Counts::default()) },
        Put::Setting { key: "imports".into(), value: Some(b"list".to_vec()) },
    ];
    store.checkpoint(0, to, puts).await.unwrap();
    let checkpoint = store.load().await.unwrap();
    assert_eq!(checkpoint.watermark, to);
    assert_eq!(checkpoint.states, [(SITE, TODAY, b"state".to_vec())]);
    assert_eq!(checkpoint.batches, [(3, b"ids".to_vec())]);
    let rollups = store.rollups(SITE, &[Dim::Page], TODAY..=TODAY).await.unwrap();
    assert_eq!(rollups, [StoredRollup { unit: LIVE, day: TODAY, dim: Dim::Page, bytes: b"pages".to_vec() }]);
    assert_eq!(store.segments(SITE, LIVE, TODAY..=TODAY).await.unwrap(), [(TODAY, 1, b"part".to_vec())]);
    assert_eq!(store.setting("imports").await.unwrap().unwrap().value, b"list");
}

pub async fn a_checkpoint_is_nothing_when_another_was_first(place: &dyn Place) {
    let (a, b) = (place.open(), place.open());
    let to = append(&*a, "x").await;
    a.checkpoint(0, to, vec![state(SITE, TODAY, b"a")]).await.unwrap();
    let late = vec![
        state(SITE, TODAY, b"b"),
        rollup(SITE, LIVE, TODAY, Dim::Page, b"b"),
        Put::Setting { key: "k".into(), value: Some(b"b".to_vec()) },
    ];
    let revision = a.revision().await.unwrap();
    assert_eq!(b.checkpoint(0, to, late).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(b.load().await.unwrap().states, [(SITE, TODAY, b"a".to_vec())]);
    assert_eq!(b.rollups(SITE, &[Dim::Page], TODAY..=TODAY).await.unwrap(), []);
    assert_eq!(b.setting("k").await.unwrap(), None);
    assert_eq!(b.revision().await.unwrap(), revision);
    // Publishing without moving the watermark (an import) is a checkpoint like another.
    b.checkpoint(to, to, vec![state(SITE, TODAY, b"c")]).await.unwrap();
}

pub async fn of_racing_checkpoints_one_wins(place: &dyn Place) {
    let stores = [place.open(), place.open(), place.open()];
    let mut expected = 0;
    for round in 0..10u8 {
        let next = append(&*stores[0], "x").await;
        let tasks: Vec<_> = (0..3u8)
            .map(|n| {
                let store = stores[n as usize].clone();
                let puts =
                    vec![state(SITE, TODAY, &[round, n]), rollup(SITE, LIVE, TODAY, Dim::Page, &[round, n])];
                tokio::spawn(async move { store.checkpoint(expected, next, puts).await.map_err(|e| e.kind) })
            })
            .collect();
        let mut winners = Vec::new();
        for (n, task) in tasks.into_iter().enumerate() {
            match task.await.unwrap() {
                Ok(()) => winners.push(n as u8),
                Err(kind) => assert_eq!(kind, Kind::Conflict),
            }
        }
        let [winner] = winners[..] else { panic!("{winners:?} all won") };
        assert_eq!(stores[1].load().await.unwrap().states[0].2, [round, winner]);
        assert_eq!(
            stores[2].rollups(SITE, &[Dim::Page], TODAY..=TODAY).await.unwrap()[0].bytes,
            [round, winner]
        );
        expected = next;
    }
}

pub async fn a_load_is_of_one_moment(place: &dyn Place) {
    let (writer, reader) = (place.open(), place.open());
    let writing = tokio::spawn(async move {
        for n in 0..50u64 {
            let bytes = (n + 1).to_le_bytes();
            let puts = vec![
                state(SITE, TODAY, &bytes),
                state(OTHER, TODAY, &bytes),
                Put::Batches { chunk: n / 10, bytes: Some(bytes.to_vec()) },
            ];
            writer.checkpoint(n, n + 1, puts).await.unwrap();
        }
    });
    let mut watermark = 0;
    while watermark < 50 {
        let found = reader.load().await.unwrap();
        assert!(found.watermark >= watermark);
        watermark = found.watermark;
        if watermark > 0 {
            let bytes = watermark.to_le_bytes().to_vec();
            assert!(
                found.states.iter().all(|(_, _, b)| *b == bytes),
                "states of another moment at {watermark}"
            );
            assert_eq!(found.batches.last().unwrap().1, bytes);
        }
    }
    writing.await.unwrap();
}

pub async fn puts_are_idempotent_and_take_back(place: &dyn Place) {
    let store = place.open();
    let totals = Some(Counts { visitors: 1, ..Counts::default() });
    let puts = vec![
        state(SITE, TODAY, b"state"),
        Put::Batches { chunk: u64::MAX, bytes: Some(b"ids".to_vec()) },
        rollup(SITE, IMPORT, TODAY, Dim::Prop, b"props"),
        segment(SITE, IMPORT, TODAY, 0, b"frozen"),
        Put::Daily { site: SITE, unit: IMPORT, day: TODAY, totals },
        Put::Setting { key: "k".into(), value: Some(b"v".to_vec()) },
    ];
    store.checkpoint(0, 0, puts.clone()).await.unwrap();
    store.checkpoint(0, 0, puts).await.unwrap();
    assert_eq!(store.rollups(SITE, &[Dim::Prop], TODAY..=TODAY).await.unwrap().len(), 1);
    let back = vec![
        Put::State { site: SITE, day: TODAY, bytes: None },
        Put::Batches { chunk: u64::MAX, bytes: None },
        Put::Rollup { site: SITE, unit: IMPORT, day: TODAY, dim: Dim::Prop, bytes: None },
        Put::Segment { site: SITE, unit: IMPORT, day: TODAY, part: 0, bytes: None },
        Put::Daily { site: SITE, unit: IMPORT, day: TODAY, totals: None },
        Put::Setting { key: "k".into(), value: None },
    ];
    store.checkpoint(0, 0, back.clone()).await.unwrap();
    store.checkpoint(0, 0, back).await.unwrap();
    assert_eq!(store.load().await.unwrap(), Checkpoint::default());
    assert_eq!(store.days(SITE).await.unwrap(), None);
    assert_eq!(store.segments(SITE, IMPORT, TODAY..=TODAY).await.unwrap(), []);
    assert_eq!(store.setting("k").await.unwrap(), None);
}

pub async fn a_trim_stops_at_the_watermark(place: &dyn Place) {
    let store = place.open();
    let (a, b) = (append(&*store, "a").await, append(&*store, "b").await);
    let c = append(&*store, "c").await;
    store.trim(c).await.unwrap();
    assert_eq!(log(&*store, 0, 100).await, format!("{a}:a {b}:b {c}:c"), "nothing is folded yet");
    store.checkpoint(0, b, vec![]).await.unwrap();
    store.trim(a).await.unwrap();
    assert_eq!(log(&*store, 0, 100).await, format!("{b}:b {c}:c"));
    store.trim(Position::MAX).await.unwrap();
    assert_eq!(log(&*store, 0, 100).await, format!("{c}:c"));
    store.trim(a).await.unwrap();
    assert_eq!(store.read_log(0, 100).await.unwrap().trimmed, b, "a smaller trim takes nothing back");
}

pub async fn a_reader_that_was_trimmed_away_is_told(place: &dyn Place) {
    let (writer, reader) = (place.open(), place.open());
    let (a, b) = (append(&*writer, "a").await, append(&*writer, "b").await);
    let c = append(&*writer, "c").await;
    let slow = reader.load().await.unwrap().watermark;
    writer.checkpoint(0, b, vec![]).await.unwrap();
    writer.trim(b).await.unwrap();
    let read = reader.read_log(slow, 100).await.unwrap();
    assert!(read.trimmed > slow, "it missed {a} and {b} and must load again");
    // Even when nothing is left to read.
    writer.checkpoint(b, c, vec![]).await.unwrap();
    writer.trim(c).await.unwrap();
    let read = reader.read_log(b, 100).await.unwrap();
    assert_eq!((read.trimmed, read.flushes.len(), read.more), (c, 0, false));
    let again = reader.load().await.unwrap().watermark;
    assert!(reader.read_log(again, 100).await.unwrap().trimmed <= again);
}

pub async fn a_reader_is_told_the_watermark(place: &dyn Place) {
    let (store, other) = (place.open(), place.open());
    let [a, b] = [append(&*store, "a").await, append(&*store, "b").await];
    let watermark = async || store.read_log(b, 1 << 20).await.unwrap().watermark;
    assert_eq!(watermark().await, 0);
    other.checkpoint(0, a, Vec::new()).await.unwrap();
    assert_eq!(watermark().await, a);
    other.checkpoint(0, b, Vec::new()).await.unwrap_err();
    other.trim(a).await.unwrap();
    assert_eq!(watermark().await, a);
}

pub async fn positions_ascend_over_a_trim_to_nothing(place: &dyn Place) {
    let store = place.open();
    let last = append(&*store, "a").await;
    store.checkpoint(0, last, vec![]).await.unwrap();
    store.trim(last).await.unwrap();
    drop(store);
    assert!(append(&*place.open(), "b").await > last);
}

pub async fn rollups_come_by_dimension_day_and_unit(place: &dyn Place) {
    let store = place.open();
    let mut puts = Vec::new();
    for day in [Day(-1), Day(0), Day(1), Day(2)] {
        for dim in [Dim::Source, Dim::Total, Dim::Page] {
            for unit in [IMPORT, 5, LIVE] {
                puts.push(rollup(SITE, unit, day, dim, format!("{day} {dim:?} {unit:x}").as_bytes()));
                puts.push(rollup(OTHER, unit, day, dim, b"another site's"));
            }
        }
    }
    store.checkpoint(0, 0, puts).await.unwrap();
    let dims = [Dim::Source, Dim::Total, Dim::Source, Dim::City];
    let found = store.rollups(SITE, &dims, Day(-1)..=Day(0)).await.unwrap();
    let found: Vec<String> = found.into_iter().map(|r| String::from_utf8(r.bytes).unwrap()).collect();
    let expected = [
        "1969-12-31 Total 0",
        "1969-12-31 Total 5",
        "1969-12-31 Total 8000000000000007",
        "1970-01-01 Total 0",
        "1970-01-01 Total 5",
        "1970-01-01 Total 8000000000000007",
        "1969-12-31 Source 0",
        "1969-12-31 Source 5",
        "1969-12-31 Source 8000000000000007",
        "1970-01-01 Source 0",
        "1970-01-01 Source 5",
        "1970-01-01 Source 8000000000000007",
    ];
    assert_eq!(found, expected);
    let none = store.rollups(SITE, &dims, Day(2)..=Day(1)).await.unwrap();
    assert_eq!(none, []);
}

pub async fn days_span_all_rollups(place: &dyn Place) {
    let store = place.open();
    let puts = vec![
        rollup(SITE, LIVE, Day(10), Dim::Total, b"x"),
        rollup(SITE, IMPORT, Day(-3), Dim::Page, b"x"),
        rollup(SITE, LIVE, Day(12), Dim::Dropped, b"x"),
        rollup(OTHER, LIVE, Day(99), Dim::Total, b"x"),
    ];
    store.checkpoint(0, 0, puts).await.unwrap();
    assert_eq!(store.days(SITE).await.unwrap(), Some((Day(-3), Day(12))));
    assert_eq!(store.days(OTHER).await.unwrap(), Some((Day(99), Day(99))));
}

pub async fn segments_come_by_day_and_part(place: &dyn Place) {
    let store = place.open();
    let puts = vec![
        segment(SITE, LIVE, Day(2), 0, b"frozen 2"),
        segment(SITE, LIVE, Day(1), 10, b"ten"),
        segment(SITE, LIVE, Day(1), 9, b"nine"),
        segment(SITE, LIVE, Day(3), 1, b"later"),
        segment(SITE, IMPORT, Day(1), 0, b"imported"),
        segment(OTHER, LIVE, Day(1), 0, b"another site's"),
    ];
    store.checkpoint(0, 0, puts).await.unwrap();
    let found = store.segments(SITE, LIVE, Day(1)..=Day(2)).await.unwrap();
    let expected = [(Day(1), 9, "nine"), (Day(1), 10, "ten"), (Day(2), 0, "frozen 2")];
    assert_eq!(found, expected.map(|(day, part, bytes)| (day, part, bytes.into())));
}

pub async fn a_unit_lists_its_rows(place: &dyn Place) {
    let store = place.open();
    let puts = vec![
        rollup(SITE, IMPORT, Day(2), Dim::Page, b"x"),
        rollup(SITE, IMPORT, Day(1), Dim::Source, b"x"),
        rollup(SITE, IMPORT, Day(1), Dim::Page, b"x"),
        rollup(SITE, LIVE, Day(1), Dim::Page, b"x"),
        segment(SITE, IMPORT, Day(1), 0, b"x"),
        segment(SITE, LIVE, Day(5), 0, b"x"),
    ];
    store.checkpoint(0, 0, puts).await.unwrap();
    let (rollups, segments) = store.unit_rows(SITE, IMPORT).await.unwrap();
    assert_eq!(rollups, [(Day(1), Dim::Page), (Day(1), Dim::Source), (Day(2), Dim::Page)]);
    assert_eq!(segments, [(Day(1), 0)]);
    assert_eq!(store.unit_rows(OTHER, IMPORT).await.unwrap(), (vec![], vec![]));
}

pub async fn a_setting_changes_only_at_its_revision(place: &dyn Place) {
    let (a, b) = (place.open(), place.open());
    let conflict =
        |done: Result<(), passerby::store::Error>| assert_eq!(done.unwrap_err().kind, Kind::Conflict);
    conflict(a.put_setting("k", 1, Some(b"no".to_vec())).await);
    a.put_setting("k", 0, Some(b"one".to_vec())).await.unwrap();
    conflict(b.put_setting("k", 0, Some(b"no".to_vec())).await);
    let one = b.setting("k").await.unwrap().unwrap();
    a.put_setting("k", one.revision, Some(b"two".to_vec())).await.unwrap();
    conflict(b.put_setting("k", one.revision, None).await);
    let two = b.setting("k").await.unwrap().unwrap();
    assert!(two.revision > one.revision && one.revision > 0);
    assert_eq!(two.value, b"two");
    b.put_setting("k", two.revision, None).await.unwrap();
    assert_eq!(a.setting("k").await.unwrap(), None);
    // To remove what is not there is to change nothing.
    a.put_setting("k", 0, None).await.unwrap();
}

pub async fn a_revision_is_never_used_twice(place: &dyn Place) {
    let store = place.open();
    store.put_setting("k", 0, Some(b"old".to_vec())).await.unwrap();
    let old = store.setting("k").await.unwrap().unwrap().revision;
    store.put_setting("k", old, None).await.unwrap();
    store.put_setting("k", 0, Some(b"new".to_vec())).await.unwrap();
    let late = store.put_setting("k", old, Some(b"late".to_vec())).await;
    assert_eq!(late.unwrap_err().kind, Kind::Conflict, "it would overwrite what it never saw");
}

pub async fn settings_are_listed_by_prefix(place: &dyn Place) {
    let store = place.open();
    for key in ["site/b", "site/a", "site", "sitf", "site/\u{10ffff}", "key/1", "Site/a", "site/a%_"] {
        store.put_setting(key, 0, Some(key.into())).await.unwrap();
    }
    let keys = async |prefix: &str| -> Vec<String> {
        store.settings(prefix).await.unwrap().into_iter().map(|s| s.key).collect()
    };
    assert_eq!(keys("site/").await, ["site/a", "site/a%_", "site/b", "site/\u{10ffff}"]);
    assert_eq!(keys("").await.len(), 8);
    assert_eq!(keys("nothing").await, [""; 0]);
    let all = store.settings("key/1").await.unwrap();
    assert_eq!(all, [Setting { key: "key/1".into(), value: "key/1".into(), revision: all[0].revision }]);
}

pub async fn the_revision_grows_with_settings_and_units(place: &dyn Place) {
    let store = place.open();
    let mut last = store.revision().await.unwrap();
    let mut grew = async || {
        let now = store.revision().await.unwrap();
        let grew = now > last;
        last = now;
        grew
    };
    store.put_setting("k", 0, Some(b"v".to_vec())).await.unwrap();
    assert!(grew().await, "a setting");
    assert!(store.put_setting("k", 0, None).await.is_err());
    assert!(!grew().await, "a refused change");
    store.append(b"x".to_vec()).await.unwrap();
    store.checkpoint(0, 1, vec![rollup(SITE, LIVE, TODAY, Dim::Page, b"x")]).await.unwrap();
    assert!(!grew().await, "live counts");
    store.checkpoint(1, 1, vec![rollup(SITE, IMPORT, TODAY, Dim::Page, b"x")]).await.unwrap();
    assert!(grew().await, "an import");
    store.checkpoint(1, 1, vec![Put::Setting { key: "k".into(), value: None }]).await.unwrap();
    assert!(grew().await, "a setting within a checkpoint");
    store.erase_site(SITE).await.unwrap();
    assert!(grew().await, "an erased site");
}

pub async fn segments_are_forgotten_before_a_day(place: &dyn Place) {
    let store = place.open();
    let mut puts = vec![segment(OTHER, LIVE, Day(1), 0, b"x"), segment(SITE, IMPORT, Day(1), 0, b"x")];
    for day in 0..200 {
        puts.push(segment(SITE, LIVE, Day(day), 0, b"x"));
        puts.push(rollup(SITE, LIVE, Day(day), Dim::Total, b"x"));
    }
    store.checkpoint(0, 0, puts).await.unwrap();
    store.forget_segments(SITE, Day(199)).await.unwrap();
    let all = Day(0)..=Day(1000);
    assert_eq!(store.segments(SITE, LIVE, all.clone()).await.unwrap(), [(Day(199), 0, b"x".to_vec())]);
    assert_eq!(store.segments(SITE, IMPORT, all.clone()).await.unwrap(), []);
    assert_eq!(store.segments(OTHER, LIVE, all.clone()).await.unwrap().len(), 1);
    assert_eq!(store.rollups(SITE, &[Dim::Total], all).await.unwrap().len(), 200, "the figures stay");
}

pub async fn a_site_is_erased_and_no_other(place: &dyn Place) {
    let store = place.open();
    let (a, b) = (append(&*store, "folded").await, append(&*store, "not yet").await);
    let mut puts = Vec::new();
    for site in [SITE, OTHER] {
        for day in 0..100 {
            puts.push(rollup(site, LIVE, Day(day), Dim::Page, b"x"));
            puts.push(rollup(site, IMPORT, Day(day), Dim::Page, b"x"));
            puts.push(segment(site, LIVE, Day(day), 0, b"x"));
        }
        puts.push(state(site, Day(100), b"x"));
    }
    store.checkpoint(0, a, puts).await.unwrap();
    store.erase_site(SITE).await.unwrap();
    assert_eq!(store.days(SITE).await.unwrap(), None);
    assert_eq!(store.segments(SITE, LIVE, Day(0)..=Day(100)).await.unwrap(), []);
    assert_eq!(store.unit_rows(SITE, IMPORT).await.unwrap(), (vec![], vec![]));
    let checkpoint = store.load().await.unwrap();
    assert_eq!((checkpoint.watermark, checkpoint.states), (a, vec![(OTHER, Day(100), b"x".to_vec())]));
    assert_eq!(store.days(OTHER).await.unwrap(), Some((Day(0), Day(99))));
    assert_eq!(store.segments(OTHER, LIVE, Day(0)..=Day(100)).await.unwrap().len(), 100);
    assert_eq!(log(&*store, a, 100).await, format!("{b}:not yet"), "what is not folded is not lost");
    assert_eq!(store.read_log(0, 100).await.unwrap().trimmed, a);
}

pub async fn odd_values_survive(place: &dyn Place) {
    let store = place.open();
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let a = store.append(bytes.clone()).await.unwrap();
    let b = store.append(Vec::new()).await.unwrap();
    let found = store.read_log(0, 1 << 20).await.unwrap().flushes;
    assert_eq!(found, [(a, bytes.clone()), (b, Vec::new())]);
    let (first, last) = (Day(i32::MIN), Day(i32::MAX));
    let puts = vec![
        rollup(SiteId(u64::MAX), u64::MAX, first, Dim::Prop, &bytes),
        rollup(SiteId(u64::MAX), u64::MAX, last, Dim::Prop, b""),
        segment(SiteId(u64::MAX), u64::MAX, last, u32::MAX, &bytes),
        state(SiteId(u64::MAX), first, b""),
    ];
    store.checkpoint(0, b, puts).await.unwrap();
    let rollups = store.rollups(SiteId(u64::MAX), &[Dim::Prop], first..=last).await.unwrap();
    assert_eq!((rollups[0].day, rollups[0].unit, &rollups[0].bytes), (first, u64::MAX, &bytes));
    assert_eq!((rollups[1].day, rollups[1].bytes.len()), (last, 0));
    let segments = store.segments(SiteId(u64::MAX), u64::MAX, first..=last).await.unwrap();
    assert_eq!(segments, [(last, u32::MAX, bytes)]);
    assert_eq!(store.load().await.unwrap().states, [(SiteId(u64::MAX), first, vec![])]);
    store.put_setting("", 0, Some(Vec::new())).await.unwrap();
    assert_eq!(store.setting("").await.unwrap().unwrap().value, b"");
}

pub async fn what_was_answered_survives_a_reopening(place: &dyn Place) {
    let store = place.open();
    let (a, b) = (append(&*store, "a").await, append(&*store, "b").await);
    store.checkpoint(0, a, vec![state(SITE, TODAY, b"s")]).await.unwrap();
    store.put_setting("k", 0, Some(b"v".to_vec())).await.unwrap();
    // Not closed, and still open while the next one reads: as after a kill.
    let second = place.open();
    drop(store);
    let third = place.open();
    for store in [second, third] {
        assert_eq!(store.load().await.unwrap().states, [(SITE, TODAY, b"s".to_vec())]);
        assert_eq!(log(&*store, 0, 100).await, format!("{a}:a {b}:b"));
        assert_eq!(store.setting("k").await.unwrap().unwrap().value, b"v");
    }
}

pub async fn after_close_everything_is_unavailable(place: &dyn Place) {
    let store = place.open();
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let store: Arc<dyn Store> = store.clone();
            tokio::spawn(async move { store.append(vec![n]).await })
        })
        .collect();
    append(&*store, "before").await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let mut answered = 1;
    for task in waiting {
        match task.await.unwrap() {
            Ok(_) => answered += 1,
            Err(e) => assert_eq!(e.kind, Kind::Unavailable),
        }
    }
    assert_eq!(store.append(vec![]).await.unwrap_err().kind, Kind::Unavailable);
    assert_eq!(store.load().await.unwrap_err().kind, Kind::Unavailable);
    assert_eq!(store.put_setting("k", 0, None).await.unwrap_err().kind, Kind::Unavailable);
    let found = place.open().read_log(0, 1 << 20).await.unwrap().flushes.len();
    assert_eq!(found, answered, "a yes is kept, a no is not");
}
