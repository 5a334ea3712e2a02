//! What was typed on the command line. What it means, together with the config file, is [`config`](crate::config)'s.

pub mod bench;

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

/// The command line of `peerchat`.
#[derive(Debug, Parser)]
#[command(
    name = "peerchat",
    version,
    about = "Chat in which every message goes straight from the sender's machine to the readers' machines, and stays there",
    after_help = "Examples:
  peerchat chat alice                    talk as alice
  peerchat chat bob --join lobby         … and enter a room at once
  peerchat log '#lobby' --user alice     print what alice's machine keeps of a room
  peerchat verify --user alice           check every log of alice's
  peerchat bench                         measure how fast it is on this machine",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Chat
    #[command(after_help = CHAT_HELP)]
    Chat(Chat),
    /// Print the log of a conversation; works whether or not a peer runs
    #[command(after_help = "Examples:
  peerchat log '#lobby' --user alice
  peerchat log @bob --user alice --json | jq -r .text

With --json: one object per entry in canonical order, with the same bytes at every member of a room.")]
    Log(Log),
    /// Check every log of a user: frames, chains, order and heights
    #[command(after_help = "Examples:
  peerchat verify --user alice && echo intact

Names the first damage and exits with 1 where a log is damaged.")]
    Verify(Verify),
    /// Take conversations along from the authority of another registry, for your eyes
    #[command(after_help = ADOPT_HELP)]
    Adopt(Adopt),
    /// Measure how fast it is on this machine
    #[command(after_help = bench::HELP)]
    Bench(bench::Bench),
    /// A process of the bench
    #[command(hide = true)]
    BenchPart {
        /// Which.
        #[command(subcommand)]
        part: bench::Part,
    },
    /// Print the completions of a shell
    #[command(after_help = "Examples:
  peerchat completions bash > ~/.local/share/bash-completion/completions/peerchat
  peerchat completions fish > ~/.config/fish/completions/peerchat.fish")]
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

const CHAT_HELP: &str = "Examples:
  peerchat chat alice
  peerchat chat alice --join lobby dev
  peerchat chat bob --registry chat.example:10001 --listen 0.0.0.0:0
  peerchat chat bob --registry one.example:10001,two.example:10001,three.example:10001
  echo hello | peerchat chat robot --json --join lobby

NAME is given before --join ROOM …, which takes all names that follow it.
Others on this machine can see what is on a command line, so also an invitation to a private room: type /join and
the invitation at the prompt instead, or let a script write that to stdin.
What the flags set can also be set in the file peerchat/config.toml of the config folder (~/.config), under the
flags' names, with `name = \"alice\"` and `bell = true` (ring when somebody names you); flags win.";

const ADOPT_HELP: &str = "Examples:
  peerchat adopt --user alice                   show the authorities and what there is to take along
  peerchat adopt '#lobby' @bob --user alice     take these along, from the other one to that of the last chat

Names mean something only under the authority that gave them, so conversations belong to one. What is taken along is shown above
what is said under the same name at the other one: in the chat, by /history and /search, and by peerchat log. Nobody is given it.
The rooms are entered at the next start. No peer of that user may run meanwhile.";

/// `peerchat chat`
#[derive(Debug, Default, Args)]
pub struct Chat {
    /// Your name [default: the config file's, then the system's user name]
    pub name: Option<String>,
    /// Where the registry listens, or several of one site with commas between them: the first is used where it answers, else another
    /// [default: 127.0.0.1:10001]
    #[arg(long, value_name = "HOST:PORT,…")]
    pub registry: Vec<String>,
    /// Which of several is used: first (the first of the list that answers), or spread (each device has an order of its own, so that
    /// all have their share) [default: first]
    #[arg(long, value_name = "HOW")]
    pub registry_choice: Option<String>,
    /// Where to listen for other peers [default: 127.0.0.1:0, any free port]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where keys and logs are kept [default: peerchat in the data folder, ~/.local/share]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Rooms to enter at once, with or without #, or invitations
    #[arg(long, value_name = "ROOM", num_args = 1..)]
    pub join: Vec<String>,
    /// The address that others shall dial, where it is not the one that the registry sees
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Speak JSON: one object per line on stdout, and what a person would type on stdin; =false where the config file says so
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub json: Option<bool>,
    /// Do not host a registry where none answers; =false where the config file says so
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub no_host_registry: Option<bool>,
    /// The fingerprint that the registry must have, as its operator tells it
    #[arg(long, value_name = "SHA256:…")]
    pub registry_fingerprint: Option<String>,
    /// A file with the password of your account: its first one when the account is made, and what lets a further device in
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// A file with the invite that a registry may ask of new users, as its operator has made it
    #[arg(long, value_name = "FILE")]
    pub invitation_file: Option<PathBuf>,
}

/// `peerchat log`
#[derive(Debug, Args)]
pub struct Log {
    /// #room or @user
    pub conversation: String,
    /// Whose log
    #[arg(long, value_name = "NAME")]
    pub user: String,
    /// Where keys and logs are kept [default: as for chat]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Which authority, by its fingerprint or the beginning of it, where there are several [default: that of the last chat]
    #[arg(long, value_name = "SHA256:…")]
    pub authority: Option<String>,
    /// One JSON object per entry
    #[arg(long)]
    pub json: bool,
}

/// `peerchat verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Whose logs
    #[arg(long, value_name = "NAME")]
    pub user: String,
    /// Where keys and logs are kept [default: as for chat]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Which authority, by its fingerprint or the beginning of it, where there are several [default: all of them]
    #[arg(long, value_name = "SHA256:…")]
    pub authority: Option<String>,
}

/// `peerchat adopt`
#[derive(Debug, Args)]
pub struct Adopt {
    /// #room or @user, any number of them
    #[arg(value_name = "CONVERSATION")]
    pub conversations: Vec<String>,
    /// Whose conversations
    #[arg(long, value_name = "NAME")]
    pub user: String,
    /// Where keys and logs are kept [default: as for chat]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// From which authority, by its fingerprint or the beginning of it [default: the other one, where there are two]
    #[arg(long, value_name = "SHA256:…")]
    pub from: Option<String>,
    /// To which authority [default: that of the last chat]
    #[arg(long, value_name = "SHA256:…")]
    pub to: Option<String>,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
    /// Show these no longer at the other authority
    #[arg(long)]
    pub undo: bool,
}

impl Cli {
    /// Reads the program's own command line. On wrong usage it says what is wrong and ends the process with exit code 2; on
    /// `--help` and `--version` it ends with 0.
    pub fn read() -> Self {
        Self::parse()
    }
}

/// What a shell needs to complete `peerchat` command lines.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(), "peerchat", &mut script);
    script
}

/// The command line without what is nobody's to type.
fn visible() -> clap::Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let command = clap::Command::new("peerchat").version(env!("CARGO_PKG_VERSION"));
    command.subcommands(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(args: &[&str]) -> Result<Chat, clap::Error> {
        let command = Cli::try_parse_from([&["peerchat", "chat"], args].concat())?.command;
        let Command::Chat(chat) = command else {
            panic!("{command:?}")
        };
        Ok(chat)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_fixed_forms_are_understood() {
        let typed = chat(&[
            "alice",
            "--registry",
            "h:1",
            "--listen",
            "[::]:0",
            "--data",
            "d",
            "--join",
            "lobby",
            "#dev",
            "--join",
            "x",
            "--advertise",
            "h:2",
            "--json",
            "--no-host-registry",
            "--registry",
            "h:3,h:4",
        ])
        .unwrap();
        assert_eq!(typed.registry, ["h:1", "h:3,h:4"]);
        assert_eq!(typed.name.as_deref(), Some("alice"));
        assert_eq!(typed.join, ["lobby", "#dev", "x"]);
        assert_eq!((typed.json, typed.no_host_registry), (Some(true), Some(true)));
        let typed = chat(&[]).unwrap();
        assert_eq!((typed.name, typed.json, typed.no_host_registry), (None, None, None));
        // What follows such a flag is no value of it.
        let typed = chat(&["--json", "alice", "--no-host-registry=false"]).unwrap();
        assert_eq!((typed.json, typed.no_host_registry), (Some(true), Some(false)));
        assert_eq!(typed.name.as_deref(), Some("alice"));

        for args in [
            &["peerchat", "log", "#lobby", "--user", "alice", "--json"][..],
            &["peerchat", "log", "@bob", "--user", "alice", "--data", "d"],
            &["peerchat", "verify", "--user", "alice"],
            &["peerchat", "completions", "bash"],
        ] {
            assert!(Cli::try_parse_from(args).is_ok(), "{args:?}");
        }
    }

    #[test]
    fn wrong_usage_ends_with_2() {
        for args in [
            &["peerchat"][..],
            &["peerchat", "chatt"],
            &["peerchat", "chat", "--jsn"],
            &["peerchat", "log", "#a"],
            &["peerchat", "bench", "--messages", "0"],
            &["peerchat", "bench", "--messages", "99999999999"],
            &["peerchat", "bench", "--members", "1"],
            &["peerchat", "bench", "--payload", "65537"],
            &["peerchat", "bench", "--scenario", "par"],
        ] {
            assert_eq!(Cli::try_parse_from(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn what_is_nobodys_to_type_is_not_completed() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completions(shell)).unwrap();
            assert!(script.contains("seed-figures") && script.contains("verify"), "{shell}");
            assert!(
                !script.contains("bench-part") && !script.contains("bench_part"),
                "{shell}"
            );
        }
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let help = command.get_after_help().expect("has examples").to_string();
            assert!(help.starts_with("Examples:\n"), "{}", command.get_name());
        }
    }
}
