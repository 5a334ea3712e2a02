//! Addresses as peers announce them: `HOST:PORT`, checked before anybody is told to dial them.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use peerchat_identity::Special;

/// The most characters of an address: the 255 that a name of the domain name system has.
pub const ADDRESS_CHARS_MAX: usize = 255;

/// The most characters of one label of a host name, by the rules of the domain name system.
const LABEL_CHARS_MAX: usize = 63;

/// An address that nobody could dial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than [`ADDRESS_CHARS_MAX`].
    #[error("an address has at most {ADDRESS_CHARS_MAX} characters; this one has {found}")]
    TooLong {
        /// How many characters it has.
        found: usize,
    },
    /// Not of the form HOST:PORT.
    #[error("an address is HOST:PORT, such as 192.0.2.7:41234, [2001:db8::7]:41234 or host.example:41234")]
    Malformed,
    /// Port 0 stands for "any", which nobody can dial.
    #[error("an address has a port from 1 to 65535; this one has 0")]
    PortZero,
    /// Many hosts at once.
    #[error("an address is that of one host; {0} is a group of hosts")]
    NotOneHost(IpAddr),
    /// At this address no peer can be.
    #[error(
        "{0} is where a cloud has a service for its machines, and not a peer; give another address with --advertise"
    )]
    NoPeer(IpAddr),
    /// Another host on each link.
    #[error(
        "{0} is good on one link only; give another address with --advertise, or have the registry started with --allow-link-local"
    )]
    LinkLocal(IpAddr),
    /// `0.0.0.0` or `[::]`, and the caller's own address is not known.
    #[error("the address has no host, and the registry does not see the caller's; give the host")]
    HostUnknown,
}

/// Where a peer can be reached: an IP address (version 6 in brackets) or a host name, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(Arc<str>);

impl Address {
    /// Checks an address as a peer announces it. An unspecified host is replaced with `observed`, the host from which the
    /// registry sees the peer.
    ///
    /// # Errors
    /// The first rule that the address breaks.
    pub fn new(announced: &str, observed: Option<IpAddr>) -> Result<Self, AddressError> {
        let found = announced.chars().count();
        if found > ADDRESS_CHARS_MAX {
            return Err(AddressError::TooLong { found });
        }
        let text = match announced.parse::<SocketAddr>() {
            Ok(socket) => with_host(socket, observed)?.to_string(),
            Err(_) => named(announced)?,
        };
        Ok(Self(text.into()))
    }

    /// Whether others may be told to dial it, and link-local ones only where the registry allows that. Of a host name the one who dials
    /// judges where it leads.
    ///
    /// # Errors
    /// It leads to something that is no peer, or is good on one link only.
    pub fn may_be_told(&self, allows_link_local: bool) -> Result<(), AddressError> {
        let Ok(socket) = self.0.parse::<SocketAddr>() else {
            return Ok(());
        };
        let ip = socket.ip();
        match Special::of(ip) {
            Some(Special::Metadata) => Err(AddressError::NoPeer(ip)),
            Some(Special::LinkLocal) if !allows_link_local => Err(AddressError::LinkLocal(ip)),
            Some(Special::NotOneHost) => Err(AddressError::NotOneHost(ip)),
            Some(Special::LinkLocal) | None => Ok(()),
        }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The socket with a host that can be dialed.
fn with_host(socket: SocketAddr, observed: Option<IpAddr>) -> Result<SocketAddr, AddressError> {
    if socket.port() == 0 {
        return Err(AddressError::PortZero);
    }
    let ip = socket.ip();
    let is_unspecified = ip.to_canonical().is_unspecified();
    if Special::of(ip) == Some(Special::NotOneHost) && !is_unspecified {
        return Err(AddressError::NotOneHost(ip));
    }
    if !is_unspecified {
        return Ok(socket);
    }
    // A listener on [::] sees callers of version 4 as mapped addresses, which not every host can dial.
    let seen = observed.ok_or(AddressError::HostUnknown)?.to_canonical();
    Ok(SocketAddr::new(seen, socket.port()))
}

/// An address with a host name, folded to lower case.
fn named(announced: &str) -> Result<String, AddressError> {
    let (host, port) = announced.rsplit_once(':').ok_or(AddressError::Malformed)?;
    // `parse` alone would take "+1".
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError::Malformed);
    }
    let port: u16 = port.parse().map_err(|_| AddressError::Malformed)?;
    let labels = || host.split('.');
    // A last label of digits alone is a mistyped IP address: no host has such a name.
    let numeric = labels()
        .next_back()
        .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if numeric || !labels().all(is_label) {
        return Err(AddressError::Malformed);
    }
    if port == 0 {
        return Err(AddressError::PortZero);
    }
    Ok(format!("{}:{port}", host.to_ascii_lowercase()))
}

/// Part of a host name: letters, digits, and hyphens that are neither first nor last.
fn is_label(label: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn seen_from(announced: &str, observed: IpAddr) -> String {
        Address::new(announced, Some(observed)).unwrap().as_str().to_owned()
    }

    #[test]
    fn addresses_that_can_be_dialed() {
        for (announced, told) in [
            ("127.0.0.1:41234", "127.0.0.1:41234"),
            ("[::1]:1", "[::1]:1"),
            ("[2001:DB8::7]:65535", "[2001:db8::7]:65535"),
            ("Host.Example:80", "host.example:80"),
            ("localhost:80", "localhost:80"),
            ("a-1.b:80", "a-1.b:80"),
        ] {
            assert_eq!(Address::new(announced, None).unwrap().as_str(), told);
        }
    }

    #[test]
    fn an_unspecified_host_becomes_the_observed_one() {
        let v4 = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let v6 = IpAddr::V6("2001:db8::7".parse().unwrap());
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
        assert_eq!(seen_from("0.0.0.0:5", v4), "192.0.2.7:5");
        assert_eq!(seen_from("[::]:5", v4), "192.0.2.7:5");
        assert_eq!(seen_from("[::]:5", v6), "[2001:db8::7]:5");
        assert_eq!(seen_from("0.0.0.0:5", mapped), "192.0.2.7:5");
        assert_eq!(seen_from("10.0.0.1:5", v4), "10.0.0.1:5", "a host that is given stays");
        assert_eq!(Address::new("0.0.0.0:5", None), Err(AddressError::HostUnknown));
        assert_eq!(
            seen_from("[::ffff:0.0.0.0]:5", IpAddr::V6(Ipv6Addr::LOCALHOST)),
            "[::1]:5"
        );
    }

    #[test]
    fn addresses_that_break_a_rule() {
        use AddressError::*;
        for (announced, error) in [
            ("", Malformed),
            ("127.0.0.1", Malformed),
            ("127.0.0.1:", Malformed),
            (":80", Malformed),
            ("::1:80", Malformed),
            ("[::1]", Malformed),
            ("1.2.3.4.5:80", Malformed),
            ("999.1.1.1:80", Malformed),
            ("host:65536", Malformed),
            ("host:+1", Malformed),
            ("ho st:1", Malformed),
            ("host\n:1", Malformed),
            ("\u{1b}[31m:1", Malformed),
            ("-host:1", Malformed),
            ("host..example:1", Malformed),
            ("höst:1", Malformed),
            ("127.0.0.1:0", PortZero),
            ("host:0", PortZero),
            ("224.0.0.1:1", NotOneHost(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)))),
            ("255.255.255.255:1", NotOneHost(IpAddr::V4(Ipv4Addr::BROADCAST))),
        ] {
            assert_eq!(Address::new(announced, None), Err(error), "{announced:?}");
        }
        let long = format!("{}:1", "a".repeat(254));
        assert_eq!(Address::new(&long, None), Err(TooLong { found: 256 }));
    }

    #[test]
    fn nobody_is_told_to_dial_what_is_no_peer() {
        let judge = |announced: &str, allows| Address::new(announced, None).unwrap().may_be_told(allows);
        for announced in [
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "[fd00:ec2::254]:80",
            "100.100.100.200:80",
        ] {
            for allows in [false, true] {
                assert!(
                    matches!(judge(announced, allows), Err(AddressError::NoPeer(_))),
                    "{announced}"
                );
            }
        }
        for announced in ["169.254.7.7:80", "[fe80::1]:80"] {
            assert!(
                matches!(judge(announced, false), Err(AddressError::LinkLocal(_))),
                "{announced}"
            );
            assert_eq!(judge(announced, true), Ok(()));
        }
        for announced in ["10.0.0.1:80", "127.0.0.1:80", "host.example:80"] {
            assert_eq!(judge(announced, false), Ok(()));
        }
        let seen = Address::new("0.0.0.0:5", Some(IpAddr::V4(Ipv4Addr::new(169, 254, 7, 7)))).unwrap();
        assert!(
            matches!(seen.may_be_told(false), Err(AddressError::LinkLocal(_))),
            "also as it is seen"
        );
    }
}
