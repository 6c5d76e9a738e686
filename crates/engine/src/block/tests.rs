use super::*;
use crate::bytes::{Writer, compress, decompress, seal, unseal};
use proptest::collection::vec;
use proptest::prelude::*;
use std::num::NonZeroU64;

/// Texts as they come, and as nobody should send them.
pub(crate) fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        3 => Just(Text::default()),
        3 => proptest::sample::select(vec!["Chrome", "Chrome 126", "DE", "DE-BE", "Berlin, DE", "/blog", "google.com", " ", ", "])
            .prop_map(Text::from),
        2 => "[a-z/.-]{0,40}".prop_map(Text::from),
        1 => "\\PC{0,30}".prop_map(Text::from),
        1 => any::<String>().prop_map(Text::from),
    ]
}

fn millis() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 1_750_000_000_000i64..1_750_086_400_000, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn small<T: Arbitrary + 'static>(usual: impl Strategy<Value = T> + 'static) -> impl Strategy<Value = T> {
    prop_oneof![4 => usual, 1 => any::<T>()]
}

fn origin() -> impl Strategy<Value = Origin> {
    [text(), text(), text(), text(), text(), text(), text(), text()].prop_map(
        |[source, channel, referrer, utm_source, utm_medium, utm_campaign, utm_content, utm_term]| Origin {
            source,
            channel,
            referrer,
            utm_source,
            utm_medium,
            utm_campaign,
            utm_content,
            utm_term,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let kind = (0..5u8).prop_map(|n| Kind::from_number(n).unwrap_or(Kind::PageView));
    let revenue = proptest::option::of((any::<i64>(), any::<[u8; 3]>()));
    let numbers = vec(((0..8usize).prop_map(|n| Measure::ALL[n]), any::<i64>()), 0..3);
    let props = vec((text(), text()), 0..3);
    (
        (kind, any::<bool>(), millis(), small(Just(7200i32)), text(), text(), origin(), text()),
        (props, small(Just(0u32)), proptest::option::of(any::<u8>()), revenue, numbers),
    )
        .prop_map(|((kind, interactive, at_ms, offset_s, hostname, page, origin, name), rest)| {
            let (props, engaged_ms, scroll, revenue, numbers) = rest;
            let revenue = revenue.map(|(milli, currency)| Revenue { milli, currency });
            Event {
                kind,
                at_ms,
                offset_s,
                hostname,
                page,
                origin,
                name,
                props,
                interactive,
                engaged_ms,
                scroll,
                revenue,
                numbers,
            }
        })
}

fn batch() -> impl Strategy<Value = Batch> {
    let visitor =
        prop_oneof![Just(0u64), 1..4u64, any::<u64>()].prop_map(|n| NonZeroU64::new(n).map(Visitor));
    let day = prop_oneof![8 => 20_255..20_257i32, 1 => any::<i32>()].prop_map(Day);
    let device = [text(), text(), text(), text(), text()].prop_map(
        |[class, browser, browser_version, system, system_version]| Device {
            class,
            browser,
            browser_version,
            system,
            system_version,
        },
    );
    let place = [text(), text(), text()].prop_map(|[country, region, city]| Place { country, region, city });
    (
        (any::<u64>(), millis(), small(Just(0u32)), (0..2u64).prop_map(SiteId), day, visitor),
        (place, device, text(), vec(event(), 0..4)),
    )
        .prop_map(
            |((id, received_ms, sent_ms, site, day, visitor), (place, device, language, events))| Batch {
                id,
                received_ms,
                sent_ms,
                site,
                day,
                visitor,
                place,
                device,
                language,
                events,
            },
        )
}

pub(crate) fn flush() -> impl Strategy<Value = (Vec<Batch>, Flush)> {
    let dropped =
        (any::<u64>(), any::<i32>(), 0..12usize, any::<u32>()).prop_map(|(site, day, reason, count)| {
            Dropped { site: SiteId(site), day: Day(day), reason: Reason::ALL[reason], count }
        });
    (vec(batch(), 0..6), vec(dropped, 0..3)).prop_map(|(batches, dropped)| {
        let flush = Flush { blocks: blocks(batches.clone()), dropped };
        (batches, flush)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn batches_come_back((mut batches, flush) in flush()) {
        batches.sort_by_key(|batch| (batch.site, batch.day));
        let back: Vec<Batch> = flush.blocks.iter().flat_map(Block::batches).collect();
        prop_assert_eq!(back, batches);
    }

    #[test]
    fn a_flush_comes_back((_, flush) in flush()) {
        let bytes = encode_flush(&flush);
        prop_assert_eq!(decode_flush(&bytes), Ok(flush));
    }

    #[test]
    fn a_flipped_byte_is_found((_, flush) in flush(), at in any::<prop::sample::Index>(), with in 1..=255u8) {
        let mut bytes = encode_flush(&flush);
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        prop_assert_eq!(decode_flush(&bytes), Err(crate::bytes::Corrupt));
    }

    #[test]
    fn a_torn_end_is_found((_, flush) in flush(), at in any::<prop::sample::Index>()) {
        let bytes = encode_flush(&flush);
        prop_assert_eq!(decode_flush(&bytes[..at.index(bytes.len())]), Err(crate::bytes::Corrupt));
    }

    /// A body with some bytes changed, and a checksum that is right.
    #[test]
    fn nonsense_is_refused_or_closed(
        (_, flush) in flush(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = encode_flush(&flush);
        let (_, mut words, packed) = unseal(1, &bytes).unwrap();
        let mut body = decompress(packed, usize::MAX).unwrap();
        for (at, with) in changes {
            let at = at.index(body.len());
            body[at] = with;
        }
        let words = Writer { bytes: words.take(words.remaining()).unwrap().to_vec() };
        if let Ok(flush) = decode_flush(&seal(1, 0, words, &compress(&body))) {
            flush.blocks.iter().for_each(check_closed);
        }
    }
}

/// Indexes everything as the fold would.
fn check_closed(block: &Block) {
    let (dicts, events) = (&block.dicts, &block.events);
    for dict in dicts.all() {
        assert_eq!(dict.0[0], "");
    }
    for batch in &block.batches {
        let _ = (block.places[batch.place as usize], block.devices[batch.device as usize]);
        let _ = &dicts.language.0[batch.language as usize];
    }
    for event in events {
        let _ = (&dicts.page.0[event.page as usize], &dicts.hostname.0[event.hostname as usize]);
        let _ = (block.origins[event.origin as usize], &dicts.name.0[event.name as usize]);
    }
    for origin in &block.origins {
        (0..8).for_each(|i| assert!((origin[i] as usize) < dicts.origin[i].0.len()));
    }
    for place in &block.places {
        (0..3).for_each(|i| assert!((place[i] as usize) < dicts.place[i].0.len()));
    }
    for device in &block.devices {
        (0..5).for_each(|i| assert!((device[i] as usize) < dicts.device[i].0.len()));
    }
    for (key, value) in &block.props {
        let _ = (&dicts.prop_key.0[*key as usize], &dicts.prop_value.0[*value as usize]);
    }
    assert_eq!(block.batches.iter().map(|batch| batch.events as usize).sum::<usize>(), events.len());
    assert_eq!(events.iter().map(|event| event.props as usize).sum::<usize>(), block.props.len());
    assert_eq!(events.iter().map(|event| event.numbers as usize).sum::<usize>(), block.numbers.len());
}
