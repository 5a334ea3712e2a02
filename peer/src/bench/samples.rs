//! What the samples of a scenario come to. Percentiles are taken of all samples together; none is ever the average of others.

use hdrhistogram::Histogram;
use serde::Serialize;

/// How exactly values are told apart: to three digits.
const DIGITS: u8 = 3;

/// Times in nanoseconds, as they were taken.
#[derive(Debug, Clone, Default)]
pub struct Samples(pub Vec<u64>);

/// What they come to, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// How many there are.
    pub count: u64,
    /// The least.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: u64,
    /// Half took no longer.
    pub p50_ns: u64,
    /// Nine of ten took no longer.
    pub p90_ns: u64,
    /// All but one in a hundred took no longer.
    pub p99_ns: u64,
    /// All but one in a thousand took no longer.
    pub p999_ns: u64,
    /// The greatest.
    pub max_ns: u64,
}

impl Samples {
    /// Adds further ones.
    pub fn add(&mut self, more: Vec<u64>) {
        self.0.extend(more);
    }

    fn histogram(&self) -> Histogram<u64> {
        let mut histogram = Histogram::new(DIGITS).expect("three digits are allowed");
        // It grows with what it is given, so that everything has its place.
        histogram.auto(true);
        for &ns in &self.0 {
            histogram.record(ns).expect("it grows");
        }
        histogram
    }

    /// What they come to; none where there are none.
    pub fn latency(&self) -> Option<Latency> {
        let histogram = self.histogram();
        let greatest = self.0.iter().copied().max().unwrap_or_default();
        // A bucket may end a little above the greatest in it.
        let at = |quantile| histogram.value_at_quantile(quantile).min(greatest);
        (!histogram.is_empty()).then(|| Latency {
            count: histogram.len(),
            min_ns: self.0.iter().copied().min().unwrap_or_default(),
            mean_ns: histogram.mean() as u64,
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: greatest,
        })
    }

    /// The curve of the percentiles: a part of all samples, and the time in which it was done. Up to the last sample that stands
    /// alone.
    pub fn curve(&self) -> Vec<(f64, u64)> {
        let histogram = self.histogram();
        let (mut curve, mut left) = (Vec::new(), 1.0);
        let least = 1.0 / self.0.len().max(1) as f64;
        while left >= least {
            curve.push((1.0 - left, histogram.value_at_quantile(1.0 - left)));
            left *= STEP;
        }
        curve
    }
}

/// From one point of the curve to the next, what is left of the samples.
const STEP: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_samples() {
        let samples = Samples((1..=1_000).map(|n| n * 1_000).collect());
        let latency = samples.latency().unwrap();
        assert_eq!(
            (latency.count, latency.min_ns, latency.max_ns),
            (1_000, 1_000, 1_000_000)
        );
        let near = |found: u64, wanted: u64| assert!(found.abs_diff(wanted) <= wanted / 500, "{found} {wanted}");
        near(latency.p50_ns, 500_000);
        near(latency.p90_ns, 900_000);
        near(latency.p99_ns, 990_000);
        near(latency.mean_ns, 500_500);
        assert_eq!(Samples::default().latency(), None);
    }

    #[test]
    fn the_curve_rises_and_ends_with_the_last_sample() {
        let curve = Samples((1..=1_000).collect()).curve();
        assert!(curve.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "{curve:?}");
        assert!(curve.last().unwrap().0 > 0.998);
        assert!(Samples::default().curve().len() <= 1);
    }
}
