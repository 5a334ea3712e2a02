//! What a command line of the bench means.

use serde::Serialize;

use super::{BenchError, scenario};
use crate::{
    cli::{
        self,
        bench::{Ack, Format, Scenario},
    },
    node::limits::{FLOOD_BURST_BYTES, FLOOD_ENTRY_BYTES},
};

/// What is measured where nothing is named.
const DEFAULT: [Scenario; 11] = [
    Scenario::Pair,
    Scenario::Mutual,
    Scenario::Room3,
    Scenario::Room3Two,
    Scenario::Room20,
    Scenario::Stream,
    Scenario::Join,
    Scenario::Find,
    Scenario::Login,
    Scenario::Idle,
    Scenario::Open,
];

/// What an entry has beside its text, in bytes, at most: author, hash of the one before, times. And how many those of the bench have.
const ENTRY_BYTES: u64 = 150;
const ROOM_ENTRY_BYTES: usize = 125;
/// How large a room is where nobody says so.
const ROOM_MEMBERS: usize = 5;
/// A peer, and as many others as an idle one has links.
const IDLE_MEMBERS: usize = 21;
/// The receivers of a stream, one after the other.
const STREAM_RECEIVERS: [usize; 3] = [1, 2, 19];

/// What is measured, and how.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// What, in this order.
    #[serde(skip)]
    pub scenarios: Vec<Scenario>,
    #[serde(skip)]
    messages: Option<u64>,
    members: Option<usize>,
    /// The length of each text in bytes.
    pub payload: usize,
    /// A message is at its end when all have synced it.
    pub durable: bool,
    /// How long idle peers are watched.
    pub seconds: u64,
    /// How the result is printed.
    #[serde(skip)]
    pub format: Format,
}

impl Settings {
    /// # Errors
    /// Two flags do not go together.
    pub fn new(typed: &cli::bench::Bench) -> Result<Self, BenchError> {
        let mut scenarios = typed.scenario.clone();
        if scenarios.is_empty() {
            scenarios = DEFAULT.to_vec();
        }
        let sized = |scenario: &Scenario| {
            use Scenario::{Idle, Room, Room3, Room3Two, Room20, Stream};
            matches!(scenario, Room | Room3 | Room3Two | Room20 | Stream | Idle)
        };
        if typed.members.is_some() && !typed.scenario.iter().any(sized) {
            return Err(BenchError::Usage(
                "--members is for scenarios with a room: say which with --scenario room, room3, room3-two, room20, stream \
                 or idle"
                    .to_owned(),
            ));
        }
        if typed.format == Format::Samples {
            match scenarios[..] {
                [Scenario::Idle] => {
                    return Err(BenchError::Usage("idle has no samples; use --format json".to_owned()));
                }
                [_] => {}
                _ => {
                    return Err(BenchError::Usage(
                        "--format samples prints one scenario; say which with --scenario NAME".to_owned(),
                    ));
                }
            }
        }
        let settings = Self {
            scenarios,
            messages: typed.messages,
            members: typed.members.map(as_size),
            payload: as_size(typed.payload),
            durable: typed.ack == Ack::Durable,
            seconds: typed.seconds,
            format: typed.format,
        };
        settings.fits()?;
        Ok(settings)
    }

    /// A peer takes so much of one device and no more for a while; it would be that limit that is measured.
    fn fits(&self) -> Result<(), BenchError> {
        for &scenario in &self.scenarios {
            // A stream is sent twice, and once more for the floor of durable acks. Whoever is idle sends nothing, and look-ups and log-ins are no entries.
            let times = match scenario {
                Scenario::Idle | Scenario::Find | Scenario::Login => continue,
                Scenario::Stream => 2 + u64::from(self.durable),
                _ => 1,
            };
            let most = FLOOD_BURST_BYTES / (times * (self.payload as u64 + ENTRY_BYTES + FLOOD_ENTRY_BYTES));
            if self.messages(scenario) > most {
                return Err(BenchError::Usage(format!(
                    "{}: {} messages of {} bytes are more than a peer takes of another at once; --messages may be {most} at most with \
                     --payload {}",
                    scenario::name(scenario),
                    self.messages(scenario),
                    self.payload,
                    self.payload
                )));
            }
        }
        Ok(())
    }

    /// How many bytes an entry of a room has.
    pub fn entry_bytes(&self) -> usize {
        self.payload + ROOM_ENTRY_BYTES
    }

    /// How many messages each sender sends; or how many entries, or look-ups, there are.
    pub fn messages(&self, scenario: Scenario) -> u64 {
        self.messages.unwrap_or(match scenario {
            Scenario::Stream | Scenario::Join => 100_000,
            Scenario::Find => 50_000,
            Scenario::Open => 1_000_000,
            _ => 1_000,
        })
    }

    /// How many messages are streamed to so many receivers: fewer to many, so that it takes no longer.
    pub fn streamed(&self, receivers: usize) -> u64 {
        let fewer = if receivers > 4 { 5 } else { 1 };
        self.messages.unwrap_or(self.messages(Scenario::Stream) / fewer)
    }

    /// How many members a scenario has.
    pub fn members(&self, scenario: Scenario) -> usize {
        match scenario {
            Scenario::Pair | Scenario::Mutual | Scenario::Join => 2,
            Scenario::Find | Scenario::Login | Scenario::Open => 1,
            Scenario::Room3 | Scenario::Room3Two => self.members.unwrap_or(3),
            Scenario::Room20 => self.members.unwrap_or(20),
            Scenario::Room | Scenario::Stream => self.members.unwrap_or(ROOM_MEMBERS),
            Scenario::Idle => self.members.unwrap_or(IDLE_MEMBERS),
        }
    }

    /// To how many receivers a stream goes, one after the other.
    pub fn receivers(&self) -> Vec<usize> {
        match self.members {
            Some(members) => vec![members - 1],
            None => STREAM_RECEIVERS.to_vec(),
        }
    }
}

/// Numbers from the command line, which has limits far below this.
fn as_size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        net::convert::encoder,
        node::types::{Author, Body, Conversation, DeviceId, Draft, EntryId, Lamport, RoomName, Seq, WallTime},
        seal::TagKey,
    };

    fn settings(args: &[&str]) -> Result<Settings, BenchError> {
        let typed = cli::Cli::try_parse_from([&["peerchat", "bench"], args].concat()).unwrap();
        let cli::Command::Bench(typed) = typed.command else {
            panic!("{typed:?}")
        };
        Settings::new(&typed)
    }

    #[test]
    fn defaults_are_those_of_each_scenario() {
        let found = settings(&[]).unwrap();
        assert_eq!(found.scenarios, DEFAULT);
        assert_eq!(found.members(Scenario::Room20), 20);
        assert_eq!(found.messages(Scenario::Pair), 1_000);
        assert_eq!(found.receivers(), STREAM_RECEIVERS);
        let small = settings(&["--scenario", "stream", "--members", "4", "--messages", "7"]).unwrap();
        assert_eq!((small.receivers(), small.streamed(19)), (vec![3], 7));
    }

    #[test]
    fn entries_are_as_long_as_they_are_meant_to_be() {
        let entry = Draft {
            conversation: Conversation::Room(RoomName::new(super::super::site::ROOM).unwrap()),
            author: Author {
                device: DeviceId([1; 32]),
                incarnation: 1,
            },
            seq: Seq(1_000),
            user: None,
            previous: EntryId([1; 32]),
            seen: Vec::new(),
            lamport: Lamport(1_000),
            sent_at: WallTime(1_700_000_000_000),
            body: Body::Text(super::super::wire::text(1, 100)),
        };
        let entry = (encoder(TagKey::of_device(|_| [1; 64])).0)(entry);
        let expected = settings(&["--payload", "100"]).unwrap().entry_bytes();
        assert!(
            entry.bytes.len().abs_diff(expected) < 5,
            "{} {expected}",
            entry.bytes.len()
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for args in [
            &["--members", "3"][..],
            &["--scenario", "pair", "--members", "3"],
            &["--format", "samples"],
            &["--format", "samples", "--scenario", "pair", "--scenario", "room3"],
            &["--format", "samples", "--scenario", "idle"],
            &["--scenario", "stream", "--messages", "4000000"],
            &["--scenario", "open", "--payload", "65536"],
        ] {
            let error = settings(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
        }
    }
}
