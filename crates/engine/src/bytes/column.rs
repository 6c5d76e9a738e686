//! Columns: many numbers of one kind, written in the shortest of a few ways.
//!
//! ```text
//!   mode                what follows
//!   0  all are 0        nothing
//!   1  all are 1        nothing
//!   2  all are n        n
//!   3  plain            each number
//!   4  differences      the first number, then each one's difference from the one before, signed
//!   5  runs             pairs: a number, how often it follows itself
//!   + 16                what follows stands compressed by itself, after its length
//! ```
//!
//! All numbers are varints. How many there are stands elsewhere. A *code* column refers to a table whose
//! entries stand in the order of their first use, mostly: there a number is 0 if it is one more than the
//! greatest before it, and else one more than itself. So "something new" always looks the same, which
//! compresses, and a column in which all is new is constant.
//!
//! A lone column spends a byte on its mode. A [`Sheet`] holds many, and spends 2 bits on each that is
//! constant: of the forty columns of a block with one event nearly all are.

use super::{Corrupt, Reader, Writer, compress, decompress, varint_len, zigzag};

const ZEROS: u8 = 0;
const ONES: u8 = 1;
const CONSTANT: u8 = 2;
const PLAIN: u8 = 3;
const DIFFERENCES: u8 = 4;
const RUNS: u8 = 5;
const APART: u8 = 16;

/// A column that was read. It holds no more than its bytes justified: a constant column of a thousand
/// million rows is one number.
#[derive(Clone, Debug)]
pub enum Column {
    Constant(u64),
    Values(Vec<u64>),
    /// Where a run ends (the row after its last), and its number.
    Runs(Vec<(usize, u64)>),
}

impl Column {
    /// The number in a row, 0 past the end.
    pub fn at(&self, row: usize) -> u64 {
        match self {
            Column::Constant(n) => *n,
            Column::Values(values) => values.get(row).copied().unwrap_or(0),
            Column::Runs(runs) => runs.get(runs.partition_point(|run| run.0 <= row)).map_or(0, |run| run.1),
        }
    }

    /// The numbers in order; a constant one never ends.
    pub fn iter(&self) -> Rows<'_> {
        Rows { column: self, row: 0, run: 0 }
    }

    /// Greatest of the first `n` numbers, 0 if there are none.
    pub fn max(&self, n: usize) -> u64 {
        match self {
            _ if n == 0 => 0,
            Column::Constant(value) => *value,
            Column::Values(values) => values.iter().copied().max().unwrap_or(0),
            Column::Runs(runs) => runs.iter().map(|run| run.1).max().unwrap_or(0),
        }
    }
}

/// A column's numbers, one by one.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    column: &'a Column,
    row: usize,
    run: usize,
}

impl Rows<'_> {
    /// The next number; 0 past the end.
    pub fn step(&mut self) -> u64 {
        self.next().unwrap_or(0)
    }
}

impl Iterator for Rows<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let row = self.row;
        self.row += 1;
        match self.column {
            Column::Constant(n) => Some(*n),
            Column::Values(values) => values.get(row).copied(),
            Column::Runs(runs) => {
                if runs.get(self.run)?.0 <= row {
                    self.run += 1;
                }
                runs.get(self.run).map(|run| run.1)
            }
        }
    }
}

/// The mode that takes the fewest bytes.
fn best_mode(values: &[u64]) -> u8 {
    let Some(&first) = values.first() else {
        return ZEROS;
    };
    let (mut plain, mut differences, mut runs) = (0, 0, 0);
    let (mut before, mut run) = (first, 0u64);
    for (i, &value) in values.iter().enumerate() {
        let len = varint_len(value);
        plain += len;
        differences += if i == 0 { len } else { varint_len(zigzag(value.wrapping_sub(before) as i64)) };
        if i == 0 || value != before {
            runs += len + varint_len(run);
            run = 0;
        }
        run += 1;
        before = value;
    }
    if run == values.len() as u64 {
        return first.min(2) as u8;
    }
    // Runs have to be much shorter, since a compressor finds them too.
    let (least, mode) = if differences < plain { (differences, DIFFERENCES) } else { (plain, PLAIN) };
    if runs * 4 < least { RUNS } else { mode }
}

fn put_values(to: &mut Writer, mode: u8, values: &[u64]) {
    match mode {
        CONSTANT => to.put_varint(values[0]),
        PLAIN => values.iter().for_each(|n| to.put_varint(*n)),
        DIFFERENCES => {
            to.put_varint(values[0]);
            for pair in values.windows(2) {
                to.put_signed(pair[1].wrapping_sub(pair[0]) as i64);
            }
        }
        RUNS => {
            for run in values.chunk_by(|a, b| a == b) {
                to.put_varint(run[0]);
                to.put_varint(run.len() as u64);
            }
        }
        _ => {}
    }
}

fn values(from: &mut Reader<'_>, mode: u8, n: usize) -> Result<Column, Corrupt> {
    // Each of these rows takes at least a byte.
    let fits = |from: &Reader<'_>| {
        if n > from.remaining() { Err(Corrupt) } else { Ok(Vec::with_capacity(n)) }
    };
    match mode {
        ZEROS => Ok(Column::Constant(0)),
        ONES => Ok(Column::Constant(1)),
        CONSTANT => Ok(Column::Constant(from.varint()?)),
        PLAIN => {
            let mut values = fits(from)?;
            for _ in 0..n {
                values.push(from.varint()?);
            }
            Ok(Column::Values(values))
        }
        DIFFERENCES => {
            let mut values = fits(from)?;
            let mut value = if n == 0 { 0 } else { from.varint()? };
            for i in 0..n {
                if i > 0 {
                    value = value.wrapping_add(from.signed()? as u64);
                }
                values.push(value);
            }
            Ok(Column::Values(values))
        }
        RUNS => {
            let (mut runs, mut end) = (Vec::new(), 0usize);
            while end < n {
                let value = from.varint()?;
                let run = usize::try_from(from.varint()?).map_err(|_| Corrupt)?;
                end = end.checked_add(run).filter(|end| run > 0 && *end <= n).ok_or(Corrupt)?;
                runs.push((end, value));
            }
            Ok(Column::Runs(runs))
        }
        _ => Err(Corrupt),
    }
}

/// Codes as they are written: 0 for one that is the next new one, counted from `first`.
fn escape(codes: &mut [u64], first: u64) {
    let mut next = first;
    for code in codes {
        let new = *code == next;
        next = next.max(code.saturating_add(1));
        *code = if new { 0 } else { code.wrapping_add(1) };
    }
}

fn unescape(column: Column, first: u64, n: usize) -> Result<Column, Corrupt> {
    let mut next = first;
    let mut codes = Vec::new();
    // Worth its memory only when the rows are; the caller has taken them from its budget.
    codes.reserve_exact(n);
    let mut rows = column.iter();
    for _ in 0..n {
        let code = match rows.step() {
            0 => next,
            n => n - 1,
        };
        next = next.max(code.saturating_add(1));
        codes.push(code);
    }
    Ok(Column::Values(codes))
}

impl Writer {
    /// A column whose length the reader knows.
    pub fn put_column(&mut self, values: &[u64]) {
        let mode = best_mode(values);
        self.put_u8(mode);
        put_values(self, mode, values);
    }
}

impl Reader<'_> {
    /// A column of `n` numbers. Allocates no more than the bytes left, whatever `n` is.
    pub fn column(&mut self, n: usize) -> Result<Column, Corrupt> {
        let mode = self.u8()?;
        values(self, mode, n)
    }
}

/// Many columns: 2 bits for each (modes 0, 1, 2, or 3 for "its mode stands with it"), then their bytes.
#[derive(Debug, Default)]
pub struct Sheet {
    control: u128,
    columns: u32,
    body: Writer,
    scratch: Vec<u64>,
    /// Columns longer than this are compressed by themselves.
    apart: usize,
}

impl Sheet {
    /// A sheet of at most 64 columns; those longer than `apart` bytes are compressed by themselves.
    pub fn new(apart: usize) -> Sheet {
        Sheet { apart, ..Sheet::default() }
    }

    pub fn put(&mut self, values: impl Iterator<Item = u64>) {
        self.scratch.clear();
        self.scratch.extend(values);
        self.put_scratch(false);
    }

    /// A column of codes into a table whose codes count from `first` (0 or 1).
    pub fn put_codes(&mut self, first: u64, codes: impl Iterator<Item = u64>) {
        self.scratch.clear();
        self.scratch.extend(codes);
        let constant = best_mode(&self.scratch) <= CONSTANT;
        if !constant {
            escape(&mut self.scratch, first);
        }
        self.put_scratch(!constant);
    }

    /// `escaped` columns always stand with their mode, so that a reader can tell.
    fn put_scratch(&mut self, escaped: bool) {
        let mode = best_mode(&self.scratch);
        let brief = if escaped { PLAIN } else { mode.min(PLAIN) };
        debug_assert!(self.columns < 64);
        self.control |= u128::from(brief) << (2 * self.columns);
        self.columns += 1;
        if brief < PLAIN {
            put_values(&mut self.body, mode, &self.scratch);
            return;
        }
        let at = self.body.len();
        self.body.put_u8(mode);
        put_values(&mut self.body, mode, &self.scratch);
        if self.body.len() - at > self.apart {
            let packed = compress(&self.body.bytes[at + 1..]);
            self.body.bytes.truncate(at);
            self.body.put_u8(mode | APART);
            self.body.put_varint(packed.len() as u64);
            self.body.put_bytes(&packed);
        }
    }

    /// Writes the control bits, then the columns. `usual` is what the bits commonly are, so that only what
    /// is unusual costs: a mask of the bytes that differ, and what they differ by.
    pub fn finish(self, usual: u128, to: &mut Writer) {
        let bytes = (self.control ^ usual).to_le_bytes();
        let mask = (0..16).filter(|i| bytes[*i] != 0).fold(0u64, |mask, i| mask | 1 << i);
        to.put_varint(mask);
        bytes.iter().filter(|byte| **byte != 0).for_each(|byte| to.put_u8(*byte));
        to.put_bytes(&self.body.bytes);
    }
}

/// Reads a [`Sheet`]'s columns in the order in which they were put.
#[derive(Debug)]
pub struct SheetReader<'a, 'b> {
    control: u128,
    from: &'b mut Reader<'a>,
}

impl<'a, 'b> SheetReader<'a, 'b> {
    /// `usual` as in [`Sheet::finish`].
    pub fn new(usual: u128, from: &'b mut Reader<'a>) -> Result<SheetReader<'a, 'b>, Corrupt> {
        let mask = u16::try_from(from.varint()?).map_err(|_| Corrupt)?;
        let mut bytes = [0; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            if mask >> i & 1 != 0 {
                *byte = from.u8()?;
            }
        }
        Ok(SheetReader { control: u128::from_le_bytes(bytes) ^ usual, from })
    }

    fn read(&mut self, n: usize) -> Result<(Column, bool), Corrupt> {
        let brief = (self.control & 3) as u8;
        self.control >>= 2;
        if brief < PLAIN {
            return Ok((values(self.from, brief, n)?, false));
        }
        let mode = self.from.u8()?;
        if mode & APART == 0 {
            return Ok((values(self.from, mode, n)?, true));
        }
        let len = self.from.count(1)?;
        let bytes = decompress(self.from.take(len)?, usize::MAX)?;
        let mut from = Reader::new(&bytes);
        let column = values(&mut from, mode & !APART, n)?;
        from.finish()?;
        Ok((column, true))
    }

    /// The next column, of `n` numbers.
    pub fn column(&mut self, n: usize) -> Result<Column, Corrupt> {
        Ok(self.read(n)?.0)
    }

    /// The next column, of `n` codes counted from `first`. `n` rows must have been taken from a budget.
    pub fn codes(&mut self, first: u64, n: usize) -> Result<Column, Corrupt> {
        let (column, escaped) = self.read(n)?;
        if escaped { unescape(column, first, n) } else { Ok(column) }
    }
}
