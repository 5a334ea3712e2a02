//! What a scenario found.

use super::samples::{Latency, Samples};

/// What was found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its name; of a stream with the number of its receivers.
    pub name: String,
    /// How many peers took part.
    pub members: usize,
    /// How many of them sent.
    pub senders: usize,
    /// How many messages each of those sent; or how many entries, or look-ups, there were.
    pub messages: u64,
    /// What a sample is.
    pub sampled: &'static str,
    /// Times, where the scenario is about times.
    pub samples: Samples,
    /// The same on this machine with as little as possible.
    pub floor: Option<Floor>,
    /// Everything else, in the order in which it is shown.
    pub figures: Vec<Figure>,
    /// What the seed of this project published, in milliseconds.
    pub seed_ms: Option<f64>,
}

/// What the machine can do at best.
#[derive(Debug, Clone)]
pub struct Floor {
    /// What it is.
    pub name: &'static str,
    /// Times.
    pub samples: Samples,
}

/// A figure that is no time of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// What it is, as a key.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

impl Outcome {
    /// Nothing yet.
    pub fn new(name: impl Into<String>, members: usize, senders: usize, messages: u64) -> Self {
        Self {
            name: name.into(),
            members,
            senders,
            messages,
            sampled: "",
            samples: Samples::default(),
            floor: None,
            figures: Vec::new(),
            seed_ms: None,
        }
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure { name, value, unit });
    }

    /// A figure by its name.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.figures
            .iter()
            .find(|figure| figure.name == name)
            .map(|figure| figure.value)
    }

    /// The floor's times.
    pub fn floor_latency(&self) -> Option<Latency> {
        self.floor.as_ref()?.samples.latency()
    }

    /// How many times as long as the floor half of the messages take.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.samples.latency()?.p50_ns as f64 / self.floor_latency()?.p50_ns as f64)
    }
}

/// So many a second.
pub fn per_second(count: u64, elapsed_ns: u64) -> f64 {
    count as f64 * 1e9 / elapsed_ns.max(1) as f64
}
