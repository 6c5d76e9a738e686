use super::*;
use crate::block::tests::flush;
use crate::block::{Flush, Gatherer};
use crate::bytes::Corrupt;
use crate::event::Batch;
use proptest::collection::vec;
use proptest::prelude::*;

/// A segment of a batches' events, dealt out over visits; visits that are as foretold by their events, and
/// visits that are not.
fn segment_of(batches: &[Batch], visits: &[(u32, bool)]) -> Segment {
    let mut gather = Gatherer::new(1);
    let (mut events, mut props, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for batch in batches {
        for event in &batch.events {
            let number = events.len() as u32;
            // The last of the visits takes none of the events.
            let visit = (visits.len() > 1 && number % 4 != 3).then(|| number % (visits.len() as u32 - 1));
            events.push(SegmentEvent {
                number: number.wrapping_mul(event.engaged_ms | 1),
                visit,
                kind: event.kind,
                interactive: event.interactive,
                at_ms: event.at_ms,
                offset_s: event.offset_s,
                page: gather.page(&event.page),
                hostname: gather.hostname(&event.hostname),
                origin: gather.origin(&event.origin),
                place: gather.place(&batch.place),
                device: gather.device(&batch.device),
                language: gather.language(&batch.language),
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
    // Entries that nothing refers to are kept as well.
    gather.language(&"xx".into());
    let place = gather.place(&Default::default());
    let origin = gather.origin(&Default::default());
    let device = gather.device(&Default::default());
    let page = gather.page(&"/seen by visits alone".into());
    let visits = visits.iter().enumerate().map(|(i, &(n, odd))| VisitRow {
        visitor: i as u32,
        start_ms: events.get(i).map_or(i64::from(n), |event: &SegmentEvent| event.at_ms),
        duration_s: n,
        origin,
        place,
        device,
        language: 0,
        entry: odd.then_some(page),
        exit: (n % 3 == 0).then_some(0),
        views: n,
        engaged: odd,
    });
    let visits = visits.collect();
    let Gatherer { dicts, origins, places, devices, .. } = gather;
    let (site, day) = (SiteId(u64::MAX), batches.first().map_or(Day(-1), |batch| batch.day));
    Segment { visits, events: Part { site, day, dicts, origins, places, devices, events, props, numbers } }
}

fn segment() -> impl Strategy<Value = Segment> {
    let visits = vec((prop_oneof![0..5u32, any::<u32>()], any::<bool>()), 0..5);
    (flush(), visits).prop_map(|((batches, _), visits): ((_, Flush), _)| segment_of(&batches, &visits))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_segment_comes_back(segment in segment()) {
        prop_assert_eq!(decode(&encode(&segment)), Ok(segment));
    }

    #[test]
    fn a_part_comes_back(segment in segment()) {
        let part = segment.events;
        prop_assert_eq!(decode_part(&encode_part(&part)), Ok(part));
    }

    #[test]
    fn damage_is_found(segment in segment(), at in any::<prop::sample::Index>(), with in 1..=255u8) {
        for (mut bytes, is_part) in [(encode(&segment), false), (encode_part(&segment.events), true)] {
            let refused = |bytes: &[u8]| match is_part {
                true => decode_part(bytes) == Err(Corrupt),
                false => decode(bytes) == Err(Corrupt),
            };
            let at = at.index(bytes.len());
            prop_assert!(refused(&bytes[..at]));
            bytes[at] ^= with;
            prop_assert!(refused(&bytes));
        }
    }
}
