//! What an import came to, for people.

use super::{Entry, Outcome, Tally};
use crate::store::Unit as UnitId;
use passerby_engine::query::Period;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Some lines about what was done, the first of which says it.
pub fn summary(outcome: &Outcome, domain: &str) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = match outcome {
        Outcome::Imported(id, entry) => imported(&mut text, *id, entry, domain),
        Outcome::AlreadyHere(id, entry) => {
            let bots = if entry.keep_bots { ", bots kept" } else { "" };
            writeln!(
                text,
                "This log is already here as {id:016x} ({} page views{bots}): nothing was changed.\n\
                 `passerby import remove {id:016x}` takes it out again.",
                grouped(entry.tally.pageviews)
            )
        }
        Outcome::Nothing(tally) => {
            let lines = grouped(tally.lines);
            writeln!(text, "Not one page view in {lines} lines: nothing was imported.")
                .and_then(|()| tables(&mut text, tally))
        }
    };
    text
}

fn imported(text: &mut String, id: UnitId, entry: &Entry, domain: &str) -> std::fmt::Result {
    let Entry { first, last, .. } = entry;
    let days = last.0 - first.0 + 1;
    let days = if days == 1 { "1 day".into() } else { format!("{} days", grouped(days as u64)) };
    writeln!(text, "Imported {} into {domain} as {id:016x}.", entry.files.join(", "))?;
    writeln!(text, "  {first} to {last}, {days}")?;
    row(text, entry.tally.pageviews, "page views", "")?;
    row(text, entry.visitors.max(0) as u64, "visitors", "sum of the days")?;
    row(text, entry.tally.lines, "lines read", "")?;
    tables(text, &entry.tally)?;
    let period = Period::Custom(entry.days()).to_url();
    writeln!(text, "See it at /{domain}?{period}")
}

fn tables(text: &mut String, tally: &Tally) -> std::fmt::Result {
    table(text, "No page views:", &tally.not_views)?;
    table(text, "Not counted:", &tally.dropped)?;
    table(text, "Could not be read:", &tally.refused)
}

fn table(text: &mut String, heading: &str, counts: &BTreeMap<String, u64>) -> std::fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(text, "{heading}")?;
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    rows.into_iter().try_for_each(|(name, count)| row(text, *count, name, Tally::meaning(name)))
}

fn row(text: &mut String, count: u64, name: &str, meaning: &str) -> std::fmt::Result {
    let line = format!("  {:>12}  {name:<13} {meaning}", grouped(count));
    writeln!(text, "{}", line.trim_end())
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use passerby_engine::event::Day;

    fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        counts.iter().map(|(name, count)| (name.to_string(), *count)).collect()
    }

    #[test]
    fn says_what_became_of_every_line() {
        let tally = Tally {
            lines: 1_234_567,
            pageviews: 1_000,
            not_views: counts(&[("asset", 1_200_000), ("not_get", 30_000)]),
            dropped: counts(&[("bot", 3_564)]),
            refused: counts(&[("no_request", 2), ("virtual_host", 1)]),
        };
        let entry = Entry {
            imported_ms: 0,
            files: vec!["access.log.1".into(), "access.log".into()],
            keep_bots: false,
            first: Day(16_572),
            last: Day(16_575),
            visitors: 321,
            tally: tally.clone(),
        };
        let shown = |outcome| summary(&outcome, "example.com");
        expect![[r#"
            Imported access.log.1, access.log into example.com as 00000000000000ab.
              2015-05-17 to 2015-05-20, 4 days
                     1,000  page views
                       321  visitors      sum of the days
                 1,234,567  lines read
            No page views:
                 1,200,000  asset         images, styles and other files
                    30,000  not_get       other methods than GET
            Not counted:
                     3,564  bot           agents that say they are machines (--keep-bots counts them)
            Could not be read:
                         2  no_request    without an HTTP request
                         1  virtual_host  begin with a virtual host's name (cut it off: `cut -d' ' -f2-`)
            See it at /example.com?from=2015-05-17&to=2015-05-20
        "#]]
        .assert_eq(&shown(Outcome::Imported(0xab, entry.clone())));
        expect![[r#"
            This log is already here as 00000000000000ab (1,000 page views): nothing was changed.
            `passerby import remove 00000000000000ab` takes it out again.
        "#]]
        .assert_eq(&shown(Outcome::AlreadyHere(0xab, entry)));
        let nothing = Tally { lines: 3, refused: counts(&[("no_address", 3)]), ..Tally::default() };
        expect![[r#"
            Not one page view in 3 lines: nothing was imported.
            Could not be read:
                         3  no_address    do not begin with an address
        "#]]
        .assert_eq(&shown(Outcome::Nothing(nothing)));
    }
}
