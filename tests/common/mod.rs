//! What tests of the whole program share: the real binary on a free port, and a small HTTP client.

#![allow(dead_code)]

pub mod chromium;
pub mod http;
pub mod marks;
pub mod recorder;
pub mod server;

/// Whether `./test --all` runs: then matrices have the counts that they claim, else a sample.
pub fn all() -> bool {
    std::env::var_os("PASSERBY_TEST_ALL").is_some()
}

/// A seed, printed so that a failure can be repeated with `PASSERBY_TEST_SEED`.
pub fn seed() -> u64 {
    let given = std::env::var("PASSERBY_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the system's random generator");
        u64::from_le_bytes(bytes)
    });
    println!("PASSERBY_TEST_SEED={seed}");
    seed
}

/// A small generator for tests (splitmix64): the same seed, the same numbers.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}
