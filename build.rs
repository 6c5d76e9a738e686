//! Before the crate is built: the browser script is made small.
//!
//! Comments and space go by the `minifier` crate. Names that begin with an underscore are the script's own by
//! its convention, properties included, and become one or two letters here, the most used ones the shortest.
//! A minifier that understands the language saves a further 100 bytes of 1,400 and costs 150 crates and a
//! minute and a half of building (docs/DECISIONS.md).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

const SCRIPT: &str = "tracker/passerby.js";

fn main() {
    println!("cargo::rerun-if-changed={SCRIPT}");
    println!("cargo::rerun-if-changed=build.rs");
    let source = fs::read_to_string(SCRIPT).unwrap_or_else(|e| panic!("{SCRIPT}: {e}"));
    let small = minifier::js::minify(&source).unwrap_or_else(|e| panic!("{SCRIPT}: {e}"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("p.js"), shorten(&small.to_string())).expect("OUT_DIR can be written");
}

/// The script with its own names shortened: `_batches` to `b`, everywhere.
fn shorten(script: &str) -> String {
    let words = words(script);
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for word in words.iter().filter(|word| is_own(word)) {
        *uses.entry(word).or_default() += 1;
    }
    let mut own: Vec<&str> = uses.keys().copied().collect();
    own.sort_by_key(|name| std::cmp::Reverse(uses[name]));

    let letters = || ('a'..='z').chain('A'..='Z').map(String::from);
    let free = letters().chain(letters().map(|letter| format!("${letter}")));
    let free = free.filter(|name| !words.contains(&name.as_str()));
    let short: BTreeMap<&str, String> = own.into_iter().zip(free).collect();
    assert_eq!(short.len(), uses.len(), "{SCRIPT}: more names of its own than there are short ones");
    words.iter().map(|word| short.get(word).map_or(*word, String::as_str)).collect()
}

fn is_own(word: &str) -> bool {
    word.len() > 1 && word.starts_with('_')
}

/// The text cut into names (and numbers), and single characters between them.
fn words(text: &str) -> Vec<&str> {
    let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match in_name(first) {
            true => rest.find(|c| !in_name(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after;
    }
    words
}
