//! Memory for salts: locked, so that it is never swapped out, left out of core dumps, and never moved, so
//! that no copy stays behind where it was.

use passerby_engine::visitor::Salt;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use zeroize::Zeroize;

/// Salts a region holds: 16 KiB are whole pages on every machine, and little against any limit.
const REGION: usize = 1024;
const REGION_BYTES: usize = REGION * size_of::<Salt>();

/// The number of a salt's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot(usize);

/// Places for salts; grows by regions, and gives none back before its end.
pub(super) struct Locked {
    regions: Vec<Region>,
    free: Vec<Slot>,
    used: usize,
    unlocked: Option<Errno>,
}

impl Locked {
    /// Maps the first region at once, so that it is known from the start whether memory can be locked.
    pub(super) fn new() -> Locked {
        let mut locked = Locked { regions: Vec::new(), free: Vec::new(), used: 0, unlocked: None };
        locked.grow();
        locked
    }

    /// Why some of it could not be locked, if so.
    pub(super) fn unlocked(&self) -> Option<std::io::Error> {
        self.unlocked.map(std::io::Error::from)
    }

    /// A place for a new salt; None if there is no memory.
    pub(super) fn add(&mut self, salt: &Salt) -> Option<Slot> {
        let slot = self.free.pop().or_else(|| {
            if self.used == self.regions.len() * REGION && !self.grow() {
                return None;
            }
            self.used += 1;
            Some(Slot(self.used - 1))
        })?;
        self.put(slot, salt);
        Some(slot)
    }

    pub(super) fn put(&mut self, slot: Slot, salt: &Salt) {
        if let Some(place) = self.place(slot) {
            *place = *salt;
        }
    }

    /// A copy; the caller overwrites it.
    pub(super) fn get(&self, slot: Slot) -> Salt {
        let region = self.regions.get(slot.0 / REGION);
        region.and_then(|region| region.salts().get(slot.0 % REGION)).copied().unwrap_or_default()
    }

    /// Overwrites a salt and gives its place to the next.
    pub(super) fn wipe(&mut self, slot: Slot) {
        if let Some(place) = self.place(slot) {
            place.zeroize();
            self.free.push(slot);
        }
    }

    fn place(&mut self, slot: Slot) -> Option<&mut Salt> {
        self.regions.get_mut(slot.0 / REGION)?.salts_mut().get_mut(slot.0 % REGION)
    }

    fn grow(&mut self) -> bool {
        match Region::map() {
            Ok((region, lock)) => {
                self.regions.push(region);
                self.unlocked = self.unlocked.or(lock.err());
                true
            }
            Err(e) => {
                self.unlocked = Some(e);
                false
            }
        }
    }
}

/// A mapping of our own.
struct Region(NonNull<c_void>);

// SAFETY: the mapping belongs to the region alone, and is reached only through it.
unsafe impl Send for Region {}

impl Region {
    /// A mapping of zeros, and whether it could be locked.
    fn map() -> rustix::io::Result<(Region, rustix::io::Result<()>)> {
        // SAFETY: a new anonymous mapping at an address the system chooses touches no memory of ours.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                REGION_BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        let region = Region(NonNull::new(start).ok_or(Errno::NOMEM)?);
        // SAFETY: the range is the mapping just made.
        let lock = unsafe { mlock(start, REGION_BYTES) };
        #[cfg(target_os = "linux")]
        // SAFETY: as above; the advice changes nothing that can be seen from within.
        let lock =
            lock.and(unsafe { rustix::mm::madvise(start, REGION_BYTES, rustix::mm::Advice::LinuxDontDump) });
        Ok((region, lock))
    }

    fn salts(&self) -> &[Salt; REGION] {
        // SAFETY: the mapping is REGION_BYTES long, aligned to a page, initialised (zeros), and lives as
        // long as `self`; any bytes are a salt.
        unsafe { self.0.cast::<[Salt; REGION]>().as_ref() }
    }

    fn salts_mut(&mut self) -> &mut [Salt; REGION] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { self.0.cast::<[Salt; REGION]>().as_mut() }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        for salt in self.salts_mut() {
            salt.zeroize();
        }
        // SAFETY: the range is this mapping, and nothing refers to it any more.
        // Should it fail, the memory stays ours until the process ends: overwritten, at least.
        let _ = unsafe { munmap(self.0.as_ptr(), REGION_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_wiped_and_given_again() {
        let mut locked = Locked::new();
        let salts: Vec<Salt> = (0..3000u32).map(|n| (u128::from(n) + 1).to_le_bytes()).collect();
        let slots: Vec<Slot> = salts.iter().map(|salt| locked.add(salt).unwrap()).collect();
        assert!(slots.iter().zip(&salts).all(|(slot, salt)| locked.get(*slot) == *salt));
        assert_eq!(locked.regions.len(), 3);
        locked.wipe(slots[7]);
        assert_eq!(locked.get(slots[7]), Salt::default());
        assert_eq!(locked.add(&[9; 16]), Some(slots[7]));
        locked.put(slots[7], &[8; 16]);
        assert_eq!((locked.get(slots[7]), locked.get(slots[8])), ([8; 16], salts[8]));
    }

    /// What the system says about the mapping: locked (lo) and not dumped (dd).
    #[cfg(target_os = "linux")]
    #[test]
    fn the_memory_is_locked_and_left_out_of_core_dumps() {
        let locked = Locked::new();
        assert!(locked.unlocked().is_none(), "16 KiB fit into any limit");
        let ours = locked.regions[0].0.as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut within = false;
        let flags = maps.lines().find(|line| {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            let number = |text: &str| usize::from_str_radix(text, 16).ok();
            if let Some((start, end)) = range.and_then(|(a, z)| number(a).zip(number(z))) {
                within = (start..end).contains(&ours);
            }
            within && line.starts_with("VmFlags:")
        });
        let flags = flags.expect("the mapping is listed");
        assert!(flags.contains(" lo") && flags.contains(" dd"), "{flags}");
    }
}
