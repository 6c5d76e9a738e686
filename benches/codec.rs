//! How small and how fast: flushes, day segments and rollups, beside JSON lines packed with zstd.
//!
//! `cargo bench --bench codec`

mod traffic;

use passerby_engine::block::{Flush, Gatherer, blocks, decode_flush, encode_flush};
use passerby_engine::event::{Batch, Event, Measure, Text, Visitor};
use passerby_engine::rollup::{Counts, Rollup};
use passerby_engine::segment::{self, Part, Segment, SegmentEvent, VisitRow};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

fn main() {
    println!("Flushes, one event a batch: bytes and microseconds an event. JSON: lines of it, with zstd.");
    println!("  events   goal    bytes     JSON    ratio   encode   decode     JSON    ratio");
    for (size, goal, count) in [(1, 100, 2000), (10, 70, 200), (100, 55, 50), (1000, 40, 20)] {
        flushes(size, goal, count);
    }
    day(100_000, 40_000);
    rollup(1000);
}

/// Microseconds of processor time that `work` takes, the mean of so many runs. (By the clock where the
/// system does not tell: other programs then count in.)
fn time_us(runs: usize, mut work: impl FnMut()) -> f64 {
    let (start, clock) = (processor_ns(), Instant::now());
    (0..runs).for_each(|_| work());
    let spent_us = match (start, processor_ns()) {
        (Some(start), Some(end)) => (end - start) as f64 / 1e3,
        _ => clock.elapsed().as_secs_f64() * 1e6,
    };
    spent_us / runs as f64
}

/// How long this thread has run, as Linux tells it.
fn processor_ns() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok()
}

fn flush(batches: Vec<Batch>) -> Flush {
    Flush { blocks: blocks(batches), dropped: Vec::new() }
}

fn flushes(size: usize, goal: usize, count: usize) {
    let all = traffic::flushes(count, size, 1);
    let events = (size * all.len()) as f64;
    let packer = &mut zstd::bulk::Compressor::new(3).unwrap();
    let encoded: Vec<Vec<u8>> = all.iter().map(|batches| encode_flush(&flush(batches.clone()))).collect();
    let json: Vec<Vec<u8>> = all.iter().map(|batches| json_lines(packer, batches)).collect();
    let each = |of: &[Vec<u8>]| of.iter().map(Vec::len).sum::<usize>() as f64 / events;
    let (bytes, json_bytes) = (each(&encoded), each(&json));

    let mut copies: Vec<Vec<Vec<Batch>>> = (0..11).map(|_| all.clone()).collect();
    let encode = time_us(11, || {
        for batches in copies.pop().unwrap_or_default() {
            black_box(encode_flush(&flush(batches)));
        }
    }) / events;
    let decode = time_us(30, || {
        for bytes in &encoded {
            black_box(decode_flush(bytes).unwrap());
        }
    }) / events;
    let json_time = time_us(11, || {
        for batches in &all {
            black_box(json_lines(packer, batches));
        }
    }) / events;
    println!(
        "{size:>8} {goal:>6} {bytes:>8.1} {json_bytes:>8.1} {:>8.2} {encode:>8.2} {decode:>8.2} {json_time:>8.2} {:>8.2}",
        bytes / json_bytes,
        encode / json_time,
    );
}

/// The yardstick: each event as a line of JSON with all it carries, the lines packed with zstd.
fn json_lines(packer: &mut zstd::bulk::Compressor<'_>, batches: &[Batch]) -> Vec<u8> {
    let mut lines = Vec::new();
    for batch in batches {
        for event in &batch.events {
            serde_json::to_writer(&mut lines, &Line::of(batch, event)).unwrap();
            lines.push(b'\n');
        }
    }
    packer.compress(&lines).unwrap()
}

/// An event as JSON; what is empty is left out.
#[derive(serde::Serialize)]
struct Line<'a> {
    site: u64,
    batch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    visitor: Option<u64>,
    received: i64,
    sent: u32,
    at: i64,
    offset: i32,
    kind: u8,
    interactive: bool,
    hostname: &'a str,
    page: &'a str,
    #[serde(flatten)]
    texts: Texts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scroll: Option<u8>,
    engaged: u32,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    props: &'a [(Text, Text)],
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<i64>,
}

/// Texts with their names, the empty ones skipped.
struct Texts<'a>([(&'static str, &'a str); 18]);

impl serde::Serialize for Texts<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().copied().filter(|(_, text)| !text.is_empty()))
    }
}

impl<'a> Line<'a> {
    fn of(batch: &'a Batch, event: &'a Event) -> Line<'a> {
        let (origin, place, device) = (&event.origin, &batch.place, &batch.device);
        let texts = Texts([
            ("source", &origin.source),
            ("channel", &origin.channel),
            ("referrer", &origin.referrer),
            ("utm_source", &origin.utm_source),
            ("utm_medium", &origin.utm_medium),
            ("utm_campaign", &origin.utm_campaign),
            ("utm_content", &origin.utm_content),
            ("utm_term", &origin.utm_term),
            ("country", &place.country),
            ("region", &place.region),
            ("city", &place.city),
            ("device", &device.class),
            ("browser", &device.browser),
            ("browser_version", &device.browser_version),
            ("system", &device.system),
            ("system_version", &device.system_version),
            ("language", &batch.language),
            ("name", &event.name),
        ]);
        Line {
            site: batch.site.0,
            batch: batch.id,
            visitor: batch.visitor.map(|Visitor(hash)| hash.get()),
            received: batch.received_ms,
            sent: batch.sent_ms,
            at: event.at_ms,
            offset: event.offset_s,
            kind: event.kind as u8,
            interactive: event.interactive,
            hostname: &event.hostname,
            page: &event.page,
            texts,
            scroll: event.scroll,
            engaged: event.engaged_ms,
            props: &event.props,
            width: event.numbers.first().map(|number| number.1),
        }
    }
}

/// A day's segment: its bytes an event, and the time to make and to read it.
fn day(events: usize, visitors: usize) {
    let batches = traffic::batches(events, visitors, 2);
    let n = batches.len() as f64;
    let segment = segment_of(&batches);
    let bytes = segment::encode(&segment);
    assert_eq!(segment::decode(&bytes).as_ref(), Ok(&segment));
    let part = segment::encode_part(&segment.events);
    let json = json_lines(&mut zstd::bulk::Compressor::new(3).unwrap(), &batches).len() as f64;
    let encode = time_us(10, || drop(black_box(segment::encode(&segment))));
    let decode = time_us(10, || drop(black_box(segment::decode(&bytes).unwrap())));
    println!("\nDay segment, {n} events of {visitors} visitors, {} visits", segment.visits.len());
    println!(
        "  goal 16   {:.1} bytes an event   ({:.2} of JSON + zstd)",
        bytes.len() as f64 / n,
        bytes.len() as f64 / json
    );
    println!("  encode {:.2} us, decode {:.2} us an event", encode / n, decode / n);
    println!("  the same events as one part: {:.1} bytes an event", part.len() as f64 / n);
}

/// A segment as the fold would freeze it, by the plain rule: a visit ends after 30 minutes of nothing.
fn segment_of(batches: &[Batch]) -> Segment {
    let mut gather = Gatherer::new(0);
    let mut events: Vec<SegmentEvent> = Vec::new();
    let mut visits: Vec<VisitRow> = Vec::new();
    let mut current: HashMap<Visitor, usize> = HashMap::new();
    let mut visitor_numbers: HashMap<Visitor, u32> = HashMap::new();
    let mut ends: Vec<i64> = Vec::new();
    let mut props: Vec<Vec<(u32, u32)>> = Vec::new();
    let mut numbers: Vec<Vec<(Measure, i64)>> = Vec::new();
    for batch in batches {
        let place = gather.place(&batch.place);
        let device = gather.device(&batch.device);
        let language = gather.language(&batch.language);
        for event in &batch.events {
            let origin = gather.origin(&event.origin);
            let page = gather.page(&event.page);
            let view = event.kind == passerby_engine::event::Kind::PageView;
            let visit = batch.visitor.map(|visitor| {
                let next = visitor_numbers.len() as u32;
                let number = *visitor_numbers.entry(visitor).or_insert(next);
                let open =
                    current.get(&visitor).copied().filter(|visit| event.at_ms - ends[*visit] < 1_800_000);
                let visit = open.unwrap_or_else(|| {
                    visits.push(VisitRow {
                        visitor: number,
                        start_ms: event.at_ms,
                        duration_s: 0,
                        origin,
                        place,
                        device,
                        language,
                        entry: None,
                        exit: None,
                        views: 0,
                        engaged: false,
                    });
                    ends.push(event.at_ms);
                    visits.len() - 1
                });
                current.insert(visitor, visit);
                let row = &mut visits[visit];
                row.start_ms = row.start_ms.min(event.at_ms);
                ends[visit] = ends[visit].max(event.at_ms);
                row.duration_s = ((ends[visit] - row.start_ms) / 1000) as u32;
                if view {
                    row.entry = row.entry.or(Some(page));
                    row.exit = Some(page);
                    row.views += 1;
                }
                row.engaged |= row.views > 1 || event.interactive;
                visit as u32
            });
            props.push(event.props.iter().map(|(key, value)| gather.prop(key, value)).collect());
            numbers.push(event.numbers.clone());
            events.push(SegmentEvent {
                number: events.len() as u32,
                visit,
                kind: event.kind,
                interactive: event.interactive,
                at_ms: event.at_ms,
                offset_s: event.offset_s,
                page,
                hostname: gather.hostname(&event.hostname),
                origin,
                place,
                device,
                language,
                name: gather.name(&event.name),
                props: event.props.len() as u32,
                numbers: event.numbers.len() as u32,
                engaged_ms: event.engaged_ms,
                scroll: event.scroll,
                revenue: event.revenue,
            });
        }
    }
    // Visits by visitor, then start; events by visit, then number.
    let mut order: Vec<usize> = (0..visits.len()).collect();
    order.sort_by_key(|visit| (visits[*visit].visitor, visits[*visit].start_ms));
    let mut renumbered = vec![0; visits.len()];
    order.iter().enumerate().for_each(|(to, from)| renumbered[*from] = to as u32);
    let visits = order.iter().map(|visit| visits[*visit]).collect();
    events.iter_mut().for_each(|event| event.visit = event.visit.map(|visit| renumbered[visit as usize]));
    events.sort_by_key(|event| (event.visit.unwrap_or(u32::MAX), event.number));
    let props = events.iter().flat_map(|event| props[event.number as usize].clone()).collect();
    let numbers = events.iter().flat_map(|event| numbers[event.number as usize].clone()).collect();
    let Gatherer { dicts, origins, places, devices, .. } = gather;
    let (site, day) = (batches[0].site, batches[0].day);
    Segment { visits, events: Part { site, day, dicts, origins, places, devices, events, props, numbers } }
}

/// A day's rollup of pages.
fn rollup(pages: usize) {
    let mut cells: HashMap<_, Counts> = HashMap::new();
    for batch in traffic::batches(30_000, 12_000, 3) {
        for event in &batch.events {
            let counts = cells.entry(event.page.clone()).or_default();
            *counts += Counts { visitors: 1, visits: 1, pageviews: 1, duration_s: 37, ..Counts::default() };
        }
    }
    let mut cells: Vec<_> = cells.into_iter().collect();
    cells.sort_by(|a: &(_, Counts), b| a.0.cmp(&b.0));
    cells.truncate(pages);
    let rollup = Rollup { cells };
    let bytes = rollup.encode();
    let n = rollup.cells.len() as f64;
    let encode = time_us(1000, || drop(black_box(rollup.encode())));
    let decode = time_us(1000, || drop(black_box(Rollup::decode(&bytes).unwrap())));
    println!("\nRollup of {n} pages: {} bytes, encode {encode:.0} us, decode {decode:.0} us", bytes.len());
}
