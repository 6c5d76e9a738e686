//! What is SQLite's alone; the promises of every store are tested in `tests/conformance.rs`.

use super::*;
use crate::store::LIVE;
use passerby_engine::rollup::Counts;
use rusqlite::{Connection, Row};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

const SITE: SiteId = SiteId(0xabcd_0123_4567_89ef);

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passerby.db");
    (folder, file)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

/// Why a file cannot be opened, without the folder's name.
fn refused(file: &Path) -> String {
    let error = Sqlite::open(file).err().expect("it is refused");
    assert_eq!(error.kind, Kind::Unusable);
    let folder = format!("{}/", file.parent().unwrap().display());
    error.message.replace(&folder, "")
}

fn names(folder: &TempDir) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder.path()).unwrap().map(name).collect();
    names.sort();
    names
}

fn pragma(file: &Path, name: &str) -> String {
    let conn = Connection::open(file).unwrap();
    let value = conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0));
    match value.unwrap() {
        rusqlite::types::Value::Integer(n) => n.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    }
}

#[test]
fn folder_and_file_are_its_owners_alone() {
    let (folder, _) = folder();
    let file = folder.path().join("a/b/passerby.db");
    let store = Sqlite::open(&file).unwrap();
    run(store.append(b"x".to_vec())).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.path().join("a")), mode(&folder.path().join("a/b"))), (0o700, 0o700));
    for name in ["passerby.db", "passerby.db-wal", "passerby.db-shm"] {
        assert_eq!(mode(&file.with_file_name(name)), 0o600, "{name}");
    }
    drop(store);
    let about =
        ["application_id", "user_version", "journal_mode", "auto_vacuum"].map(|name| pragma(&file, name));
    assert_eq!(about, ["1349739129", &schema::STEPS.len().to_string(), "wal", "2"]);
}

#[test]
fn a_clean_close_leaves_one_file() {
    let (folder, file) = folder();
    let store = Sqlite::open(&file).unwrap();
    run(async {
        store.append(vec![7; 100_000]).await.unwrap();
        store.load().await.unwrap();
        store.close().await.unwrap();
    });
    assert_eq!(names(&folder), ["passerby.db"]);
    let store = Sqlite::open(&file).unwrap();
    run(store.load()).unwrap();
    drop(store);
    assert_eq!(names(&folder), ["passerby.db"], "dropping closes too");
}

#[test]
fn what_cannot_be_a_store_is_refused_in_one_line() {
    let (folder, file) = folder();
    fs::write(&file, "Dear diary, today a stranger passed by. ".repeat(100)).unwrap();
    let before = fs::read(&file).unwrap();
    assert_eq!(refused(&file), "passerby.db is not a database");
    assert_eq!(fs::read(&file).unwrap(), before);

    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    let before = fs::read(&other).unwrap();
    assert_eq!(refused(&other), "other.db is a database of another program");
    assert_eq!(fs::read(&other).unwrap(), before);

    let newer = folder.path().join("newer.db");
    drop(Sqlite::open(&newer).unwrap());
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert_eq!(
        refused(&newer),
        "newer.db was written by a newer Passerby (its version is 99, this program knows up to 1): please run that one"
    );

    let under = file.join("passerby.db");
    assert!(
        refused(&under).ends_with("cannot be created: Not a directory (os error 20)"),
        "{}",
        refused(&under)
    );
    // A folder in which nobody may create anything, root included.
    assert!(refused(Path::new("/proc/passerby/passerby.db")).contains("cannot be created"));
    assert!(refused(folder.path()).contains("cannot be opened"));
    assert_eq!(names(&folder), ["newer.db", "other.db", "passerby.db"]);
}

#[test]
fn addresses_are_understood_or_refused() {
    let (folder, _) = folder();
    let folder = folder.path().display();
    let file = |url: &str| crate::store::file(url).map(|file| file.display().to_string()).map_err(|e| e.kind);
    assert_eq!(file("sqlite:a/b.db").unwrap(), "a/b.db");
    assert_eq!(file("sqlite:a/").unwrap(), "a/passerby.db");
    assert_eq!(file(&format!("sqlite:{folder}")).unwrap(), format!("{folder}/passerby.db"));
    for url in ["", "sqlite:", "a.db", "mysql://x"] {
        assert_eq!(file(url), Err(Kind::Unusable), "{url}");
    }
}

/// A made-up later version: a table more, a column more, and a row that needs both.
const LATER: Steps = &[
    schema::STEPS[0],
    "CREATE TABLE notes (text TEXT NOT NULL); ALTER TABLE meta ADD COLUMN noted INTEGER NOT NULL DEFAULT 5;",
    "INSERT INTO notes SELECT 'noted ' || noted FROM meta;",
];

const BROKEN: Steps = &[schema::STEPS[0], LATER[1], "INSERT INTO nowhere VALUES (1);"];

#[test]
fn an_older_store_is_upgraded_after_a_copy() {
    let (folder, file) = folder();
    let store = Sqlite::open_with(&file, &LATER[..1]).unwrap();
    run(store.append(b"kept".to_vec())).unwrap();
    // The old program was killed: what it wrote is still in the write-ahead log.
    std::mem::forget(store);
    fs::write(folder.path().join("passerby.db.v1-backup.part"), "cut off").unwrap();

    let failed = Sqlite::open_with(&file, BROKEN).err().unwrap();
    assert!(failed.message.contains("could not be prepared"), "{failed}");
    assert_eq!(pragma(&file, "user_version"), "1", "a step that fails leaves the old version");

    let store = Sqlite::open_with(&file, LATER).unwrap();
    assert_eq!(run(store.read_log(0, 100)).unwrap().flushes, [(1, b"kept".to_vec())]);
    let note =
        |conn: &Connection| conn.query_row("SELECT text FROM notes", [], |row| row.get::<_, String>(0));
    assert_eq!(run(store.readers.read("", note)).unwrap(), "noted 5");

    let backup = folder.path().join("passerby.db.v1-backup");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!names(&folder).iter().any(|name| name.ends_with(".part")));
    let old = Sqlite::open_with(&backup, &LATER[..1]).unwrap();
    assert_eq!(run(old.read_log(0, 100)).unwrap().flushes, [(1, b"kept".to_vec())]);
    drop((old, store));

    fs::remove_file(&backup).unwrap();
    drop(Sqlite::open_with(&file, LATER).unwrap());
    assert!(!backup.exists(), "no copy where there is nothing to upgrade");
}

#[test]
fn a_program_whose_store_was_upgraded_under_it_stops_writing() {
    let (_folder, file) = folder();
    let old = Sqlite::open_with(&file, &LATER[..1]).unwrap();
    run(old.append(b"x".to_vec())).unwrap();
    drop(Sqlite::open_with(&file, LATER).unwrap());
    assert_eq!(run(old.append(b"y".to_vec())).unwrap_err().kind, Kind::Unusable);
    assert_eq!(run(old.load()).unwrap_err().kind, Kind::Unusable);
}

#[test]
fn any_number_may_create_or_upgrade_it_at_once() {
    for steps in [&LATER[..1], LATER] {
        let (_folder, file) = folder();
        if steps.len() > 1 {
            drop(Sqlite::open_with(&file, &LATER[..1]).unwrap());
        }
        let threads: Vec<_> = (0..6)
            .map(|n| {
                let file = file.clone();
                std::thread::spawn(move || {
                    let store = Sqlite::open_with(&file, steps).unwrap();
                    run(store.append(vec![n])).unwrap();
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let store = Sqlite::open_with(&file, steps).unwrap();
        assert_eq!(run(store.read_log(0, 100)).unwrap().flushes.len(), 6);
    }
}

#[test]
fn a_full_disk_is_unavailable_and_passes() {
    let (_folder, file) = folder();
    let store = Sqlite::open(&file).unwrap();
    let pages = |n: u32| {
        let set = move |writer: &mut Writer| {
            writer.conn.pragma_update(None, "max_page_count", n).map_err(|e| failed("", e))
        };
        run(store.writer.run(set)).unwrap();
    };
    run(async { store.append(vec![1; 1000]).await.unwrap() });
    pages(30);
    let full = run(store.append(vec![2; 1_000_000])).unwrap_err();
    assert_eq!(
        (full.kind, &*full.message),
        (Kind::Unavailable, "the store could not append: database or disk is full")
    );
    let full = Put::State { site: SITE, day: Day(1), bytes: Some(vec![3; 1_000_000]) };
    let puts = vec![Put::Setting { key: "k".into(), value: Some(vec![]) }, full];
    assert_eq!(run(store.checkpoint(0, 1, puts)).unwrap_err().kind, Kind::Unavailable);
    // What fits still fits, and nothing of what did not is there.
    assert_eq!(run(store.append(vec![4; 1000])).unwrap(), 2);
    assert_eq!(run(store.load()).unwrap(), Checkpoint::default());
    assert_eq!(run(store.setting("k")).unwrap(), None);
    pages(1_000_000);
    assert_eq!(run(store.append(vec![2; 1_000_000])).unwrap(), 3);
}

#[test]
fn a_store_locked_elsewhere_is_unavailable_and_passes() {
    let (_folder, file) = folder();
    let store = Sqlite::open(&file).unwrap();
    let short = |writer: &mut Writer| {
        writer.conn.busy_timeout(std::time::Duration::from_millis(10)).map_err(|e| failed("", e))
    };
    run(store.writer.run(short)).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(run(store.append(b"x".to_vec())).unwrap_err().kind, Kind::Unavailable);
    assert_eq!(run(store.load()).unwrap().watermark, 0, "reading waits for nobody");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(run(store.append(b"x".to_vec())).unwrap(), 1);
}

#[test]
fn damaged_pages_are_corrupt_not_a_panic() {
    let (_folder, file) = folder();
    let store = Sqlite::open(&file).unwrap();
    let puts = (0..500).map(|day| Put::State { site: SITE, day: Day(day), bytes: Some(vec![5; 300]) });
    run(store.checkpoint(0, 0, puts.collect())).unwrap();
    drop(store);
    let mut bytes = fs::read(&file).unwrap();
    bytes.iter_mut().skip(4096).for_each(|byte| *byte = byte.wrapping_mul(31) ^ 0x5a);
    fs::write(&file, bytes).unwrap();
    let store = Sqlite::open(&file).unwrap();
    assert_eq!(run(store.load()).unwrap_err().kind, Kind::Corrupt);
    assert_eq!(run(store.append(b"x".to_vec())).unwrap_err().kind, Kind::Corrupt);
}

/// How many transactions the write-ahead log holds: frames that say how large the database is after them.
fn commits(file: &Path) -> usize {
    let log = fs::read(file.with_extension("db-wal")).unwrap();
    log[32..].chunks(24 + 4096).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[test]
fn appends_that_wait_share_a_commit() {
    let (_folder, file) = folder();
    let store = std::sync::Arc::new(Sqlite::open(&file).unwrap());
    run(async {
        store.append(vec![0]).await.unwrap();
        let before = commits(&file);
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let writer = store.clone();
        let holding = tokio::spawn(async move {
            writer.writer.run(move |_| held.recv().map_err(|_| Error::new(Kind::Corrupt, ""))).await
        });
        let appends: Vec<_> = (1..=10)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { store.append(vec![n]).await.unwrap() })
            })
            .collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let_go.send(()).unwrap();
        holding.await.unwrap().unwrap();
        for (n, append) in (2..).zip(appends) {
            assert_eq!(append.await.unwrap(), n);
        }
        assert_eq!(commits(&file), before + 1);
        // One after the other each has its own.
        store.append(vec![11]).await.unwrap();
        store.append(vec![12]).await.unwrap();
        assert_eq!(commits(&file), before + 3);
    });
}

#[test]
fn daily_is_for_people() {
    let (_folder, file) = folder();
    let store = Sqlite::open(&file).unwrap();
    let totals =
        Counts { visitors: 1, visits: 2, pageviews: 3, events: 4, engaged: 5, duration_s: 6, loose: 7 };
    let put = |unit, day, totals| Put::Daily { site: SITE, unit, day: Day(day), totals };
    let puts =
        vec![put(LIVE, 20_000, Some(totals)), put(0xbeef, 20_001, Some(totals)), put(LIVE, 20_001, None)];
    run(store.checkpoint(0, 0, puts)).unwrap();
    let conn = Connection::open(&file).unwrap();
    let mut rows = conn.prepare("SELECT * FROM daily ORDER BY day").unwrap();
    let columns = rows.column_names().collect::<Vec<_>>().join(" ");
    let show = |row: &Row| {
        let figures: Vec<i64> = (3..10).map(|n| row.get(n)).collect::<rusqlite::Result<_>>()?;
        let key: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        Ok(format!("{key:?} {figures:?}"))
    };
    let rows: Vec<String> = rows.query_map([], show).unwrap().collect::<rusqlite::Result<_>>().unwrap();
    assert_eq!(columns, "site day import visitors visits pageviews events engaged duration_s loose");
    assert_eq!(
        rows,
        [
            r#"["abcd0123456789ef", "2024-10-04", ""] [1, 2, 3, 4, 5, 6, 7]"#,
            r#"["abcd0123456789ef", "2024-10-05", "000000000000beef"] [1, 2, 3, 4, 5, 6, 7]"#,
        ]
    );
}

/// Every place in the store's files where a text stands.
fn traces(folder: &TempDir, text: &[u8]) -> usize {
    let count = |name: String| {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        bytes.windows(text.len()).filter(|window| *window == text).count()
    };
    names(folder).into_iter().map(count).sum()
}

#[test]
fn an_erased_site_leaves_no_byte() {
    const MARK: &[u8] = b"AN-ERASED-SITE";
    const OTHERS: &[u8] = b"another";
    let (folder, file) = folder();
    let store = Sqlite::open(&file).unwrap();
    // Sizes from a few bytes to many pages, in an order and with changes that make SQLite move rows about.
    let mut seed = 1u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    run(async {
        let mut position = 0;
        for _ in 0..30 {
            let mut puts = Vec::new();
            for _ in 0..100 {
                let (site, mark) = if random(2) == 0 { (SITE, MARK) } else { (SiteId(random(5)), OTHERS) };
                let day = Day(random(60) as i32);
                let size = [1, 5, 20, 100, 1000][random(5) as usize];
                let bytes = (random(5) > 0).then(|| mark.repeat(size));
                let dim = Dim::TABLE[random(26) as usize].dim;
                let totals = Some(Counts::default());
                puts.push(match random(4) {
                    0 => Put::State { site, day, bytes },
                    1 => Put::Segment { site, unit: LIVE, day, part: random(3) as u32, bytes },
                    2 => Put::Daily { site, unit: LIVE, day, totals },
                    _ => Put::Rollup { site, unit: random(2), day, dim, bytes },
                });
            }
            let next = store.append(MARK.repeat(random(1000) as usize)).await.unwrap();
            store.checkpoint(position, next, puts).await.unwrap();
            position = next;
        }
        assert!(traces(&folder, MARK) > 1000, "the search finds what is there");
        let size = fs::metadata(&file).unwrap().len();
        store.erase_site(SITE).await.unwrap();
        assert_eq!(traces(&folder, MARK), 0);
        assert_eq!(traces(&folder, SITE.to_string().as_bytes()), 0);
        assert_eq!(traces(&folder, &SITE.0.to_be_bytes()), 0);
        assert!(traces(&folder, OTHERS) > 1000);
        let smaller = fs::metadata(&file).unwrap().len();
        assert!(smaller < size * 3 / 4, "{smaller} of {size} bytes are left");
    });
}
