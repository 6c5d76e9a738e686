//! Parts and segments to bytes and back. The layout is drawn at the top of [`super`].

use super::{Part, Segment, SegmentEvent, VisitRow};
use crate::block::coding::{
    Common, EventRows, Rare, base_ms, code32, common, day, put_common, put_day, put_rare, rare,
};
use crate::block::tables::{self, LANGUAGE, PAGE, Reach, Tuples};
use crate::block::texts::Spelling;
use crate::block::{Dicts, EventRow};
use crate::bytes::{Budget, Column, Corrupt, Reader, Sheet, SheetReader, Writer};
use crate::bytes::{compress, decompress, finish_words, seal, unseal, unzigzag, zigzag};
use crate::event::{Day, Kind, SiteId};

const PART: u8 = 1;
const SEGMENT: u8 = 1;

/// Columns of a segment longer than this are compressed by themselves: each has numbers of its own kind,
/// and a query can unpack the ones it needs.
const APART: usize = 256;

/// A part as bytes. Its inverse is [`decode_part`].
pub fn encode_part(part: &Part) -> Vec<u8> {
    let mut body = Writer::new();
    let mut sheet = Sheet::new(usize::MAX);
    let mut reach = Reach::default();
    let events = &part.events;
    let base = base_ms(part.day);
    sheet.put(events.iter().map(|event| u64::from(event.number)));
    sheet.put(events.iter().map(|event| visit_number(event.visit)));
    sheet.put(events.iter().map(|event| event.at_ms.wrapping_sub(base) as u64));
    reach.places = tables::put_indices(&mut sheet, events.iter().map(|event| event.place));
    reach.devices = tables::put_indices(&mut sheet, events.iter().map(|event| event.device));
    reach.origins = tables::put_indices(&mut sheet, events.iter().map(|event| event.origin));
    tables::put_codes(&mut sheet, &mut reach, LANGUAGE, events.iter().map(|event| event.language));
    put_shared(sheet, reach, part, &mut body);
    put_texts(part, &mut body);
    let packed = compress(&body.bytes);
    seal(PART, rows(part), site_word(part), &packed)
}

/// What [`encode_part`] made, or [`Corrupt`] for anything else. The part is closed.
pub fn decode_part(bytes: &[u8]) -> Result<Part, Corrupt> {
    let (mut budget, mut words, packed) = unseal(PART, bytes)?;
    let site = SiteId(words.word()?);
    finish_words(&words)?;
    let body = decompress(packed, usize::MAX)?;
    let mut body = Reader::new(&body);
    let day = day(&mut body)?;
    let n = budget.take(body.varint()?)?;
    let base = base_ms(day);
    let mut sheet = SheetReader::new(0, &mut body)?;
    let mut reach = Reach::default();
    let numbers = sheet.column(n)?;
    let visits = sheet.column(n)?;
    let times = sheet.column(n)?;
    let (places, devices, origins);
    (places, reach.places) = tables::indices(&mut sheet, n)?;
    (devices, reach.devices) = tables::indices(&mut sheet, n)?;
    (origins, reach.origins) = tables::indices(&mut sheet, n)?;
    let languages = tables::codes(&mut sheet, &mut reach, LANGUAGE, n)?;
    let shared = Shared::read(&mut sheet, &mut reach, n, &mut budget)?;

    let columns = [&numbers, &visits, &times, &places, &devices, &origins, &languages];
    let [mut numbers, mut visits, mut times, mut places, mut devices, mut origins, mut languages] =
        columns.map(Column::iter);
    let mut rows = EventRows::new(&shared.common, &shared.rare);
    let mut events = Vec::with_capacity(n);
    for _ in 0..n {
        let mut row = rows.step()?;
        row.at_ms = base.wrapping_add(times.step() as i64);
        row.origin = code32(origins.step())?;
        events.push(SegmentEvent {
            number: code32(numbers.step())?,
            visit: visit_of(visits.step())?,
            place: code32(places.step())?,
            device: code32(devices.step())?,
            language: code32(languages.step())?,
            ..event(row)
        });
    }
    let part = shared.part(site, day, events, &mut body)?;
    body.finish()?;
    Ok(part)
}

/// A segment as bytes. Its inverse is [`decode`].
pub fn encode(segment: &Segment) -> Vec<u8> {
    let (part, visits) = (&segment.events, &segment.visits);
    let events = &part.events;
    let mut sheet = Sheet::new(APART);
    let mut reach = Reach::default();
    sheet.put(visits.iter().map(|visit| u64::from(visit.visitor)));
    let mut start_ms = base_ms(part.day);
    sheet.put(visits.iter().map(|visit| step(&mut start_ms, visit.start_ms)));
    reach.places = tables::put_indices(&mut sheet, visits.iter().map(|visit| visit.place));
    reach.devices = tables::put_indices(&mut sheet, visits.iter().map(|visit| visit.device));
    reach.origins = tables::put_indices(&mut sheet, visits.iter().map(|visit| visit.origin));
    tables::put_codes(&mut sheet, &mut reach, LANGUAGE, visits.iter().map(|visit| visit.language));

    // What an event shares with its visit is 0.
    let of = |event: &SegmentEvent| event.visit.and_then(|visit| visits.get(visit as usize));
    let unlike = |own: u32, visit: Option<u32>| {
        if visit == Some(own) { 0 } else { u64::from(own) + 1 }
    };
    sheet.put(events.iter().map(|event| visit_number(event.visit)));
    sheet.put(events.iter().map(|event| u64::from(event.number)));
    let mut clocks = Clocks::new(part.day, visits);
    sheet.put(events.iter().map(|event| step(clocks.of(event.visit), event.at_ms)));
    sheet.put(events.iter().map(|event| unlike(event.place, of(event).map(|visit| visit.place))));
    sheet.put(events.iter().map(|event| unlike(event.device, of(event).map(|visit| visit.device))));
    sheet.put(events.iter().map(|event| unlike(event.origin, of(event).map(|visit| visit.origin))));
    sheet.put(events.iter().map(|event| unlike(event.language, of(event).map(|visit| visit.language))));
    for event in events {
        reach.places = reach.places.max(u64::from(event.place) + 1);
        reach.devices = reach.devices.max(u64::from(event.device) + 1);
        reach.origins = reach.origins.max(u64::from(event.origin) + 1);
        reach.see_code(LANGUAGE, event.language);
    }

    // What a visit's events foretell of it is 0.
    let foretold = foretell(visits.len(), events);
    let unforetold = |own: Option<u32>, foretold: Option<u32>| match own {
        _ if own == foretold => 0,
        None => 1,
        Some(page) => u64::from(page) + 2,
    };
    let visits = || visits.iter().zip(&foretold);
    sheet.put(visits().map(|(visit, told)| unforetold(visit.entry, told.entry)));
    sheet.put(visits().map(|(visit, told)| unforetold(visit.exit, told.exit)));
    sheet.put(visits().map(|(visit, told)| zigzag(i64::from(visit.views) - i64::from(told.views))));
    sheet.put(visits().map(|(visit, told)| zigzag(i64::from(visit.duration_s) - i64::from(told.duration_s))));
    sheet.put(visits().map(|(visit, told)| u64::from(visit.engaged != told.engaged)));
    for page in visits().flat_map(|(visit, _)| [visit.entry, visit.exit]).flatten() {
        reach.see_code(PAGE, page);
    }

    let mut body = Writer::new();
    body.put_varint(foretold.len() as u64);
    put_shared(sheet, reach, part, &mut body);
    let mut texts = Writer::new();
    put_texts(part, &mut texts);
    body.put_bytes(&compress(&texts.bytes));
    seal(SEGMENT, rows(part) + foretold.len(), site_word(part), &body.bytes)
}

/// What [`encode`] made, or [`Corrupt`] for anything else. The segment is closed: its events' visits are
/// there, too.
pub fn decode(bytes: &[u8]) -> Result<Segment, Corrupt> {
    let (mut budget, mut words, body) = unseal(SEGMENT, bytes)?;
    let site = SiteId(words.word()?);
    finish_words(&words)?;
    let mut body = Reader::new(body);
    let m = budget.take(body.varint()?)?;
    let day = day(&mut body)?;
    let n = budget.take(body.varint()?)?;
    let mut sheet = SheetReader::new(0, &mut body)?;
    let mut reach = Reach::default();

    let visitors = sheet.column(m)?;
    let starts = sheet.column(m)?;
    let (places, devices, origins);
    (places, reach.places) = tables::indices(&mut sheet, m)?;
    (devices, reach.devices) = tables::indices(&mut sheet, m)?;
    (origins, reach.origins) = tables::indices(&mut sheet, m)?;
    let languages = tables::codes(&mut sheet, &mut reach, LANGUAGE, m)?;
    let mut start_ms = base_ms(day);
    let mut visits = Vec::with_capacity(m);
    for i in 0..m {
        visits.push(VisitRow {
            visitor: code32(visitors.at(i))?,
            start_ms: unstep(&mut start_ms, starts.at(i)),
            duration_s: 0,
            origin: code32(origins.at(i))?,
            place: code32(places.at(i))?,
            device: code32(devices.at(i))?,
            language: code32(languages.at(i))?,
            entry: None,
            exit: None,
            views: 0,
            engaged: false,
        });
    }

    let owners = sheet.column(n)?;
    let numbers = sheet.column(n)?;
    let times = sheet.column(n)?;
    let own: [Column; 4] = [sheet.column(n)?, sheet.column(n)?, sheet.column(n)?, sheet.column(n)?];
    // An own value is written as one more than itself, so the greatest is how far the column reaches.
    reach.places = reach.places.max(own[0].max(n));
    reach.devices = reach.devices.max(own[1].max(n));
    reach.origins = reach.origins.max(own[2].max(n));
    reach.see_reach(LANGUAGE, own[3].max(n));
    let entries = sheet.column(m)?;
    let exits = sheet.column(m)?;
    let views = sheet.column(m)?;
    let durations = sheet.column(m)?;
    let engaged = sheet.column(m)?;
    reach.see_reach(PAGE, entries.max(m).max(exits.max(m)).saturating_sub(1));
    let shared = Shared::read(&mut sheet, &mut reach, n, &mut budget)?;

    let mut rows = EventRows::new(&shared.common, &shared.rare);
    let mut clocks = Clocks::new(day, &visits);
    let mut events: Vec<SegmentEvent> = Vec::with_capacity(n);
    let [mut owners, mut numbers, mut times] = [&owners, &numbers, &times].map(Column::iter);
    let mut own = own.each_ref().map(Column::iter);
    for _ in 0..n {
        let visit = visit_of(owners.step())?;
        let of = match visit {
            None => None,
            Some(visit) => Some(visits.get(visit as usize).ok_or(Corrupt)?),
        };
        let mut like = |i: usize, visit: Option<u32>| match own[i].step() {
            0 => visit.ok_or(Corrupt),
            n => code32(n - 1),
        };
        let mut row = rows.step()?;
        row.at_ms = unstep(clocks.of(visit), times.step());
        let place = like(0, of.map(|visit| visit.place))?;
        let device = like(1, of.map(|visit| visit.device))?;
        row.origin = like(2, of.map(|visit| visit.origin))?;
        let language = like(3, of.map(|visit| visit.language))?;
        let number = code32(numbers.step())?;
        events.push(SegmentEvent { number, visit, place, device, language, ..event(row) });
    }

    let foretold = foretell(m, &events);
    let page = |n: u64, foretold: Option<u32>| match n {
        0 => Ok(foretold),
        1 => Ok(None),
        n => code32(n - 2).map(Some),
    };
    let amount = |n: u64, foretold: u32| {
        let amount = unzigzag(n).checked_add(i64::from(foretold)).ok_or(Corrupt)?;
        u32::try_from(amount).map_err(|_| Corrupt)
    };
    for (i, (visit, told)) in visits.iter_mut().zip(&foretold).enumerate() {
        visit.entry = page(entries.at(i), told.entry)?;
        visit.exit = page(exits.at(i), told.exit)?;
        visit.views = amount(views.at(i), told.views)?;
        visit.duration_s = amount(durations.at(i), told.duration_s)?;
        visit.engaged = told.engaged != (engaged.at(i) != 0);
    }
    let texts = decompress(body.take(body.remaining())?, usize::MAX)?;
    let mut texts = Reader::new(&texts);
    let events = shared.part(site, day, events, &mut texts)?;
    texts.finish()?;
    Ok(Segment { visits, events })
}

fn visit_number(visit: Option<u32>) -> u64 {
    visit.map_or(0, |visit| u64::from(visit) + 1)
}

fn visit_of(n: u64) -> Result<Option<u32>, Corrupt> {
    if n == 0 { Ok(None) } else { code32(n - 1).map(Some) }
}

/// The distance from the last value of a clock, which moves on.
fn step(last: &mut i64, to: i64) -> u64 {
    let step = zigzag(to.wrapping_sub(*last));
    *last = to;
    step
}

fn unstep(last: &mut i64, step: u64) -> i64 {
    *last = last.wrapping_add(unzigzag(step));
    *last
}

fn site_word(part: &Part) -> Writer {
    let mut words = Writer::new();
    words.put_word(part.site.0);
    words
}

/// How many rows a part takes from a budget.
fn rows(part: &Part) -> usize {
    let texts: usize = part.dicts.all().iter().map(|dict| dict.0.len()).sum();
    let tuples = part.origins.len() + part.places.len() + part.devices.len();
    part.events.len() + part.props.len() + part.numbers.len() + tuples + texts
}

/// When a visit's last event so far was; its start before the first. Events without a visit share one.
struct Clocks {
    visits: Vec<i64>,
    none: i64,
}

impl Clocks {
    fn new(day: Day, visits: &[VisitRow]) -> Clocks {
        Clocks { visits: visits.iter().map(|visit| visit.start_ms).collect(), none: base_ms(day) }
    }

    fn of(&mut self, visit: Option<u32>) -> &mut i64 {
        let Clocks { visits, none } = self;
        visit.and_then(|visit| visits.get_mut(visit as usize)).unwrap_or(none)
    }
}

/// What a visit's events alone would make of it. Nearly always true: the fold may know better where a cap
/// or a late event came in.
#[derive(Clone, Copy, Default)]
struct Foretold {
    entry: Option<u32>,
    exit: Option<u32>,
    views: u32,
    duration_s: u32,
    engaged: bool,
    first_ms: i64,
    last_ms: i64,
}

fn foretell(visits: usize, events: &[SegmentEvent]) -> Vec<Foretold> {
    let mut all = vec![Foretold { first_ms: i64::MAX, last_ms: i64::MIN, ..Foretold::default() }; visits];
    for event in events {
        let Some(told) = event.visit.and_then(|visit| all.get_mut(visit as usize)) else {
            continue;
        };
        told.first_ms = told.first_ms.min(event.at_ms);
        told.last_ms = told.last_ms.max(event.at_ms);
        if event.kind == Kind::PageView {
            told.entry = told.entry.or(Some(event.page));
            told.exit = Some(event.page);
            told.views += 1;
        }
        told.engaged |= event.interactive || told.views > 1;
        let span_ms = i128::from(told.last_ms) - i128::from(told.first_ms);
        told.duration_s = u32::try_from(span_ms / 1000).unwrap_or(0);
    }
    all
}

/// Puts day, count of events, and the columns that parts and segments share; then the sheet is full.
fn put_shared(mut sheet: Sheet, mut reach: Reach, part: &Part, body: &mut Writer) {
    let rows = || part.events.iter().map(SegmentEvent::row);
    put_common(&mut sheet, &mut reach, rows());
    tables::put_tuples(&mut sheet, &mut reach, &part.origins, &part.places, &part.devices);
    put_rare(&mut sheet, &mut reach, rows(), &part.props, &part.numbers);
    tables::put_extras(&mut sheet, &reach, &part.dicts);
    put_day(body, part.day);
    body.put_varint(part.events.len() as u64);
    sheet.finish(0, body);
}

fn put_texts(part: &Part, to: &mut Writer) {
    tables::put_dicts(to, Spelling::Plain, &part.dicts, &part.places, &part.devices);
}

/// What [`put_shared`] put.
struct Shared {
    common: Common,
    tuples: Tuples,
    rare: Rare,
    text_counts: [usize; Dicts::COUNT],
}

impl Shared {
    fn read(
        sheet: &mut SheetReader<'_, '_>,
        reach: &mut Reach,
        n: usize,
        budget: &mut Budget,
    ) -> Result<Shared, Corrupt> {
        let common = common(sheet, reach, n)?;
        let tuples = tables::tuples(sheet, reach, budget)?;
        let rare = rare(sheet, reach, &common, n, budget)?;
        let text_counts = tables::text_counts(sheet, reach, budget)?;
        Ok(Shared { common, tuples, rare, text_counts })
    }

    fn part(
        self,
        site: SiteId,
        day: Day,
        events: Vec<SegmentEvent>,
        texts: &mut Reader<'_>,
    ) -> Result<Part, Corrupt> {
        let dicts = tables::dicts(texts, Spelling::Plain, &self.text_counts, &self.tuples)?;
        let Tuples { origins, places, devices } = self.tuples;
        let (props, numbers) = (self.rare.prop_rows, self.rare.number_rows);
        Ok(Part { site, day, dicts, origins, places, devices, events, props, numbers })
    }
}

/// A row of an event; its place in log, visit and tables is still to be filled in.
fn event(row: EventRow) -> SegmentEvent {
    let EventRow { kind, interactive, at_ms, offset_s, page, hostname, origin, name, .. } = row;
    let EventRow { props, numbers, engaged_ms, scroll, revenue, .. } = row;
    SegmentEvent {
        number: 0,
        visit: None,
        kind,
        interactive,
        at_ms,
        offset_s,
        page,
        hostname,
        origin,
        place: 0,
        device: 0,
        language: 0,
        name,
        props,
        numbers,
        engaged_ms,
        scroll,
        revenue,
    }
}
