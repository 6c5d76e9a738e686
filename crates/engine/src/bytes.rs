//! Numbers, texts and columns to bytes, and back from bytes that nobody vouches for.
//!
//! Everything at rest (blocks, segments, rollups, states) is written with a [`Writer`] and read with a
//! [`Reader`]. What is written is trusted; what is read is not: a reader answers with a value or with
//! [`Corrupt`], never with a panic, and it allocates no more than the bytes in front of it justify. A
//! length is believed only as far as bytes follow it; rows that cost no bytes of their own (a column that
//! is constant) are counted against a [`Budget`] that grows with the input.
//!
//! A number is a *varint*: seven bits a byte, least significant first, the high bit set on all but the
//! last byte. Small numbers cost 1 byte, Unix milliseconds 6, the greatest 10. A signed number is folded
//! first (*zigzag*: 0, -1, 1, -2 become 0, 1, 2, 3), so that small negative ones are cheap too.

mod column;
mod pack;

pub use column::{Column, Rows, Sheet, SheetReader};
pub use pack::{compress, decompress};
pub(crate) use pack::{finish_words, seal, unseal};

use std::fmt;

/// Bytes that are not what was written: cut short, torn, flipped, or made up. Says nothing about what
/// they hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stored bytes are damaged")
    }
}

impl std::error::Error for Corrupt {}

/// A signed number as one that is small when the signed one is near zero.
pub fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// How many bytes a number takes as a varint: 1 to 10.
pub fn varint_len(n: u64) -> usize {
    (70 - (n | 1).leading_zeros() as usize) / 7
}

/// Collects bytes. Its inverse is [`Reader`], method by method.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
}

impl Writer {
    pub fn new() -> Writer {
        Writer::default()
    }

    pub fn put_u8(&mut self, n: u8) {
        self.bytes.push(n);
    }

    pub fn put_varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    pub fn put_signed(&mut self, n: i64) {
        self.put_varint(zigzag(n));
    }

    /// Eight bytes, little-endian: for hashes, which no varint makes shorter.
    pub fn put_word(&mut self, n: u64) {
        self.put_bytes(&n.to_le_bytes());
    }

    /// Bytes whose number the reader knows.
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A text with its length.
    pub fn put_text(&mut self, text: &str) {
        self.put_varint(text.len() as u64);
        self.put_bytes(text.as_bytes());
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Reads what a [`Writer`] wrote, or says that it is [`Corrupt`].
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Ok if nothing is left: who reads a whole value asks this last.
    pub fn finish(&self) -> Result<(), Corrupt> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Corrupt) }
    }

    pub fn u8(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.bytes.split_first().ok_or(Corrupt)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub fn varint(&mut self) -> Result<u64, Corrupt> {
        let mut n = 0;
        for (i, byte) in self.bytes.iter().enumerate().take(10) {
            // The tenth byte holds the 64th bit alone.
            if i == 9 && *byte > 1 {
                return Err(Corrupt);
            }
            n |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[i + 1..];
                return Ok(n);
            }
        }
        Err(Corrupt)
    }

    pub fn signed(&mut self) -> Result<i64, Corrupt> {
        Ok(unzigzag(self.varint()?))
    }

    /// A varint that has to fit 32 bits.
    pub fn varint32(&mut self) -> Result<u32, Corrupt> {
        u32::try_from(self.varint()?).map_err(|_| Corrupt)
    }

    /// How many things follow, each of which takes at least `least` bytes (1 or more): a number that the
    /// bytes left can hold, so that it is safe to allocate for.
    pub fn count(&mut self, least: usize) -> Result<usize, Corrupt> {
        let n = usize::try_from(self.varint()?).map_err(|_| Corrupt)?;
        if n > self.remaining() / least.max(1) { Err(Corrupt) } else { Ok(n) }
    }

    pub fn word(&mut self) -> Result<u64, Corrupt> {
        let word = self.bytes.first_chunk::<8>().ok_or(Corrupt)?;
        self.bytes = &self.bytes[8..];
        Ok(u64::from_le_bytes(*word))
    }

    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(Corrupt)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub fn text(&mut self) -> Result<&'a str, Corrupt> {
        let n = self.count(1)?;
        std::str::from_utf8(self.take(n)?).map_err(|_| Corrupt)
    }
}

/// How many rows an input may still unpack to. A row may cost less than a byte of its own (all its
/// columns constant, all well compressed), so its number cannot be checked against the bytes left; it is
/// checked against the size of the whole input instead: 4096 rows, and one more for each byte. Honest
/// events take 10 bytes and more, so only something extremely uniform is over; its writer pads it.
#[derive(Debug)]
pub struct Budget {
    rows: usize,
}

impl Budget {
    const FREE: usize = 4096;

    /// What an input of so many bytes may unpack to.
    pub fn of(input: usize) -> Budget {
        Budget { rows: Budget::FREE.saturating_add(input) }
    }

    /// Takes `n` rows, of any table.
    pub fn take(&mut self, n: u64) -> Result<usize, Corrupt> {
        let n = usize::try_from(n).map_err(|_| Corrupt)?;
        self.rows = self.rows.checked_sub(n).ok_or(Corrupt)?;
        Ok(n)
    }

    /// How many bytes a writer has to add to an input that holds so many rows.
    pub fn padding(input: usize, rows: usize) -> usize {
        rows.saturating_sub(input.saturating_add(Budget::FREE))
    }
}

#[cfg(test)]
mod tests;
