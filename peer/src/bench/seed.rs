//! What the seed of this project published of itself, and what other systems took on another machine.

use crate::cli::bench::Scenario;

/// What the seed's authors published of a scenario, in milliseconds.
pub fn published_ms(scenario: Scenario) -> Option<f64> {
    match scenario {
        Scenario::Pair => Some(4.0),
        Scenario::Mutual => Some(6.0),
        Scenario::Room3 => Some(6.88),
        Scenario::Room3Two => Some(10.0),
        _ => None,
    }
}

/// The same, to be read.
pub fn page() -> String {
    let rows = [
        ("pair", "one to one", "4 ms"),
        ("mutual", "one to one, both at once", "6 ms"),
        ("room3", "a room of 3", "6.88 ms"),
        ("room3-two", "two senders in a room of 3", "about 10 ms"),
    ];
    let mut text = "What the seed of this project published of itself. It is a gRPC peer-to-peer chat in Python: a call for each\n\
                    message and member, over connections without TLS, with the log in memory. The machine is not known.\n\n"
        .to_owned();
    for (name, what, figure) in rows {
        text.push_str(&format!("  {name:<10}  {what:<27}  {figure:>11}\n"));
    }
    text.push_str("\n`peerchat bench` prints them beside what it finds here.\n");
    text
}

/// Another system, with what it took in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Other {
    /// Its name.
    pub name: &'static str,
    /// From one to the other: half a round trip.
    pub pair_us: f64,
    /// In a room of 3, until the sender holds every ack.
    pub room3_us: f64,
    /// In a room of 20.
    pub room20_us: f64,
}

const fn other(name: &'static str, pair_us: f64, room3_us: f64, room20_us: f64) -> Other {
    Other {
        name,
        pair_us,
        room3_us,
        room20_us,
    }
}

/// Measured once, side by side, on another machine of 2 cores. None of them keeps what is said as Peerchat does; most keep nothing.
pub const OTHERS: [Other; 6] = [
    other("ngircd (IRC)", 34.0, 102.0, 505.0),
    other("NATS core", 49.0, 154.0, 629.0),
    other("Redis pub/sub", 55.0, 144.0, 925.0),
    other("Mosquitto (MQTT, QoS 1)", 56.0, 184.0, 1_578.0),
    other("Prosody (XMPP)", 141.0, 703.0, 7_169.0),
    other("the gRPC seed (Python)", 4_040.0, 8_010.0, 54_800.0),
];
