//! Flushes to bytes and back. The layout is drawn at the top of [`super`].

use super::tables::{self, HOSTNAME, LANGUAGE, NAME, PAGE, PROP_KEY, PROP_VALUE, Reach};
use super::texts::Spelling;
use super::{BatchRow, Block, Dropped, EventRow, Flush};
use crate::bytes::{Budget, Column, Corrupt, Reader, Sheet, SheetReader, Writer};
use crate::bytes::{compress, decompress, finish_words, seal, unseal, unzigzag, zigzag};
use crate::event::{Day, Kind, Measure, Reason, Revenue, SiteId, Visitor};
use hashbrown::HashMap;
use std::num::NonZeroU64;

const VERSION: u8 = 1;

/// The modes of a block's columns that hold one page view of a known visitor, place, device, referrer
/// and width:
/// 2 bits each, the first column lowest.
const USUAL: u128 = 0x200010001555550589009;

/// Flushes of at most so many events spell their texts with pieces. Measured: with them a flush of 1 takes 97
/// bytes instead of 121, of 10 63 instead of 69 an event, of 300 35.0 instead of 35.8, of 1,000 the same.
const SMALL: usize = 400;

/// A flush as bytes. Its inverse is [`decode_flush`].
pub fn encode_flush(flush: &Flush) -> Vec<u8> {
    let (mut words, mut body) = (Writer::new(), Writer::new());
    let events: usize = flush.blocks.iter().map(|block| block.events.len()).sum();
    let spelling = if events <= SMALL { Spelling::Pieces } else { Spelling::Plain };
    let has_dropped = !flush.dropped.is_empty();
    body.put_varint(flush.blocks.len() as u64 * 4 + spelling as u64 * 2 + u64::from(has_dropped));
    if has_dropped {
        body.put_varint(flush.dropped.len() as u64);
    }
    let mut rows = flush.blocks.len() + flush.dropped.len();
    for block in &flush.blocks {
        rows += put_block(&mut words, &mut body, spelling, block);
    }
    for dropped in &flush.dropped {
        words.put_word(dropped.site.0);
        put_day(&mut body, dropped.day);
        body.put_u8(dropped.reason as u8);
        body.put_varint(u64::from(dropped.count));
    }
    seal(VERSION, rows, words, &compress(&body.bytes))
}

/// What [`encode_flush`] made, or [`Corrupt`] for anything else. Every block is closed.
pub fn decode_flush(bytes: &[u8]) -> Result<Flush, Corrupt> {
    let (mut budget, mut words, packed) = unseal(VERSION, bytes)?;
    let body = decompress(packed, usize::MAX)?;
    let mut body = Reader::new(&body);
    let head = body.varint()?;
    let spelling = if head & 2 == 0 { Spelling::Plain } else { Spelling::Pieces };
    let blocks = budget.take(head / 4)?;
    let dropped = if head & 1 == 0 { 0 } else { body.varint()? };
    let dropped = budget.take(dropped)?;
    let mut flush = Flush::default();
    for _ in 0..blocks {
        flush.blocks.push(block(&mut words, &mut body, spelling, &mut budget)?);
    }
    for _ in 0..dropped {
        let site = SiteId(words.word()?);
        let day = day(&mut body)?;
        let reason = Reason::ALL.get(body.u8()? as usize).copied().ok_or(Corrupt)?;
        flush.dropped.push(Dropped { site, day, reason, count: body.varint32()? });
    }
    body.finish()?;
    finish_words(&words)?;
    Ok(flush)
}

/// Days are counted from 2024-10-04, so that those of this century's first half take 2 bytes.
const EPOCH: i64 = 20_000;

pub(crate) fn put_day(to: &mut Writer, day: Day) {
    to.put_signed(i64::from(day.0) - EPOCH);
}

pub(crate) fn day(from: &mut Reader<'_>) -> Result<Day, Corrupt> {
    let day = from.signed()?.checked_add(EPOCH).ok_or(Corrupt)?;
    i32::try_from(day).map(Day).map_err(|_| Corrupt)
}

/// The moment from which a day's times are counted: 14 hours before its midnight in UTC, which is as early
/// as a local day begins. So times are small and not negative; any others wrap around and are long.
pub(crate) fn base_ms(day: Day) -> i64 {
    i64::from(day.0) * 86_400_000 - 14 * 3_600_000
}

pub(crate) fn code32(code: u64) -> Result<u32, Corrupt> {
    u32::try_from(code).map_err(|_| Corrupt)
}

/// Puts a block and answers how many rows it takes from a budget.
fn put_block(words: &mut Writer, body: &mut Writer, spelling: Spelling, block: &Block) -> usize {
    let (batches, events) = (&block.batches, &block.events);
    words.put_word(block.site.0);
    batches.iter().for_each(|batch| words.put_word(batch.id));
    body.put_varint(batches.len() as u64);
    put_day(body, block.day);

    let base = base_ms(block.day);
    let mut sheet = Sheet::new(usize::MAX);
    let mut reach = Reach::default();
    sheet.put(batches.iter().map(|batch| u64::from(batch.events)));
    sheet.put(batches.iter().map(|batch| batch.received_ms.wrapping_sub(base) as u64));
    sheet.put(batches.iter().map(|batch| u64::from(batch.sent_ms)));
    let mut seen = HashMap::default();
    sheet.put(batches.iter().map(|batch| visitor_number(&mut seen, words, batch.visitor)));
    reach.places = tables::put_indices(&mut sheet, batches.iter().map(|batch| batch.place));
    reach.devices = tables::put_indices(&mut sheet, batches.iter().map(|batch| batch.device));
    tables::put_codes(&mut sheet, &mut reach, LANGUAGE, batches.iter().map(|batch| batch.language));

    let received =
        batches.iter().flat_map(|batch| std::iter::repeat_n(batch.received_ms, batch.events as usize));
    sheet.put(events.iter().zip(received).map(|(event, received)| received.wrapping_sub(event.at_ms) as u64));
    put_common(&mut sheet, &mut reach, events.iter().copied());
    reach.origins = tables::put_indices(&mut sheet, events.iter().map(|event| event.origin));
    tables::put_tuples(&mut sheet, &mut reach, &block.origins, &block.places, &block.devices);
    put_rare(&mut sheet, &mut reach, events.iter().copied(), &block.props, &block.numbers);
    tables::put_extras(&mut sheet, &reach, &block.dicts);
    sheet.finish(USUAL, body);
    tables::put_dicts(body, spelling, &block.dicts, &block.places, &block.devices);

    let texts: usize = block.dicts.all().iter().map(|dict| dict.0.len()).sum();
    let tuples = block.origins.len() + block.places.len() + block.devices.len();
    batches.len() + events.len() + block.props.len() + block.numbers.len() + tuples + texts
}

/// 0: a visitor new to the block, whose hash is put among the words; 1: none; else 2 more than the place
/// of an earlier one.
fn visitor_number(seen: &mut HashMap<u64, u64, Hashes>, words: &mut Writer, visitor: Option<Visitor>) -> u64 {
    let Some(Visitor(hash)) = visitor else {
        return 1;
    };
    let next = seen.len() as u64;
    match *seen.entry(hash.get()).or_insert(next) {
        number if number < next => number + 2,
        _ => {
            words.put_word(hash.get());
            0
        }
    }
}

/// Visitors are keyed hashes already.
type Hashes = std::hash::BuildHasherDefault<Already>;

#[derive(Default)]
struct Already(u64);

impl std::hash::Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// The mirror image of [`put_block`].
fn block(
    words: &mut Reader<'_>,
    body: &mut Reader<'_>,
    spelling: Spelling,
    budget: &mut Budget,
) -> Result<Block, Corrupt> {
    let site = SiteId(words.word()?);
    let n = budget.take(body.varint()?)?;
    let mut ids = Reader::new(words.take(n * 8)?);
    let day = day(body)?;

    let base = base_ms(day);
    let mut sheet = SheetReader::new(USUAL, body)?;
    let mut reach = Reach::default();
    let counts = sheet.column(n)?;
    let received = sheet.column(n)?;
    let sent = sheet.column(n)?;
    let visitors = sheet.column(n)?;
    let (places, reached) = tables::indices(&mut sheet, n)?;
    reach.places = reached;
    let (devices, reached) = tables::indices(&mut sheet, n)?;
    reach.devices = reached;
    let languages = tables::codes(&mut sheet, &mut reach, LANGUAGE, n)?;

    let mut batches = Vec::with_capacity(n);
    let mut seen: Vec<Visitor> = Vec::new();
    let mut total = 0u64;
    for i in 0..n {
        let visitor = match visitors.at(i) {
            0 => {
                let visitor = NonZeroU64::new(words.word()?).map(Visitor).ok_or(Corrupt)?;
                seen.push(visitor);
                Some(visitor)
            }
            1 => None,
            n => Some(*usize::try_from(n - 2).ok().and_then(|n| seen.get(n)).ok_or(Corrupt)?),
        };
        let events = code32(counts.at(i))?;
        total += u64::from(events);
        batches.push(BatchRow {
            id: ids.word()?,
            received_ms: base.wrapping_add(received.at(i) as i64),
            sent_ms: code32(sent.at(i))?,
            visitor,
            place: code32(places.at(i))?,
            device: code32(devices.at(i))?,
            language: code32(languages.at(i))?,
            events,
        });
    }

    let total = budget.take(total)?;
    let lags = sheet.column(total)?;
    let common = common(&mut sheet, &mut reach, total)?;
    let (origins, reached) = tables::indices(&mut sheet, total)?;
    reach.origins = reached;
    let tuples = tables::tuples(&mut sheet, &mut reach, budget)?;
    let mut rare = rare(&mut sheet, &mut reach, &common, total, budget)?;
    let text_counts = tables::text_counts(&mut sheet, &reach, budget)?;

    let mut events = Vec::with_capacity(total);
    let (mut lags, mut origins) = (lags.iter(), origins.iter());
    let mut rows = EventRows::new(&common, &rare);
    for batch in &batches {
        for _ in 0..batch.events {
            let mut row = rows.step()?;
            row.at_ms = batch.received_ms.wrapping_sub(lags.step() as i64);
            row.origin = code32(origins.step())?;
            events.push(row);
        }
    }
    let (props, numbers) = (std::mem::take(&mut rare.prop_rows), std::mem::take(&mut rare.number_rows));
    let dicts = tables::dicts(body, spelling, &text_counts, &tuples)?;
    let tables::Tuples { origins, places, devices } = tuples;
    Ok(Block { site, day, dicts, origins, places, devices, batches, events, props, numbers })
}

// What is in an event's flags.
const KIND: u64 = 7;
const INTERACTIVE: u64 = 8;
const SCROLL: u64 = 16;
const ENGAGED: u64 = 32;
const REVENUE: u64 = 64;

fn flags(row: &EventRow) -> u64 {
    let flag = |is: bool, flag: u64| if is { flag } else { 0 };
    row.kind as u64
        | flag(row.interactive, INTERACTIVE)
        | flag(row.scroll.is_some(), SCROLL)
        | flag(row.engaged_ms != 0, ENGAGED)
        | flag(row.revenue.is_some(), REVENUE)
}

/// Zones lie on quarters of an hour, nearly all.
fn offset_number(offset_s: i32) -> u64 {
    match offset_s % 900 {
        0 => zigzag(i64::from(offset_s / 900)) * 2,
        _ => zigzag(i64::from(offset_s)) * 2 + 1,
    }
}

fn offset_of(n: u64) -> Result<i32, Corrupt> {
    let unit = if n & 1 == 0 { 900 } else { 1 };
    let offset = unzigzag(n >> 1).checked_mul(unit).ok_or(Corrupt)?;
    i32::try_from(offset).map_err(|_| Corrupt)
}

/// The columns that every event has. `at_ms` and `origin` are the caller's: blocks and segments know
/// different things to count them from.
pub(crate) struct Common {
    flags: Column,
    offsets: Column,
    pages: Column,
    hostnames: Column,
}

pub(crate) fn put_common(sheet: &mut Sheet, reach: &mut Reach, rows: impl Iterator<Item = EventRow> + Clone) {
    sheet.put(rows.clone().map(|row| flags(&row)));
    sheet.put(rows.clone().map(|row| offset_number(row.offset_s)));
    tables::put_codes(sheet, reach, PAGE, rows.clone().map(|row| row.page));
    tables::put_codes(sheet, reach, HOSTNAME, rows.map(|row| row.hostname));
}

pub(crate) fn common(
    sheet: &mut SheetReader<'_, '_>,
    reach: &mut Reach,
    n: usize,
) -> Result<Common, Corrupt> {
    Ok(Common {
        flags: sheet.column(n)?,
        offsets: sheet.column(n)?,
        pages: tables::codes(sheet, reach, PAGE, n)?,
        hostnames: tables::codes(sheet, reach, HOSTNAME, n)?,
    })
}

/// The columns that few events have; scroll, time and money only for the events whose flags say so.
pub(crate) struct Rare {
    names: Column,
    props: Column,
    numbers: Column,
    engaged: Column,
    scroll: Column,
    milli: Column,
    currency: Column,
    pub prop_rows: Vec<(u32, u32)>,
    pub number_rows: Vec<(Measure, i64)>,
}

pub(crate) fn put_rare(
    sheet: &mut Sheet,
    reach: &mut Reach,
    rows: impl Iterator<Item = EventRow> + Clone,
    props: &[(u32, u32)],
    numbers: &[(Measure, i64)],
) {
    tables::put_codes(sheet, reach, NAME, rows.clone().map(|row| row.name));
    sheet.put(rows.clone().map(|row| u64::from(row.props)));
    sheet.put(rows.clone().map(|row| u64::from(row.numbers)));
    sheet.put(rows.clone().filter(|row| row.engaged_ms != 0).map(|row| u64::from(row.engaged_ms)));
    sheet.put(rows.clone().filter_map(|row| row.scroll.map(u64::from)));
    let revenues = rows.filter_map(|row| row.revenue);
    sheet.put(revenues.clone().map(|revenue| zigzag(revenue.milli)));
    sheet
        .put(revenues.map(|Revenue { currency: [a, b, c], .. }| u64::from(u32::from_le_bytes([a, b, c, 0]))));
    tables::put_codes(sheet, reach, PROP_KEY, props.iter().map(|prop| prop.0));
    tables::put_codes(sheet, reach, PROP_VALUE, props.iter().map(|prop| prop.1));
    sheet.put(numbers.iter().map(|number| number.0 as u64));
    sheet.put(numbers.iter().map(|number| zigzag(number.1)));
}

pub(crate) fn rare(
    sheet: &mut SheetReader<'_, '_>,
    reach: &mut Reach,
    common: &Common,
    n: usize,
    budget: &mut Budget,
) -> Result<Rare, Corrupt> {
    let names = tables::codes(sheet, reach, NAME, n)?;
    let props = sheet.column(n)?;
    let numbers = sheet.column(n)?;
    let with = |flag: u64| match &common.flags {
        Column::Constant(flags) => {
            if flags & flag != 0 {
                n
            } else {
                0
            }
        }
        flags => flags.iter().take(n).filter(|flags| flags & flag != 0).count(),
    };
    let engaged = sheet.column(with(ENGAGED))?;
    let scroll = sheet.column(with(SCROLL))?;
    let milli = sheet.column(with(REVENUE))?;
    let currency = sheet.column(with(REVENUE))?;
    let prop_count = budget.take(sum(&props, n)?)?;
    let keys = tables::codes(sheet, reach, PROP_KEY, prop_count)?;
    let values = tables::codes(sheet, reach, PROP_VALUE, prop_count)?;
    let mut prop_rows = Vec::with_capacity(prop_count);
    for (key, value) in keys.iter().zip(values.iter()).take(prop_count) {
        prop_rows.push((code32(key)?, code32(value)?));
    }
    let number_count = budget.take(sum(&numbers, n)?)?;
    let measures = sheet.column(number_count)?;
    let amounts = sheet.column(number_count)?;
    let mut number_rows = Vec::with_capacity(number_count);
    for (measure, amount) in measures.iter().zip(amounts.iter()).take(number_count) {
        let measure = usize::try_from(measure).ok().and_then(|n| Measure::ALL.get(n)).ok_or(Corrupt)?;
        number_rows.push((*measure, unzigzag(amount)));
    }
    Ok(Rare { names, props, numbers, engaged, scroll, milli, currency, prop_rows, number_rows })
}

/// The sum of a column's first `n` numbers.
fn sum(column: &Column, n: usize) -> Result<u64, Corrupt> {
    match column {
        Column::Constant(value) => value.checked_mul(n as u64).ok_or(Corrupt),
        column => column.iter().take(n).try_fold(0u64, |sum, n| sum.checked_add(n)).ok_or(Corrupt),
    }
}

/// Rows from columns; `at_ms` and `origin` are left 0.
pub(crate) struct EventRows<'a> {
    columns: [crate::bytes::Rows<'a>; 11],
}

impl<'a> EventRows<'a> {
    pub fn new(common: &'a Common, rare: &'a Rare) -> EventRows<'a> {
        let Common { flags, offsets, pages, hostnames } = common;
        let Rare { names, props, numbers, engaged, scroll, milli, currency, .. } = rare;
        let columns =
            [flags, offsets, pages, hostnames, names, props, numbers, engaged, scroll, milli, currency]
                .map(Column::iter);
        EventRows { columns }
    }

    pub fn step(&mut self) -> Result<EventRow, Corrupt> {
        let [flags, offsets, pages, hostnames, names, props, numbers, engaged, scroll, milli, currency] =
            &mut self.columns;
        let flags = flags.step();
        let has = |flag: u64| flags & flag != 0;
        if flags > 127 {
            return Err(Corrupt);
        }
        let revenue = if has(REVENUE) {
            let [a, b, c, 0] = code32(currency.step())?.to_le_bytes() else {
                return Err(Corrupt);
            };
            Some(Revenue { milli: unzigzag(milli.step()), currency: [a, b, c] })
        } else {
            None
        };
        Ok(EventRow {
            kind: Kind::from_number((flags & KIND) as u8).ok_or(Corrupt)?,
            interactive: has(INTERACTIVE),
            at_ms: 0,
            offset_s: offset_of(offsets.step())?,
            page: code32(pages.step())?,
            hostname: code32(hostnames.step())?,
            origin: 0,
            name: code32(names.step())?,
            props: code32(props.step())?,
            numbers: code32(numbers.step())?,
            engaged_ms: if has(ENGAGED) { code32(engaged.step())? } else { 0 },
            scroll: if has(SCROLL) { Some(u8::try_from(scroll.step()).map_err(|_| Corrupt)?) } else { None },
            revenue,
        })
    }
}
