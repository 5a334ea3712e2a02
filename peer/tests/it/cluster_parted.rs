//! A cluster in two networks that are parted: nothing comes through any more, and nobody is told so.

use serde_json::Value;

use crate::harness::{Cluster, Networks, Peer, assert_causal};

/// Each of these says something, which the others of these hear.
fn talk(peers: &mut [Peer], when: &str, texts: &mut Vec<String>) {
    for speaker in 0..peers.len() {
        let text = format!("{}, {when}", peers[speaker].name);
        peers[speaker].say(&text);
        for (other, peer) in peers.iter_mut().enumerate() {
            if other != speaker {
                peer.hear(&text);
            }
        }
        texts.push(text);
    }
}

fn see_each_other(ones: &[Peer], others: &[Peer]) {
    for one in ones {
        for other in others.iter().filter(|other| other.name != one.name) {
            one.see("#lobby", &other.name);
            other.see("#lobby", &one.name);
        }
    }
}

#[test]
fn both_sides_of_parted_networks_look_up_and_chat_on_and_are_one_again() {
    let Some(networks) = Networks::new() else { return };
    let seat = |side, port| (Networks::address(side, port), networks.spot(side));
    let mut cluster = Cluster::at([(1, seat(0, 10_001)), (2, seat(1, 10_002)), (3, seat(1, 10_003))]);
    cluster.start_all();
    let peer = |cluster: &Cluster, name: &str, side: usize| {
        let listen = format!("{}:0", Networks::host(side));
        let nodes: &[u8] = if side == 0 { &[1, 2, 3] } else { &[3, 2, 1] };
        cluster.peer_at(&networks.spot(side), name, nodes, &["--listen", &listen])
    };
    // They have their names from before.
    for (name, side) in [("eve", 0), ("frank", 1)] {
        peer(&cluster, name, side).quit();
    }
    let mut sides = [["alice", "bob"], ["carol", "dave"]]
        .into_iter()
        .enumerate()
        .map(|(side, names)| {
            let side = names.into_iter().map(|name| peer(&cluster, name, side));
            side.collect::<Vec<Peer>>()
        })
        .collect::<Vec<_>>();
    let mut texts = Vec::new();
    for joining in sides.iter_mut().flatten() {
        joining.join("lobby");
    }
    see_each_other(&sides[0], &sides[0]);
    see_each_other(&sides[1], &sides[1]);
    see_each_other(&sides[0], &sides[1]);
    for side in &mut sides {
        talk(side, "before", &mut texts);
    }
    for peer in sides.iter_mut().flatten() {
        peer.wait_version(texts.len() as u64);
    }

    networks.part();
    cluster.wait_led(1, &[1]);
    cluster.wait_led(3, &[2, 3]);
    let mut apart = [Vec::new(), Vec::new()];
    for (at, (side, newcomer)) in sides.iter_mut().zip(["eve", "frank"]).enumerate() {
        talk(side, "apart", &mut apart[at]);
        // Somebody comes, is found by name, and joins.
        let new = peer(&cluster, newcomer, at);
        side[0].type_line(&format!("/msg {newcomer} hello {newcomer}"));
        side[0].type_line("/switch #lobby");
        side.push(new);
        side[2].hear(&format!("hello {newcomer}"));
        side[2].join("lobby");
        see_each_other(&side[2..], &side[..2]);
        let so_far = texts.len() + apart[at].len();
        side[2].wait_version(so_far as u64);
        talk(side, "apart and three", &mut apart[at]);
    }
    // Longer than a lease: each side takes the other one for lost.
    for (one, other) in [(0, "carol"), (1, "alice")] {
        let is_it =
            |event: &&Value| event["event"] == "presence" && event["user"] == *other && event["online"] == false;
        sides[one][1].wait_all(&format!("{other} to be lost"), |events| {
            events.iter().find(is_it).map(|_| ())
        });
    }
    for (side, apart) in sides.iter_mut().zip(&apart) {
        side[1].wait_version((texts.len() + apart.len()) as u64);
    }

    networks.heal();
    let took = cluster.wait_led(3, &[1, 2, 3]);
    println!("one leader {took:?} after the way was back");
    texts.extend(apart.into_iter().flatten());
    let mut peers: Vec<Peer> = sides.into_iter().flatten().collect();
    for peer in &mut peers {
        peer.wait_version(texts.len() as u64);
    }
    let names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
    cluster.wait_members("lobby", &names.iter().map(String::as_str).collect());
    talk(&mut peers, "together again", &mut texts);
    assert_causal(&peers, "#lobby");
    for peer in peers {
        peer.quit();
    }
    cluster.assert_same_logs(&names, "#lobby", &texts);
}
