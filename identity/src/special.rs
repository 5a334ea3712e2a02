//! Addresses at which no peer can be, though one may announce them: whoever dials what others name must not be led there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is at an address in place of a host that somebody could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Where a cloud tells a machine about itself, and hands out its passwords. Peers never dial it.
    Metadata,
    /// A host, but another one on each link.
    LinkLocal,
    /// Many hosts, or none.
    NotOneHost,
}

impl Special {
    /// What is special about an address, if anything is.
    pub fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

/// What the clouds document: AWS (also ECS and EKS), Azure, Google, Oracle and Hetzner share a network; the others are Alibaba's, Azure's,
/// Oracle's, Scaleway's and Tencent's.
fn of_v4(address: Ipv4Addr) -> Option<Special> {
    match address.octets() {
        [169, 254, 169 | 170, _]
        | [100, 100, 100, 200]
        | [168, 63, 129, 16]
        | [192, 0, 0, 192]
        | [169, 254, 42, 42]
        | [169, 254, 0, 23] => Some(Special::Metadata),
        [169, 254, ..] => Some(Special::LinkLocal),
        _ if address.is_multicast() || address.is_broadcast() || address.is_unspecified() => Some(Special::NotOneHost),
        _ => None,
    }
}

/// The same of AWS, Google and Scaleway; and what a translator would make of an address of version 4.
fn of_v6(address: Ipv6Addr) -> Option<Special> {
    match address.segments() {
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042] => {
            Some(Special::Metadata)
        }
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
            of_v4(Ipv4Addr::new(a, b, c, d))
        }
        _ if address.is_unicast_link_local() => Some(Special::LinkLocal),
        _ if address.is_multicast() || address.is_unspecified() => Some(Special::NotOneHost),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_no_peer_are_known_in_every_form() {
        use Special::*;
        for (address, special) in [
            ("169.254.169.254", Some(Metadata)),
            ("::ffff:169.254.169.254", Some(Metadata)),
            ("64:ff9b::169.254.169.254", Some(Metadata)),
            ("169.254.170.2", Some(Metadata)),
            ("100.100.100.200", Some(Metadata)),
            ("fd00:ec2::254", Some(Metadata)),
            ("169.254.1.2", Some(LinkLocal)),
            ("::ffff:169.254.1.2", Some(LinkLocal)),
            ("fe80::1", Some(LinkLocal)),
            ("febf::1", Some(LinkLocal)),
            ("224.0.0.1", Some(NotOneHost)),
            ("ff02::1", Some(NotOneHost)),
            ("255.255.255.255", Some(NotOneHost)),
            ("0.0.0.0", Some(NotOneHost)),
            ("::", Some(NotOneHost)),
            ("127.0.0.1", None),
            ("::1", None),
            ("10.0.0.1", None),
            ("100.100.100.201", None),
            ("fd00::254", None),
            ("fec0::1", None),
            ("2001:db8::1", None),
        ] {
            assert_eq!(Special::of(address.parse().unwrap()), special, "{address}");
        }
    }
}
