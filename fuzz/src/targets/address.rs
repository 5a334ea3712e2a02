//! Addresses that devices announce, and secrets that people type.

use std::net::IpAddr;

use peerchat::net::fuzzing;
use peerchat_registry::{accounts::invite::Invite, address::Address};

use crate::within;

/// Reads a text as each of them.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    within(64 * 1024, 20, data.len(), || {
        let seen: IpAddr = [192, 0, 2, 9].into();
        for observed in [None, Some(seen)] {
            if let Ok(address) = Address::new(&text, observed) {
                assert_eq!(Address::new(address.as_str(), None).as_ref(), Ok(&address), "writing an address changes it");
                assert!(fuzzing::address(address.as_str()).is_some(), "a peer refuses what a registry tells it: {address}");
            }
        }
        if let Some(address) = fuzzing::address(&text) {
            assert_eq!(address, text);
            assert!(address.is_ascii() && !address.contains(char::is_whitespace));
        }
        if let Ok(invite) = text.parse::<Invite>() {
            let again: Invite = invite.reveal().parse().expect("an invite stays one");
            assert_eq!(again.hash(), invite.hash());
        }
    });
}

/// Each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    ["192.0.2.7:41234", "[2001:db8::7]:41234", "host.example:41234", "0.0.0.0:1", "[::]:9", "[::ffff:192.0.2.1]:5", "aaaaaaaaaaaaaaaaaaaaaaaaaa"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}
