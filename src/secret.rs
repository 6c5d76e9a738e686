//! Secrets that we hand out: one-time links, sign-ins, keys of the API. Made of the system's random bytes,
//! shown once, kept as a SHA-256 only (they are random, so a slow hash would add nothing).

use crate::store::{Error, Kind, Result};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// 32 random bytes as 64 hex digits.
pub fn random() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(no_random)?;
    Ok(hex(&bytes))
}

/// 16 random bytes: a key for keyed hashes.
pub fn random_16() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(no_random)?;
    Ok(bytes)
}

/// 8 random bytes, as a number.
pub fn random_u64() -> Result<u64> {
    getrandom::u64().map_err(no_random)
}

/// What is stored of a secret: its SHA-256 as 64 hex digits.
pub fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Whether a secret is the one whose hash was stored, in a time that does not tell how much of it is right.
pub fn matches(secret: &str, stored_hash: &str) -> bool {
    hash(secret).as_bytes().ct_eq(stored_hash.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn no_random(error: getrandom::Error) -> Error {
    Error { kind: Kind::Unusable, message: format!("the system gives no random numbers: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_alone() {
        let secret = random().unwrap();
        let stored = hash(&secret);
        assert_eq!(secret.len(), 64);
        assert!(!stored.contains(&secret));
        assert!(matches(&secret, &stored));
        assert!(!matches(&secret[1..], &stored));
        assert!(!matches(&random().unwrap(), &stored));
        assert!(!matches("", ""));
    }

    #[test]
    fn hash_is_sha256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
