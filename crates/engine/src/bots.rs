//! Agents that say they are machines.
//!
//! Two sources: words that only machines use of themselves, and a list of names compiled in
//! (`data/crawlers.txt`, made by `data/crawlers.py` from the MIT-licensed `crawler-user-agents`; its
//! notice is in THIRD-PARTY.md). Names that people's browsers and apps carry too are left out there.
//! This finds who says so. Machines that pretend to be people are not found by their agent.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::sync::LazyLock;

/// Lower case, one a line: `^` before one that begins the agent, `$` after one that ends it.
static NAMES: &str = include_str!("../data/crawlers.txt");

/// Words of machines, found anywhere. `bot` is looked at more closely.
const WORDS: [&str; 7] = [
    "crawl", "spider", "headless", "scrap", "http://", "https://", "bot",
];

struct Index {
    /// [`WORDS`], then the names that may stand anywhere, without regard to case.
    anywhere: AhoCorasick,
    starts: Vec<&'static str>,
    ends: Vec<&'static str>,
}

static INDEX: LazyLock<Option<Index>> = LazyLock::new(|| {
    let (mut anywhere, mut starts, mut ends) = (WORDS.to_vec(), Vec::new(), Vec::new());
    for name in NAMES.lines().filter(|line| !line.is_empty()) {
        match (name.strip_prefix('^'), name.strip_suffix('$')) {
            (Some(name), _) => starts.push(name),
            (_, Some(name)) => ends.push(name),
            _ => anywhere.push(name),
        }
    }
    let kind = Some(AhoCorasickKind::ContiguousNFA);
    let anywhere = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(kind)
        .build(&anywhere)
        .ok()?;
    Some(Index {
        anywhere,
        starts,
        ends,
    })
});

/// Whether a user agent says that it is a machine.
pub fn is_bot(agent: &str) -> bool {
    let Some(index) = INDEX.as_ref() else {
        return false;
    };
    let bytes = agent.as_bytes();
    let starts = |name: &&str| {
        bytes
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    let ends = |name: &&str| {
        let from = bytes.len().checked_sub(name.len());
        from.and_then(|from| bytes.get(from..))
            .is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes()))
    };
    index.starts.iter().any(starts)
        || index.ends.iter().any(ends)
        || index.anywhere.find_overlapping_iter(agent).any(|found| {
            match found.pattern().as_usize() {
                // The last of WORDS.
                6 => is_word_bot(bytes, found.start(), found.end()),
                // A short name must begin a word: `ask/` is none of `flask/`.
                _ => found.len() > 5 || begins_word(bytes, found.start()),
            }
        })
}

fn begins_word(bytes: &[u8], at: usize) -> bool {
    let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    !letter(at) || at.checked_sub(1).is_none_or(|before| !letter(before))
}

/// `bot` that ends a word, as in Googlebot; but Cubot makes phones.
fn is_word_bot(bytes: &[u8], start: usize, end: usize) -> bool {
    let goes_on = bytes.get(end).is_some_and(u8::is_ascii_alphabetic);
    let cubot = start
        .checked_sub(2)
        .and_then(|from| bytes.get(from..start))
        .is_some_and(|b| b.eq_ignore_ascii_case(b"cu"));
    !goes_on && !cubot
}
