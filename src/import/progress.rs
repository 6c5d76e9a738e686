//! A bar on a terminal while a log is read; nothing elsewhere.

use super::lines::{BytesRead, is_stdin};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

pub struct Progress {
    bar: ProgressBar,
    read: BytesRead,
}

impl Progress {
    /// For these files on standard error. How much there is to read is known unless one is standard input.
    pub fn new(files: &[PathBuf], read: BytesRead) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden(), read };
        }
        let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |about| about.len());
        let all_files = !files.iter().any(|file| is_stdin(file));
        let (bar, form) = match all_files {
            true => (
                ProgressBar::new(files.iter().map(size).sum()),
                "{bar:40} {bytes} of {total_bytes}, {eta} left",
            ),
            false => (ProgressBar::no_length(), "{spinner} {bytes} read, {bytes_per_sec}"),
        };
        let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Progress { bar, read }
    }

    /// To be called now and then.
    pub fn tick(&self) {
        self.bar.set_position(self.read.load(Ordering::Relaxed));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
