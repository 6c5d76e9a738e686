//! The texts of a dictionary, one after the other.

use super::Dict;
use crate::bytes::{Corrupt, Reader, Writer};
use crate::event::Text;

pub(crate) fn put_texts(to: &mut Writer, _dict: usize, texts: &[Text], _hints: &[&str]) {
    for text in texts {
        to.put_text(text);
    }
}

pub(crate) fn texts(
    from: &mut Reader<'_>,
    _dict: usize,
    n: usize,
    _hints: &[&str],
    into: &mut Dict,
) -> Result<(), Corrupt> {
    if n > from.remaining() {
        return Err(Corrupt);
    }
    into.0.reserve_exact(n);
    for _ in 0..n {
        into.0.push(Text::from(from.text()?));
    }
    Ok(())
}
