//! An open day at rest: what a checkpoint keeps so that the fold can go on after a restart.
//!
//! ```text
//! byte 0      version of this layout
//! then        zstd of the columns, one after the other, each value a varint (bytes.rs):
//!   day       counted, parts, offset, totals, hours, drops
//!   texts     of each dictionary: count, texts in code order
//!   cells     counts of pages, entries, exits, hostnames, names, properties; of tuples; extra visitors
//!   visitors  hashes (8 bytes each), hours
//!   visits    a column a field; times as differences
//!   seen      entries ascending, as differences
//!   fresh     events that no part holds yet, encoded as a part
//! ```
//! About 60 bytes a visitor. Equal states have equal bytes, so that tests can compare them. Reading checks
//! every index, so that a damaged state is found here and not by a panic later.

use crate::bytes::{Corrupt, Reader, Writer, compress, decompress};
use crate::cells::{Cells, Group};
use crate::day::DayState;
use crate::event::{Day, Reason, SiteId, Text};
use crate::fold::State;
use crate::fresh::Fresh;
use crate::intern::{Interner, Tuples};
use crate::remember::Remembered;
use crate::rollup::Counts;
use crate::segment::{decode_part, encode_part};
use crate::visit::{NONE, Visit, Visits};

const VERSION: u8 = 1;

/// Greatest size of a decompressed day: some millions of visitors.
const MAX_BYTES: usize = 2 << 30;

impl DayState {
    /// The day as it is, events that no part holds yet included.
    pub fn encode(&self) -> Vec<u8> {
        let fresh = if self.fresh.is_empty() { Vec::new() } else { encode_part(&self.part()) };
        self.encode_with(self.parts, &fresh)
    }

    /// The day as it will be once [`DayState::take_part`] was called.
    pub fn encode_parted(&self) -> Vec<u8> {
        self.encode_with(self.parts + u32::from(!self.fresh.is_empty()), &[])
    }

    fn encode_with(&self, parts: u32, fresh: &[u8]) -> Vec<u8> {
        let mut w = Writer::new();
        w.put_varint(u64::from(self.counted));
        w.put_varint(u64::from(parts));
        w.put_signed(i64::from(self.offset_s));
        put_cells(&mut w, &self.cells);
        put_visits(&mut w, &self.visits);
        let seen = self.seen.sorted();
        w.put_varint(seen.len() as u64);
        put_ascending(&mut w, seen.iter().copied());
        w.put_bytes(fresh);
        let mut bytes = vec![VERSION];
        bytes.extend(compress(&w.bytes));
        bytes
    }

    pub fn decode(site: SiteId, day: Day, bytes: &[u8]) -> Result<DayState, Corrupt> {
        let Some((&VERSION, packed)) = bytes.split_first() else {
            return Err(Corrupt);
        };
        let bytes = decompress(packed, MAX_BYTES)?;
        let r = &mut Reader::new(&bytes);
        let mut state = DayState::new(site, day);
        state.counted = r.varint32()?;
        state.parts = r.varint32()?;
        state.offset_s = i32::try_from(r.signed()?).map_err(|_| Corrupt)?;
        state.cells = cells(r)?;
        state.visits = visits(r, &state.cells)?;
        let n = r.count(1)?;
        for entry in ascending(r, n)? {
            state.seen.insert(entry);
        }
        let fresh = r.take(r.remaining())?;
        if !fresh.is_empty() {
            let part = decode_part(fresh)?;
            let visits = state.visits.visits.len() as u32;
            if part.events.iter().any(|e| e.visit.is_some_and(|v| v >= visits)) {
                return Err(Corrupt);
            }
            state.fresh = Fresh::default();
            state.fresh.extend(&part);
        }
        Ok(state)
    }
}

fn put_ascending(w: &mut Writer, values: impl Iterator<Item = u64>) {
    let mut last = 0;
    for value in values {
        w.put_varint(value - last);
        last = value;
    }
}

fn ascending(r: &mut Reader, n: usize) -> Result<Vec<u64>, Corrupt> {
    let mut last = 0_u64;
    (0..n)
        .map(|i| {
            let step = r.varint()?;
            if i > 0 && step == 0 {
                return Err(Corrupt);
            }
            last = last.checked_add(step).ok_or(Corrupt)?;
            Ok(last)
        })
        .collect()
}

fn put_counts(w: &mut Writer, counts: &[Counts]) {
    w.put_varint(counts.len() as u64);
    for column in 0..7 {
        for c in counts {
            w.put_signed(c.to_array()[column]);
        }
    }
}

fn counts(r: &mut Reader) -> Result<Vec<Counts>, Corrupt> {
    let n = r.count(7)?;
    let mut rows = vec![[0_i64; 7]; n];
    for column in 0..7 {
        for row in &mut rows {
            row[column] = r.signed()?;
        }
    }
    Ok(rows.into_iter().map(Counts::from_array).collect())
}

fn put_texts(w: &mut Writer, texts: &Interner) {
    w.put_varint(texts.len() as u64);
    for text in texts.values() {
        w.put_text(text);
    }
}

fn texts(r: &mut Reader) -> Result<Interner, Corrupt> {
    let n = r.count(1)?;
    let texts = (0..n).map(|_| r.text().map(Text::new)).collect::<Result<Vec<_>, _>>()?;
    if texts.first().is_none_or(|first| !first.is_empty()) {
        return Err(Corrupt);
    }
    Ok(Interner::from_values(texts))
}

fn put_cells(w: &mut Writer, cells: &Cells) {
    put_counts(w, &[cells.total]);
    put_counts(w, &cells.hours);
    for n in cells.dropped {
        w.put_signed(n);
    }
    put_texts(w, &cells.page);
    for counts in [&cells.pages, &cells.entries, &cells.exits] {
        put_counts(w, counts);
    }
    for (texts, counts) in
        [(&cells.hostname, &cells.hostnames), (&cells.name, &cells.names), (&cells.prop, &cells.props)]
    {
        put_texts(w, texts);
        put_counts(w, counts);
    }
    put_group(w, &cells.origin);
    put_group(w, &cells.place);
    put_group(w, &cells.device);
    put_group(w, &cells.language);
}

fn cells(r: &mut Reader) -> Result<Cells, Corrupt> {
    let mut cells = Cells::default();
    let [total] = counts(r)?[..] else {
        return Err(Corrupt);
    };
    cells.total = total;
    cells.hours = counts(r)?.try_into().map_err(|_| Corrupt)?;
    for slot in &mut cells.dropped {
        *slot = r.signed()?;
    }
    cells.page = texts(r)?;
    for slot in [&mut cells.pages, &mut cells.entries, &mut cells.exits] {
        *slot = counts_of(r, &cells.page)?;
    }
    cells.hostname = texts(r)?;
    cells.hostnames = counts_of(r, &cells.hostname)?;
    cells.name = texts(r)?;
    cells.names = counts_of(r, &cells.name)?;
    cells.prop = texts(r)?;
    cells.props = counts_of(r, &cells.prop)?;
    cells.recount_prop_keys();
    cells.origin = group(r)?;
    cells.place = group(r)?;
    cells.device = group(r)?;
    cells.language = group(r)?;
    Ok(cells)
}

fn counts_of(r: &mut Reader, texts: &Interner) -> Result<Vec<Counts>, Corrupt> {
    let counts = counts(r)?;
    if counts.len() > texts.len() { Err(Corrupt) } else { Ok(counts) }
}

fn put_group<const N: usize>(w: &mut Writer, group: &Group<N>) {
    for i in 0..N {
        put_texts(w, &group.values[i]);
        w.put_varint(group.extra[i].len() as u64);
        for &n in &group.extra[i] {
            w.put_signed(n);
        }
    }
    for i in 0..N {
        w.put_varint(group.tuples.len() as u64);
        for tuple in group.tuples.values() {
            w.put_varint(u64::from(tuple[i]));
        }
    }
    put_counts(w, &group.counts);
}

fn group<const N: usize>(r: &mut Reader) -> Result<Group<N>, Corrupt> {
    let mut group = Group::<N>::default();
    for i in 0..N {
        group.values[i] = texts(r)?;
        let n = r.count(1)?;
        if n > group.values[i].len() {
            return Err(Corrupt);
        }
        group.extra[i] = (0..n).map(|_| r.signed()).collect::<Result<_, _>>()?;
    }
    let mut tuples: Vec<[u32; N]> = Vec::new();
    for i in 0..N {
        let n = r.count(1)?;
        if i == 0 {
            tuples = vec![[0; N]; n];
        }
        if n != tuples.len() {
            return Err(Corrupt);
        }
        for tuple in &mut tuples {
            tuple[i] = r.varint32()?;
            if tuple[i] as usize >= group.values[i].len() {
                return Err(Corrupt);
            }
        }
    }
    let mut table = Tuples::default();
    for (n, tuple) in tuples.into_iter().enumerate() {
        if table.index(tuple) as usize != n {
            return Err(Corrupt);
        }
    }
    group.tuples = table;
    group.counts = counts(r)?;
    if group.counts.len() != group.tuples.len() {
        return Err(Corrupt);
    }
    Ok(group)
}

fn put_visits(w: &mut Writer, visits: &Visits) {
    w.put_varint(visits.visitors.len() as u64);
    for visitor in &visits.visitors {
        w.put_word(visitor.hash);
    }
    for visitor in &visits.visitors {
        w.put_varint(u64::from(visitor.hours));
    }
    w.put_varint(visits.visits.len() as u64);
    for column in COLUMNS {
        let mut last = 0_i64;
        for visit in &visits.visits {
            let value = i64::from((column.get)(visit));
            w.put_signed(value - last);
            last = if column.differences { value } else { 0 };
        }
    }
}

/// A field of a visit, as it is written and read.
struct VisitColumn {
    get: fn(&Visit) -> u32,
    set: fn(&mut Visit, u32),
    /// Written as the difference from the visit before.
    differences: bool,
}

const fn column(get: fn(&Visit) -> u32, set: fn(&mut Visit, u32), differences: bool) -> VisitColumn {
    VisitColumn { get, set, differences }
}

/// [`NONE`] is written as 0, so that it is as cheap as a small number. Times but the first follow it.
const COLUMNS: [VisitColumn; 15] = [
    column(|v| v.visitor, |v, n| v.visitor = n, true),
    column(|v| v.start, |v, n| v.start = n, true),
    column(|v| v.last - v.start, |v, n| v.last = v.start.wrapping_add(n), false),
    column(|v| v.alive - v.start, |v, n| v.alive = v.start.wrapping_add(n), false),
    column(|v| v.exit_at.wrapping_sub(v.start), |v, n| v.exit_at = v.start.wrapping_add(n), false),
    column(|v| v.origin, |v, n| v.origin = n, false),
    column(|v| v.place, |v, n| v.place = n, false),
    column(|v| v.device, |v, n| v.device = n, false),
    column(|v| v.language, |v, n| v.language = n, false),
    column(|v| v.hostname.wrapping_add(1), |v, n| v.hostname = n.wrapping_sub(1), false),
    column(|v| v.entry.wrapping_add(1), |v, n| v.entry = n.wrapping_sub(1), false),
    column(|v| v.exit.wrapping_add(1), |v, n| v.exit = n.wrapping_sub(1), false),
    column(|v| v.views, |v, n| v.views = n, false),
    column(|v| v.events, |v, n| v.events = n, false),
    column(
        |v| u32::from(v.hour) << 1 | u32::from(v.interacted),
        |v, n| {
            v.hour = (n >> 1) as u8;
            v.interacted = n & 1 == 1;
        },
        false,
    ),
];

fn visits(r: &mut Reader, cells: &Cells) -> Result<Visits, Corrupt> {
    let n = r.count(9)?;
    let hashes = (0..n).map(|_| r.word()).collect::<Result<Vec<_>, _>>()?;
    let hours = (0..n).map(|_| r.varint32()).collect::<Result<Vec<_>, _>>()?;
    if hashes.contains(&0) || hours.iter().any(|&h| h >> 24 != 0) {
        return Err(Corrupt);
    }
    let visitors: Vec<(u64, u32)> = hashes.into_iter().zip(hours).collect();
    let n = r.count(COLUMNS.len())?;
    let blank = Visit {
        visitor: 0,
        older: NONE,
        start: 0,
        last: 0,
        alive: 0,
        exit_at: 0,
        origin: 0,
        place: 0,
        device: 0,
        language: 0,
        hostname: NONE,
        entry: NONE,
        exit: NONE,
        views: 0,
        events: 0,
        hour: 0,
        interacted: false,
    };
    let mut visits = vec![blank; n];
    for column in COLUMNS {
        let mut last = 0_i64;
        for visit in &mut visits {
            let value = last.checked_add(r.signed()?).ok_or(Corrupt)?;
            (column.set)(visit, u32::try_from(value).map_err(|_| Corrupt)?);
            last = if column.differences { value } else { 0 };
        }
    }
    let page = |code: u32| code == NONE || (code as usize) < cells.page.len();
    let sound = |v: &Visit| {
        (v.visitor as usize) < visitors.len()
            && v.last >= v.start
            && v.alive >= v.start
            && (v.origin as usize) < cells.origin.tuples.len()
            && (v.place as usize) < cells.place.tuples.len()
            && (v.device as usize) < cells.device.tuples.len()
            && (v.language as usize) < cells.language.tuples.len()
            && (v.hostname == NONE || (v.hostname as usize) < cells.hostname.len())
            && page(v.entry)
            && page(v.exit)
            && v.hour < 24
    };
    if !visits.iter().all(sound) {
        return Err(Corrupt);
    }
    Ok(Visits::from_rows(visitors, visits))
}

/// Remembered batch ids as a chunk: minutes as differences, ids as 8 raw bytes.
pub fn encode_ids(ids: &[(i64, u64)]) -> Vec<u8> {
    let mut w = Writer::new();
    w.put_u8(VERSION);
    w.put_varint(ids.len() as u64);
    let mut last = 0;
    for &(minute, id) in ids {
        w.put_signed(minute - last);
        w.put_word(id);
        last = minute;
    }
    w.bytes
}

pub fn decode_ids(bytes: &[u8]) -> Result<Vec<(i64, u64)>, Corrupt> {
    let r = &mut Reader::new(bytes);
    if r.u8()? != VERSION {
        return Err(Corrupt);
    }
    let n = r.count(9)?;
    let mut minute = 0_i64;
    let ids = (0..n).map(|_| {
        minute = minute.checked_add(r.signed()?).ok_or(Corrupt)?;
        Ok((minute, r.word()?))
    });
    ids.collect()
}

/// The fold's clock and what goes with it: the first chunk of the batch memory.
pub fn encode_clock(state: &State) -> Vec<u8> {
    let mut w = Writer::new();
    w.put_u8(VERSION);
    w.put_signed(state.clock_ms);
    w.put_varint(state.events);
    w.put_signed(state.batches.crowded_out().unwrap_or(i64::MIN));
    w.bytes
}

/// Builds the state from what a checkpoint holds: the clock, the chunks of batch ids in order, the days.
pub fn restore<'a>(
    clock: Option<&[u8]>,
    chunks: impl Iterator<Item = &'a [u8]>,
    days: impl Iterator<Item = (SiteId, Day, &'a [u8])>,
) -> Result<State, Corrupt> {
    let mut state = State::new();
    let mut crowded_out = None;
    if let Some(bytes) = clock {
        let r = &mut Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Corrupt);
        }
        state.clock_ms = r.signed()?;
        state.events = r.varint()?;
        crowded_out = Some(r.signed()?).filter(|&minute| minute != i64::MIN);
    }
    let mut ids = Vec::new();
    for chunk in chunks {
        ids.extend(decode_ids(chunk)?);
    }
    state.batches = Remembered::restore(ids, crowded_out, state.clock_ms);
    for (site, day, bytes) in days {
        state.days.insert((site, day), DayState::decode(site, day, bytes)?);
    }
    Ok(state)
}

/// How many reasons a state counts: a change of the list needs a new version of this layout.
const _: () = assert!(Reason::ALL.len() == 12);
