//! Short texts in fewer bytes: paths, hosts and names, spelled with common pieces.
//!
//! ```text
//!   byte 0x20..=0x7e   this character
//!   any other, not 0   a piece of two bytes or more, from the table
//!   byte 0             the next byte as it is
//! ```
//!
//! The longest piece that fits is taken, from the left. English slugs come to 0.55 of their length, paths
//! of a technical site's log to 0.61; a text of other letters than ASCII's takes up to twice its own. A
//! compressor cannot do that: it needs a text of some length, or a dictionary, to find repetitions in, and
//! spends a dozen bytes on headers.
//!
//! How the table was made: words of technical English prose, each at most a dozen times, joined by
//! hyphens, with the usual beginnings and ends of paths and hosts; then ten rounds of spelling it all with
//! the table so far and keeping what saved most among all pieces and pairs of pieces. Cut and added to by
//! hand (versions, years, ends of hosts).

use crate::bytes::Corrupt;
use std::sync::OnceLock;

/// The pieces of format version 1, by their byte: 1 to 31, then 127 to 255. Never change it: add a version.
const PIECES: [&str; 160] = [
    "/blog/",
    "-the-",
    "-and-",
    "-for-",
    "-to-",
    "-of-",
    "-in-",
    "-with-",
    "-your-",
    "-how-",
    "-a-",
    "-from-",
    "-what-",
    "-why-",
    "-new-",
    "-best-",
    "/docs/",
    "/tag/",
    "/shop/",
    "/news/",
    "/product",
    "/category",
    "/article",
    "/post",
    "/en/",
    "/page/",
    "/user",
    "/search",
    "/about",
    "/guide",
    "/help/", //
    ".html",
    ".php",
    ".com",
    ".co.uk",
    ".org",
    ".net",
    ".de",
    ".io",
    "www.",
    "blog.",
    "shop.",
    "https://",
    "how-",
    "why-",
    "the-",
    "and-",
    "new-",
    "best-",
    "from-",
    "your-",
    "/202",
    "/201",
    "20",
    "10",
    "11",
    "12",
    "13",
    "14",
    "15",
    "16",
    "17",
    "18.",
    "10.15.7",
    "00",
    "ation",
    "ations",
    "ction",
    "tion",
    "tions",
    "ion",
    "ing",
    "ings",
    "ing-",
    "ting",
    "ment",
    "able",
    "ally",
    "ly",
    "ive",
    "ity",
    "ies",
    "ed-",
    "e-",
    "s-",
    "t-",
    "d-",
    "y-",
    "n-",
    "r-",
    "s/",
    "al",
    "an",
    "ar",
    "as",
    "at",
    "ate",
    "be",
    "ce",
    "ch",
    "ck",
    "co",
    "com",
    "con",
    "ct",
    "de",
    "en",
    "ent",
    "er",
    "ers",
    "es",
    "est",
    "et",
    "ex",
    "fi",
    "for",
    "ge",
    "ha",
    "ic",
    "ide",
    "il",
    "im",
    "in",
    "is",
    "it",
    "la",
    "le",
    "li",
    "lo",
    "ma",
    "me",
    "mo",
    "ne",
    "nt",
    "om",
    "on",
    "or",
    "ou",
    "our",
    "ow",
    "pa",
    "pe",
    "ph",
    "pl",
    "po",
    "pro",
    "ra",
    "re",
    "res",
    "ri",
    "ro",
    "se",
    "sh",
    "st",
    "ta",
    "te",
    "ter",
    "th",
    "ver",
    "with",
];

/// By byte value: the piece it stands for.
fn piece(byte: u8) -> Option<&'static str> {
    let n = match byte {
        1..=31 => byte as usize - 1,
        127..=255 => byte as usize - 127 + 31,
        _ => return None,
    };
    PIECES.get(n).copied()
}

/// A piece's bytes, and the byte that stands for it.
type Piece = (&'static [u8], u8);

/// For each first byte of a piece, the pieces that begin with it, longest first.
fn by_first() -> &'static [Vec<Piece>; 128] {
    static INDEX: OnceLock<[Vec<Piece>; 128]> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index: [Vec<Piece>; 128] = std::array::from_fn(|_| Vec::new());
        for byte in 1..=255 {
            if let Some(text) = piece(byte)
                && let Some(place) = text.as_bytes().first().and_then(|first| index.get_mut(*first as usize))
            {
                place.push((text.as_bytes(), byte));
            }
        }
        index.iter_mut().for_each(|pieces| pieces.sort_by_key(|piece| std::cmp::Reverse(piece.0.len())));
        index
    })
}

/// Spells a text. Its inverse is [`read`].
pub(super) fn spell(text: &str) -> Vec<u8> {
    let index = by_first();
    let mut spelled = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pieces = index.get(first as usize).map_or(&[][..], |pieces| pieces);
        if let Some((piece, byte)) = pieces.iter().find(|(piece, _)| rest.starts_with(piece)) {
            spelled.push(*byte);
            rest = &rest[piece.len()..];
            continue;
        }
        if !(0x20..=0x7e).contains(&first) {
            spelled.push(0);
        }
        spelled.push(first);
        rest = after;
    }
    spelled
}

/// Appends what was spelled. At most 9 bytes for each.
pub(super) fn read(spelled: &[u8], to: &mut Vec<u8>) -> Result<(), Corrupt> {
    let mut bytes = spelled.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            0 => to.push(*bytes.next().ok_or(Corrupt)?),
            0x20..=0x7e => to.push(byte),
            _ => to.extend_from_slice(piece(byte).ok_or(Corrupt)?.as_bytes()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_full_and_none_stands_twice() {
        let mut pieces = PIECES.to_vec();
        pieces.sort();
        pieces.dedup();
        assert_eq!(pieces.len(), PIECES.len());
        assert!(pieces.iter().all(|piece| (2..=9).contains(&piece.len()) && piece.is_ascii()));
        assert_eq!((1..=255).filter_map(piece).collect::<Vec<_>>(), PIECES);
    }

    #[test]
    fn texts_come_back_shorter() {
        let lens = [
            ("/blog/how-we-moved-to-a-new-building", 16),
            ("/shop/fiction/the-silent-harbour-1042", 17),
            ("www.northwind-books.com", 13),
            ("10.15.7", 1),
            ("Québec", 8),
            ("", 0),
        ];
        for (text, len) in lens {
            let spelled = spell(text);
            let mut back = Vec::new();
            assert_eq!(read(&spelled, &mut back), Ok(()));
            assert_eq!(String::from_utf8(back).as_deref(), Ok(text));
            assert_eq!(spelled.len(), len, "{text}");
        }
    }
}
