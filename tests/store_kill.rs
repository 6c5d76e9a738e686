//! kill -9 at any moment, from the first of a store's life on: it opens again, holds every append that was
//! answered, and none that was not made.
//!
//! The test runs itself as the process that is killed.

use passerby::store::{Put, Store, sqlite::Sqlite};
use passerby_engine::event::{Day, SiteId};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const FILE: &str = "PASSERBY_TEST_KILLED_STORE";

/// When the process is killed.
enum Moment {
    /// Tenths of a millisecond after its start: the store's birth.
    After(u64),
    /// When so many appends more were answered.
    Answered(usize),
}

use Moment::{After, Answered};

const ROUNDS: [Moment; 14] = [
    After(0),
    After(20),
    After(40),
    After(60),
    After(80),
    After(100),
    After(130),
    After(170),
    After(220),
    Answered(1),
    Answered(4),
    Answered(7),
    Answered(30),
    Answered(11),
];

/// What append number `n` holds: from nothing to several pages.
fn flush(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat((n * 37 % 2000) as usize + 1)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

/// The process that is killed: opens, appends, checkpoints and trims, and says what was answered.
#[test]
fn killed() {
    let Ok(file) = std::env::var(FILE) else {
        return;
    };
    let store = Sqlite::open(Path::new(&file)).unwrap();
    // What is written here survives a kill, though not a power cut: it is how the test knows.
    let answers = Path::new(&file).with_extension("answers");
    let mut answers = OpenOptions::new().create(true).append(true).open(answers).unwrap();
    block_on(async {
        let mut watermark = store.load().await.unwrap().watermark;
        let mut next = watermark + 1;
        while let Some((last, _)) = store.read_log(next - 1, 1 << 20).await.unwrap().flushes.last() {
            next = last + 1;
        }
        for n in next.. {
            let position = store.append(flush(n)).await.unwrap();
            assert_eq!(position, n);
            answers.write_all(format!("{position}\n").as_bytes()).unwrap();
            if n % 5 == 0 {
                let site = SiteId(1);
                let bytes = Some(position.to_le_bytes().to_vec());
                let state = Put::State { site, day: Day(1), bytes: bytes.clone() };
                let batches = Put::Batches { chunk: 1, bytes };
                store.checkpoint(watermark, position, vec![state, batches]).await.unwrap();
                store.trim(watermark).await.unwrap();
                watermark = position;
            }
        }
    });
}

#[test]
fn a_store_killed_at_any_moment_opens_with_all_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let answers = |file: &Path| fs::read_to_string(file.with_extension("answers")).unwrap_or_default();
    for (round, moment) in ROUNDS.into_iter().enumerate() {
        // Births need a new store each; the rest goes on with what was killed before.
        let name = if matches!(moment, After(_)) { round } else { 1000 };
        let file = folder.path().join(format!("{name}.db"));
        let before = answers(&file).lines().count();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["killed", "--exact", "--nocapture"])
            .env(FILE, &file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        match moment {
            After(delay) => sleep(Duration::from_micros(delay * 100)),
            Answered(more) => {
                while answers(&file).lines().count() < before + more && process.try_wait().unwrap().is_none()
                {
                    sleep(Duration::from_micros(100));
                }
            }
        }
        process.kill().unwrap();
        let end = process.wait().unwrap();
        assert_eq!(end.code(), None, "it was killed, and did not fail by itself");
        check(&file);
    }
}

fn check(file: &Path) {
    let answers = fs::read_to_string(file.with_extension("answers")).unwrap_or_default();
    let answered = answers.lines().last().map_or(0, |line| line.parse::<u64>().unwrap());
    let store = Sqlite::open(file).unwrap();
    block_on(async {
        let checkpoint = store.load().await.unwrap();
        if checkpoint.watermark > 0 {
            let bytes = checkpoint.watermark.to_le_bytes().to_vec();
            assert_eq!(
                checkpoint.states,
                [(SiteId(1), Day(1), bytes.clone())],
                "all of a checkpoint or nothing"
            );
            assert_eq!(checkpoint.batches, [(1, bytes)]);
        }
        let log = store.read_log(0, usize::MAX).await.unwrap();
        let mut next = log.trimmed + 1;
        for (position, bytes) in log.flushes {
            assert_eq!(position, next, "no gap");
            assert_eq!(bytes, flush(position), "what was appended, whole");
            next += 1;
        }
        assert!(next > answered, "{answered} was answered, the log ends before {next}");
        assert!(next <= answered + 2, "one append was under way, but the log goes on to {next}");
    });
}
