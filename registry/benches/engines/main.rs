//! What registries do in a second and what they take, seen from their callers: one registry alone, three that are a cluster, and three that
//! share Redis and PostgreSQL. All are processes of `peerchat-registry`, and callers speak TLS with them over loopback.
//!
//! ```sh
//! cargo bench -p peerchat-registry --bench engines
//! cargo bench -p peerchat-registry --bench engines -- cluster mariadb     # of alone, cluster, postgres, mariadb
//! ```
//!
//! It takes some minutes, and 5,000 open files (`ulimit -n`). What is not installed is left out.
//!
//! Callers and registries share the machine, so on a small one half of what is measured is callers. A log-in is a new connection with its
//! handshake, the call, and the certificate; a join is told to all who are in the room. Memory is what the registries' processes and
//! Redis have taken for each lease with its connection and its stream, scaled to 100,000: a single process of callers could not hold so
//! many connections. The database is not counted. What the tables alone take for 100,000 leases measures `--bench leases`.
//!
//! Without `--bench`, which cargo adds, as in a run of the tests, all of it happens once with numbers that are too small to say anything.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a bench"
)]

mod load;
#[path = "../../tests/servers/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod servers;
mod site;

use load::{Figures, Load};
use servers::Kind;
use site::{Form, Site};

/// What is measured where nothing is named: the other database differs in accounts only.
const USUAL: [&str; 3] = ["alone", "cluster", "postgres"];

/// How much of everything there is.
struct Sizes {
    /// How many users are registered, one after the other.
    registered: &'static [usize],
    /// Look-ups with each of these, one at a time.
    probes: usize,
    /// Devices that log in; also those whose leases are weighed. No more than are registered at `loaded`.
    devices: usize,
    /// With how many registered users all but the look-ups above are measured.
    loaded: usize,
    /// Callers at the same time.
    callers: usize,
    /// Rooms that each of them joins, and look-ups that each of them makes.
    joins: usize,
    finds: usize,
}

const BIG: Sizes = Sizes {
    registered: &[1_000, 10_000, 100_000, 1_000_000],
    probes: 5_000,
    devices: 4_000,
    loaded: 10_000,
    callers: 64,
    joins: 100,
    finds: 500,
};

const SMALL: Sizes = Sizes {
    registered: &[50, 100],
    probes: 20,
    devices: 24,
    loaded: 100,
    callers: 8,
    joins: 4,
    finds: 8,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sizes = if arguments.iter().any(|argument| argument == "--bench") {
        BIG
    } else {
        SMALL
    };
    let mut chosen: Vec<&str> = arguments.iter().map(String::as_str).collect();
    chosen.retain(|argument| !argument.starts_with('-'));
    if chosen.is_empty() {
        chosen = USUAL.to_vec();
    }
    let forms = [
        ("alone", Form::Alone),
        ("cluster", Form::Cluster),
        ("postgres", Form::Shared(Kind::Postgres)),
        ("mariadb", Form::Shared(Kind::MariaDb)),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let load = Load::new(sizes.devices);
    for (name, form) in forms {
        if chosen.contains(&name) {
            runtime.block_on(measure(name, form, &load, &sizes));
        }
    }
}

async fn measure(name: &str, form: Form, load: &Load, sizes: &Sizes) {
    let Some(mut site) = Site::new(form).await else { return };
    for registered in sizes.registered {
        site.fill(*registered, load).await;
        if *registered == sizes.loaded {
            measure_load(name, &mut site, load, sizes).await;
        }
        site.start().await;
        let found = load
            .find_registered(&site.addresses[0], *registered, sizes.probes)
            .await;
        site.stop();
        print(
            &format!("{name}, {registered} registered: look-ups one at a time"),
            &found,
        );
    }
}

async fn measure_load(name: &str, site: &mut Site, load: &Load, sizes: &Sizes) {
    site.start().await;
    let before = site.resident_bytes().await;
    let there = load.stay(&site.addresses, sizes.devices).await;
    let taken = site.resident_bytes().await.saturating_sub(before);
    drop(there);
    site.stop();
    let mib = taken as f64 / sizes.devices as f64 * 100_000.0 / (1 << 20) as f64;
    println!(
        "{name}: {mib:.0} MiB for 100,000 leases with their connections, in all processes together (from {})",
        sizes.devices
    );
    site.start().await;
    let (log_ins, joins, finds) = load.run(&site.addresses, sizes.callers, sizes.joins, sizes.finds).await;
    site.stop();
    for (what, figures) in [("log-ins", log_ins), ("joins", joins), ("look-ups", finds)] {
        print(&format!("{name}, {} callers: {what}", sizes.callers), &figures);
    }
}

fn print(what: &str, figures: &Figures) {
    let Figures { per_second, p50, p99 } = figures;
    println!("{what}: {per_second:.0}/s, p50 {p50:.2?}, p99 {p99:.2?}");
}
