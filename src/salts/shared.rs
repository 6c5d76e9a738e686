//! The file through which processes on one store share salts, and through which a restart finds them again.
//!
//! ```text
//! "passerby salts 1" and zeros, 64 bytes
//! slots of 64 bytes:  check | site | day | begins ms | ends ms | salt (16) | zeros (8)
//! ```
//!
//! Numbers are 8 bytes, little-endian. A slot of zeros is free. A slot is written by one call and overwritten
//! in place, so that no old salt stays anywhere in the file, and a kill harms one slot at most: the check
//! (FNV-1a of the rest; against accidents, not against attackers, who own the file if they can write it)
//! tells. Whatever else is found is overwritten; nothing in the file can stop the program.
//!
//! The file lies in a tmpfs or ramfs, is named by a hash of the store's path, is ours alone (owner, mode
//! 0600, no link, no other name), and is read and written under its lock.

use passerby_engine::event::{Day, SiteId};
use passerby_engine::visitor::Salt;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

const SLOT: usize = 64;
const HEAD: &[u8; 16] = b"passerby salts 1";
/// 4 MiB: more slots than 20,000 sites need. What lies behind is not ours.
const MOST_SLOTS: usize = 1 << 16;
/// How often the lock is tried, 2 ms apart, before this process goes on without it.
const TRIES: u32 = 100;

/// A salt as the file holds it. Overwritten when dropped; deliberately not `Debug`.
pub(super) struct Record {
    pub(super) site: SiteId,
    pub(super) day: Day,
    pub(super) begins_ms: i64,
    pub(super) ends_ms: i64,
    pub(super) salt: Salt,
}

impl Record {
    pub(super) fn key(&self) -> (SiteId, Day) {
        (self.site, self.day)
    }

    fn encode(&self) -> Zeroizing<[u8; SLOT]> {
        let mut slot = Zeroizing::new([0; SLOT]);
        slot[8..16].copy_from_slice(&self.site.0.to_le_bytes());
        slot[16..24].copy_from_slice(&i64::from(self.day.0).to_le_bytes());
        slot[24..32].copy_from_slice(&self.begins_ms.to_le_bytes());
        slot[32..40].copy_from_slice(&self.ends_ms.to_le_bytes());
        slot[40..56].copy_from_slice(&self.salt);
        let check = check(&slot[8..]);
        slot[..8].copy_from_slice(&check);
        slot
    }

    fn decode(slot: &[u8; SLOT]) -> Option<Record> {
        let number = |at: usize| -> Option<[u8; 8]> { slot.get(at..at + 8)?.try_into().ok() };
        if number(0)? != check(&slot[8..]) {
            return None;
        }
        Some(Record {
            site: SiteId(u64::from_le_bytes(number(8)?)),
            day: Day(i64::from_le_bytes(number(16)?).try_into().ok()?),
            begins_ms: i64::from_le_bytes(number(24)?),
            ends_ms: i64::from_le_bytes(number(32)?),
            salt: slot[40..56].try_into().ok()?,
        })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

/// FNV-1a, 64 bits.
fn check(bytes: &[u8]) -> [u8; 8] {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step).to_le_bytes()
}

/// What a slot holds.
pub(super) enum Found {
    Empty,
    Corrupt,
    Record(Record),
}

/// The file, open for as long as the process runs.
pub(super) struct Shared {
    file: File,
    path: PathBuf,
}

impl Shared {
    /// Opens or makes the file of a store in a folder. `Err(None)`: the folder will not do, try the next;
    /// with a reason: it would, but what lies there is not ours.
    pub(super) fn open(folder: &Path, store: &Path) -> Result<Shared, Option<&'static str>> {
        if !is_memory(folder) || !is_safe(folder) {
            return Err(None);
        }
        let hash = Sha256::digest(store.as_os_str().as_encoded_bytes());
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("passerby-salts-{hash}"));
        let file = open_ours(&path)?;
        Ok(Shared { file, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file under its lock, read; None if another process does not let go of it, or it cannot be read.
    pub(super) fn lock(&mut self) -> Option<Open<'_>> {
        self.grab()?;
        if fstat(&self.file).ok()?.st_nlink == 0 {
            // Somebody tidied the folder. The next process makes a new file: so must this one.
            self.file = open_ours(&self.path).ok()?;
            self.grab()?;
        }
        let mut open = Open { file: &self.file, bytes: Zeroizing::default(), free: Vec::new() };
        open.load().ok()?;
        Some(open)
    }

    fn grab(&self) -> Option<()> {
        for _ in 0..TRIES {
            if flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Some(());
            }
            sleep(Duration::from_millis(2));
        }
        None
    }

    /// Overwrites and removes the file: it may not stay where it lies.
    pub(super) fn remove(mut self) {
        if let Some(mut open) = self.lock() {
            (0..open.slots()).for_each(|slot| open.wipe(slot));
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The file while this process has its lock; it is let go with the value.
pub(super) struct Open<'a> {
    file: &'a File,
    /// As read, the head included.
    bytes: Zeroizing<Vec<u8>>,
    /// Slots found empty or wiped.
    free: Vec<usize>,
}

impl Open<'_> {
    fn load(&mut self) -> std::io::Result<()> {
        let size = self.file.metadata()?.len().min(((MOST_SLOTS + 1) * SLOT) as u64) as usize;
        self.bytes = Zeroizing::new(vec![0; size]);
        self.file.read_exact_at(&mut self.bytes, 0)?;
        let mut head = [0; SLOT];
        head[..HEAD.len()].copy_from_slice(HEAD);
        if self.bytes.get(..SLOT) != Some(&head) {
            // New, or not to be understood.
            self.bytes.zeroize();
            self.file.write_all_at(&vec![0; size], 0)?;
            self.file.set_len(0)?;
            self.file.write_all_at(&head, 0)?;
        }
        Ok(())
    }

    /// How many slots were read. A last one that was cut off is one of them.
    pub(super) fn slots(&self) -> usize {
        self.bytes.len().div_ceil(SLOT).saturating_sub(1)
    }

    pub(super) fn read(&mut self, slot: usize) -> Found {
        let start = (slot + 1) * SLOT;
        let bytes = self.bytes.get(start..start + SLOT);
        match bytes.and_then(|bytes| <&[u8; SLOT]>::try_from(bytes).ok()) {
            Some([0, rest @ ..]) if rest.iter().all(|byte| *byte == 0) => {
                self.free.push(slot);
                Found::Empty
            }
            Some(bytes) => Record::decode(bytes).map_or(Found::Corrupt, Found::Record),
            None => Found::Corrupt,
        }
    }

    /// Overwrites a slot with zeros.
    pub(super) fn wipe(&mut self, slot: usize) {
        if self.write(slot, &[0; SLOT]) {
            self.free.push(slot);
        }
    }

    /// Writes a salt into a free slot, or behind the last one; to be called when all slots have been read.
    pub(super) fn add(&mut self, record: &Record) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let end = (self.slots() + 2) * SLOT;
                self.bytes.resize(end, 0);
                self.slots() - 1
            }
        };
        if slot < MOST_SLOTS {
            self.write(slot, &record.encode());
        }
    }

    fn write(&self, slot: usize, bytes: &[u8; SLOT]) -> bool {
        let at = ((slot + 1) * SLOT) as u64;
        // A tmpfs that is full: the salt stays in memory alone until the next try.
        self.file.write_all_at(bytes, at).is_ok()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let _ = flock(self.file, FlockOperation::Unlock);
    }
}

/// Opens or makes a file that is ours and nobody else's.
fn open_ours(path: &Path) -> Result<File, Option<&'static str>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let not_ours = Some("the file for them in the tmpfs is not ours");
    let file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|_| not_ours)?);
    let about = fstat(&file).map_err(|_| not_ours)?;
    let regular = rustix::fs::FileType::from_raw_mode(about.st_mode).is_file();
    let private = Mode::from_raw_mode(about.st_mode).intersection(Mode::RWXG | Mode::RWXO).is_empty();
    let mine = about.st_uid == rustix::process::geteuid().as_raw();
    if regular && private && mine && about.st_nlink == 1 { Ok(file) } else { Err(not_ours) }
}

/// Whether a folder's files are memory (which without swap never reaches a disk).
#[cfg(target_os = "linux")]
fn is_memory(folder: &Path) -> bool {
    // TMPFS_MAGIC and RAMFS_MAGIC of linux/magic.h.
    rustix::fs::statfs(folder).is_ok_and(|about| matches!(about.f_type as u32, 0x0102_1994 | 0x8584_58f6))
}

#[cfg(not(target_os = "linux"))]
fn is_memory(_folder: &Path) -> bool {
    false
}

/// Whether nobody else can replace our files in a folder.
fn is_safe(folder: &Path) -> bool {
    let Ok(about) = stat(folder) else {
        return false;
    };
    let mode = Mode::from_raw_mode(about.st_mode);
    let ours =
        about.st_uid == rustix::process::geteuid().as_raw() && !mode.intersects(Mode::WGRP | Mode::WOTH);
    ours || mode.contains(Mode::SVTX)
}
