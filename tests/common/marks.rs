//! Markers, and the search for them in everything that the program wrote: its files byte by byte, and what
//! its own reader decodes from them, since compression hides a marker from a search of bytes.

use super::server::store_url;
use passerby::store::{LIVE, Store};
use passerby_engine::block::decode_flush;
use passerby_engine::day::DayState;
use passerby_engine::event::{Day, SiteId};
use passerby_engine::rollup::{Dim, Rollup};
use passerby_engine::segment;
use passerby_engine::state::decode_ids;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

/// What must not be found, or must, in every form that it may be written in.
pub struct Marker {
    pub name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

pub fn hex(bytes: &[u8]) -> String {
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
    pub fn text(text: &str) -> Marker {
        let mut forms = vec![
            ("text", text.as_bytes().to_vec()),
            ("lower case", text.to_lowercase().into_bytes()),
            ("upper case", text.to_uppercase().into_bytes()),
            ("hex", hex(text.as_bytes()).into_bytes()),
            ("upper hex", hex(text.as_bytes()).to_uppercase().into_bytes()),
        ];
        forms.extend(base64(text.as_bytes()).into_iter().map(|form| ("base64", form)));
        Marker { name: text.to_string(), forms }
    }

    pub fn address(address: IpAddr) -> Marker {
        let mut marker = Marker::text(&address.to_string());
        let packed = match address {
            IpAddr::V4(a) => {
                marker.forms.push(("one number", a.to_bits().to_string().into_bytes()));
                a.octets().to_vec()
            }
            IpAddr::V6(a) => {
                let groups: Vec<String> = a.segments().iter().map(|group| format!("{group:04x}")).collect();
                marker.forms.push(("long text", groups.join(":").into_bytes()));
                a.octets().to_vec()
            }
        };
        marker.packed(&packed);
        marker
    }

    /// A salt or a hash: bytes, as they are and written out.
    pub fn bytes(name: &str, bytes: &[u8]) -> Marker {
        let mut marker = Marker { name: name.to_string(), forms: Vec::new() };
        marker.packed(bytes);
        marker
    }

    /// A visitor's hash as people and programs write numbers; not its bytes, which the log holds.
    pub fn visitor(number: u64) -> Marker {
        let mut marker = Marker { name: format!("visitor {number}"), forms: Vec::new() };
        marker.forms.push(("decimal", number.to_string().into_bytes()));
        marker.forms.push(("signed", (number as i64).to_string().into_bytes()));
        for bytes in [number.to_be_bytes(), number.to_le_bytes()] {
            marker.forms.push(("hex", hex(&bytes).into_bytes()));
            marker.forms.push(("upper hex", hex(&bytes).to_uppercase().into_bytes()));
            marker.forms.extend(base64(&bytes).into_iter().map(|form| ("base64", form)));
            marker.forms.push(("list", format!("{bytes:?}").into_bytes()));
        }
        marker
    }

    fn packed(&mut self, packed: &[u8]) {
        self.forms.push(("packed hex", hex(packed).into_bytes()));
        self.forms.push(("packed upper hex", hex(packed).to_uppercase().into_bytes()));
        let long = base64(packed).into_iter().filter(|form| form.len() > 8);
        self.forms.extend(long.map(|form| ("packed base64", form)));
        self.forms.push(("list", format!("{packed:?}").trim_matches(['[', ']']).as_bytes().to_vec()));
        self.forms.push(("packed, reversed", packed.iter().rev().copied().collect()));
        self.forms.push(("packed", packed.to_vec()));
    }

    pub fn found_in(&self, bytes: &[u8]) -> Option<&'static str> {
        Search::new(std::slice::from_ref(self)).in_bytes(bytes).map(|(_, form)| form)
    }
}

/// A marker's name, how it is written, and what to look for.
type Form<'a> = (&'a str, &'static str, &'a [u8]);

/// Many markers at once: forms by their first four bytes.
pub struct Search<'a> {
    by_start: HashMap<[u8; 4], Vec<Form<'a>>>,
}

impl<'a> Search<'a> {
    pub fn new(markers: &'a [Marker]) -> Search<'a> {
        let mut by_start: HashMap<_, Vec<_>> = HashMap::new();
        for marker in markers {
            for (how, form) in &marker.forms {
                let start = *form.first_chunk().expect("no form is shorter than four bytes");
                by_start.entry(start).or_default().push((marker.name.as_str(), *how, form.as_slice()));
            }
        }
        Search { by_start }
    }

    /// The first marker found, and how it was written.
    pub fn in_bytes(&self, bytes: &[u8]) -> Option<(&'a str, &'static str)> {
        for (at, start) in bytes.windows(4).enumerate() {
            let start: [u8; 4] = [start[0], start[1], start[2], start[3]];
            for (name, how, form) in self.by_start.get(&start).into_iter().flatten() {
                if bytes[at..].starts_with(form) {
                    return Some((name, how));
                }
            }
        }
        None
    }

    /// Fails if a marker is in any of these.
    pub fn finds_nothing(&self, written: &[(String, Vec<u8>)]) {
        for (place, bytes) in written {
            if let Some((name, how)) = self.in_bytes(bytes) {
                panic!("{name} was found in {place}, as {how}");
            }
        }
    }
}

/// The files of some folders, by name.
pub fn files(folders: &[&Path]) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                // A running server may have removed it since it was listed.
                false => all.extend(std::fs::read(&path).map(|bytes| (path.display().to_string(), bytes))),
            }
        }
    }
    all
}

/// Every block, state, batch id, setting, rollup, segment and part of a store, printed, by kind.
pub fn decoded(store: &Path) -> Vec<(String, Vec<u8>)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = passerby::store::open(&store_url(store)).unwrap();
        let mut kinds: HashMap<&str, String> = HashMap::new();
        let mut print = |kind, text: String| *kinds.entry(kind).or_default() += &(text + "\n");
        let mut position = 0;
        loop {
            let read = store.read_log(position, 1 << 20).await.unwrap();
            for (at, bytes) in &read.flushes {
                print("log", format!("{:?}", decode_flush(bytes).unwrap()));
                position = *at;
            }
            if !read.more {
                break;
            }
        }
        let checkpoint = store.load().await.unwrap();
        for (site, day, bytes) in &checkpoint.states {
            let day = DayState::decode(*site, *day, bytes).unwrap();
            for row in &Dim::TABLE {
                print("state", format!("{:?}", day.rollup(row.dim)));
            }
            let visits = (&day.visits.visitors, &day.visits.visits);
            print("state", format!("{:?} {visits:?}", day.part()));
        }
        for (chunk, bytes) in checkpoint.batches.iter().filter(|(chunk, _)| *chunk > 0) {
            print("ids", format!("{chunk} {:?}", decode_ids(bytes).unwrap()));
        }
        for setting in store.settings("").await.unwrap() {
            let value = String::from_utf8_lossy(&setting.value);
            print("settings", format!("{} {value} {:?}", setting.key, setting.value));
            let Some(id) = setting.key.strip_prefix("site/").and_then(|id| u64::from_str_radix(id, 16).ok())
            else {
                continue;
            };
            rows(&*store, SiteId(id), &mut print).await;
        }
        kinds.into_iter().map(|(kind, text)| (kind.to_owned(), text.into_bytes())).collect()
    })
}

async fn rows(store: &dyn Store, site: SiteId, print: &mut impl FnMut(&'static str, String)) {
    let all_days = Day(i32::MIN)..=Day(i32::MAX);
    let mut units = std::collections::BTreeSet::from([LIVE]);
    for row in store.rollups(site, &Dim::TABLE.map(|row| row.dim), all_days.clone()).await.unwrap() {
        print("rollups", format!("{:?}", Rollup::decode(&row.bytes).unwrap()));
        units.insert(row.unit);
    }
    for unit in units {
        for (_, _, bytes) in store.segments(site, unit, all_days.clone()).await.unwrap() {
            match segment::decode(&bytes) {
                Ok(segment) => print("segments", format!("{segment:?}")),
                Err(_) => print("segments", format!("{:?}", segment::decode_part(&bytes).unwrap())),
            }
        }
    }
}

/// A folder in memory for the salts' file, where this machine lets the program use one (no swap, a tmpfs).
pub fn tmpfs() -> Option<tempfile::TempDir> {
    let swap_is_off = !passerby::salts::swap_is_on();
    let folder = tempfile::tempdir_in("/dev/shm").ok().filter(|_| swap_is_off);
    if folder.is_none() {
        eprintln!("no tmpfs without swap here: salts are in memory alone, and no file of them is searched");
    }
    folder
}
