//! Peers that use the registries of a list in an order of their own.

use std::collections::BTreeMap;

use crate::harness::{Peer, Relay, Site};

/// With so many peers it is as good as certain that not all use the same of two.
const PEERS_MAX: usize = 60;

fn start(site: &Site, list: &str, name: &str) -> (Peer, String) {
    let mut peer = Peer::spawn(site.data.path(), list, name, &["--registry-choice", "spread"]);
    let ready = peer.wait("ready", |event| event["event"] == "ready");
    (peer, ready["registry"].as_str().unwrap().to_owned())
}

#[test]
fn peers_are_spread_over_a_list_and_each_stays_where_it_was() {
    let site = Site::new();
    let mut ways: BTreeMap<String, Relay> = (0..2)
        .map(|_| {
            let relay = Relay::start(site.registry.address);
            (relay.address.to_string(), relay)
        })
        .collect();
    let list = ways.keys().cloned().collect::<Vec<_>>().join(",");
    let mut used = BTreeMap::new();
    for n in 0.. {
        assert!(n < PEERS_MAX, "all use the same one");
        let name = format!("peer{n}");
        let (mut peer, at) = start(&site, &list, &name);
        peer.join("lobby");
        used.insert(at, (name, peer));
        if used.len() == ways.len() {
            break;
        }
    }
    // Those who are at different ones see each other, and come back to where they were.
    let mut peers = used.into_iter();
    let (first_at, (first, first_peer)) = peers.next().unwrap();
    let (second_at, (second, mut second_peer)) = peers.next().unwrap();
    second_peer.see("#lobby", &first);
    first_peer.quit();
    let (first_peer, again) = start(&site, &list, &first);
    assert_eq!(again, first_at);
    first_peer.quit();
    // Where it is gone, the other one is used.
    ways.get_mut(&second_at).unwrap().kill();
    second_peer.wait("the other registry", |event| {
        event["event"] == "registry" && event["state"] == "connected" && event["address"] == *first_at
    });
    second_peer.quit();
    let (second_peer, elsewhere) = start(&site, &list, &second);
    assert_eq!(elsewhere, first_at);
    second_peer.quit();
}
