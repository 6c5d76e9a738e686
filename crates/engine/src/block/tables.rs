//! Dictionaries and tuples to bytes and back: what blocks and segments share.
//!
//! How many entries a table has is not stored: it is one more than the greatest code that its columns
//! hold, which is true of every table that was gathered from its rows. (A table with entries that no row
//! uses says how many in a column of *extras*, nearly always all zero.) So a code cannot lie outside its
//! table, whatever the bytes are: a made-up code asks for a table so large that the budget or the missing
//! texts refuse it.

use super::texts::{Spelling, put_texts, texts};
use super::{Dict, Dicts};
use crate::bytes::{Budget, Column, Corrupt, Reader, Sheet, SheetReader, Writer};

/// Places in [`Dicts::all`].
pub(crate) const PAGE: usize = 0;
pub(crate) const HOSTNAME: usize = 1;
pub(crate) const ORIGIN: usize = 2;
pub(crate) const PLACE: usize = 10;
pub(crate) const DEVICE: usize = 13;
pub(crate) const LANGUAGE: usize = 18;
pub(crate) const NAME: usize = 19;
pub(crate) const PROP_KEY: usize = 20;
pub(crate) const PROP_VALUE: usize = 21;

/// How many entries of each table the rows met so far refer to.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// As in [`Dicts::all`]; the empty text is always there.
    dicts: [u64; Dicts::COUNT],
    pub origins: u64,
    pub places: u64,
    pub devices: u64,
}

impl Default for Reach {
    fn default() -> Reach {
        Reach { dicts: [1; Dicts::COUNT], origins: 0, places: 0, devices: 0 }
    }
}

impl Reach {
    /// Notes `n` codes of a column into a dictionary.
    pub fn see(&mut self, dict: usize, column: &Column, n: usize) {
        if n > 0 {
            self.dicts[dict] = self.dicts[dict].max(column.max(n).saturating_add(1));
        }
    }

    pub fn see_code(&mut self, dict: usize, code: u32) {
        self.see_reach(dict, u64::from(code) + 1);
    }

    /// Notes that so many entries of a dictionary are referred to.
    pub fn see_reach(&mut self, dict: usize, entries: u64) {
        self.dicts[dict] = self.dicts[dict].max(entries);
    }
}

/// Puts a column of codes into a dictionary and notes how far they reach.
pub(crate) fn put_codes(
    sheet: &mut Sheet,
    reach: &mut Reach,
    dict: usize,
    codes: impl Iterator<Item = u32> + Clone,
) {
    if let Some(max) = codes.clone().max() {
        reach.see_code(dict, max);
    }
    sheet.put_codes(1, codes.map(u64::from));
}

/// The mirror image of [`put_codes`].
pub(crate) fn codes(
    sheet: &mut SheetReader<'_, '_>,
    reach: &mut Reach,
    dict: usize,
    n: usize,
) -> Result<Column, Corrupt> {
    let column = sheet.codes(1, n)?;
    reach.see(dict, &column, n);
    Ok(column)
}

/// Puts a column of indices into a table of tuples and answers how far they reach.
pub(crate) fn put_indices(sheet: &mut Sheet, indices: impl Iterator<Item = u32> + Clone) -> u64 {
    let reach = indices.clone().max().map_or(0, |max| u64::from(max) + 1);
    sheet.put_codes(0, indices.map(u64::from));
    reach
}

/// The mirror image of [`put_indices`].
pub(crate) fn indices(sheet: &mut SheetReader<'_, '_>, n: usize) -> Result<(Column, u64), Corrupt> {
    let column = sheet.codes(0, n)?;
    let reach = if n == 0 { 0 } else { column.max(n).saturating_add(1) };
    Ok((column, reach))
}

/// Puts tables of tuples: by columns, those of a campaign last.
pub(crate) fn put_tuples(
    sheet: &mut Sheet,
    reach: &mut Reach,
    origins: &[[u32; 8]],
    places: &[[u32; 3]],
    devices: &[[u32; 5]],
) {
    let lens = [origins.len(), places.len(), devices.len()];
    let reached = [reach.origins, reach.places, reach.devices];
    sheet.put((0..3).map(|i| (lens[i] as u64).saturating_sub(reached[i])));
    for i in 0..3 {
        put_codes(sheet, reach, PLACE + i, places.iter().map(|codes| codes[i]));
    }
    for i in 0..5 {
        put_codes(sheet, reach, DEVICE + i, devices.iter().map(|codes| codes[i]));
    }
    for i in 0..8 {
        put_codes(sheet, reach, ORIGIN + i, origins.iter().map(|codes| codes[i]));
    }
}

/// The tables of tuples that a sheet held.
pub(crate) struct Tuples {
    pub origins: Vec<[u32; 8]>,
    pub places: Vec<[u32; 3]>,
    pub devices: Vec<[u32; 5]>,
}

/// The mirror image of [`put_tuples`].
pub(crate) fn tuples(
    sheet: &mut SheetReader<'_, '_>,
    reach: &mut Reach,
    budget: &mut Budget,
) -> Result<Tuples, Corrupt> {
    let extras = sheet.column(3)?;
    let mut len = |i: usize, reached: u64| budget.take(reached.checked_add(extras.at(i)).ok_or(Corrupt)?);
    let (origins, places, devices) = (len(0, reach.origins)?, len(1, reach.places)?, len(2, reach.devices)?);
    let places = tuple_rows(sheet, reach, PLACE, places)?;
    let devices = tuple_rows(sheet, reach, DEVICE, devices)?;
    let origins = tuple_rows(sheet, reach, ORIGIN, origins)?;
    Ok(Tuples { origins, places, devices })
}

fn tuple_rows<const N: usize>(
    sheet: &mut SheetReader<'_, '_>,
    reach: &mut Reach,
    dict: usize,
    n: usize,
) -> Result<Vec<[u32; N]>, Corrupt> {
    let mut tuples = vec![[0; N]; n];
    for i in 0..N {
        let column = codes(sheet, reach, dict + i, n)?;
        for (tuple, code) in tuples.iter_mut().zip(column.iter()) {
            tuple[i] = u32::try_from(code).map_err(|_| Corrupt)?;
        }
    }
    Ok(tuples)
}

/// Puts how many texts of each dictionary no row refers to. The last column of a sheet.
pub(crate) fn put_extras(sheet: &mut Sheet, reach: &Reach, dicts: &Dicts) {
    let all = dicts.all();
    sheet.put((0..Dicts::COUNT).map(|i| (all[i].0.len() as u64).saturating_sub(reach.dicts[i])));
}

/// How many texts each dictionary has, taken from the budget.
pub(crate) fn text_counts(
    sheet: &mut SheetReader<'_, '_>,
    reach: &Reach,
    budget: &mut Budget,
) -> Result<[usize; Dicts::COUNT], Corrupt> {
    let extras = sheet.column(Dicts::COUNT)?;
    let mut counts = [0; Dicts::COUNT];
    for (i, count) in counts.iter_mut().enumerate() {
        // All but the empty one, which is always there.
        *count = budget.take((reach.dicts[i] - 1).checked_add(extras.at(i)).ok_or(Corrupt)?)?;
    }
    Ok(counts)
}

/// Which texts hint at others: a region begins with its country, a version with its name.
const HINTS: [(usize, usize); 4] =
    [(PLACE + 1, PLACE), (PLACE + 2, PLACE), (DEVICE + 2, DEVICE + 1), (DEVICE + 4, DEVICE + 3)];

/// For each text of a dictionary, the text beside it in the first tuple that uses it.
fn hints<'a>(
    all: &[&'a Dict],
    dict: usize,
    places: &[[u32; 3]],
    devices: &[[u32; 5]],
    n: usize,
) -> Vec<&'a str> {
    let Some(&(_, from)) = HINTS.iter().find(|hint| hint.0 == dict) else {
        return Vec::new();
    };
    let mut hints = vec![""; n + 1];
    let mut note = |code: u32, hint: u32| {
        if let Some(place) = hints.get_mut(code as usize)
            && place.is_empty()
        {
            *place = all[from].text(hint);
        }
    };
    match dict {
        ..DEVICE => places.iter().for_each(|codes| note(codes[dict - PLACE], codes[from - PLACE])),
        _ => devices.iter().for_each(|codes| note(codes[dict - DEVICE], codes[from - DEVICE])),
    }
    hints
}

/// Puts the texts of all dictionaries.
pub(crate) fn put_dicts(
    to: &mut Writer,
    spelling: Spelling,
    dicts: &Dicts,
    places: &[[u32; 3]],
    devices: &[[u32; 5]],
) {
    let all = dicts.all();
    for (i, dict) in all.iter().enumerate() {
        let Some((_, rest)) = dict.0.split_first() else {
            continue;
        };
        put_texts(to, spelling, i, rest, &hints(&all, i, places, devices, rest.len()));
    }
}

/// The mirror image of [`put_dicts`].
pub(crate) fn dicts(
    from: &mut Reader<'_>,
    spelling: Spelling,
    counts: &[usize; Dicts::COUNT],
    tuples: &Tuples,
) -> Result<Dicts, Corrupt> {
    let mut all: [Dict; Dicts::COUNT] = Default::default();
    for (i, &n) in counts.iter().enumerate() {
        let (before, rest) = all.split_at_mut(i);
        let before: Vec<&Dict> = before.iter().collect();
        texts(from, spelling, i, n, &hints(&before, i, &tuples.places, &tuples.devices, n), &mut rest[0])?;
    }
    Ok(Dicts::from_all(all))
}
