//! From an open day to a frozen one, and back: parts and state become one segment, sorted by visitor, with
//! the fold's decisions beside the events; a replay puts the events back into log order.

use crate::block::{BatchRow, Block, EventRow};
use crate::day::DayState;
use crate::event::Visitor;
use crate::fresh::Fresh;
use crate::segment::{Part, Segment, SegmentEvent, VisitRow};
use crate::visit::NONE;
use std::num::NonZeroU64;

/// The day's segment: `parts` are those that have left, in their order; events that have not are added.
pub fn freeze(day: &DayState, parts: &[Part]) -> Segment {
    let mut all = Fresh::default();
    for part in parts {
        all.extend(part);
    }
    all.extend(&day.fresh.to_part(day.site, day.day));

    let rows = &day.visits.visits;
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    order.sort_by_key(|&n| (rows[n as usize].visitor, rows[n as usize].start, n));
    let mut place_of = vec![0; rows.len()];
    let cells = &day.cells;
    let base_ms = day.base_ms();
    let visits = order
        .iter()
        .enumerate()
        .map(|(new, &old)| {
            place_of[old as usize] = new as u32;
            let visit = &rows[old as usize];
            let page = |code: u32, all: &mut Fresh| (code != NONE).then(|| all.page(cells.page.get(code)));
            VisitRow {
                visitor: visit.visitor,
                start_ms: base_ms + i64::from(visit.start),
                duration_s: visit.duration_s(),
                origin: {
                    let codes = cells.origin.tuples.values()[visit.origin as usize];
                    all.origin(std::array::from_fn(|i| cells.origin.values[i].get(codes[i]).as_str()))
                },
                place: {
                    let codes = cells.place.tuples.values()[visit.place as usize];
                    all.place(std::array::from_fn(|i| cells.place.values[i].get(codes[i]).as_str()))
                },
                device: {
                    let codes = cells.device.tuples.values()[visit.device as usize];
                    all.device(std::array::from_fn(|i| cells.device.values[i].get(codes[i]).as_str()))
                },
                language: {
                    let codes = cells.language.tuples.values()[visit.language as usize];
                    all.language(cells.language.values[0].get(codes[0]))
                },
                entry: page(visit.entry, &mut all),
                exit: page(visit.exit, &mut all),
                views: visit.views,
                engaged: visit.engaged(),
            }
        })
        .collect();

    let mut part = all.to_part(day.site, day.day);
    for event in &mut part.events {
        event.visit = event.visit.map(|old| place_of[old as usize]);
    }
    sort_events(&mut part, |event| (event.visit.unwrap_or(NONE), event.number));
    Segment { visits, events: part }
}

/// Puts a part's events, with their properties and numbers, into the order of a key.
fn sort_events<K: Ord>(part: &mut Part, key: impl Fn(&SegmentEvent) -> K) {
    let (mut prop, mut number) = (0, 0);
    let mut rows: Vec<(SegmentEvent, usize, usize)> = Vec::with_capacity(part.events.len());
    for event in &part.events {
        rows.push((*event, prop, number));
        prop += event.props as usize;
        number += event.numbers as usize;
    }
    rows.sort_by_key(|row| key(&row.0));
    let (props, numbers) = (std::mem::take(&mut part.props), std::mem::take(&mut part.numbers));
    for &(event, prop, number) in &rows {
        part.props.extend_from_slice(&props[prop..prop + event.props as usize]);
        part.numbers.extend_from_slice(&numbers[number..number + event.numbers as usize]);
    }
    part.events = rows.into_iter().map(|row| row.0).collect();
}

/// A frozen day as a block in log order, one batch an event: folding it counts the day again.
pub fn replay(segment: &Segment) -> Block {
    let mut part = segment.events.clone();
    sort_events(&mut part, |event| event.number);
    let visitor = |event: &SegmentEvent| {
        let visit = segment.visits.get(event.visit? as usize)?;
        // Any one-to-one number does; an odd factor spreads it as a hash would.
        NonZeroU64::new((u64::from(visit.visitor) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).map(Visitor)
    };
    let batches = part.events.iter().map(|event| BatchRow {
        id: (part.day.0 as u64) << 32 | u64::from(event.number),
        received_ms: event.at_ms,
        sent_ms: 0,
        visitor: visitor(event),
        place: event.place,
        device: event.device,
        language: event.language,
        events: 1,
    });
    let events = part.events.iter().map(|event| EventRow {
        kind: event.kind,
        interactive: event.interactive,
        at_ms: event.at_ms,
        offset_s: event.offset_s,
        page: event.page,
        hostname: event.hostname,
        origin: event.origin,
        name: event.name,
        props: event.props,
        numbers: event.numbers,
        engaged_ms: event.engaged_ms,
        scroll: event.scroll,
        revenue: event.revenue,
    });
    let (batches, events) = (batches.collect(), events.collect());
    Block {
        site: part.site,
        day: part.day,
        dicts: part.dicts,
        origins: part.origins,
        places: part.places,
        devices: part.devices,
        batches,
        events,
        props: part.props,
        numbers: part.numbers,
    }
}
