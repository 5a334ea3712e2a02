//! Where the table is: one Redis or Valkey, one that Sentinel finds, or a cluster of them.

use std::{fmt, str::FromStr};

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisResult, Value};
use zeroize::Zeroizing;

use super::link::connect;

/// Where a server listens where nobody says otherwise, and where Sentinel does.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// The URL of a shared table. It may have a password in it, so it is never shown.
#[derive(Clone)]
pub struct RoutesUrl {
    form: Form,
    /// Of every server, but for its address.
    settings: Zeroizing<String>,
    hosts: Vec<(String, u16)>,
    is_tls: bool,
    has_password: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Single,
    /// By the name of the group.
    Sentinel(String),
    Cluster,
}

/// A URL of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected redis://HOST:PORT/DATABASE, redis+sentinel://HOST:PORT,HOST:PORT/GROUP or redis+cluster://HOST:PORT,HOST:PORT; with \
    rediss in place of redis over TLS"
)]
pub struct UnknownTable;

impl FromStr for RoutesUrl {
    type Err = UnknownTable;

    fn from_str(text: &str) -> Result<Self, UnknownTable> {
        let (scheme, rest) = text.split_once("://").ok_or(UnknownTable)?;
        let (base, form) = scheme.split_once('+').unwrap_or((scheme, ""));
        let is_tls = match base {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(UnknownTable),
        };
        // Nothing is said there, and what the library would read there could change what it answers.
        if rest.contains(['?', '#']) {
            return Err(UnknownTable);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let default = if form == "sentinel" { SENTINEL_PORT } else { PORT };
        let hosts: Vec<_> = hosts
            .split(',')
            .map(|host| host_and_port(host, default))
            .collect::<Result<_, _>>()?;
        let (form, database) = match form {
            "" if hosts.len() == 1 => (Form::Single, path),
            "sentinel" if !path.is_empty() => {
                let (group, database) = path.split_once('/').unwrap_or((path, ""));
                (Form::Sentinel(group.to_owned()), database)
            }
            "cluster" if path.is_empty() => (Form::Cluster, ""),
            _ => return Err(UnknownTable),
        };
        let at = if user.is_empty() { "" } else { "@" };
        // What the library reads for all servers; each gets its own address.
        let settings = Zeroizing::new(format!("redis://{user}{at}server/{database}"));
        settings.as_str().into_connection_info().map_err(|_| UnknownTable)?;
        Ok(Self {
            form,
            settings,
            hosts,
            is_tls,
            has_password: user.contains(':'),
        })
    }
}

impl fmt::Debug for RoutesUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} redis at {:?}", self.form, self.hosts)
    }
}

impl RoutesUrl {
    /// Whether whoever reads the URL learns a password.
    pub fn has_password(&self) -> bool {
        self.has_password
    }

    /// How many hosts there are to ask.
    pub(super) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// The server that takes what is written now, as the host of this number says, counted round and round. It may be wrong: a Sentinel
    /// that has lost the others goes on naming a server that is gone.
    pub(super) async fn locate(&self, slot_of: &str, host: usize) -> RedisResult<Client> {
        let host = &self.hosts[host % self.hosts.len()];
        let found: Option<(String, u16)> = match &self.form {
            Form::Single => return self.client(host),
            Form::Sentinel(group) => {
                // Sentinel has its own passwords, and no databases.
                let sentinel = Client::open(self.at(host, "redis://server".into_connection_info()?))?;
                let mut connection = connect(&sentinel).await?;
                let mut master = redis::cmd("SENTINEL");
                master.arg("get-master-addr-by-name").arg(group);
                master.query_async(&mut connection).await?
            }
            Form::Cluster => {
                let mut connection = connect(&self.client(host)?).await?;
                let mut slot = redis::cmd("CLUSTER");
                let slot: i64 = slot.arg("KEYSLOT").arg(slot_of).query_async(&mut connection).await?;
                let mut slots = redis::cmd("CLUSTER");
                let slots: Value = slots.arg("SLOTS").query_async(&mut connection).await?;
                owner(slot, &slots, host)
            }
        };
        let nobody = || redis::RedisError::from((redis::ErrorKind::Client, "nobody knows where the table is"));
        self.client(&found.ok_or_else(nobody)?)
    }

    fn client(&self, host: &(String, u16)) -> RedisResult<Client> {
        Client::open(self.at(host, self.settings.as_str().into_connection_info()?))
    }

    fn at(&self, (host, port): &(String, u16), info: ConnectionInfo) -> ConnectionInfo {
        let (host, port) = (host.clone(), *port);
        info.set_addr(if self.is_tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        })
    }
}

/// The server that has a slot, in an answer to `CLUSTER SLOTS`: ranges, each with its master first.
fn owner(slot: i64, slots: &Value, asked: &(String, u16)) -> Option<(String, u16)> {
    let Value::Array(ranges) = slots else { return None };
    ranges.iter().find_map(|range| {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else {
            return None;
        };
        let (host, port) = match &master[..] {
            [Value::BulkString(host), Value::Int(port), ..] => (String::from_utf8(host.clone()).ok()?, port),
            [Value::Nil, Value::Int(port), ..] => (String::new(), port),
            _ => return None,
        };
        // Empty or none where it is the one that was asked.
        let host = if host.is_empty() { asked.0.clone() } else { host };
        (*first..=*last)
            .contains(&slot)
            .then_some((host, u16::try_from(*port).ok()?))
    })
}

fn host_and_port(text: &str, default: u16) -> Result<(String, u16), UnknownTable> {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| UnknownTable)?),
        _ => (text, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || port == 0 {
        return Err(UnknownTable);
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_all_forms() {
        let read = |text: &str| text.parse::<RoutesUrl>();
        let single = read("redis://:hunter2@host/3").unwrap();
        assert_eq!(
            (single.form.clone(), single.hosts.clone()),
            (Form::Single, vec![("host".to_owned(), 6379)])
        );
        assert!(single.has_password() && !single.is_tls);
        assert!(!format!("{single:?}").contains("hunter2"));
        let sentinel = read("rediss+sentinel://a,[::1]:7/main/2").unwrap();
        assert_eq!(sentinel.form, Form::Sentinel("main".to_owned()));
        assert_eq!(sentinel.hosts, [("a".to_owned(), 26_379), ("::1".to_owned(), 7)]);
        assert!(sentinel.is_tls && !sentinel.has_password());
        let cluster = read("valkey+cluster://me@a:1,b:2").unwrap();
        assert_eq!((cluster.form.clone(), cluster.hosts.len()), (Form::Cluster, 2));
        for wrong in [
            "",
            "redis:",
            "http://host",
            "redis://",
            "redis://a,b",
            "redis://a:x",
            "redis://a:0",
            "redis://a/x",
            "redis+sentinel://a",
            "redis+cluster://a/3",
            "redis+other://a",
            "redis://a/0?protocol=resp3",
            "redis+sentinel://a/main#2",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_slot_is_its_masters() {
        let text = |text: &str| Value::BulkString(text.into());
        let range = |first, last, host, port| {
            let master = Value::Array(vec![text(host), Value::Int(port), text("id")]);
            Value::Array(vec![Value::Int(first), Value::Int(last), master])
        };
        let unnamed = Value::Array(vec![
            Value::Int(300),
            Value::Int(399),
            Value::Array(vec![Value::Nil, Value::Int(3)]),
        ]);
        let slots = Value::Array(vec![range(0, 99, "a", 1), range(100, 199, "", 2), unnamed]);
        let asked = ("asked".to_owned(), 9);
        assert_eq!(owner(99, &slots, &asked), Some(("a".to_owned(), 1)));
        assert_eq!(owner(100, &slots, &asked), Some(("asked".to_owned(), 2)));
        assert_eq!(owner(300, &slots, &asked), Some(("asked".to_owned(), 3)));
        assert_eq!(owner(200, &slots, &asked), None);
        assert_eq!(owner(0, &Value::Nil, &asked), None);
    }
}
