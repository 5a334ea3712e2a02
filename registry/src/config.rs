//! The command line of `peerchat-registry`.

mod folder;
mod shared;
mod span;

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};

pub(crate) use folder::IN_DATA;
pub use folder::{DataFolderError, prepare_data_folder};
pub use shared::{TypedUrl, UrlError};

use crate::{
    accounts::rules::Registration,
    address::{Address, AddressError},
    cluster::{
        ClusterSettings,
        ledger::Limits,
        members::{Members, MembersError},
        term::{NoNodeId, NodeId},
    },
};

/// Where a registry listens if nobody says otherwise.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10_001);

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
  peerchat-registry init --ca DIR                an authority that several registries share
  peerchat-registry --id 2 --cluster 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT --ca DIR
                                                 one of three registries that are one
  peerchat-registry status --registry HOST:PORT  the cluster as one of its nodes knows it
  peerchat-registry invite --ca DIR --registry HOST:PORT
                                                 an invite to a cluster
  peerchat-registry import --from FOLDER --ca DIR --registry HOST:PORT
                                                 its accounts, for a cluster that runs

Prints `listening on IP:PORT` to stdout once it is ready. \
Logs go to stderr: RUST_LOG sets how much, NO_COLOR turns colours off. \
Ctrl-C or SIGTERM ends it.

Exit status: 0 ended when asked to, 1 an error, 2 wrong usage.";

/// The registry of Peerchat: tells peers where the others are, and never sees a message.
#[derive(Debug, Parser)]
#[command(name = "peerchat-registry", version, about, after_help = EXAMPLES)]
pub struct Config {
    /// Where to listen, as IP:PORT; an IPv6 address stands in brackets [default: 127.0.0.1:10001, or the own entry of --cluster]
    #[arg(long, global = true, value_name = "ADDR", value_parser = listen_address)]
    pub listen: Option<SocketAddr>,

    /// Folder in which DIR/registry is made, its owner's alone, for what must survive a restart: accounts and keys. A backup of it goes back
    /// to DIR/registry [default: not in DIR but in peerchat-registry/ADDR in the XDG data folder; with port 0 all is in memory and ends with the registry]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Who may take a free name: open (everybody), invite (whoever has an invite) or closed (nobody)
    #[arg(long, value_name = "WHO", default_value = "open", value_parser = registration)]
    pub registration: Registration,

    /// How long a peer's certificate is valid, 5s to 7d. Peers renew theirs in time; a device that was revoked while the
    /// others could not be told is believed for as long
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = span::certificate_lifetime)]
    pub certificate_lifetime: Duration,

    /// Which node of --cluster this is, 1 to 99; the highest that is there leads
    #[arg(long, value_name = "N", requires = "cluster", value_parser = node_id)]
    pub id: Option<NodeId>,

    /// All nodes of the cluster, this one among them: 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT. The same ids at each node
    #[arg(long, value_name = "LIST", requires_all = ["id", "ca"], value_parser = members)]
    pub cluster: Option<Members>,

    /// What is lost of the accounts is given up, and names that are lost are free: for one start of a registry whose accounts are missing or are an older copy. After a
    /// majority of a cluster's nodes have lost their disks, for one start of each node that has lost its own: it counts as it is
    #[arg(long)]
    pub accept_lost_accounts: bool,

    /// Folder of the authority that several registries share, as `init` makes it [default: one of this registry's own, in --data]
    #[arg(long, global = true, value_name = "DIR")]
    pub ca: Option<PathBuf>,

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

    /// Addresses of proxies before this registry, such as nginx with `proxy_protocol on`: each connection from there must begin with a
    /// header of the PROXY protocol, and counts as coming from where that says. Others must not have one
    #[arg(long, value_name = "IP", value_delimiter = ',', value_parser = proxy)]
    pub proxy_protocol_from: Vec<IpAddr>,

    /// Takes peers with link-local addresses (169.254.0.0/16, fe80::/10), for a network that has no others
    #[arg(long)]
    pub allow_link_local: bool,

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
        /// Where the cluster of which the registry is a node can be reached, as HOST:PORT; of several the first that takes it. Needs --ca
        #[arg(long, value_name = "ADDR", value_delimiter = ',', value_parser = registry_address)]
        registry: Vec<Address>,
    },
    /// Prints the fingerprint by which peers know this registry, or with --ca all that share that authority
    Fingerprint,
    /// Makes an authority for several registries in the folder that --ca names
    Init,
    /// Brings the accounts and open invites of a registry that has ended to a cluster that runs (--ca and --registry), or into a database (--accounts or
    /// --accounts-file). What is there already stays as it is; what cannot be taken is told by name, with exit code 1
    Import {
        /// Data folder of the registry that has ended: what it had as --data, or in the XDG data folder
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Where the cluster can be reached, as HOST:PORT; of several the first that takes it. Needs --ca
        #[arg(long, value_name = "ADDR", value_delimiter = ',', value_parser = registry_address)]
        registry: Vec<Address>,
    },
    /// Prints the nodes of a cluster, which of them leads, and under which term
    Status {
        /// A registry of the cluster, as HOST:PORT; of several the first that answers [default: 127.0.0.1:10001]
        #[arg(long, value_name = "ADDR", value_delimiter = ',', value_parser = registry_address)]
        registry: Vec<Address>,
        /// As one line of JSON
        #[arg(long)]
        json: bool,
    },
}

impl Config {
    /// Reads the command line. Where it is wrong, says so and ends the process with exit code 2.
    pub fn read() -> Self {
        let config = Self::parse();
        if let Err(text) = config.check() {
            Self::command().error(ErrorKind::ValueValidation, text).exit();
        }
        config
    }

    /// What no single argument shows to be wrong.
    fn check(&self) -> Result<(), String> {
        if matches!(self.command, Some(Command::Init)) && self.ca.is_none() {
            return Err("init makes an authority in a folder: name it with --ca DIR".to_owned());
        }
        if matches!(&self.command, Some(Command::Invite { registry, .. }) if !registry.is_empty()) && self.ca.is_none()
        {
            return Err(
                "a cluster takes an invite from whoever holds its authority: name its folder with --ca DIR".to_owned(),
            );
        }
        if let Some(Command::Import { registry, .. }) = &self.command {
            let has_database = self.accounts.is_some() || self.accounts_file.is_some();
            if has_database != registry.is_empty() || (!registry.is_empty() && self.ca.is_none()) {
                return Err(
                    "say where to: either a cluster, with --ca DIR and --registry HOST:PORT, or a database, with --accounts-file FILE"
                        .to_owned(),
                );
            }
        }
        let Some(ClusterSettings { own, members, .. }) = self.cluster() else {
            return Ok(());
        };
        let calls_as_proxy = |node: NodeId| {
            let (host, _) = members.address(node)?.as_str().rsplit_once(':')?;
            let host: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
            self.proxy_protocol_from.contains(&host).then_some(node)
        };
        if let Some(node) = members.ids().find_map(calls_as_proxy) {
            return Err(format!(
                "node {node} calls from an address of --proxy-protocol-from, and would be taken for a proxy: let the proxy have another one"
            ));
        }
        let shares = [
            self.accounts.is_some(),
            self.accounts_file.is_some(),
            self.routes.is_some(),
            self.routes_file.is_some(),
        ];
        if shares.contains(&true) {
            return Err(
                "a cluster needs no database and no Redis: give --cluster, or --accounts and --routes".to_owned(),
            );
        }
        if members.address(own).is_none() {
            let ids = members.ids().map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
            return Err(format!("--id {own} is not in --cluster, which has {ids}"));
        }
        if self.data.is_none() && self.listen.is_some_and(|listen| listen.port() == 0) {
            return Err(
                "a node of a cluster on a port of its own choice keeps its term: name its folder with --data"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Which node of which cluster it is to be.
    pub fn cluster(&self) -> Option<ClusterSettings> {
        Some(ClusterSettings {
            own: self.id?,
            members: self.cluster.clone()?,
            accepts_lost_accounts: self.accept_lost_accounts,
            limits: Limits::DEFAULT,
        })
    }

    /// Where it is to listen, as IP:PORT or, from the list of a cluster, HOST:PORT.
    pub fn listens_at(&self) -> String {
        let entry = || Some(self.cluster()?.own_address()?.to_string());
        let typed = self.listen.map(|listen| listen.to_string());
        typed.or_else(entry).unwrap_or_else(|| LISTEN_DEFAULT.to_string())
    }
}

fn node_id(text: &str) -> Result<NodeId, NoNodeId> {
    text.parse()
}

fn members(text: &str) -> Result<Members, MembersError> {
    text.parse()
}

fn registry_address(text: &str) -> Result<Address, AddressError> {
    Address::new(text, None)
}

fn proxy(text: &str) -> Result<IpAddr, &'static str> {
    text.parse()
        .map_err(|_| "expected IP addresses, such as 10.0.0.5,10.0.0.6")
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
#[path = "config/tests.rs"]
mod tests;
