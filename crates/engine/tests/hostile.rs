//! Stored bytes that somebody made up, with checksums that are right: they are read or refused, and never
//! take more memory than their length justifies.

use passerby_engine::block::{Flush, blocks, decode_flush, encode_flush};
use passerby_engine::bytes::{Writer, compress, decompress};
use passerby_engine::event::{Batch, Day, Device, Event, Kind, Origin, Place, SiteId, Visitor};
use passerby_engine::rollup::Rollup;
use passerby_engine::segment;
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::num::NonZeroU64;

/// Counts what each thread holds, and the most it ever held.
struct Counting;

thread_local! {
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn count(bytes: isize) {
    // A thread that is ending has no count any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + bytes, most.max(now + bytes)));
    });
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes held at once while `work` ran, beyond those before it.
fn most_held(work: impl FnOnce()) -> usize {
    let before = HELD.with(|held| {
        held.set((held.get().0, held.get().0));
        held.get().0
    });
    work();
    HELD.with(|held| (held.get().1 - before) as usize)
}

/// Reads bytes as everything they could be, and holds the readers to their bound: 16 MiB, and 4 KiB for
/// each byte.
fn read_as_anything(bytes: &[u8]) {
    let bound = (16 << 20) + 4096 * bytes.len();
    let readers: [fn(&[u8]); 4] = [
        |bytes| drop(decode_flush(bytes)),
        |bytes| drop(segment::decode_part(bytes)),
        |bytes| drop(segment::decode(bytes)),
        |bytes| drop(Rollup::decode(bytes)),
    ];
    for read in readers {
        let held = most_held(|| read(bytes));
        assert!(held <= bound, "{held} bytes held for {}", bytes.len());
    }
}

/// A frame with the right checksum.
fn sealed(words: &[u8], packed: &[u8]) -> Vec<u8> {
    let mut rest = Writer::new();
    rest.put_varint(words.len() as u64 / 8);
    rest.put_bytes(words);
    rest.put_bytes(packed);
    [&[1], crc32fast::hash(&rest.bytes).to_le_bytes().as_slice(), &rest.bytes].concat()
}

fn flush(events: u64) -> Vec<u8> {
    let event = |i: u64| Event {
        kind: Kind::PageView,
        at_ms: 1_750_000_000_000 + i as i64,
        offset_s: 7200,
        hostname: "example.com".into(),
        page: format!("/blog/{}", i % 7).into(),
        origin: Origin { source: "Google".into(), ..Origin::default() },
        name: "".into(),
        props: vec![("plan".into(), "free".into())],
        interactive: false,
        engaged_ms: 0,
        scroll: Some(3),
        revenue: None,
        numbers: Vec::new(),
    };
    let batch = |i: u64| Batch {
        id: i,
        received_ms: 1_750_000_000_100,
        sent_ms: 0,
        site: SiteId(1),
        day: Day(20_254),
        visitor: NonZeroU64::new(i % 3).map(Visitor),
        place: Place { country: "DE".into(), ..Place::default() },
        device: Device::default(),
        language: "de".into(),
        events: vec![event(i), event(i + 1)],
    };
    encode_flush(&Flush { blocks: blocks((0..events).map(batch).collect()), dropped: Vec::new() })
}

#[test]
fn a_flush_of_equal_events_comes_back_however_well_it_packs() {
    // Columns that are all constant: a tenth of a byte an event, if it were not padded.
    let Ok(one) = decode_flush(&flush(1)) else { panic!("a flush comes back") };
    let mut block = one.blocks[0].clone();
    let (events, props) = (block.events[..1].to_vec(), block.props[..1].to_vec());
    let n = 200_000;
    block.batches[0].events = n as u32;
    block.events = events.repeat(n);
    block.props = props.repeat(n);
    let flush = Flush { blocks: vec![block], dropped: Vec::new() };
    let bytes = encode_flush(&flush);
    assert_eq!(decode_flush(&bytes), Ok(flush));
    assert!((n..n * 3).contains(&bytes.len()), "{}", bytes.len());
}

/// Huge counts in every place of a small body.
#[test]
fn huge_counts_are_refused() {
    let bytes = flush(2);
    let packed = &bytes[6 + 8 * bytes[5] as usize..];
    let body = decompress(packed, 10_000).unwrap();
    for at in 0..body.len() {
        for n in [1 << 20, u64::from(u32::MAX), 1 << 40, u64::MAX] {
            let mut changed = Writer::new();
            changed.put_bytes(&body[..at]);
            changed.put_varint(n);
            changed.put_bytes(&body[at + 1..]);
            read_as_anything(&sealed(&bytes[6..6 + 8 * bytes[5] as usize], &compress(&changed.bytes)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_as_anything(&bytes);
        read_as_anything(&sealed(&[0; 16], &bytes));
        read_as_anything(&sealed(&[7; 64], &[&[0], bytes.as_slice()].concat()));
    }

    /// A good flush with some bytes of its body changed, and everything around it right.
    #[test]
    fn changed_bodies(events in 1..40u64, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let bytes = flush(events);
        let words = 6..6 + 8 * bytes[5] as usize;
        let mut body = decompress(&bytes[words.end..], 1 << 20).unwrap();
        for (at, with) in changes {
            let at = at.index(body.len());
            body[at] = with;
        }
        read_as_anything(&sealed(&bytes[words], &compress(&body)));
    }
}
