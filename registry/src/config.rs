//! The command line of `peerchat-registry`.

mod folder;
mod shared;
mod span;

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

pub use folder::{DataFolderError, prepare_data_folder};
pub use shared::{TypedUrl, UrlError};

use crate::accounts::rules::Registration;

const EXAMPLES: &str = "\
Examples:
  peerchat-registry                              for the peers of this machine
  peerchat-registry --listen 0.0.0.0:10001       for the peers of a network
  peerchat-registry --listen 127.0.0.1:0         on a free port, which is printed
  peerchat-registry --registration invite        new users need an invite
  peerchat-registry --accounts-file DB --routes-file REDIS
                                                 one of several that share what they know
  peerchat-registry invite                       makes one, also while the registry runs
  peerchat-registry fingerprint                  what a peer should see at its first contact

Prints `listening on IP:PORT` to stdout once it is ready. \
Logs go to stderr: RUST_LOG sets how much, NO_COLOR turns colours off. \
Ctrl-C or SIGTERM ends it.

Exit status: 0 ended when asked to, 1 an error, 2 wrong usage.";

/// The registry of Peerchat: tells peers where the others are, and never sees a message.
#[derive(Debug, Parser)]
#[command(name = "peerchat-registry", version, about, after_help = EXAMPLES)]
pub struct Config {
    /// Where to listen, as IP:PORT; an IPv6 address stands in brackets
    #[arg(long, global = true, value_name = "ADDR", default_value = "127.0.0.1:10001", value_parser = listen_address)]
    pub listen: SocketAddr,

    /// Folder for what must survive a restart: accounts and keys. Created if it is not there, and its owner's alone [default:
    /// peerchat-registry/ADDR in the XDG data folder; with port 0 all is in memory and ends with the registry]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Who may take a free name: open (everybody), invite (whoever has an invite) or closed (nobody)
    #[arg(long, value_name = "WHO", default_value = "open", value_parser = registration)]
    pub registration: Registration,

    /// How long a peer's certificate is valid, 5s to 7d. Peers renew theirs in time; a device that was revoked while the
    /// others could not be told is believed for as long
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = span::certificate_lifetime)]
    pub certificate_lifetime: Duration,

    /// Database of the accounts, where several registries share them: postgres://USER@HOST/DATABASE, mysql://USER@HOST/DATABASE
    /// (MariaDB too) or sqlite:PATH [default: a file in the data folder]
    #[arg(long, global = true, value_name = "URL", conflicts_with = "accounts_file", value_parser = typed_url)]
    pub accounts: Option<TypedUrl>,

    /// File with that URL and nothing else, its owner's alone (chmod 600): for a URL with a password
    #[arg(long, global = true, value_name = "FILE")]
    pub accounts_file: Option<PathBuf>,

    /// Table of leases that several registries share, in Redis or Valkey: redis://HOST:PORT,
    /// redis+sentinel://HOST:PORT,HOST:PORT/GROUP or redis+cluster://HOST:PORT,HOST:PORT; rediss for TLS [default: in memory]
    #[arg(long, value_name = "URL", conflicts_with = "routes_file", value_parser = typed_url)]
    pub routes: Option<TypedUrl>,

    /// File with that URL and nothing else, its owner's alone (chmod 600): for a URL with a password
    #[arg(long, value_name = "FILE")]
    pub routes_file: Option<PathBuf>,

    /// What to do instead of running a registry.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done with a registry's folder, also while the registry runs.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Makes an invite, with which one new user can take a name, and prints it
    Invite {
        /// How long it can be used, such as 12h or 7d
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span::invite_lifetime)]
        expires: Duration,
    },
    /// Prints the fingerprint by which peers know this registry
    Fingerprint,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected IP:PORT, such as 127.0.0.1:10001 or [::]:10001".to_owned())
}

fn typed_url(text: &str) -> Result<TypedUrl, Infallible> {
    Ok(TypedUrl::from(text))
}

fn registration(text: &str) -> Result<Registration, &'static str> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Config::command().debug_assert();
        let config = Config::parse_from(["peerchat-registry"]);
        assert_eq!(config.listen.to_string(), "127.0.0.1:10001");
        assert_eq!(config.data, None);
        assert!(Config::try_parse_from(["peerchat-registry", "--listen", "nowhere"]).is_err());
    }

    #[test]
    fn accounts_and_certificates_are_set_on_the_command_line() {
        let config = Config::parse_from(["peerchat-registry"]);
        assert_eq!(config.registration, Registration::Open);
        assert_eq!(config.certificate_lifetime, Duration::from_secs(12 * 3_600));
        assert!(config.command.is_none());
        let typed = "peerchat-registry --registration closed --certificate-lifetime 30s";
        let config = Config::parse_from(typed.split(' '));
        assert_eq!(config.registration, Registration::Closed);
        assert_eq!(config.certificate_lifetime, Duration::from_secs(30));
        for wrong in [
            "--registration Open",
            "--certificate-lifetime 4s",
            "--certificate-lifetime 8d",
            "invite --expires 0s",
        ] {
            let typed = ["peerchat-registry"].into_iter().chain(wrong.split(' '));
            assert!(Config::try_parse_from(typed).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_command_names_its_registry_before_or_after_it() {
        for typed in ["--data x invite --expires 2h", "invite --expires 2h --data x"] {
            let config = Config::parse_from(["peerchat-registry"].into_iter().chain(typed.split(' ')));
            assert_eq!(config.data, Some("x".into()));
            let expected = Duration::from_secs(7_200);
            assert!(matches!(config.command, Some(Command::Invite { expires }) if expires == expected));
        }
        let config = Config::parse_from(["peerchat-registry", "fingerprint", "--listen", "[::]:7"]);
        assert_eq!(config.listen.to_string(), "[::]:7");
        assert!(matches!(config.command, Some(Command::Fingerprint)));
    }
}
