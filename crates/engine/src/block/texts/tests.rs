use super::*;
use proptest::prelude::*;

/// Puts one text of a dictionary, with another beside it, in pieces; reads it back; answers its length.
fn check(dict: usize, beside: &str, text: &str, len: usize) {
    let mut to = Writer::new();
    put_texts(&mut to, Spelling::Pieces, dict, &[Text::from(text)], &["", beside]);
    let (mut from, mut back) = (Reader::new(&to.bytes), Dict::default());
    assert_eq!(texts(&mut from, Spelling::Pieces, dict, 1, &["", beside], &mut back), Ok(()));
    assert_eq!((back.0[1].as_str(), from.remaining()), (text, 0));
    assert_eq!(to.len(), len, "{text}");
}

#[test]
fn what_is_known_or_foretold_is_short() {
    check(DEVICE, "", "Desktop", 1);
    check(DEVICE + 1, "Desktop", "Chrome", 1);
    check(DEVICE + 2, "Chrome", "Chrome 137", 3);
    check(DEVICE + 4, "Mac", "Mac 10.15.7", 2);
    check(PLACE, "", "DE", 1);
    check(PLACE + 1, "DE", "DE-BE", 3);
    check(PLACE + 1, "AT", "DE-BE", 6);
    check(PLACE + 2, "DE", "Berlin, DE", 5);
    check(0, "", "/pricing", 1);
    check(0, "", "/blog/why-we-left", 8);
}

#[test]
fn no_text_stands_twice_in_a_list() {
    for list in KNOWN {
        let mut texts = list.to_vec();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), list.len(), "{list:?}");
    }
}

proptest! {
    #[test]
    fn texts_come_back(all in proptest::collection::vec((crate::block::tests::text(), crate::block::tests::text()), 0..5), dict in 0..22usize) {
        let all: Vec<(Text, Text)> = all.into_iter().filter(|(text, _)| !text.is_empty()).collect();
        let hints: Vec<&str> = std::iter::once("").chain(all.iter().map(|(_, beside)| beside.as_str())).collect();
        let expected: Vec<Text> = all.iter().map(|(text, _)| text.clone()).collect();
        for spelling in [Spelling::Plain, Spelling::Pieces] {
            let mut to = Writer::new();
            put_texts(&mut to, spelling, dict, &expected, &hints);
            let mut back = Dict::default();
            prop_assert_eq!(texts(&mut Reader::new(&to.bytes), spelling, dict, expected.len(), &hints, &mut back), Ok(()));
            prop_assert_eq!(&back.0[1..], &expected);
        }
    }
}
