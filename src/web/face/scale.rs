//! Where things lie in a chart: round ticks, and places as per cent of the plot.
//!
//! Everything is a percentage, so that the picture fills any width without a script and nothing is
//! stretched: text, dots and rules stand at percentages, paths live in a box of 1000 by 1000.

use super::words::Unit;

/// A vertical scale from zero: its top, and the ticks above zero, ascending.
#[derive(Clone, PartialEq, Debug)]
pub struct Scale {
    pub top: f64,
    pub ticks: Vec<f64>,
}

const ROUND: [f64; 9] = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];
const SECONDS: [f64; 17] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0,
    7200.0,
];

impl Scale {
    /// Three round steps that hold `max` (four quarters where a percentage is above 75).
    pub fn new(max: f64, unit: Unit) -> Scale {
        let max = if max.is_finite() { max.max(0.0) } else { 0.0 };
        let step = match unit {
            Unit::Percent if max > 75.0 => {
                return Scale { top: 100.0, ticks: vec![25.0, 50.0, 75.0, 100.0] };
            }
            Unit::Percent => [1.0, 2.0, 5.0, 10.0, 20.0, 25.0].into_iter().find(|step| step * 3.0 >= max),
            Unit::Seconds => SECONDS.into_iter().find(|step| step * 3.0 >= max),
            Unit::Count | Unit::Ratio => None,
        };
        let step = step.unwrap_or_else(|| round_step(max / 3.0, unit == Unit::Count));
        Scale { top: step * 3.0, ticks: vec![step, step * 2.0, step * 3.0] }
    }

    /// How far below the top a value lies, per cent.
    pub fn y(&self, value: f64) -> f64 {
        (100.0 - value / self.top * 100.0).clamp(0.0, 100.0)
    }
}

/// The smallest round number of at least `x` (whole ones only, for what is counted).
fn round_step(x: f64, whole: bool) -> f64 {
    let least: f64 = if whole { 1.0 } else { 0.1 };
    let x = x.max(least);
    let power = 10f64.powf(x.log10().floor());
    for scale in [power, power * 10.0] {
        for factor in ROUND {
            let step = factor * scale;
            if step >= x * 0.999_999 && (!whole || step.fract() == 0.0) {
                return step;
            }
        }
    }
    power * 10.0
}

/// Where the i-th of n points lies, per cent from the left; a single one stands in the middle.
pub fn x(i: usize, n: usize) -> f64 {
    if n < 2 { 50.0 } else { i as f64 / (n - 1) as f64 * 100.0 }
}

/// A coordinate with at most two decimals and no trailing zeros: what goes into an attribute.
pub fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_string() } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_the_largest_value() {
        let table = [
            (0.0, Unit::Count, vec![1.0, 2.0, 3.0]),
            (1.0, Unit::Count, vec![1.0, 2.0, 3.0]),
            (4.0, Unit::Count, vec![2.0, 4.0, 6.0]),
            (14.0, Unit::Count, vec![5.0, 10.0, 15.0]),
            (97.0, Unit::Count, vec![40.0, 80.0, 120.0]),
            (5_874.0, Unit::Count, vec![2_000.0, 4_000.0, 6_000.0]),
            (30_001.0, Unit::Count, vec![15_000.0, 30_000.0, 45_000.0]),
            (2.31, Unit::Ratio, vec![0.8, 1.6, 2.4000000000000004]),
            (48.0, Unit::Percent, vec![20.0, 40.0, 60.0]),
            (88.0, Unit::Percent, vec![25.0, 50.0, 75.0, 100.0]),
            (161.0, Unit::Seconds, vec![60.0, 120.0, 180.0]),
            (f64::NAN, Unit::Count, vec![1.0, 2.0, 3.0]),
        ];
        for (max, unit, ticks) in table {
            assert_eq!(Scale::new(max, unit).ticks, ticks, "{max} {unit:?}");
        }
        for n in 0..20_000 {
            let scale = Scale::new(f64::from(n), Unit::Count);
            assert!(
                scale.top >= f64::from(n) && scale.ticks.iter().all(|tick| tick.fract() == 0.0),
                "{n}: {scale:?}"
            );
        }
    }

    #[test]
    fn places_are_per_cent() {
        let scale = Scale::new(6.0, Unit::Count);
        assert_eq!((scale.y(0.0), scale.y(3.0), scale.y(6.0), scale.y(99.0)), (100.0, 50.0, 0.0, 0.0));
        assert_eq!((x(0, 1), x(0, 3), x(1, 3), x(2, 3)), (50.0, 0.0, 50.0, 100.0));
        assert_eq!(
            (short(33.333), short(50.0), short(0.1), short(-0.001)),
            ("33.33".into(), "50".into(), "0.1".into(), "0".into())
        );
    }
}
