//! The texts of a dictionary, one after the other, and what is known about them beforehand.
//!
//! ```text
//!   varint  n * 3 + kind
//!           0  itself    n bytes
//!           1  hinted    n bytes: the text without what a text beside it foretells
//!           2  known     nothing: the text is number n of this dictionary's list
//! ```
//!
//! A flush with one event is mostly texts, and they are the same ones in all the world: `Chrome`,
//! `Organic Search`, `DE`. Each dictionary has a [list](known) of such, so that they cost 1 byte. A
//! *hint* is the text beside it in the first tuple that uses it: a region begins with its country (`DE-BE`
//! is written `BE`), a city ends with it (`Berlin, DE` as `Berlin`), a version begins with its browser or
//! system (`Chrome 137` as `137`). What remains, mainly paths and hosts, is spelled with [pieces] in small
//! flushes; in large ones a text stands as it is, and zstd, which then has something to go by, does better.
//!
//! The lists and pieces belong to the format: a change of either is a new version of it.

mod known;
mod pieces;

use super::Dict;
use super::tables::{DEVICE, PLACE};
use crate::bytes::{Corrupt, Reader, Writer};
use crate::event::Text;
use known::KNOWN;
use std::borrow::Cow;

/// How texts are written that are not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spelling {
    /// As they are.
    Plain,
    /// In [pieces].
    Pieces,
}

const ITSELF: u64 = 0;
const HINTED: u64 = 1;
const KNOWN_TEXT: u64 = 2;

/// How a text follows from the one beside it.
enum Hint {
    /// It begins with that and this.
    Begins(&'static str),
    /// It ends with this and that.
    Ends(&'static str),
}

fn hint_of(dict: usize) -> Option<Hint> {
    const REGION: usize = PLACE + 1;
    const CITY: usize = PLACE + 2;
    const BROWSER_VERSION: usize = DEVICE + 2;
    const SYSTEM_VERSION: usize = DEVICE + 4;
    match dict {
        REGION => Some(Hint::Begins("-")),
        CITY => Some(Hint::Ends(", ")),
        BROWSER_VERSION | SYSTEM_VERSION => Some(Hint::Begins(" ")),
        _ => None,
    }
}

/// Puts texts of a dictionary, the empty one left out. `hints` goes by code, or is empty.
pub(crate) fn put_texts(to: &mut Writer, spelling: Spelling, dict: usize, texts: &[Text], hints: &[&str]) {
    let hint_of = hint_of(dict);
    for (i, text) in texts.iter().enumerate() {
        if let Some(n) = known::number(dict, text) {
            to.put_varint(u64::from(n) * 3 + KNOWN_TEXT);
            continue;
        }
        let beside = hints.get(i + 1).copied().unwrap_or("");
        let rest = match &hint_of {
            Some(Hint::Begins(mark)) => text.strip_prefix(beside).and_then(|rest| rest.strip_prefix(mark)),
            Some(Hint::Ends(mark)) => text.strip_suffix(beside).and_then(|rest| rest.strip_suffix(mark)),
            None => None,
        };
        let (text, kind) = rest.map_or((text.as_str(), ITSELF), |rest| (rest, HINTED));
        let bytes = match spelling {
            Spelling::Plain => Cow::Borrowed(text.as_bytes()),
            Spelling::Pieces => Cow::Owned(pieces::spell(text)),
        };
        to.put_varint(bytes.len() as u64 * 3 + kind);
        to.put_bytes(&bytes);
    }
}

/// The mirror image of [`put_texts`]: appends `n` texts to a dictionary. Each takes at least a byte.
pub(crate) fn texts(
    from: &mut Reader<'_>,
    spelling: Spelling,
    dict: usize,
    n: usize,
    hints: &[&str],
    into: &mut Dict,
) -> Result<(), Corrupt> {
    if n > from.remaining() {
        return Err(Corrupt);
    }
    into.0.reserve_exact(n);
    let hint_of = hint_of(dict);
    let mut spelled = Vec::new();
    for i in 0..n {
        let head = from.varint()?;
        let n = usize::try_from(head / 3).map_err(|_| Corrupt)?;
        let kind = head % 3;
        if kind == KNOWN_TEXT {
            into.0.push(Text::const_new(KNOWN[dict].get(n).ok_or(Corrupt)?));
            continue;
        }
        let bytes = match spelling {
            Spelling::Plain => from.take(n)?,
            Spelling::Pieces => {
                spelled.clear();
                pieces::read(from.take(n)?, &mut spelled)?;
                &spelled
            }
        };
        let text = std::str::from_utf8(bytes).map_err(|_| Corrupt)?;
        let beside = hints.get(i + 1).copied().unwrap_or("");
        into.0.push(match (&hint_of, kind) {
            (_, ITSELF) => Text::from(text),
            (Some(Hint::Begins(mark)), _) => join([beside, mark, text]),
            (Some(Hint::Ends(mark)), _) => join([text, mark, beside]),
            (None, _) => return Err(Corrupt),
        });
    }
    Ok(())
}

fn join(parts: [&str; 3]) -> Text {
    let mut text = Text::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| text.push_str(part));
    text
}

#[cfg(test)]
mod tests;
