//! Batches to blocks: texts to codes.
//!
//! Most of the work is to find a text again. A device has five texts and an origin eight, but few devices
//! and origins are distinct, so a whole tuple is hashed and looked up at once, and its texts one by one
//! only when it is new. The texts come from outside: the hash is keyed, so that nobody can choose texts
//! that meet in one place of the table. No order of a table shows in a block.

use super::{BatchRow, Block, Dict, Dicts, EventRow};
use crate::event::{Batch, Device, Origin, Place, Text};
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// Makes dictionaries and tuples of codes, giving each text and tuple its code when it first meets it.
#[derive(Clone, Debug, Default)]
pub struct Gatherer {
    pub dicts: Dicts,
    pub origins: Vec<[u32; 8]>,
    pub places: Vec<[u32; 3]>,
    pub devices: Vec<[u32; 5]>,
    /// Where the texts of each dictionary lie, by their hash; in the order of [`Dicts::all`].
    texts: [HashTable<u32>; Dicts::COUNT],
    origin_table: HashTable<u32>,
    place_table: HashTable<u32>,
    device_table: HashTable<u32>,
    key: SipHasher13,
}

fn hash<T: Hash + ?Sized>(key: &SipHasher13, value: &T) -> u64 {
    let mut hasher = *key;
    value.hash(&mut hasher);
    hasher.finish()
}

/// The code of a text in a dictionary, new or old.
fn code(key: &SipHasher13, dict: &mut Dict, table: &mut HashTable<u32>, text: &Text) -> u32 {
    if text.is_empty() {
        return 0;
    }
    let texts = &mut dict.0;
    let at = hash(key, text.as_str());
    if let Some(code) = table.find(at, |code| texts[*code as usize] == *text) {
        return *code;
    }
    let code = texts.len() as u32;
    texts.push(text.clone());
    table.insert_unique(at, code, |code| hash(key, texts[*code as usize].as_str()));
    code
}

macro_rules! code {
    ($self:ident, $n:expr, $dict:expr, $text:expr) => {
        code(&$self.key, &mut $dict, &mut $self.texts[$n], $text)
    };
}

impl Gatherer {
    /// `key` keys the hash tables: any number that people outside do not know.
    pub fn new(key: u128) -> Gatherer {
        Gatherer { key: SipHasher13::new_with_keys(key as u64, (key >> 64) as u64), ..Gatherer::default() }
    }

    pub fn page(&mut self, text: &Text) -> u32 {
        code!(self, 0, self.dicts.page, text)
    }

    pub fn hostname(&mut self, text: &Text) -> u32 {
        code!(self, 1, self.dicts.hostname, text)
    }

    pub fn language(&mut self, text: &Text) -> u32 {
        code!(self, 18, self.dicts.language, text)
    }

    pub fn name(&mut self, text: &Text) -> u32 {
        code!(self, 19, self.dicts.name, text)
    }

    pub fn prop(&mut self, key: &Text, value: &Text) -> (u32, u32) {
        (code!(self, 20, self.dicts.prop_key, key), code!(self, 21, self.dicts.prop_value, value))
    }

    /// Index into `origins`.
    pub fn origin(&mut self, origin: &Origin) -> u32 {
        let texts = origin_texts(origin);
        let Gatherer { dicts, origins, texts: tables, origin_table, key, .. } = self;
        tuple(key, &mut dicts.origin, &mut tables[2..10], origins, origin_table, texts)
    }

    /// Index into `places`.
    pub fn place(&mut self, place: &Place) -> u32 {
        let texts = [&place.country, &place.region, &place.city];
        let Gatherer { dicts, places, texts: tables, place_table, key, .. } = self;
        tuple(key, &mut dicts.place, &mut tables[10..13], places, place_table, texts)
    }

    /// Index into `devices`.
    pub fn device(&mut self, device: &Device) -> u32 {
        let Device { class, browser, browser_version, system, system_version } = device;
        let texts = [class, browser, browser_version, system, system_version];
        let Gatherer { dicts, devices, texts: tables, device_table, key, .. } = self;
        tuple(key, &mut dicts.device, &mut tables[13..18], devices, device_table, texts)
    }
}

fn origin_texts(origin: &Origin) -> [&Text; 8] {
    let Origin { source, channel, referrer, utm_source, utm_medium, utm_campaign, utm_content, utm_term } =
        origin;
    [source, channel, referrer, utm_source, utm_medium, utm_campaign, utm_content, utm_term]
}

/// The index of a tuple of texts, new or old. Equal texts have equal codes, so a tuple is compared with
/// one in the table through the dictionaries.
fn tuple<const N: usize>(
    key: &SipHasher13,
    dicts: &mut [Dict; N],
    tables: &mut [HashTable<u32>],
    tuples: &mut Vec<[u32; N]>,
    table: &mut HashTable<u32>,
    texts: [&Text; N],
) -> u32 {
    let same = |dicts: &[Dict; N], codes: &[u32; N]| {
        (0..N).all(|i| {
            if codes[i] == 0 { texts[i].is_empty() } else { dicts[i].0[codes[i] as usize] == *texts[i] }
        })
    };
    let at = tuple_hash(key, texts.iter().map(|text| text.as_str()));
    if let Some(index) = table.find(at, |index| same(dicts, &tuples[*index as usize])) {
        return *index;
    }
    let mut codes = [0; N];
    for i in 0..N {
        codes[i] = code(key, &mut dicts[i], &mut tables[i], texts[i]);
    }
    let index = tuples.len() as u32;
    tuples.push(codes);
    table.insert_unique(at, index, |index| {
        let codes = tuples[*index as usize];
        tuple_hash(key, (0..N).map(|i| dicts[i].text(codes[i])))
    });
    index
}

/// Hash of texts in order. Lengths go in too, so that no two tuples run into each other.
fn tuple_hash<'a>(key: &SipHasher13, texts: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = *key;
    for (i, text) in texts.enumerate() {
        if !text.is_empty() {
            hasher.write_u64((i as u64) << 56 | text.len() as u64);
            hasher.write(text.as_bytes());
        }
    }
    hasher.finish()
}

/// Groups batches by site and day (sites and days in ascending order, batches of one block in the order given).
pub fn blocks(batches: Vec<Batch>) -> Vec<Block> {
    // A batch's id is itself a keyed hash, and so a key that nobody outside knows.
    let key = batches.first().map_or(0, |batch| u128::from(batch.id) << 64 | batch.received_ms as u128);
    let mut groups: BTreeMap<_, Vec<Batch>> = BTreeMap::new();
    for batch in batches {
        groups.entry((batch.site, batch.day)).or_default().push(batch);
    }
    groups.into_values().map(|batches| block(key, &batches)).collect()
}

/// One block of batches of one site and day.
fn block(key: u128, batches: &[Batch]) -> Block {
    let mut gather = Gatherer::new(key);
    let mut rows = Vec::with_capacity(batches.len());
    let mut events = Vec::with_capacity(batches.iter().map(|batch| batch.events.len()).sum());
    let (mut props, mut numbers) = (Vec::new(), Vec::new());
    for batch in batches {
        rows.push(BatchRow {
            id: batch.id,
            received_ms: batch.received_ms,
            sent_ms: batch.sent_ms,
            visitor: batch.visitor,
            place: gather.place(&batch.place),
            device: gather.device(&batch.device),
            language: gather.language(&batch.language),
            events: batch.events.len() as u32,
        });
        for event in &batch.events {
            events.push(EventRow {
                kind: event.kind,
                interactive: event.interactive,
                at_ms: event.at_ms,
                offset_s: event.offset_s,
                page: gather.page(&event.page),
                hostname: gather.hostname(&event.hostname),
                origin: gather.origin(&event.origin),
                name: gather.name(&event.name),
                props: event.props.len() as u32,
                numbers: event.numbers.len() as u32,
                engaged_ms: event.engaged_ms,
                scroll: event.scroll,
                revenue: event.revenue,
            });
            props.extend(event.props.iter().map(|(key, value)| gather.prop(key, value)));
            numbers.extend_from_slice(&event.numbers);
        }
    }
    let (site, day) =
        batches.first().map_or((crate::event::SiteId(0), crate::event::Day(0)), |b| (b.site, b.day));
    let Gatherer { dicts, origins, places, devices, .. } = gather;
    Block { site, day, dicts, origins, places, devices, batches: rows, events, props, numbers }
}
