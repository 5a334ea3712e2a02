//! Pictures for the page, drawn as SVG. Colours are classes, so that the page's style decides them for light and for dark.

use std::fmt::Write as _;

use super::units::time;
use crate::bench::samples::Samples;

/// The inside of a curve's picture.
const CURVE: Area = Area {
    left: 58.0,
    top: 12.0,
    width: 380.0,
    height: 190.0,
};
/// Ticks of the axis of percentiles.
const PERCENTILES: [(f64, &str); 5] = [
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
];
/// A bar: its height with the space below, and where it begins.
const ROW: f64 = 26.0;
const BARS_LEFT: f64 = 210.0;
const BARS_WIDTH: f64 = 430.0;

struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// A logarithmic axis for times.
struct Axis {
    least: f64,
    greatest: f64,
}

impl Axis {
    /// One on which all of these have their place.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min).max(1.0);
        let greatest = values.fold(0.0, f64::max).max(least);
        Self {
            least: step_below(least),
            greatest: step_above(greatest.max(least * 1.01)),
        }
    }

    /// Where a value is, from 0 to 1.
    fn at(&self, value: f64) -> f64 {
        let span = (self.greatest / self.least).ln();
        ((value.max(self.least) / self.least).ln() / span).clamp(0.0, 1.0)
    }

    /// 1, 2, 5, 10 … as far as there is room for them; only powers of ten on a long axis.
    fn ticks(&self) -> Vec<f64> {
        let is_long = self.greatest / self.least > 300.0;
        let steps: &[f64] = if is_long { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let mut ticks = Vec::new();
        let mut power = 1.0;
        while power <= self.greatest {
            ticks.extend(steps.iter().map(|step| step * power));
            power *= 10.0;
        }
        ticks.retain(|tick| (self.least * 0.999..=self.greatest * 1.001).contains(tick));
        ticks
    }
}

/// The next of 1, 2, 5, 10 … that is not above a value.
fn step_below(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|step| step * power);
    steps.into_iter().find(|step| *step <= value).unwrap_or(power)
}

/// The next of them that is not below it.
fn step_above(value: f64) -> f64 {
    let below = step_below(value);
    if below >= value {
        return below;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= value).unwrap_or(10.0 * power)
}

/// The percentile curves of some samples, with their classes.
pub fn curves(curves: &[(&str, &str, &Samples)]) -> String {
    let points: Vec<_> = curves
        .iter()
        .map(|(class, name, samples)| (*class, *name, samples.curve()))
        .collect();
    let all = points.iter().flat_map(|(_, _, points)| points);
    let axis = Axis::of(all.clone().map(|(_, ns)| *ns as f64));
    // The last sample of the longest curve is at the right edge.
    let far = all.map(|(part, _)| far(*part)).fold(1.0, f64::max);
    let x = |part: f64| CURVE.left + CURVE.width * far_of(part, far);
    let y = |ns: f64| CURVE.top + CURVE.height * (1.0 - axis.at(ns));
    let (right, bottom) = (CURVE.left + CURVE.width, CURVE.top + CURVE.height);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"Latency by percentile\">",
        right + 16.0,
        bottom + 42.0
    );
    for tick in axis.ticks() {
        let (y, label) = (y(tick), time(tick).replace(".00", "").replace(".0", ""));
        line(&mut svg, "grid", (CURVE.left, y), (right, y));
        text(&mut svg, ("end", CURVE.left - 8.0, y + 4.0), &label);
    }
    for (part, label) in PERCENTILES.into_iter().filter(|(part, _)| far_of(*part, far) <= 1.0) {
        line(&mut svg, "grid", (x(part), CURVE.top), (x(part), bottom));
        text(&mut svg, ("middle", x(part), bottom + 18.0), label);
    }
    text(
        &mut svg,
        ("middle", CURVE.left + CURVE.width / 2.0, bottom + 36.0),
        "part of all messages (logarithmic)",
    );
    for (class, name, points) in &points {
        let mut path = String::new();
        for (number, (part, ns)) in points.iter().enumerate() {
            let command = if number == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", x(*part), y(*ns as f64));
        }
        let _ = write!(
            svg,
            "<path class=\"curve {class}\" d=\"{path}\"><title>{name}</title></path>"
        );
        for (part, ns) in points {
            let told = format!("{name}: {:.2} % within {}", part * 100.0, time(*ns as f64));
            let (x, y) = (x(*part), y(*ns as f64));
            let _ = write!(
                svg,
                "<circle class=\"hit {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{told}</title></circle>"
            );
        }
    }
    svg + "</svg>"
}

/// How far to the right a part of all samples is: 90 % at 1, 99 % at 2.
fn far(part: f64) -> f64 {
    -(1.0 - part).max(1e-9).log10()
}

fn far_of(part: f64, furthest: f64) -> f64 {
    far(part) / furthest
}

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Its class.
    pub class: &'static str,
    /// What it stands for.
    pub name: String,
    /// How long, in nanoseconds.
    pub ns: f64,
}

/// Bars on one logarithmic axis, the shortest on top.
pub fn bars(mut bars: Vec<Bar>) -> String {
    bars.sort_by(|a, b| a.ns.total_cmp(&b.ns));
    let axis = Axis::of(bars.iter().flat_map(|bar| [bar.ns, bar.ns * 0.5]));
    let bottom = ROW * bars.len() as f64 + 6.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"Comparison\">",
        BARS_LEFT + BARS_WIDTH + 80.0,
        bottom + 26.0
    );
    for tick in axis.ticks() {
        let x = BARS_LEFT + BARS_WIDTH * axis.at(tick);
        line(&mut svg, "grid", (x, 0.0), (x, bottom));
        text(
            &mut svg,
            ("middle", x, bottom + 18.0),
            &time(tick).replace(".00", "").replace(".0", ""),
        );
    }
    for (number, bar) in bars.iter().enumerate() {
        let (y, width) = (ROW * number as f64 + 4.0, BARS_WIDTH * axis.at(bar.ns));
        let (class, name, value) = (bar.class, &bar.name, time(bar.ns));
        let _ = write!(
            svg,
            "<rect class=\"bar {class}\" x=\"{BARS_LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"3\">\
             <title>{name}: {value}</title></rect>",
            ROW - 8.0
        );
        text(&mut svg, ("end", BARS_LEFT - 10.0, y + 13.5), name);
        text(&mut svg, ("start", BARS_LEFT + width + 8.0, y + 13.5), &value);
    }
    svg + "</svg>"
}

fn line(svg: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    // Writing into a string does not fail, here and above.
    let _ = write!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn text(svg: &mut String, (anchor, x, y): (&str, f64, f64), text: &str) {
    let _ = write!(
        svg,
        "<text text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_place_on_an_axis() {
        let axis = Axis::of([34_000.0, 505_000.0].into_iter());
        assert!((axis.least - 20_000.0).abs() < 1.0 && (axis.greatest - 1_000_000.0).abs() < 1.0);
        assert!(axis.at(34_000.0) > 0.0 && axis.at(505_000.0) < 1.0);
        let ticks: Vec<i64> = axis.ticks().into_iter().map(|tick| tick.round() as i64).collect();
        assert_eq!(ticks, [20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000]);
        let same = Axis::of([1_000.0].into_iter());
        assert!(same.greatest > same.least);
    }

    #[test]
    fn a_picture_has_no_number_that_is_none() {
        for samples in [Samples(vec![0]), Samples(vec![5; 20]), Samples((1..1_000).collect())] {
            let svg = curves(&[("own", "x", &samples)]);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        let svg = bars(vec![Bar {
            class: "own",
            name: "x".into(),
            ns: 0.0,
        }]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
