use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn numbers() {
    for (n, bytes) in [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (1_750_000_000_000, "80b883a1f732"),
        (u64::MAX, "ffffffffffffffffff01"),
    ] {
        let mut to = Writer::new();
        to.put_varint(n);
        let hex: String = to.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, bytes);
        assert_eq!((varint_len(n), Reader::new(&to.bytes).varint()), (hex.len() / 2, Ok(n)));
    }
    for n in [0, -1, 1, i64::MIN, i64::MAX] {
        assert_eq!(unzigzag(zigzag(n)), n);
    }
    assert_eq!((zigzag(-1), zigzag(1), zigzag(-2)), (1, 2, 3));
}

#[test]
fn what_is_cut_short_or_too_long_is_corrupt() {
    assert_eq!(Reader::new(&[]).varint(), Err(Corrupt));
    assert_eq!(Reader::new(&[0x80]).varint(), Err(Corrupt));
    // 65 bits.
    assert_eq!(
        Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint(),
        Err(Corrupt)
    );
    assert_eq!(Reader::new(&[5, b'a']).text(), Err(Corrupt));
    assert_eq!(Reader::new(&[1, 0xff]).text(), Err(Corrupt));
    assert_eq!(Reader::new(&[4, 0, 0, 0]).count(1), Err(Corrupt));
    assert_eq!(Reader::new(&[3, 0, 0, 0]).count(2), Err(Corrupt));
    assert_eq!(Reader::new(&[0; 7]).word(), Err(Corrupt));
}

/// What a column costs, by its shape.
#[test]
fn columns_take_their_shortest_way() {
    let len = |values: &[u64]| {
        let mut to = Writer::new();
        to.put_column(values);
        to.len()
    };
    assert_eq!(len(&[]), 1);
    assert_eq!(len(&[0; 1000]), 1);
    assert_eq!(len(&[1; 1000]), 1);
    assert_eq!(len(&[7200; 1000]), 3);
    assert_eq!(len(&[1, 2, 3, 4]), 5);
    assert_eq!(len(&(1_000_000..1_001_000).collect::<Vec<_>>()), 1 + 3 + 999);
    assert_eq!(len(&[[7; 500], [9; 500]].concat()), 1 + 2 * (1 + 2));
}

#[test]
fn a_column_of_any_length_takes_no_memory_that_its_bytes_do_not_justify() {
    let n = usize::MAX;
    assert!(matches!(Reader::new(&[0]).column(n), Ok(Column::Constant(0))));
    assert!(matches!(Reader::new(&[2, 9]).column(n), Ok(Column::Constant(9))));
    for mode in [3, 4, 5, 6, 16, 255] {
        assert!(Reader::new(&[mode, 1, 2, 3]).column(n).is_err(), "{mode}");
    }
}

#[test]
fn nothing_unpacks_to_more_than_its_length_justifies() {
    // Packs to a few kilobytes by itself, and is padded to a 64th.
    let zeros = vec![0; 50_000_000];
    let packed = compress(&zeros);
    assert!((700_000..900_000).contains(&packed.len()), "{}", packed.len());
    assert_eq!(decompress(&packed, zeros.len()).as_ref(), Ok(&zeros));
    assert_eq!(decompress(&packed, zeros.len() - 1), Err(Corrupt));
    // The same frame without its padding, and with a smaller length than it has.
    let frame = zstd::bulk::compress(&zeros, 3).expect("zstd packs zeros");
    for n in [50_000_000, 65_536, 1] {
        let mut bomb = Writer::new();
        bomb.put_varint(n * 2 - 1);
        bomb.put_bytes(&frame[4..]);
        assert_eq!(decompress(&bomb.bytes, usize::MAX), Err(Corrupt));
    }
}

#[test]
fn rows_are_counted_against_the_input() {
    let mut budget = Budget::of(100);
    assert_eq!(budget.take(4000), Ok(4000));
    assert_eq!(budget.take(197), Err(Corrupt));
    assert_eq!(budget.take(196), Ok(196));
    assert_eq!(budget.take(u64::MAX), Err(Corrupt));
    assert_eq!(Budget::padding(100, 4196), 0);
    assert_eq!(Budget::padding(100, 4200), 4);
}

fn values() -> impl Strategy<Value = Vec<u64>> {
    let value = prop_oneof![0..4u64, 1000..1010u64, any::<u64>()];
    prop_oneof![
        vec(value.clone(), 0..40),
        (value.clone(), 0..40usize).prop_map(|(value, n)| vec![value; n]),
        vec((value, 1..60usize), 0..5)
            .prop_map(|runs| runs.into_iter().flat_map(|(value, n)| vec![value; n]).collect()),
    ]
}

proptest! {
    #[test]
    fn columns_come_back(values in values()) {
        let mut to = Writer::new();
        to.put_column(&values);
        let mut from = Reader::new(&to.bytes);
        let column = from.column(values.len()).unwrap();
        prop_assert_eq!(from.finish(), Ok(()));
        prop_assert_eq!(column.iter().take(values.len()).collect::<Vec<_>>(), values.clone());
        prop_assert_eq!((0..values.len()).map(|row| column.at(row)).collect::<Vec<_>>(), values.clone());
        prop_assert_eq!(column.max(values.len()), values.iter().copied().max().unwrap_or(0));
    }

    #[test]
    fn sheets_come_back(columns in vec((values(), any::<bool>()), 0..20), apart in 0..50usize, usual in any::<u128>()) {
        let mut sheet = Sheet::new(apart);
        let code = |n: &u64| u64::from(*n as u32);
        for (values, codes) in &columns {
            match codes {
                true => sheet.put_codes(1, values.iter().map(code)),
                false => sheet.put(values.iter().copied()),
            }
        }
        let mut to = Writer::new();
        sheet.finish(usual, &mut to);
        let mut from = Reader::new(&to.bytes);
        let mut sheet = SheetReader::new(usual, &mut from).unwrap();
        for (values, codes) in &columns {
            let n = values.len();
            let (column, expected) = match codes {
                true => (sheet.codes(1, n), values.iter().map(code).collect()),
                false => (sheet.column(n), values.clone()),
            };
            prop_assert_eq!(column.unwrap().iter().take(n).collect::<Vec<_>>(), expected);
        }
        prop_assert_eq!(from.finish(), Ok(()));
    }

    #[test]
    fn bytes_come_back(bytes in vec(prop_oneof![3 => 0..4u8, 1 => any::<u8>()], 0..2000)) {
        prop_assert_eq!(decompress(&compress(&bytes), bytes.len()), Ok(bytes));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), n in any::<usize>()) {
        let _ = decompress(&bytes, usize::MAX);
        let _ = Reader::new(&bytes).column(n);
        let _ = Reader::new(&bytes).text();
        let _ = SheetReader::new(0, &mut Reader::new(&bytes)).and_then(|mut sheet| sheet.codes(0, n % 1000));
    }
}
