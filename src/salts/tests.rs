//! Days are moved by hand; the file lies in a folder of /dev/shm.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const SITE: SiteId = SiteId(7);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn no_swap() -> bool {
    false
}

fn tmpfs() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("the tests need a tmpfs at /dev/shm")
}

fn open(folder: &TempDir) -> Salts {
    Salts::open(Path::new("/some/passerby.db"), &[folder.path().into()], no_swap)
}

fn alone() -> Salts {
    Salts::open(Path::new("/some/passerby.db"), &[], no_swap)
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn file(salts: &Salts) -> PathBuf {
    match salts.level() {
        Level::Shared(file) => file,
        Level::Memory(why) => panic!("in memory only, since {why}"),
    }
}

fn holds(file: &Path, salt: &Salt) -> bool {
    fs::read(file).unwrap().windows(16).any(|bytes| bytes == salt)
}

/// The days and, by letters in the order they were first seen, the salts.
fn show(seen: &mut Vec<Salt>, salts: &DaySalts) -> String {
    let mut name = |(day, salt): &(Day, Salt)| {
        let known = seen.iter().position(|other| other == salt);
        let n = known.unwrap_or_else(|| {
            seen.push(*salt);
            seen.len() - 1
        });
        format!("{day} {}", (b'A' + n as u8) as char)
    };
    salts.iter().map(&mut name).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_salt_lives_a_local_day_and_thirty_minutes() {
    // Each zone: one salt a day; until 00:30 the one before too; a day of 23, 24, 25 hours; a half-hour zone;
    // a zone whose summer time begins at midnight, so that its day begins at 01:00.
    let table = [
        ("UTC", "2025-06-01T23:59:59Z", "2025-06-02T00:00:00Z", "2025-06-02T00:30:00Z"),
        ("Asia/Kolkata", "2025-06-02T18:29:59Z", "2025-06-02T18:30:00Z", "2025-06-02T19:00:00Z"),
        ("Australia/Eucla", "2025-06-02T15:14:59Z", "2025-06-02T15:15:00Z", "2025-06-02T15:45:00Z"),
        ("Europe/Berlin", "2025-03-30T21:59:59Z", "2025-03-30T22:00:00Z", "2025-03-30T22:30:00Z"),
        ("Europe/Berlin", "2025-10-26T22:59:59Z", "2025-10-26T23:00:00Z", "2025-10-26T23:30:00Z"),
        ("America/Asuncion", "2023-10-01T03:59:59Z", "2023-10-01T04:00:00Z", "2023-10-01T04:30:00Z"),
        ("Africa/Cairo", "2025-04-24T21:59:59Z", "2025-04-24T22:00:00Z", "2025-04-24T22:30:00Z"),
    ];
    for (name, before, midnight, after) in table {
        let (salts, zone, mut seen) = (alone(), zone(name), Vec::new());
        let mut found = |at_ms| show(&mut seen, &salts.for_site(SITE, &zone, at_ms));
        let today = time::local(&zone, at(before)).day;
        let next = Day(today.0 + 1);
        assert_eq!(found(at(before) - 10 * HOUR), format!("{today} A"), "{name}");
        assert_eq!(found(at(before)), format!("{today} A"), "{name}");
        assert_eq!(salts.next_wipe_ms(), Some(at(after)), "{name}");
        assert_eq!(found(at(midnight)), format!("{next} B, {today} A"), "{name}");
        assert_eq!(salts.rotate(at(after) - 1), None);
        assert_eq!(found(at(after) - 1), format!("{next} B, {today} A"), "{name}");
        // Whether or not the timer has come by.
        assert_eq!(found(at(after)), format!("{next} B"), "{name}");
        assert_eq!(salts.vault().kept.len(), 2, "{name}");
        salts.rotate(at(after));
        assert_eq!(salts.vault().kept.len(), 1, "{name}");
        assert_eq!(found(at(after)), format!("{next} B"), "{name}");
    }
}

#[test]
fn sites_share_no_salt_and_no_day_is_made_up() {
    let (salts, now) = (alone(), at("2025-06-02T00:10:00Z"));
    let one = salts.for_site(SITE, &TimeZone::UTC, now);
    let other = salts.for_site(SiteId(8), &TimeZone::UTC, now);
    // Nobody was hashed yesterday: no salt for yesterday.
    assert_eq!((one.len(), other.len()), (1, 1));
    assert_ne!(one[0].1, other[0].1);
}

#[test]
fn two_processes_agree_and_a_restart_remembers() {
    let folder = tmpfs();
    let (now, utc) = (at("2025-06-02T12:00:00Z"), TimeZone::UTC);
    let (a, b) = (open(&folder), open(&folder));
    let first = a.for_site(SITE, &utc, now);
    assert_eq!(*b.for_site(SITE, &utc, now), *first);
    let second = b.for_site(SiteId(8), &utc, now);
    assert_eq!(*a.for_site(SiteId(8), &utc, now), *second);
    drop((a, b));
    let again = open(&folder);
    assert_eq!(*again.for_site(SITE, &utc, now + HOUR), *first);
    // After midnight a restart still finds yesterday's, for the stragglers.
    let again = open(&folder);
    let after = again.for_site(SITE, &utc, at("2025-06-03T00:10:00Z"));
    assert_eq!((after.len(), after[1]), (2, first[0]));
    // Another store's are others.
    let other = Salts::open(Path::new("/other/passerby.db"), &[folder.path().into()], no_swap);
    assert_ne!(*other.for_site(SITE, &utc, now), *first);
}

#[test]
fn processes_that_race_for_a_salt_agree() {
    let folder = tmpfs();
    let now = at("2025-06-02T12:00:00Z");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let salts = open(&folder);
            std::thread::spawn(move || {
                let salt = |site| salts.for_site(SiteId(site), &TimeZone::UTC, now)[0].1;
                (0..50).map(salt).collect::<Vec<Salt>>()
            })
        })
        .collect();
    let found: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(found.iter().all(|salts| *salts == found[0]));
}

#[test]
fn a_rotation_overwrites_file_and_memory_without_any_traffic() {
    let folder = tmpfs();
    let salts = open(&folder);
    let now = at("2025-06-02T23:50:00Z");
    let old: Vec<Salt> = (0..40).map(|n| salts.for_site(SiteId(n), &TimeZone::UTC, now)[0].1).collect();
    let file = file(&salts);
    let kept: Vec<Kept> = salts.vault().kept.values().copied().collect();
    assert!(old.iter().all(|salt| holds(&file, salt)), "the search finds what is there");
    salts.rotate(at("2025-06-03T00:29:59Z"));
    assert!(old.iter().all(|salt| holds(&file, salt)));
    salts.rotate(at("2025-06-03T00:30:00Z"));
    assert!(!old.iter().any(|salt| holds(&file, salt)));
    assert!(kept.iter().all(|kept| salts.vault().memory.get(kept.slot) == Salt::default()));
    assert_eq!(salts.next_wipe_ms(), None);
    // Their places are used again: the file does not grow from day to day.
    let size = fs::metadata(&file).unwrap().len();
    for day in 0..30 {
        let now = at("2025-06-03T12:00:00Z") + day * 24 * HOUR;
        (0..40).for_each(|n| drop(salts.for_site(SiteId(n), &TimeZone::UTC, now)));
        salts.rotate(now + 13 * HOUR);
    }
    assert_eq!(fs::metadata(&file).unwrap().len(), size);
}

#[test]
fn a_process_that_starts_later_wipes_what_another_left() {
    let folder = tmpfs();
    let salts = open(&folder);
    let old = salts.for_site(SITE, &TimeZone::UTC, at("2025-06-02T12:00:00Z"))[0].1;
    let file = file(&salts);
    drop(salts);
    assert!(holds(&file, &old));
    open(&folder).rotate(at("2025-06-04T12:00:00Z"));
    assert!(!holds(&file, &old));
}

#[test]
fn a_clock_that_was_wrong_leaves_no_salt_that_lives_too_long() {
    let folder = tmpfs();
    let salts = open(&folder);
    let wrong = salts.for_site(SITE, &TimeZone::UTC, at("2031-01-01T12:00:00Z"))[0].1;
    let now = at("2025-06-02T12:00:00Z");
    salts.rotate(now);
    assert!(!holds(&file(&salts), &wrong));
    // A clock that goes back over midnight for a moment finds the day's salt again.
    let (mut seen, midnight) = (Vec::new(), at("2025-06-03T00:00:00Z"));
    for (at_ms, expected) in [
        (midnight - 1, "2025-06-02 A"),
        (midnight + 1, "2025-06-03 B, 2025-06-02 A"),
        (midnight - MINUTE, "2025-06-02 A"),
        (midnight + MINUTE, "2025-06-03 B, 2025-06-02 A"),
    ] {
        assert_eq!(show(&mut seen, &salts.for_site(SITE, &TimeZone::UTC, at_ms)), expected);
        salts.rotate(at_ms);
    }
}

#[test]
fn a_site_that_moves_east_leaves_no_old_day_behind() {
    let folder = tmpfs();
    let salts = open(&folder);
    let now = at("2025-06-02T12:30:00Z");
    let honolulu = salts.for_site(SITE, &zone("Pacific/Honolulu"), now);
    let auckland = salts.for_site(SITE, &zone("Pacific/Auckland"), now);
    assert_eq!(format!("{honolulu:?} {auckland:?}"), "[Day(2025-06-02)] [Day(2025-06-03)]");
    assert!(!holds(&file(&salts), &honolulu[0].1));
}

#[test]
fn a_corrupt_file_is_replaced() {
    let (now, utc) = (at("2025-06-02T12:00:00Z"), TimeZone::UTC);
    type Damage = fn(&mut Vec<u8>);
    let damage: [(&str, Damage); 8] = [
        ("emptied", |bytes| bytes.clear()),
        ("cut within the head", |bytes| bytes.truncate(20)),
        ("cut within a slot", |bytes| bytes.truncate(64 + 100)),
        ("of another version", |bytes| bytes[15] = b'9'),
        ("noise", |bytes| bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n * 151) as u8)),
        ("a bit flipped in the first salt", |bytes| bytes[64 + 45] ^= 1),
        ("a bit flipped in the second day", |bytes| bytes[128 + 17] ^= 0x80),
        ("longer than it should be", |bytes| bytes.extend(vec![0xee; 1000])),
    ];
    for (what, damage) in damage {
        let folder = tmpfs();
        let salts = open(&folder);
        let old: Vec<_> = (0..3).map(|n| salts.for_site(SiteId(n), &utc, now)).collect();
        let file = file(&salts);
        let mut bytes = fs::read(&file).unwrap();
        damage(&mut bytes);
        fs::write(&file, &bytes).unwrap();
        // One that starts now reads what is left; the one that runs puts back what is missing.
        let fresh = open(&folder);
        let new: Vec<_> = (0..3).map(|n| fresh.for_site(SiteId(n), &utc, now)).collect();
        assert!(new.iter().all(|salts| salts.len() == 1), "{what}");
        salts.rotate(now);
        let third = open(&folder);
        for (n, new) in (0..).zip(&new) {
            let found = third.for_site(SiteId(n), &utc, now);
            assert_eq!(*found, **new, "{what}: all agree with the file");
            assert_eq!(*salts.for_site(SiteId(n), &utc, now), **new, "{what}");
        }
        if what.starts_with("a bit flipped in the first") {
            assert_ne!(*new[0], *old[0]);
            assert_eq!((&*new[1], &*new[2]), (&*old[1], &*old[2]), "one slot's harm is not its neighbours'");
        }
    }
}

#[test]
fn a_file_that_was_tidied_away_is_made_again() {
    let folder = tmpfs();
    let (now, utc) = (at("2025-06-02T12:00:00Z"), TimeZone::UTC);
    let salts = open(&folder);
    let first = salts.for_site(SITE, &utc, now);
    fs::remove_file(file(&salts)).unwrap();
    salts.rotate(now);
    assert_eq!(*open(&folder).for_site(SITE, &utc, now), *first);
}

#[test]
fn the_file_is_ours_alone_or_not_used() {
    let folder = tmpfs();
    let file = file(&open(&folder));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(file.extension(), None);
    let memory = Level::Memory("the file for them in the tmpfs is not ours");

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(open(&folder).level(), memory, "readable by others");

    fs::remove_file(&file).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert_eq!(open(&folder).level(), memory, "a link");

    fs::remove_file(&file).unwrap();
    fs::hard_link(&elsewhere, &file).unwrap();
    assert_eq!(open(&folder).level(), memory, "another's file");
    assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(open(&folder).level(), memory, "a folder");
}

#[test]
fn without_a_safe_place_salts_stay_in_memory() {
    let folder = tmpfs();
    let open = |folders: &[&Path], swap: fn() -> bool| {
        let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
        let salts = Salts::open(Path::new("/some/passerby.db"), &folders, swap);
        let now = at("2025-06-02T12:00:00Z");
        let salt = salts.for_site(SITE, &TimeZone::UTC, now);
        assert_eq!(*salts.for_site(SITE, &TimeZone::UTC, now), *salt, "it works all the same");
        salts.level()
    };
    let none = Level::Memory("there is no tmpfs of ours");
    assert_eq!(open(&[folder.path()], || true), Level::Memory("swap is on"));
    // A file system that is neither tmpfs nor ramfs, and a folder that is not there.
    assert_eq!(open(&[Path::new("/proc"), Path::new("/nowhere")], no_swap), none);
    // One in which others could put a file in our file's place.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(open(&[folder.path()], no_swap), none);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // As /dev/shm is: everybody's, but each file its owner's.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(matches!(open(&[Path::new("/proc"), folder.path()], no_swap), Level::Shared(_)));
    assert_eq!(
        none.to_string(),
        "salts in memory only, since there is no tmpfs of ours: a restart will count today's visitors again"
    );
}

#[test]
fn when_swap_is_switched_on_the_file_goes() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static SWITCH: AtomicBool = AtomicBool::new(false);
    let folder = tmpfs();
    let now = at("2025-06-02T12:00:00Z");
    let folders = [folder.path().to_path_buf()];
    let salts = Salts::open(Path::new("/some/passerby.db"), &folders, || SWITCH.load(Ordering::Relaxed));
    let salt = salts.for_site(SITE, &TimeZone::UTC, now);
    let open = fs::File::open(file(&salts)).unwrap();
    SWITCH.store(true, Ordering::Relaxed);
    assert_eq!(salts.rotate(now), Some(Level::Memory("swap is on")));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut &open, &mut left).unwrap();
    assert!(!left.windows(16).any(|bytes| bytes == salt[0].1), "overwritten before it was removed");
    assert_eq!(*salts.for_site(SITE, &TimeZone::UTC, now), *salt, "nobody is counted again by that");
    assert_eq!(salts.rotate(now), None, "said once");
}

#[test]
fn nothing_that_is_printed_shows_a_salt() {
    let salts = alone();
    let found = salts.for_site(SITE, &TimeZone::UTC, at("2025-06-02T12:00:00Z"));
    assert_eq!(format!("{found:?}"), "[Day(2025-06-02)]");
    assert_eq!(format!("{salts:?}"), r#"Salts { level: Memory("there is no tmpfs of ours"), .. }"#);
}

#[test]
fn folders_are_tried_in_their_order() {
    let uid = rustix::process::geteuid().as_raw();
    let show = |given: Option<&str>| -> String {
        let folders = folders(given.map(OsStr::new));
        folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" ")
    };
    let usual = format!("/run/user/{uid} /dev/shm");
    assert_eq!(show(None), usual);
    assert_eq!(show(Some("/run/passerby:/run/more")), format!("/run/passerby {usual}"));
    assert_eq!(show(Some("not/absolute")), usual);
    assert_eq!(show(Some("")), usual);
}
