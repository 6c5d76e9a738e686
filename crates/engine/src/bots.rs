//! Agents that say they are machines.
//!
//! Two sources: words that only machines use of themselves, and a list of names compiled in
//! (`data/crawlers.txt`, made by `data/crawlers.py` from the MIT-licensed `crawler-user-agents`; its
//! notice is in THIRD-PARTY.md). Names that people's browsers and apps carry too are left out there.
//! This finds who says so. Machines that pretend to be people are not found by their agent.

use crate::words::Words;
use std::sync::LazyLock;

/// Lower case, one a line: `^` before one that begins the agent, `$` after one that ends it.
static NAMES: &str = include_str!("../data/crawlers.txt");

/// Words of machines, found anywhere. `bot`, the first, is looked at more closely.
const WORDS: [&str; 14] = [
    "bot",
    "crawl",
    "spider",
    "headless",
    "scrap",
    "http://",
    "https://",
    "monitor",
    "validator",
    "checker",
    "extractor",
    "analyzer",
    "httpclient",
    "http-client",
];

struct Index {
    /// [`WORDS`], then the names that may stand anywhere.
    anywhere: Words,
    starts: Vec<&'static str>,
    ends: Vec<&'static str>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let (mut anywhere, mut starts, mut ends) = (WORDS.to_vec(), Vec::new(), Vec::new());
    for name in NAMES.lines().filter(|line| !line.is_empty()) {
        match (name.strip_prefix('^'), name.strip_suffix('$')) {
            (Some(name), _) => starts.push(name),
            (_, Some(name)) => ends.push(name),
            _ => anywhere.push(name),
        }
    }
    Index { anywhere: Words::new(anywhere, false), starts, ends }
});

/// Whether a user agent says that it is a machine.
pub fn is_bot(agent: &str) -> bool {
    let bytes = agent.as_bytes();
    let starts = |name: &&str| {
        bytes.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    let ends = |name: &&str| {
        let from = bytes.len().checked_sub(name.len());
        from.and_then(|from| bytes.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes()))
    };
    INDEX.starts.iter().any(starts)
        || INDEX.ends.iter().any(ends)
        || INDEX.anywhere.any(bytes, |number, start, end| match number {
            0 => is_word_bot(bytes, start, end),
            word if word < WORDS.len() => true,
            // A short name must begin a word: `ask/` is none of `flask/`.
            _ => end - start > 5 || begins_word(bytes, start),
        })
}

fn begins_word(bytes: &[u8], at: usize) -> bool {
    let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    !letter(at) || at.checked_sub(1).is_none_or(|before| !letter(before))
}

/// `bot` that ends a word, as in Googlebot; but Cubot and IDbot make phones.
fn is_word_bot(bytes: &[u8], start: usize, end: usize) -> bool {
    let goes_on = bytes.get(end).is_some_and(u8::is_ascii_alphabetic);
    let before = start.checked_sub(2).and_then(|from| bytes.get(from..start)).unwrap_or_default();
    !goes_on && !before.eq_ignore_ascii_case(b"cu") && !before.eq_ignore_ascii_case(b"id")
}
