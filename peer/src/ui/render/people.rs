//! What is told about people: new devices, and what to compare.

use chrono::TimeZone;

use super::{
    Renderer, counted,
    table::{short, table},
};
use crate::{
    node::{
        people::{
            Comparison, News,
            compare::{Compared, Words},
        },
        types::{DeviceId, UserName},
    },
    ui::{time, width},
};

/// How many words stand in a row.
const WORDS_IN_ROW: usize = 4;

impl<Z: TimeZone> Renderer<Z> {
    /// Something about somebody.
    pub fn people(&self, news: &News) -> String {
        match news {
            News::NewDevice {
                user, device, trusted, ..
            } => self.new_device(user, device, *trusted),
            News::Compared(comparison, words) => self.comparison(comparison, words),
            News::Trusted(user, devices) => self.trusted(user, devices),
            News::Forgot { user, device, known } => {
                let (name, known) = (self.name(user), counted(*known as u64, "device"));
                let device = short(device);
                self.quiet(&[&format!("· {device} is not {name}'s any longer; {known} of his count")])
            }
        }
    }

    fn new_device(&self, user: &UserName, device: &DeviceId, trusted: bool) -> String {
        let (name, device) = (self.name(user), short(device));
        let me = *user == self.me;
        let (head, text) = match (me, trusted) {
            (true, _) => (
                "you are logged in on another device".to_owned(),
                format!("({device}): if that is not you, somebody speaks in your name — /verify {name} compares"),
            ),
            (false, true) => (
                format!("{name}, whom you trust, is here with a device that you have not compared"),
                format!(
                    "({device}): it may be somebody else — tell nothing that is for {name} only before /verify {name} was right"
                ),
            ),
            (false, false) => (
                format!("{name} is here with a new device"),
                format!("({device}) — /verify {name} compares"),
            ),
        };
        let bell = if self.bell { "\u{7}" } else { "" };
        let sign = format!("{bell}{}", self.paint.error("!"));
        let lines = self.hanging(&sign, "! ", &format!("{head} {text}"));
        // What is marked must stand on one line.
        lines.replacen(&head, &self.paint.marked(&head), 1)
    }

    fn comparison(&self, comparison: &Comparison, words: &Words) -> String {
        let Comparison { user, devices, trusted } = comparison;
        let (me, name) = (self.name(&self.me), self.name(user));
        let mut out = self.rule(&format!("compare with {name}"));
        let widest = words.iter().map(|word| word.len()).max().unwrap_or(0);
        for row in words.chunks(WORDS_IN_ROW) {
            let row: Vec<String> = row.iter().map(|word| width::padded(word, widest)).collect();
            out += &format!("  {}\n", self.paint.bold(row.join("  ").trim_end()));
        }
        out += &table(devices.iter().map(|known| {
            let name = self.name(&known.user);
            let painted = self.paint.user(&known.user, known.user == self.me, &name);
            [
                (name, Some(painted)),
                (short(&known.device), None),
                (self.standing(known), None),
            ]
        }));
        let same = if *user == self.me {
            format!("/verify {me} must show the same words on your other device")
        } else {
            format!("/verify {me} must show {name} the same words: compare them by voice, and not by a message")
        };
        let then = if *trusted {
            format!("You have trusted {name} with these devices")
        } else {
            format!("Then /trust {name}")
        };
        let differ = format!(
            "Where they differ, compare the devices: both sides must have met the same ones. /untrust {name} DEVICE forgets one that is gone"
        );
        out += &self.quiet(&[&format!("{same}. {then}."), &format!("{differ}.")]);
        let heard = devices.iter().filter(|known| !known.counts).count();
        if heard > 0 {
            let heard = counted(heard as u64, "device");
            out += &self.quiet(&[&format!(
                "{heard} you have only heard of, and not met: who has met more than you knows more and gets other words."
            )]);
        }
        out
    }

    fn standing(&self, known: &Compared) -> String {
        match known.first_met {
            Some(met) => {
                let met = time::local(met, &self.zone).naive_local();
                let met = met.format("first met %Y-%m-%d %H:%M");
                let trusted = if known.trusted { "  ✓ trusted" } else { "" };
                format!("{met}{trusted}")
            }
            None if known.counts => "this device".to_owned(),
            None => "never met; wrote what you hold".to_owned(),
        }
    }

    fn trusted(&self, user: &UserName, devices: &[DeviceId]) -> String {
        let name = self.name(user);
        self.quiet(&[&match devices.len() {
            0 => format!("· {name} is not trusted"),
            count => format!(
                "✓ {name} is trusted with {} that you have met",
                counted(count as u64, "device")
            ),
        }])
    }
}
