//! What must hold of that which several peers have shown, whatever was killed meanwhile.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Peer;

/// Cause before effect, as far as users can see: what an author was shown before he wrote is shown before that at every other peer
/// that shows both live. The texts are all different.
pub fn assert_causal(peers: &[Peer], conversation: &str) {
    let shown: Vec<(&str, Vec<String>)> = peers
        .iter()
        .map(|peer| (peer.name.as_str(), peer.shown(conversation)))
        .collect();
    let own: Vec<Vec<String>> = peers.iter().map(|peer| written(peer, conversation)).collect();
    for (reader, texts) in &shown {
        let places: BTreeMap<&str, usize> = texts.iter().enumerate().map(|(at, text)| (text.as_str(), at)).collect();
        assert_eq!(places.len(), texts.len(), "{reader} was shown something twice");
        for ((author, seen), own) in shown.iter().zip(&own) {
            let mut own = own.iter().peekable();
            let mut latest = None;
            for text in seen {
                let at = places.get(text.as_str()).copied();
                if own.next_if(|next| *next == text).is_some()
                    && let (Some(at), Some((cause_at, cause))) = (at, latest)
                {
                    assert!(
                        cause_at <= at,
                        "{reader} was shown {text:?} before {cause:?}, which {author} had seen when writing it"
                    );
                }
                latest = latest.max(at.map(|at| (at, text)));
            }
        }
    }
}

/// What a peer has written itself, in order.
fn written(peer: &Peer, conversation: &str) -> Vec<String> {
    let events = peer.events();
    let sent = events
        .iter()
        .filter(|event| event["event"] == "sent" && event["conversation"] == *conversation);
    sent.map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

/// Nobody was seen to go, and nobody was told that there is no registry.
pub fn assert_unnoticed(peers: &[Peer]) {
    let is_noticed = |event: &&Value| {
        (event["event"] == "registry" && event["state"] == "lost")
            || (event["event"] == "presence" && event["online"] == false)
    };
    for peer in peers {
        let events = peer.events();
        let noticed = events.iter().find(is_noticed);
        assert!(noticed.is_none(), "{}: {}", peer.name, noticed.unwrap());
    }
}
