//! Numbers in the words of the page: full digits while they fit, and changes that say whether they are good.

/// A count in full digits up to 999,999; from a million on three or four digits and `M` or `B`.
pub fn count(n: i64) -> String {
    let size = n.unsigned_abs();
    match size {
        0..1_000_000 => full(n),
        1_000_000..1_000_000_000 => format!("{}M", scaled(n, 1e6)),
        _ => format!("{}B", scaled(n, 1e9)),
    }
}

/// A count in all its digits, with commas.
pub fn full(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 2);
    if n < 0 {
        text.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count for an axis: `500`, `1.5k`, `20k`, `3M`.
pub fn short(n: f64) -> String {
    let trim = |x: f64| format!("{x:.2}").trim_end_matches('0').trim_end_matches('.').to_string();
    match n.abs() {
        x if x < 1e3 => trim(n),
        x if x < 1e6 => format!("{}k", trim(n / 1e3)),
        x if x < 1e9 => format!("{}M", trim(n / 1e6)),
        _ => format!("{}B", trim(n / 1e9)),
    }
}

fn scaled(n: i64, unit: f64) -> String {
    let x = n as f64 / unit;
    if x.abs() < 9.995 {
        format!("{x:.2}")
    } else if x.abs() < 99.95 {
        format!("{x:.1}")
    } else {
        full(x.round() as i64)
    }
}

/// A part of a whole, per cent: whole numbers from 10 on, one decimal below, and never a rounded-away zero.
pub fn share(part: i64, whole: i64) -> String {
    if whole <= 0 || part <= 0 {
        return "0%".to_string();
    }
    match part as f64 * 100.0 / whole as f64 {
        x if x < 0.1 => "<0.1%".to_string(),
        x if x < 9.95 => format!("{x:.1}%"),
        x => format!("{x:.0}%"),
    }
}

/// A duration as number and unit pairs, the larger first: `[("2", "m"), ("41", "s")]`.
pub fn duration(seconds: i64) -> Vec<(String, &'static str)> {
    let s = seconds.max(0);
    match s {
        0..60 => vec![(s.to_string(), "s")],
        60..3600 => vec![((s / 60).to_string(), "m"), (format!("{:02}", s % 60), "s")],
        _ => vec![(count(s / 3600), "h"), (format!("{:02}", s % 3600 / 60), "m")],
    }
}

/// A duration for a table: `0:48`, `2:41`, `1:04:10`.
pub fn clock(seconds: i64) -> String {
    let s = seconds.max(0);
    if s < 3600 {
        format!("{}:{:02}", s / 60, s % 60)
    } else {
        format!("{}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60)
    }
}

/// What kind of number a figure is, and so how it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Count,
    /// Two decimals.
    Ratio,
    Percent,
    Seconds,
}

impl Unit {
    /// For sentences, tables and tooltips.
    pub fn text(self, x: f64) -> String {
        match self {
            Unit::Count => count(x.round() as i64),
            Unit::Ratio => format!("{x:.2}"),
            Unit::Percent => format!("{x:.0}%"),
            Unit::Seconds => duration(x.round() as i64)
                .iter()
                .map(|(n, unit)| format!("{n}{unit}"))
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// For an axis.
    pub fn tick(self, x: f64) -> String {
        match self {
            Unit::Count | Unit::Ratio => short(x),
            Unit::Percent => format!("{x:.0}%"),
            Unit::Seconds => {
                let parts = duration(x.round() as i64);
                let zero = |n: &str| n.chars().all(|c| c == '0');
                let keep = parts.iter().enumerate().filter(|(i, (n, _))| *i == 0 || !zero(n));
                keep.map(|(_, (n, unit))| format!("{n}{unit}")).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// How a number moved against an earlier one.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// Nothing to compare with: nothing is shown.
    Unknown,
    /// There was nothing before, though others were counted then.
    New,
    /// Less than half a per cent either way.
    Same,
    Up(String),
    Down(String),
}

/// The change from `before` to `now`; more than tenfold reads `19×`.
pub fn change(now: f64, before: f64) -> Change {
    if before <= 0.0 {
        return if now > 0.0 { Change::New } else { Change::Same };
    }
    let ratio = now / before;
    let percent = ((ratio - 1.0) * 100.0).round();
    if ratio > 10.0 {
        Change::Up(format!("{}×", full(ratio.round() as i64)))
    } else if percent == 0.0 {
        Change::Same
    } else if percent > 0.0 {
        Change::Up(format!("{percent:.0}%"))
    } else {
        Change::Down(format!("{:.0}%", -percent))
    }
}

/// One thing or several, with the number: `1 page`, `2,014 pages`.
pub fn many(n: i64, one: &str, more: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_their_digits_while_they_fit() {
        let table = [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1_000, "1,000"),
            (51_643, "51,643"),
            (999_999, "999,999"),
            (1_000_000, "1.00M"),
            (9_994_999, "9.99M"),
            (9_996_000, "10.0M"),
            (201_900_000, "202M"),
            (1_120_000_000, "1.12B"),
            (-1_234, "-1,234"),
            (i64::MIN, "-9,223,372,037B"),
        ];
        for (n, text) in table {
            assert_eq!(count(n), text);
        }
        assert_eq!(full(128_402_117), "128,402,117");
    }

    #[test]
    fn axes_are_short() {
        let table = [
            (0.0, "0"),
            (0.5, "0.5"),
            (500.0, "500"),
            (1_500.0, "1.5k"),
            (20_000.0, "20k"),
            (2.5e6, "2.5M"),
            (3e9, "3B"),
        ];
        for (n, text) in table {
            assert_eq!(short(n), text);
        }
        assert_eq!(Unit::Seconds.tick(120.0), "2m");
        assert_eq!(Unit::Seconds.tick(90.0), "1m 30s");
        assert_eq!(Unit::Seconds.tick(45.0), "45s");
        assert_eq!(Unit::Percent.tick(50.0), "50%");
    }

    #[test]
    fn shares_never_round_to_nothing() {
        let table = [
            (0, 10, "0%"),
            (1, 0, "0%"),
            (1, 2_000, "<0.1%"),
            (1, 500, "0.2%"),
            (99, 1000, "9.9%"),
            (997, 10_000, "10%"),
            (1, 1, "100%"),
        ];
        for (part, whole, text) in table {
            assert_eq!(share(part, whole), text, "{part} of {whole}");
        }
    }

    #[test]
    fn durations() {
        for (s, text, table) in [
            (0, "0s", "0:00"),
            (48, "48s", "0:48"),
            (161, "2m 41s", "2:41"),
            (3840, "1h 04m", "1:04:00"),
            (-5, "0s", "0:00"),
        ] {
            assert_eq!(Unit::Seconds.text(s as f64), text);
            assert_eq!(clock(s), table);
        }
    }

    #[test]
    fn changes() {
        let up = |s: &str| Change::Up(s.to_string());
        let down = |s: &str| Change::Down(s.to_string());
        let table = [
            (0.0, 0.0, Change::Same),
            (5.0, 0.0, Change::New),
            (135.0, 100.0, up("35%")),
            (100.4, 100.0, Change::Same),
            (1000.0, 100.0, up("900%")),
            (1900.0, 100.0, up("19×")),
            (99.0, 100.0, down("1%")),
            (0.0, 100.0, down("100%")),
        ];
        for (now, before, expected) in table {
            assert_eq!(change(now, before), expected, "{before} to {now}");
        }
    }
}
