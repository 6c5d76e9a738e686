//! Compression (zstd), bounded when unpacked.
//!
//! ```text
//!   0             stored: the bytes
//!   n * 2 - 1     zstd: a frame without its first 4 bytes, which are always the same
//!   n * 2         zstd, padded: varint p, a frame as above, p zero bytes
//!
//! where n, a varint and at least 1, is the length when unpacked.
//! ```
//!
//! zstd can make 128 KB of equal bytes into 4, so a few bytes could ask for gigabytes. Nothing unpacks to
//! more than 64 KiB and 64 times its packed length: a reader refuses it before it allocates, and a writer
//! that has packed better than that pads.

use super::{Budget, Corrupt, Reader, Writer};
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// Measured on flushes of 100 and 1,000 events: 1 is up to 2 % larger, 6 up to 3 % smaller.
const LEVEL: i32 = 3;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Shorter inputs are stored: a frame's headers cost about 12 bytes.
const LEAST: usize = 64;

/// How long an input of `packed` bytes may be when unpacked.
fn ceiling(packed: usize) -> usize {
    packed.saturating_mul(64).saturating_add(1 << 16)
}

thread_local! {
    // Making a context costs more than a small block; each thread keeps its own.
    static PACKER: RefCell<Option<Compressor<'static>>> = RefCell::new(packer());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

fn packer() -> Option<Compressor<'static>> {
    use zstd::zstd_safe::CParameter;
    let mut packer = Compressor::new(LEVEL).ok()?;
    packer.set_parameter(CParameter::ContentSizeFlag(false)).ok()?;
    packer.set_parameter(CParameter::ChecksumFlag(false)).ok()?;
    Some(packer)
}

/// Packs bytes, or stores them where packing gains nothing. Its inverse is [`decompress`].
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let n = bytes.len() as u64 * 2;
    let mut to = Writer::new();
    let frame = if bytes.len() < LEAST {
        None
    } else {
        PACKER.with_borrow_mut(|packer| packer.as_mut()?.compress(bytes).ok())
    };
    match frame.as_deref().and_then(|frame| frame.strip_prefix(&MAGIC)) {
        Some(frame) if frame.len() < bytes.len() => {
            let padding = bytes.len().saturating_sub(ceiling(frame.len())).div_ceil(64);
            if padding == 0 {
                to.put_varint(n - 1);
                to.put_bytes(frame);
            } else {
                to.put_varint(n);
                to.put_varint(padding as u64);
                to.put_bytes(frame);
                to.bytes.resize(to.len() + padding, 0);
            }
        }
        _ => {
            to.put_varint(0);
            to.put_bytes(bytes);
        }
    }
    to.bytes
}

/// Unpacks what [`compress`] made, if it is at most `max` bytes.
pub fn decompress(packed: &[u8], max: usize) -> Result<Vec<u8>, Corrupt> {
    let mut from = Reader::new(packed);
    let head = from.varint()?;
    if head == 0 {
        let bytes = from.take(from.remaining())?;
        return if bytes.len() > max { Err(Corrupt) } else { Ok(bytes.to_vec()) };
    }
    let n = usize::try_from(head.div_ceil(2)).map_err(|_| Corrupt)?;
    if n > max.min(ceiling(packed.len())) {
        return Err(Corrupt);
    }
    let padding = if head % 2 == 0 { from.count(1)? } else { 0 };
    let frame = from.take(from.remaining().checked_sub(padding).ok_or(Corrupt)?)?;
    let frame = [&MAGIC, frame].concat();
    let mut bytes = Vec::with_capacity(n);
    let unpacked =
        UNPACKER.with_borrow_mut(|unpacker| unpacker.as_mut()?.decompress_to_buffer(&frame, &mut bytes).ok());
    if unpacked == Some(n) { Ok(bytes) } else { Err(Corrupt) }
}

/// The frame of all that is at rest. The checksum finds every error within 32 neighbouring bits and all
/// but one in four thousand million others.
///
/// ```text
///   1  version
///   4  CRC-32 (IEEE) of all that follows, little-endian
///   v  how many words
///   8  each word: hashes and ids, which no compressor makes shorter
///   …  the rest, packed
/// ```
///
/// Zero words are added where the rows are more than a [`Budget`] of the bytes would allow.
pub(crate) fn seal(version: u8, rows: usize, mut words: Writer, packed: &[u8]) -> Vec<u8> {
    let padding = Budget::padding(words.len() + packed.len(), rows);
    words.bytes.resize(words.len() + padding.next_multiple_of(8), 0);
    let mut to = Writer { bytes: Vec::with_capacity(words.len() + packed.len() + 15) };
    to.put_bytes(&[version, 0, 0, 0, 0]);
    to.put_varint(words.len() as u64 / 8);
    to.put_bytes(&words.bytes);
    to.put_bytes(packed);
    let sum = crc32fast::hash(&to.bytes[5..]).to_le_bytes();
    to.bytes[1..5].copy_from_slice(&sum);
    to.bytes
}

/// Opens what [`seal`] made: the budget, the words, the packed rest.
pub(crate) fn unseal(version: u8, bytes: &[u8]) -> Result<(Budget, Reader<'_>, &[u8]), Corrupt> {
    let mut from = Reader::new(bytes);
    if from.u8()? != version {
        return Err(Corrupt);
    }
    let sum = from.take(4)?;
    let rest = from.take(from.remaining())?;
    if sum != crc32fast::hash(rest).to_le_bytes() {
        return Err(Corrupt);
    }
    let mut from = Reader::new(rest);
    let n = from.count(8)?;
    let words = Reader::new(from.take(n * 8)?);
    Ok((Budget::of(bytes.len()), words, from.take(from.remaining())?))
}

/// What is left of the words may be padding and nothing else.
pub(crate) fn finish_words(words: &Reader<'_>) -> Result<(), Corrupt> {
    let mut words = words.clone();
    let rest = words.take(words.remaining())?;
    if rest.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Corrupt) }
}
