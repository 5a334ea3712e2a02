//! The command line of `peerchat bench`, and of the processes that it starts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, value_parser};

/// The most messages of a scenario: more than a peer takes of one device at once.
const MESSAGES_MAX: u64 = 4_000_000;
/// The longest text of a message.
const PAYLOAD_MAX: u64 = crate::node::limits::TEXT_BYTES_MAX as u64;
/// The most members of a room: each is a process of its own.
const MEMBERS_MAX: u64 = 100;
/// The longest time that idle peers are watched.
const SECONDS_MAX: u64 = 3_600;

pub(super) const HELP: &str = "Examples:
  peerchat bench                                      all scenarios, a minute or two
  peerchat bench --scenario pair --scenario room3     two of them
  peerchat bench --report bench.html                  … with a page of pictures
  peerchat bench --scenario room --members 10 --format samples > ns.txt
  peerchat bench --scenario stream --messages 500000 --format json | jq .scenarios

Every scenario starts real peers, each a process with its log, and a registry, in a temporary folder (TMPDIR says where).
Nothing is switched off. Everything is stopped and removed at the end, also after Ctrl-C.

Scenarios:
  pair        one to one, one message at a time, from the send to the ack
  mutual      the same from both sides at once
  room3       a room of 3, from the send to the last member's ack
  room3-two   the same with two senders at once
  room20      a room of 20
  room        a room of --members
  stream      one sender as fast as it goes, to 1, 2 and 19 receivers
  join        a newcomer pulls a history of --messages entries
  find        look-ups at the registry
  login       log-ins at the registry, of new users and of known ones
  idle        what an idle peer with 20 links takes
  open        a start with a log of --messages entries

With --format samples: one integer per line, nanoseconds; of stream a line `ENTRIES_PER_SECOND LOST`.";

/// `peerchat bench`
#[derive(Debug, Args)]
pub struct Bench {
    /// What to measure, as often as wanted [default: all but room]
    #[arg(long, value_name = "NAME", value_enum, hide_possible_values = true)]
    pub scenario: Vec<Scenario>,
    /// How many messages each sender sends, or entries or look-ups there are [default: as the scenario needs]
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=MESSAGES_MAX))]
    pub messages: Option<u64>,
    /// The length of each text in bytes
    #[arg(long, value_name = "BYTES", default_value = "100", value_parser = value_parser!(u64).range(1..=PAYLOAD_MAX))]
    pub payload: u64,
    /// Members of a room, the senders among them
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(2..=MEMBERS_MAX))]
    pub members: Option<u64>,
    /// Which ack ends a message: in the log of every member, or synced to disk there
    #[arg(long, value_enum, default_value = "stored")]
    pub ack: Ack,
    /// How long idle peers are watched
    #[arg(long, value_name = "N", default_value = "15", value_parser = value_parser!(u64).range(1..=SECONDS_MAX))]
    pub seconds: u64,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
    /// Write a page with pictures too
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Print the figures that the seed of this project published, and where they come from; measure nothing
    #[arg(long)]
    pub seed_figures: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// One to one.
    Pair,
    /// One to one, both at once.
    Mutual,
    /// A room of 3.
    Room3,
    /// A room of 3 with two senders.
    Room3Two,
    /// A room of 20.
    Room20,
    /// A room of any size.
    Room,
    /// As fast as it goes.
    Stream,
    /// A newcomer's history.
    Join,
    /// Look-ups at the registry.
    Find,
    /// Log-ins at the registry.
    Login,
    /// Peers that do nothing.
    Idle,
    /// A start with a long log.
    Open,
}

/// Which ack ends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ack {
    /// In the log of every member.
    Stored,
    /// Synced to the disk of every member.
    Durable,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One object.
    Json,
    /// One integer per line.
    Samples,
}

/// A process that the bench starts; it ends when its standard input does.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// A peer under the bench's command
    Member {
        /// The user.
        user: String,
        /// HOST:PORT of the registry.
        #[arg(long)]
        registry: String,
        /// The folder for the data.
        #[arg(long)]
        data: PathBuf,
        /// HOST:PORT that others dial.
        #[arg(long)]
        advertise: Option<String>,
    },
    /// A registry
    Registry {
        /// The folder for its data.
        #[arg(long)]
        data: PathBuf,
    },
    /// One end of what the machine can do at best
    Floor,
}
