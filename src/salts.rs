//! The salts: for each site and local day 16 random bytes, without which nobody computes a visitor's hash.
//!
//! PRIVACY.md, clauses 3 and 4, is this file. A salt is made when a site's first hit of a day asks for it. It
//! lies in locked memory, and, so that a restart counts nobody twice and two processes on one store agree, in
//! a file that is memory too: in a tmpfs, on a machine without swap. Where there is no such place it lies in
//! memory alone, and the start says what that means. It is never in the database and never on a disk.
//!
//! 30 minutes after its day is over a salt is overwritten in both places by [`Salts::rotate`], which a timer
//! calls whether or not anybody passes by. It is handed out as a copy that is overwritten when dropped.

mod locked;
mod shared;

use jiff::tz::TimeZone;
use locked::{Locked, Slot};
use passerby_engine::event::{Day, SiteId};
use passerby_engine::time;
use passerby_engine::visitor::Salt;
use shared::{Found, Record, Shared};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroize;

/// How long after its day a salt may still hash what happened before midnight.
const STRAGGLERS_MS: i64 = 30 * 60_000;
/// No salt has longer to live than a day and its stragglers (a zone that moves over the date line has had
/// a day of 48 hours in one year or another); one that claims to was made while the clock was wrong.
const LONGEST_MS: i64 = 49 * 3_600_000;

/// Where the salts lie: what the start should tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// In this file in a tmpfs: a restart counts nobody again.
    Shared(PathBuf),
    /// In this process's memory alone, and why: a restart counts today's visitors again.
    Memory(&'static str),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Shared(file) => write!(f, "salts in memory and in {} (a tmpfs)", file.display()),
            Level::Memory(why) => {
                write!(f, "salts in memory only, since {why}: a restart will count today's visitors again")
            }
        }
    }
}

/// The salts of one store's sites.
pub struct Salts {
    /// Guards all of them; held for a look-up and a copy, and for some file calls once a site and day.
    vault: Mutex<Vault>,
    swap_is_on: fn() -> bool,
}

struct Vault {
    kept: HashMap<(SiteId, Day), Kept>,
    memory: Locked,
    file: Option<Shared>,
    level: Level,
}

/// A salt's place, and when its day began and when it must go.
#[derive(Clone, Copy)]
struct Kept {
    slot: Slot,
    begins_ms: i64,
    ends_ms: i64,
}

impl Salts {
    /// Finds the best place there is for the salts of the store in `store`, an existing path. Of `folders`
    /// the first that is a tmpfs of ours is taken, if the system has swap off. Cannot fail: there is memory.
    pub fn open(store: &Path, folders: &[PathBuf], swap_is_on: fn() -> bool) -> Salts {
        let (file, level) = match find(store, folders, swap_is_on) {
            Ok(file) => {
                let level = Level::Shared(file.path().to_path_buf());
                (Some(file), level)
            }
            Err(why) => (None, Level::Memory(why)),
        };
        let vault = Vault { kept: HashMap::new(), memory: Locked::new(), file, level };
        Salts { vault: Mutex::new(vault), swap_is_on }
    }

    /// Today's salt of a site, made if there is none yet, and for 30 minutes after midnight yesterday's too,
    /// if there was one. Empty if the system gives no randomness or no memory: then nobody can be hashed.
    pub fn for_site(&self, site: SiteId, zone: &TimeZone, now_ms: i64) -> DaySalts {
        let today = time::local(zone, now_ms).day;
        let mut vault = self.vault();
        let kept = match vault.kept.get(&(site, today)) {
            Some(kept) => Some(*kept),
            None => vault.make(site, today, zone, now_ms),
        };
        let mut salts = DaySalts::none();
        let Some(kept) = kept else { return salts };
        salts.push(today, vault.memory.get(kept.slot));
        if now_ms < kept.begins_ms + STRAGGLERS_MS {
            let yesterday = Day(today.0.saturating_sub(1));
            if let Some(kept) = vault.kept.get(&(site, yesterday)) {
                salts.push(yesterday, vault.memory.get(kept.slot));
            }
        }
        salts
    }

    /// Overwrites every salt whose time is over, in memory and in the file. To be called each minute, and
    /// at [`Salts::next_wipe_ms`]. Gives the new level if it fell, because swap was switched on.
    pub fn rotate(&self, now_ms: i64) -> Option<Level> {
        let mut vault = self.vault();
        if vault.file.is_some() && (self.swap_is_on)() {
            if let Some(file) = vault.file.take() {
                file.remove();
            }
            vault.level = Level::Memory(SWAP);
            vault.exchange(now_ms, None);
            return Some(vault.level.clone());
        }
        vault.exchange(now_ms, None);
        None
    }

    /// When the next salt must go, if there is one: Unix milliseconds.
    pub fn next_wipe_ms(&self) -> Option<i64> {
        self.vault().kept.values().map(|kept| kept.ends_ms).min()
    }

    pub fn level(&self) -> Level {
        self.vault().level.clone()
    }

    /// What keeps the memory from being locked against swapping, if anything does.
    pub fn unlocked(&self) -> Option<std::io::Error> {
        self.vault().memory.unlocked()
    }

    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salts").field("level", &self.level()).finish_non_exhaustive()
    }
}

const SWAP: &str = "swap is on";

fn find(store: &Path, folders: &[PathBuf], swap_is_on: fn() -> bool) -> Result<Shared, &'static str> {
    if swap_is_on() {
        return Err(SWAP);
    }
    let store = store.canonicalize().unwrap_or_else(|_| store.to_path_buf());
    let mut why = "there is no tmpfs of ours";
    for folder in folders {
        match Shared::open(folder, &store) {
            Ok(file) => return Ok(file),
            Err(Some(refused)) => why = refused,
            Err(None) => {}
        }
    }
    Err(why)
}

impl Vault {
    /// The salt of a site's today, from another process or new.
    fn make(&mut self, site: SiteId, today: Day, zone: &TimeZone, now_ms: i64) -> Option<Kept> {
        let begins_ms = time::start_ms(zone, today);
        let ends_ms = time::start_ms(zone, Day(today.0.saturating_add(1))) + STRAGGLERS_MS;
        // Days that the site's zone, should it have been changed, has behind it.
        let over = |day: Day| day < today && (day.0 < today.0 - 1 || now_ms >= begins_ms + STRAGGLERS_MS);
        for ((_, day), kept) in self.kept.iter_mut().filter(|((of, _), _)| *of == site) {
            if over(*day) {
                kept.ends_ms = i64::MIN;
            }
        }
        let mut salt = Salt::default();
        getrandom::fill(&mut salt).ok()?;
        let new = Record { site, day: today, begins_ms, ends_ms, salt };
        salt.zeroize();
        self.exchange(now_ms, Some(new));
        self.kept.get(&(site, today)).copied()
    }

    /// Wipes what is over and makes file and memory agree, a new salt included. Where both hold a salt for
    /// one site and day the file's is right: other processes have it already.
    fn exchange(&mut self, now_ms: i64, new: Option<Record>) {
        let Vault { kept, memory, file, .. } = self;
        let over = |ends_ms: i64| ends_ms <= now_ms || ends_ms > now_ms + LONGEST_MS;
        let dead: HashSet<_> =
            kept.iter().filter(|(_, kept)| over(kept.ends_ms)).map(|(key, _)| *key).collect();
        for key in &dead {
            if let Some(kept) = kept.remove(key) {
                memory.wipe(kept.slot);
            }
        }
        // Without the file's lock (another process holds it and hangs) memory alone must do; the next
        // call tries again.
        let mut open = file.as_mut().and_then(Shared::lock);
        let mut in_file = HashSet::new();
        if let Some(open) = &mut open {
            for slot in 0..open.slots() {
                match open.read(slot) {
                    Found::Record(record) if !over(record.ends_ms) && !dead.contains(&record.key()) => {
                        in_file.insert(record.key());
                        keep(kept, memory, &record);
                    }
                    Found::Record(_) | Found::Corrupt => open.wipe(slot),
                    Found::Empty => {}
                }
            }
        }
        if let Some(new) = new
            && !kept.contains_key(&new.key())
        {
            keep(kept, memory, &new);
        }
        if let Some(open) = &mut open {
            for (key, kept) in kept.iter().filter(|(key, _)| !in_file.contains(key)) {
                let Kept { begins_ms, ends_ms, .. } = *kept;
                let salt = memory.get(kept.slot);
                open.add(&Record { site: key.0, day: key.1, begins_ms, ends_ms, salt });
            }
        }
    }
}

/// Puts a salt into locked memory, over another one for the same site and day.
fn keep(kept: &mut HashMap<(SiteId, Day), Kept>, memory: &mut Locked, record: &Record) {
    let slot = match kept.get(&record.key()) {
        Some(kept) => {
            memory.put(kept.slot, &record.salt);
            Some(kept.slot)
        }
        None => memory.add(&record.salt),
    };
    if let Some(slot) = slot {
        let Record { begins_ms, ends_ms, .. } = *record;
        kept.insert(record.key(), Kept { slot, begins_ms, ends_ms });
    }
}

/// The salts with which a hit may be hashed now: today's first, then yesterday's. Overwritten when dropped.
pub struct DaySalts {
    salts: [(Day, Salt); 2],
    len: usize,
}

impl DaySalts {
    fn none() -> DaySalts {
        DaySalts { salts: [(Day(0), Salt::default()); 2], len: 0 }
    }

    fn push(&mut self, day: Day, salt: Salt) {
        if let Some(place) = self.salts.get_mut(self.len) {
            *place = (day, salt);
            self.len += 1;
        }
    }
}

impl Deref for DaySalts {
    type Target = [(Day, Salt)];

    fn deref(&self) -> &[(Day, Salt)] {
        self.salts.get(..self.len).unwrap_or_default()
    }
}

impl Drop for DaySalts {
    fn drop(&mut self) {
        for (_, salt) in &mut self.salts {
            salt.zeroize();
        }
    }
}

/// The days alone.
impl fmt::Debug for DaySalts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(day, _)| day)).finish()
    }
}

/// The folders in which the salts' file may lie, best first: the service manager's (its environment
/// variable's value), the user's, everybody's.
pub fn folders(runtime_directory: Option<&OsStr>) -> Vec<PathBuf> {
    // The service manager separates several by colons.
    let given = runtime_directory.into_iter().flat_map(std::env::split_paths).take(1);
    let user = PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
    given.filter(|folder| folder.is_absolute()).chain([user, PathBuf::from("/dev/shm")]).collect()
}

/// Whether the system may write memory to a disk; unknown is yes.
pub fn swap_is_on() -> bool {
    // A line of headings, then one line an area.
    std::fs::read_to_string("/proc/swaps").map_or(true, |text| text.lines().count() != 1)
}

#[cfg(test)]
mod tests;
