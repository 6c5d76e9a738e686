//! The cells of an open day: what is counted for each value of each dimension.
//!
//! Values that come together are kept together: a visit's eight values of origin are one tuple, and what adds
//! up (visits, page views, seconds ...) is counted once for the tuple and spread over its values only when a
//! rollup is asked for. Distinct visitors do not add up over tuples, so a visitor's first visit counts its
//! tuple's visitors, and a later visit with another tuple counts only those of its values that are new to
//! this visitor, in `extra`.

use crate::event::Text;
use crate::intern::{Interner, Tuples};
use crate::rollup::{Counts, Dim, OTHER, Rollup};
use std::collections::BTreeMap;

/// Values a dimension may have while its day is open; the rest is `(other)`.
pub const VALUE_CAP: usize = 10_000;
/// Distinct tuples a group may have; the rest is a tuple of `(other)`.
pub const TUPLE_CAP: usize = 60_000;
/// Property keys of a day, and values of one key.
pub const PROP_KEY_CAP: usize = 100;
pub const PROP_VALUE_CAP: usize = 300;

/// Dimensions whose values come as a tuple.
#[derive(Clone)]
pub struct Group<const N: usize> {
    pub values: [Interner; N],
    pub tuples: Tuples<N>,
    /// What a tuple counts, by its index.
    pub counts: Vec<Counts>,
    /// Visitors that a value has beyond those of its tuples, by value code.
    pub extra: [Vec<i64>; N],
}

impl<const N: usize> Default for Group<N> {
    fn default() -> Self {
        Group {
            values: std::array::from_fn(|_| Interner::default()),
            tuples: Tuples::default(),
            counts: Vec::new(),
            extra: std::array::from_fn(|_| Vec::new()),
        }
    }
}

impl<const N: usize> Group<N> {
    /// The index of a tuple of texts.
    pub fn tuple(&mut self, texts: [&str; N]) -> u32 {
        let mut codes = [0; N];
        for (i, text) in texts.into_iter().enumerate() {
            codes[i] = self.values[i].code_capped(text, VALUE_CAP);
        }
        if self.tuples.len() >= TUPLE_CAP && self.tuples.find(&codes).is_none() {
            for (i, code) in codes.iter_mut().enumerate() {
                *code = self.values[i].other();
            }
        }
        let index = self.tuples.index(codes);
        self.counts.resize(self.tuples.len(), Counts::default());
        index
    }

    /// Counts one visitor more for each value of tuple `new` that is in none of the tuples `old`.
    pub fn count_visitor(&mut self, new: u32, old: impl Iterator<Item = u32> + Clone) {
        let mut old = old.peekable();
        if old.peek().is_none() {
            self.counts[new as usize].visitors += 1;
            return;
        }
        if old.clone().any(|tuple| tuple == new) {
            return;
        }
        let codes = self.tuples.values()[new as usize];
        for (i, &code) in codes.iter().enumerate() {
            if !old.clone().any(|tuple| self.tuples.values()[tuple as usize][i] == code) {
                *at(&mut self.extra[i], code) += 1;
            }
        }
    }

    pub fn rollup(&self, i: usize) -> Rollup {
        let mut cells = vec![Counts::default(); self.values[i].len()];
        for (tuple, counts) in self.tuples.values().iter().zip(&self.counts) {
            cells[tuple[i] as usize] += *counts;
        }
        for (cell, extra) in cells.iter_mut().zip(&self.extra[i]) {
            cell.visitors += extra;
        }
        rollup(self.values[i].values(), &cells)
    }

    pub fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<Counts>()
            + self.tuples.len() * (N * 4 + 8)
            + self.values.iter().map(|v| v.len() * 40).sum::<usize>()
            + self.extra.iter().map(|e| e.capacity() * 8).sum::<usize>()
    }
}

/// The slot of a code, made if it is not there yet.
pub fn at<T: Default + Clone>(slots: &mut Vec<T>, code: u32) -> &mut T {
    if slots.len() <= code as usize {
        slots.resize(code as usize + 1, T::default());
    }
    &mut slots[code as usize]
}

/// Cells by code as a rollup: sorted by value, empty ones left out.
pub fn rollup(values: &[Text], cells: &[Counts]) -> Rollup {
    let mut cells: Vec<(Text, Counts)> =
        values.iter().zip(cells).filter(|(_, c)| !c.is_zero()).map(|(v, c)| (v.clone(), *c)).collect();
    cells.sort_by(|a, b| a.0.cmp(&b.0));
    Rollup { cells }
}

/// All cells of an open day.
#[derive(Clone, Default)]
pub struct Cells {
    pub total: Counts,
    pub hours: [Counts; 24],
    /// By [`crate::event::Reason`].
    pub dropped: [i64; crate::event::Reason::ALL.len()],
    pub page: Interner,
    pub pages: Vec<Counts>,
    pub entries: Vec<Counts>,
    pub exits: Vec<Counts>,
    pub hostname: Interner,
    pub hostnames: Vec<Counts>,
    pub name: Interner,
    pub names: Vec<Counts>,
    pub prop: Interner,
    pub props: Vec<Counts>,
    /// How many values each property key has; derived from `prop`.
    prop_keys: BTreeMap<Text, usize>,
    pub origin: Group<8>,
    pub place: Group<3>,
    pub device: Group<5>,
    pub language: Group<1>,
}

impl Cells {
    /// The code of a property's value (`key NUL value`), within the caps on keys and on values of a key.
    pub fn prop_code(&mut self, key: &str, value: &str) -> u32 {
        let text = format!("{key}\0{value}");
        if let Some(code) = self.prop.find(&text) {
            return code;
        }
        // `(other)` takes nobody's place, whether a page sent it or a cap made it: which of the two it was
        // cannot be told once the state was kept and read back.
        let keys = self.prop_keys.len();
        let takes = usize::from(value != OTHER);
        match self.prop_keys.get_mut(key) {
            Some(values) if *values + takes <= PROP_VALUE_CAP => *values += takes,
            Some(_) => return self.prop.code(&format!("{key}\0{OTHER}")),
            None if keys < PROP_KEY_CAP && key != OTHER => {
                self.prop_keys.insert(key.into(), takes);
            }
            None => return self.prop.code(&format!("{OTHER}\0{OTHER}")),
        }
        self.prop.code(&text)
    }

    /// Counts the property keys again, after `prop` was read back.
    pub fn recount_prop_keys(&mut self) {
        self.prop_keys.clear();
        for text in self.prop.values() {
            if let Some((key, value)) = text.split_once('\0')
                && key != OTHER
            {
                *self.prop_keys.entry(key.into()).or_default() += usize::from(value != OTHER);
            }
        }
    }

    /// The cells of one dimension.
    pub fn rollup(&self, dim: Dim) -> Rollup {
        let one = |text: &str, counts: Counts| (Text::new(text), counts);
        match dim {
            Dim::Total if self.total.is_zero() => Rollup::default(),
            Dim::Total => Rollup { cells: vec![one("", self.total)] },
            Dim::Hour => {
                let hours = self.hours.iter().enumerate().filter(|(_, c)| !c.is_zero());
                Rollup { cells: hours.map(|(h, c)| one(&format!("{h:02}"), *c)).collect() }
            }
            Dim::Dropped => {
                let dropped = crate::event::Reason::ALL.iter().zip(self.dropped).filter(|(_, n)| *n != 0);
                let mut cells: Vec<_> =
                    dropped.map(|(r, n)| one(r.name(), Counts { events: n, ..Counts::default() })).collect();
                cells.sort_by(|a, b| a.0.cmp(&b.0));
                Rollup { cells }
            }
            Dim::Page => rollup(self.page.values(), &self.pages),
            Dim::EntryPage => rollup(self.page.values(), &self.entries),
            Dim::ExitPage => rollup(self.page.values(), &self.exits),
            Dim::Hostname => rollup(self.hostname.values(), &self.hostnames),
            Dim::EventName => rollup(self.name.values(), &self.names),
            Dim::Prop => rollup(self.prop.values(), &self.props),
            Dim::Source
            | Dim::Channel
            | Dim::Referrer
            | Dim::UtmSource
            | Dim::UtmMedium
            | Dim::UtmCampaign
            | Dim::UtmContent
            | Dim::UtmTerm => self.origin.rollup(dim as usize - Dim::Source as usize),
            Dim::Country | Dim::Region | Dim::City => self.place.rollup(dim as usize - Dim::Country as usize),
            Dim::Device | Dim::Browser | Dim::BrowserVersion | Dim::System | Dim::SystemVersion => {
                self.device.rollup(dim as usize - Dim::Device as usize)
            }
            Dim::Language => self.language.rollup(0),
        }
    }

    pub fn bytes(&self) -> usize {
        let texts = [&self.page, &self.hostname, &self.name, &self.prop];
        let counts = [&self.pages, &self.entries, &self.exits, &self.hostnames, &self.names, &self.props];
        texts.iter().map(|t| t.len() * 40).sum::<usize>()
            + counts.iter().map(|c| c.capacity() * size_of::<Counts>()).sum::<usize>()
            + self.origin.bytes()
            + self.place.bytes()
            + self.device.bytes()
            + self.language.bytes()
    }
}
