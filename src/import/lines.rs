//! The lines of a log: files or standard input, plain or gzip, one after the other as one text.
//!
//! What is hashed is the text, line by line: a log is the same log compressed or not, in one file or in several.
//! A line longer than [`MAX_LINE`] is hashed and skipped, never held.

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// The longest line that is read, bytes. Servers refuse requests of half this size.
pub const MAX_LINE: usize = 64 * 1024;

/// How many bytes have been read of the files as they lie, for a progress bar.
pub type BytesRead = Arc<AtomicU64>;

/// Lines of several files in the order given.
pub struct Lines {
    /// Files not yet opened, the next one last.
    files: Vec<PathBuf>,
    current: Option<(PathBuf, Box<dyn BufRead>)>,
    /// The line in hand. It holds an address, and so is overwritten at the end; it never grows beyond what it
    /// has from the start, so that no copy is left behind.
    line: Zeroizing<Vec<u8>>,
    hash: Sha256,
    read: BytesRead,
}

/// What the next line is.
pub enum Line<'a> {
    Text(&'a [u8]),
    TooLong,
}

impl Lines {
    /// Files that cannot be opened are told before the first line is read.
    pub fn open(files: &[PathBuf], read: BytesRead) -> Result<Lines> {
        for file in files.iter().filter(|file| !is_stdin(file)) {
            File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
        }
        Ok(Lines {
            files: files.iter().rev().cloned().collect(),
            current: None,
            line: Zeroizing::new(Vec::with_capacity(MAX_LINE)),
            hash: Sha256::new(),
            read,
        })
    }

    /// The next line without its end; None after the last one of the last file.
    pub fn next(&mut self) -> Result<Option<Line<'_>>> {
        loop {
            let Some((file, reader)) = &mut self.current else {
                let Some(file) = self.files.pop() else {
                    return Ok(None);
                };
                let context = || format!("{} cannot be read", file.display());
                let reader = reader(&file, self.read.clone()).with_context(context)?;
                self.current = Some((file, reader));
                continue;
            };
            let found = next_line(reader, &mut self.line, &mut self.hash)
                .with_context(|| format!("{} cannot be read to its end", file.display()))?;
            match found {
                Found::Nothing => self.current = None,
                Found::TooLong => return Ok(Some(Line::TooLong)),
                Found::Line => return Ok(Some(Line::Text(&self.line))),
            }
        }
    }

    /// The hash of all lines read.
    pub fn hash(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}

pub fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// A file's text, whether compressed or not: a gzip file says so in its first two bytes.
fn reader(file: &Path, read: BytesRead) -> io::Result<Box<dyn BufRead>> {
    let bytes: Box<dyn Read> = match is_stdin(file) {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file)?),
    };
    let mut plain = BufReader::with_capacity(MAX_LINE, Counted { bytes, read });
    // A pipe may give one byte first: with fewer than two nothing can be told, so ask until there are.
    let mut start = Vec::with_capacity(2);
    while start.len() < 2 && plain.by_ref().take(1).read_to_end(&mut start)? > 0 {}
    let is_gzip = start == [0x1f, 0x8b];
    let whole = io::Cursor::new(start).chain(plain);
    Ok(match is_gzip {
        // Rotated logs are often several gzip members, one after the other.
        true => Box::new(BufReader::with_capacity(MAX_LINE, MultiGzDecoder::new(whole))),
        false => Box::new(whole),
    })
}

struct Counted {
    bytes: Box<dyn Read>,
    read: BytesRead,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

enum Found {
    Line,
    TooLong,
    Nothing,
}

/// Reads up to the next end of line, or of the file, into `line`.
fn next_line(reader: &mut dyn BufRead, line: &mut Vec<u8>, hash: &mut Sha256) -> io::Result<Found> {
    line.clear();
    let (mut any, mut fits) = (false, true);
    loop {
        let bytes = match reader.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        any |= !bytes.is_empty();
        hash.update(piece);
        fits &= line.len() + piece.len() <= MAX_LINE;
        if fits {
            line.extend_from_slice(piece);
        }
        let (is_last, used) = (bytes.is_empty(), piece.len() + usize::from(end.is_some()));
        reader.consume(used);
        if end.is_some() || is_last {
            break;
        }
    }
    if !any {
        return Ok(Found::Nothing);
    }
    hash.update(b"\n");
    Ok(if fits { Found::Line } else { Found::TooLong })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    /// The lines of files with these contents, a line that is too long as `...`, and their hash.
    fn lines(contents: &[&[u8]]) -> (Vec<String>, [u8; 32]) {
        let folder = tempfile::tempdir().unwrap();
        let write = |(n, content): (usize, &&[u8])| {
            let file = folder.path().join(n.to_string());
            std::fs::write(&file, content).unwrap();
            file
        };
        let files: Vec<PathBuf> = contents.iter().enumerate().map(write).collect();
        let mut lines = Lines::open(&files, BytesRead::default()).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(match line {
                Line::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                Line::TooLong => "...".into(),
            });
        }
        (all, lines.hash())
    }

    #[test]
    fn a_log_is_its_text() {
        let plain = lines(&[b"one\ntwo\n\nfour\n"]);
        assert_eq!(plain.0, ["one", "two", "", "four"]);
        let two_members = [gzip(b"one\nt"), gzip(b"wo\n\nfour")].concat();
        let same: [&[&[u8]]; 5] = [
            &[b"one\ntwo\n\nfour"],
            &[&gzip(b"one\ntwo\n\nfour\n")],
            &[&two_members],
            &[b"one\ntwo\n", b"", b"\nfour"],
            &[&gzip(b"one\n"), b"two\n\nfour\n"],
        ];
        for other in same {
            assert_eq!(lines(other), plain, "{other:?}");
        }
        assert_ne!(lines(&[b"one\ntwo\nfour\n"]).1, plain.1);
        assert_eq!(lines(&[b""]).0.len(), 0);
        assert_eq!(lines(&[b"x"]).0, ["x"]);
    }

    #[test]
    fn a_huge_line_is_skipped_and_not_held() {
        let huge = [&b"a\n"[..], &vec![b'x'; 3 * MAX_LINE], b"\nb\n", &vec![b'y'; MAX_LINE], b"\n"].concat();
        let (all, hash) = lines(&[&huge]);
        assert_eq!(
            (all.len(), &all[0][..], &all[1][..], &all[2][..], all[3].len()),
            (4, "a", "...", "b", MAX_LINE)
        );
        let other = [&b"a\n"[..], &vec![b'z'; 3 * MAX_LINE], b"\nb\n", &vec![b'y'; MAX_LINE], b"\n"].concat();
        assert_ne!(lines(&[&other]).1, hash, "what is skipped is hashed");
    }

    #[test]
    fn what_is_missing_or_cut_off_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.log");
        let error = Lines::open(&[missing], BytesRead::default()).err().unwrap();
        assert!(format!("{error:#}").contains("missing.log cannot be opened"), "{error:#}");

        let whole = gzip(b"one\ntwo\n");
        let file = folder.path().join("cut.gz");
        std::fs::write(&file, &whole[..whole.len() - 6]).unwrap();
        let mut lines = Lines::open(&[file], BytesRead::default()).unwrap();
        let error = loop {
            match lines.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it is cut off"),
                Err(error) => break format!("{error:#}"),
            }
        };
        assert!(error.contains("cut.gz cannot be read to its end"), "{error}");
    }
}
