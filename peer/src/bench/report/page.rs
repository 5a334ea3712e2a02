//! The page: everything is in it, and it asks for nothing from elsewhere.

use std::fmt::Write as _;

use super::{
    picture::{Bar, bars, curves},
    units::{amount, ratio, time},
};
use crate::bench::{Findings, outcome::Outcome, seed};

const STYLE: &str = include_str!("page.css");
/// With fewer samples a curve says nothing.
const CURVE_SAMPLES_MIN: usize = 10;

/// The whole page.
pub fn render(found: &Findings) -> String {
    let (machine, settings) = (&found.machine, &found.settings);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Peerchat, measured</title><style>\n{STYLE}</style></head><body><main>\n\
         <h1>Peerchat, measured</h1>\n<p>Version {} on {} cores, {}, {}. Texts of {} bytes, acked as {}. Every peer is a process with its \
         log on disk, every connection has TLS with certificates at both ends. After each scenario all logs were complete and equal.</p>\n",
        env!("CARGO_PKG_VERSION"),
        machine.cores,
        escaped(if machine.cpu.is_empty() {
            "unknown processor"
        } else {
            &machine.cpu
        }),
        escaped(&machine.system),
        settings.payload,
        if settings.durable {
            "synced to disk"
        } else {
            "stored in the log"
        },
    );
    if !machine.optimised {
        page.push_str("<p><b>This is a debug build: its figures say nothing.</b></p>\n");
    }
    tiles(&mut page, &found.outcomes);
    distributions(&mut page, &found.outcomes);
    comparisons(&mut page, &found.outcomes);
    tables(&mut page, &found.outcomes);
    page.push_str("</main></body></html>\n");
    page
}

/// Writing into a string does not fail.
macro_rules! put {
    ($page:expr, $($what:tt)*) => { let _ = write!($page, $($what)*); };
}

/// What most people want to know.
fn tiles(page: &mut String, outcomes: &[Outcome]) {
    page.push_str("<div class=\"tiles\">\n");
    for outcome in outcomes {
        let rate = outcome.figures.iter().find(|figure| figure.unit == "/s");
        let (value, what) = match (outcome.samples.latency(), rate) {
            (_, Some(rate)) => (
                amount(rate.value, rate.unit),
                format!("{}: {}", outcome.name, words(rate.name)),
            ),
            (Some(latency), _) if outcome.name == "open" => (
                time(latency.p50_ns as f64),
                format!("open: start with {} entries", amount(outcome.messages as f64, "")),
            ),
            (Some(latency), _) => (
                time(latency.p50_ns as f64),
                format!("{}: until all have it (p50)", outcome.name),
            ),
            (None, _) => match outcome.figures.first() {
                Some(figure) => (
                    amount(figure.value, figure.unit),
                    format!("{}: {}", outcome.name, words(figure.name)),
                ),
                None => continue,
            },
        };
        let seed = match (outcome.seed_ms, outcome.samples.latency()) {
            (Some(ms), Some(latency)) => {
                let times = ms * 1e6 / latency.p50_ns.max(1) as f64;
                format!(
                    "<br><span class=\"good\">{times:.0} × faster than the seed's {}</span>",
                    time(ms * 1e6)
                )
            }
            _ => String::new(),
        };
        put!(
            page,
            "<div class=\"tile\"><b>{value}</b><span>{what}</span>{seed}</div>\n"
        );
    }
    page.push_str("</div>\n");
}

fn distributions(page: &mut String, outcomes: &[Outcome]) {
    let shown: Vec<_> = outcomes
        .iter()
        .filter(|one| one.samples.0.len() >= CURVE_SAMPLES_MIN)
        .collect();
    if shown.is_empty() {
        return;
    }
    page.push_str(
        "<h2>How long it takes</h2>\n<p>For each part of all messages, the time within which it was done; to the right are the slowest ones. \
         <span class=\"key\"></span>Peerchat <span class=\"key floor\"></span>this machine's floor: bare gRPC over mutual TLS between as \
         many processes, which keeps nothing</p>\n<div class=\"cards\">\n",
    );
    for outcome in shown {
        let mut shown = vec![("own", "Peerchat", &outcome.samples)];
        shown.extend(
            outcome
                .floor
                .as_ref()
                .map(|floor| ("floor", floor.name, &floor.samples)),
        );
        put!(
            page,
            "<div class=\"card\"><h3>{}</h3><span>{}, {} peers</span>{}</div>\n",
            outcome.name,
            outcome.sampled,
            outcome.members,
            curves(&shown)
        );
    }
    page.push_str("</div>\n");
}

/// Which scenario stands beside which of the other systems' figures.
const COMPARED: [(&str, &str); 3] = [
    ("pair", "One to one, half a round trip"),
    ("room3", "A room of 3, until the sender holds every ack"),
    ("room20", "A room of 20, until the sender holds every ack"),
];

fn comparisons(page: &mut String, outcomes: &[Outcome]) {
    let shown = COMPARED.iter().filter_map(|(name, title)| {
        let outcome = outcomes.iter().find(|outcome| outcome.name == *name)?;
        Some((outcome, *title))
    });
    let cards: String = shown.map(|(outcome, title)| comparison(outcome, title)).collect();
    if cards.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Beside others</h2>\n<p>Half of all messages took no longer (p50). Peerchat and its floor were measured now, on this machine. The \
         grey bars were measured once, side by side, on another machine of 2 cores, so they show the order of size and not the exact \
         distance. One to one is half a round trip. Most of these systems store nothing and seal nothing. The axes are \
         logarithmic.</p>\n<div class=\"cards wide\">\n",
    );
    page.push_str(&cards);
    page.push_str("</div>\n");
}

fn comparison(outcome: &Outcome, title: &str) -> String {
    let part = if outcome.name == "pair" { 0.5 } else { 1.0 };
    let mut all: Vec<Bar> = seed::OTHERS
        .iter()
        .map(|other| {
            let us = match outcome.name.as_str() {
                "pair" => other.pair_us,
                "room3" => other.room3_us,
                _ => other.room20_us,
            };
            Bar {
                class: "other",
                name: other.name.to_owned(),
                ns: us * 1e3,
            }
        })
        .collect();
    let own = [
        ("own", "Peerchat, here", outcome.samples.latency()),
        ("floor", "bare gRPC, here", outcome.floor_latency()),
    ];
    all.extend(own.into_iter().filter_map(|(class, name, latency)| {
        Some(Bar {
            class,
            name: name.to_owned(),
            ns: latency?.p50_ns as f64 * part,
        })
    }));
    let size = match outcome.name.as_str() {
        "pair" => String::new(),
        _ => format!("<span>measured here with {} members</span>", outcome.members),
    };
    format!("<div class=\"card\"><h3>{title}</h3>{size}{}</div>\n", bars(all))
}

fn tables(page: &mut String, outcomes: &[Outcome]) {
    page.push_str(
        "<h2>All figures</h2>\n<div class=\"card scroll\"><table><tr><th>scenario</th><th>samples</th><th>mean</th><th>p50</th><th>p90</th>\
         <th>p99</th><th>p99.9</th><th>max</th><th>floor p50</th><th>ratio</th><th>seed</th></tr>\n",
    );
    let absent = || "–".to_owned();
    for outcome in outcomes {
        let Some(latency) = outcome.samples.latency() else {
            continue;
        };
        put!(page, "<tr><td>{}</td><td>{}</td>", outcome.name, latency.count);
        let mean = [latency.mean_ns, latency.p50_ns, latency.p90_ns];
        for ns in mean
            .into_iter()
            .chain([latency.p99_ns, latency.p999_ns, latency.max_ns])
        {
            put!(page, "<td>{}</td>", time(ns as f64));
        }
        let floor = outcome
            .floor_latency()
            .map_or_else(absent, |floor| time(floor.p50_ns as f64));
        let seed = outcome.seed_ms.map_or_else(absent, |ms| time(ms * 1e6));
        let ratio = outcome.ratio().map_or_else(absent, ratio);
        put!(page, "<td>{floor}</td><td>{ratio}</td><td>{seed}</td></tr>\n");
    }
    page.push_str("</table></div>\n<div class=\"cards\">\n");
    for outcome in outcomes.iter().filter(|outcome| !outcome.figures.is_empty()) {
        put!(page, "<div class=\"card\"><h3>{}</h3><table>\n", outcome.name);
        for figure in &outcome.figures {
            let value = amount(figure.value, figure.unit);
            put!(
                page,
                "<tr><td class=\"what\">{}</td><td>{value}</td></tr>\n",
                words(figure.name)
            );
        }
        page.push_str("</table></div>\n");
    }
    page.push_str(
        "</div>\n<p>ratio: p50 to that of the floor, measured by turns. seed: what the gRPC seed of this project, a chat in Python, \
         published of itself (<code>peerchat bench --seed-figures</code>).</p>\n",
    );
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A text that means nothing to a browser.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{super::testing::findings, *};

    #[test]
    fn what_the_machine_says_of_itself_is_only_shown() {
        let page = render(&findings(&[]));
        assert!(page.contains("&lt;Some &amp; CPU&gt;") && !page.contains("<Some"));
    }

    #[test]
    fn the_page_is_whole_whatever_was_measured() {
        let mut found = findings(&[]);
        for left in (0..=2).rev() {
            let page = render(&found);
            assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
            for tag in ["div", "table", "svg", "p", "main"] {
                let open = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
                assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag} of {left}");
            }
            found.outcomes.pop();
        }
    }
}
