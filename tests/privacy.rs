//! PRIVACY.md, clause 1: no address and no full user agent reaches a disk, a log line or an error text, not at
//! a clean stop, not after a kill, not in a write-ahead log or a freed page.
//!
//! Traffic comes from marked addresses (documentation ranges) with marked agents. Afterwards everything the
//! program wrote is searched for them, as text, packed bytes, hex and base64: its files byte by byte, and what
//! its own reader decodes from them, since compression hides a marker from a search of bytes. A search that
//! could not find anything would prove nothing, so it must first find a marker that was planted in a path.

mod common;

use common::server::{Server, Start, store_url};
use common::{Random, seed};
use passerby_engine::block::decode_flush;
use passerby_engine::day::DayState;
use passerby_engine::event::Day;
use passerby_engine::rollup::{Dim, Rollup};
use passerby_engine::segment;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

/// What must not be found, or must.
struct Marker {
    name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// Base64 of `bytes` wherever they may begin within a group of three: the characters that only they decide.
fn base64(bytes: &[u8]) -> Vec<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |skip: usize| {
        let padded: Vec<u8> = std::iter::repeat_n(0, skip).chain(bytes.iter().copied()).collect();
        let bits: Vec<u8> = padded.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).collect();
        let first = (skip * 8).div_ceil(6);
        let sextets = bits.chunks_exact(6).skip(first);
        sextets.map(|s| ALPHABET[s.iter().fold(0, |n, bit| n * 2 + usize::from(*bit))]).collect()
    };
    (0..3).map(encode).collect()
}

impl Marker {
    fn text(text: &str) -> Marker {
        let mut forms = vec![
            ("text", text.as_bytes().to_vec()),
            ("hex", hex(text.as_bytes()).into_bytes()),
            ("upper hex", hex(text.as_bytes()).to_uppercase().into_bytes()),
        ];
        forms.extend(base64(text.as_bytes()).into_iter().map(|form| ("base64", form)));
        Marker { name: text.to_string(), forms }
    }

    fn address(address: IpAddr) -> Marker {
        let mut marker = Marker::text(&address.to_string());
        let packed = match address {
            IpAddr::V4(a) => a.octets().to_vec(),
            IpAddr::V6(a) => a.octets().to_vec(),
        };
        marker.forms.push(("packed hex", hex(&packed).into_bytes()));
        marker
            .forms
            .extend(base64(&packed).into_iter().filter(|f| f.len() > 8).map(|form| ("packed base64", form)));
        marker.forms.push(("packed, reversed", packed.iter().rev().copied().collect()));
        marker.forms.push(("packed", packed));
        marker
    }

    fn found_in(&self, bytes: &[u8]) -> Option<&'static str> {
        let found =
            self.forms.iter().find(|(_, form)| bytes.windows(form.len()).any(|window| window == form));
        found.map(|(name, _)| *name)
    }
}

/// Everything the program wrote, by name: raw files, and what its reader makes of them.
fn written(folder: &Path, store: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => all.push((path.display().to_string(), std::fs::read(&path).unwrap())),
            }
        }
    }
    all.push(("decoded".into(), decoded(store).into_bytes()));
    all
}

/// Every block, segment, rollup, state and setting, printed.
fn decoded(store: &Path) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = passerby::store::open(&store_url(store)).unwrap();
        let mut out = String::new();
        let mut position = 0;
        loop {
            let read = store.read_log(position, 1 << 20).await.unwrap();
            for (at, bytes) in &read.flushes {
                writeln!(out, "{:?}", decode_flush(bytes).unwrap()).unwrap();
                position = *at;
            }
            if !read.more {
                break;
            }
        }
        for (site, day, bytes) in store.load().await.unwrap().states {
            let day = DayState::decode(site, day, &bytes).unwrap();
            for row in &Dim::TABLE {
                writeln!(out, "{:?}", day.rollup(row.dim)).unwrap();
            }
            writeln!(out, "{:?} {:?} {:?}", day.part(), day.visits.visitors, day.visits.visits).unwrap();
        }
        for setting in store.settings("").await.unwrap() {
            writeln!(out, "{} {}", setting.key, String::from_utf8_lossy(&setting.value)).unwrap();
            let Some(id) = setting.key.strip_prefix("site/").and_then(|id| u64::from_str_radix(id, 16).ok())
            else {
                continue;
            };
            let site = passerby_engine::event::SiteId(id);
            let all_days = Day(i32::MIN)..=Day(i32::MAX);
            for row in store.rollups(site, &Dim::TABLE.map(|row| row.dim), all_days.clone()).await.unwrap() {
                writeln!(out, "{:?}", Rollup::decode(&row.bytes).unwrap()).unwrap();
            }
            for (_, _, bytes) in store.segments(site, passerby::store::LIVE, all_days).await.unwrap() {
                match segment::decode(&bytes) {
                    Ok(segment) => writeln!(out, "{segment:?}").unwrap(),
                    Err(_) => writeln!(out, "{:?}", segment::decode_part(&bytes).unwrap()).unwrap(),
                }
            }
        }
        out
    })
}

/// Sends traffic with markers; gives what must be found and what must not.
fn traffic(server: &Server, random: &mut Random) -> (Marker, Vec<Marker>) {
    // Short and wordlike: long tokens in paths are masked (clause 10).
    let planted = format!("planted-{}", 1000 + random.below(9000));
    let mut secret = Vec::new();
    let mut client = server.client();
    for n in 0..60_u64 {
        let address: IpAddr = match n % 2 {
            0 => format!("203.0.113.{}", 1 + random.below(250)).parse().unwrap(),
            _ => format!(
                "2001:db8:{:x}::{:x}:{:x}",
                random.below(0xffff),
                1 + random.below(0xfffe),
                random.below(0xffff)
            )
            .parse()
            .unwrap(),
        };
        let mark = format!("Marked{:016x}", random.next());
        let agent = match n % 10 {
            9 => format!("Googlebot/2.1 ({mark})"),
            _ => format!(
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 {mark}"
            ),
        };
        let path = if n == 7 { format!("/{planted}") } else { format!("/page/{}", n % 5) };
        let batch = format!("{:016x}{:016x}", random.next(), random.next());
        let track = format!(
            r#"{{"v":1,"site":"example.com","batch":"{batch}","sent":0,"events":[{{"type":"pageview","url":"https://example.com{path}?e={mark}"}}]}}"#
        );
        let event = format!(r#"{{"n":"pageview","u":"https://example.com{path}","d":"example.com"}}"#);
        let (to, body, expected) = match n % 12 {
            10 => ("/api/track", format!("{{not json {mark}"), 400),
            11 => ("/api/event", event, 202),
            _ => ("/api/track", track, 202),
        };
        let forwarded = address.to_string();
        let headers = [
            ("content-type", "text/plain"),
            ("user-agent", agent.as_str()),
            ("x-forwarded-for", forwarded.as_str()),
        ];
        let answer = client.send("POST", to, &headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status, expected, "{to}: {}", answer.text());
        for secret in [&mark, &forwarded] {
            assert!(!answer.text().contains(secret), "the answer repeats {secret}");
        }
        secret.push(Marker::address(address));
        secret.push(Marker::text(&mark));
    }
    (Marker::text(&planted), secret)
}

fn search(folder: &Path, store: &Path, planted: &Marker, secret: &[Marker]) {
    let written = written(folder, store);
    assert!(
        written.iter().any(|(name, bytes)| name == "decoded" && planted.found_in(bytes).is_some()),
        "the search cannot find what is there, so it proves nothing"
    );
    for (name, bytes) in &written {
        for marker in secret {
            // Four packed bytes stand by chance in every few gigabytes of random ones; the store is smaller.
            if let Some(form) = marker.found_in(bytes) {
                panic!("{} was found in {name}, as {form}", marker.name);
            }
        }
    }
}

fn start(folder: &Path) -> Server {
    let args = ["--site", "example.com", "--trusted-proxy", "127.0.0.0/8"];
    Start { folder, args: &args, envs: &[] }.ready()
}

#[test]
fn clause_1_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let store = server.store.clone();
    let (planted, secret) = traffic(&server, &mut Random(seed()));
    assert!(server.stop().success());
    search(folder.path(), &store, &planted, &secret);
}

#[test]
fn clause_1_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let store = server.store.clone();
    let (planted, secret) = traffic(&server, &mut Random(seed()));
    server.kill();
    search(folder.path(), &store, &planted, &secret);
}

#[test]
fn the_search_finds_every_form() {
    let address: IpAddr = "203.0.113.77".parse().unwrap();
    let marker = Marker::address(address);
    for text in ["client 203.0.113.77:80", "x=cb00714d", "b64 MjAzLjAuMTEzLjc3", "b64 eDIwMy4wLjExMy43Nw=="] {
        assert!(marker.found_in(text.as_bytes()).is_some(), "{text}");
    }
    assert!(marker.found_in(&[1, 2, 203, 0, 113, 77, 9]).is_some());
    assert!(marker.found_in(b"203.0.113.78").is_none());
}
