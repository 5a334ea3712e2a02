//! How a device and its user are written into a certificate: two subject alternative names. And how a node of a cluster is: one.
//!
//! The DNS name lets a dialler pin a device with nothing but TLS: it dials an address and demands the certificate of that
//! very name. The URI tells whose device it is.

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use peerchat_proto::names::UserName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::DeviceBytes;

/// The name for which a registry's certificate is issued, wherever it is reached.
pub const REGISTRY: &str = "registry.internal";

/// The domain of all devices. `.internal` is reserved for private use and will never be found in the public DNS.
pub const DEVICES: &str = "device.internal";

/// What the name of a cluster's node begins with. It is below [`REGISTRY`], where no device's name can be.
const NODE: &str = "node-";

/// The name of whoever holds a registry's authority, in a certificate that he makes for one call.
pub const OPERATOR: &str = "operator.registry.internal";

const USER: &str = "peerchat://user/";

/// RFC 3986, section 2.3: what never needs to be encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn base32() -> Encoding {
    let mut lower: Specification = BASE32_NOPAD.specification();
    lower.symbols.make_ascii_lowercase();
    lower.encoding().expect("the lower-case alphabet has 32 symbols too")
}

/// The DNS name of a device: its key in base32, which takes 52 of the 63 characters that a label may have.
pub fn dns_name(device: &DeviceBytes) -> String {
    format!("{}.{DEVICES}", base32().encode(device))
}

/// The device of a DNS name; none where it is not the name of one.
pub fn device(dns_name: &str) -> Option<DeviceBytes> {
    let label = dns_name.strip_suffix(DEVICES)?.strip_suffix('.')?;
    base32().decode(label.as_bytes()).ok()?.try_into().ok()
}

/// The DNS name of a node of a cluster, by which the other nodes dial it and know its calls.
pub fn node_name(node: u8) -> String {
    format!("{NODE}{node}.{REGISTRY}")
}

/// The node of a DNS name; none where it is not the name of one.
pub fn node(dns_name: &str) -> Option<u8> {
    let number = dns_name.strip_suffix(REGISTRY)?.strip_suffix('.')?.strip_prefix(NODE)?;
    let node = number.parse().ok()?;
    (node_name(node) == dns_name).then_some(node)
}

/// The URI of a user, with the name as it is shown.
pub fn user_uri(user: &UserName) -> String {
    format!("{USER}{}", utf8_percent_encode(user.shown(), RESERVED))
}

/// The user of a URI; none where it is not the URI of one.
pub fn user(uri: &str) -> Option<UserName> {
    let name = percent_decode_str(uri.strip_prefix(USER)?).decode_utf8().ok()?;
    UserName::new(&name).ok().filter(|user| user_uri(user) == uri)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_written_as_documented() {
        assert_eq!(
            dns_name(&[0; 32]),
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.device.internal"
        );
        let user = UserName::new("Zoë").unwrap();
        assert_eq!(user_uri(&user), "peerchat://user/Zo%C3%AB");
    }

    #[test]
    fn what_is_written_otherwise_is_nobodys() {
        for uri in [
            "peerchat://user/",
            "peerchat://user/a%2Fb",
            "peerchat://user/%61",
            "http://user/a",
            "peerchat://user/%FF",
        ] {
            assert!(user(uri).is_none(), "{uri}");
        }
        for name in [
            "device.internal",
            ".device.internal",
            "aa.device.internal",
            "registry.internal",
        ] {
            assert!(device(name).is_none(), "{name}");
        }
        for name in [
            "registry.internal",
            "node-.registry.internal",
            "node-02.registry.internal",
            "node-+2.registry.internal",
            "node-256.registry.internal",
            "node-2.device.internal",
            "x.node-2.registry.internal",
        ] {
            assert!(node(name).is_none(), "{name}");
        }
        assert_eq!(node(&node_name(2)), Some(2));
    }

    proptest! {
        #[test]
        fn every_device_and_user_comes_back(bytes: DeviceBytes, name in "\\PC{1,64}") {
            prop_assert_eq!(device(&dns_name(&bytes)), Some(bytes));
            if let Ok(name) = UserName::new(&name) {
                let found = user(&user_uri(&name)).unwrap();
                prop_assert_eq!(found.shown(), name.shown());
            }
        }
    }
}
