//! Networks that are parted, and authors who reach only some.

use std::collections::BTreeSet;

use crate::{
    harness::{Peer, Site, assert_each_once, has_seal, wait_for},
    network::Network,
};

fn wait_for_all(peers: &mut [Peer], version: usize) {
    for peer in peers {
        peer.wait_version(version as u64);
    }
}

#[test]
fn two_parts_that_wrote_apart_hold_the_union_when_they_meet() {
    const EACH: usize = 25;
    let names = ["alice", "bob", "carol", "dave"];
    let (site, network) = (Site::new(), Network::default());
    let mut peers = network.room(&site, "lobby", &names);
    for peer in &mut peers {
        let text = format!("{} with all", peer.name);
        peer.say(&text);
    }
    wait_for_all(&mut peers, 4);

    network.cut(&["alice", "bob"], &["carol", "dave"]);
    network.wait_refused();
    let texts = |name: &str| (0..EACH).map(|n| format!("{name} apart {n}")).collect::<Vec<_>>();
    for peer in &mut peers {
        let texts = texts(&peer.name);
        peer.type_lines(texts);
    }
    wait_for_all(&mut peers, 4 + 2 * EACH);
    // Each side has all of its own, has tried to reach the other, and has nothing from there.
    network.wait_refused();
    for (peer, strangers) in
        peers
            .iter_mut()
            .zip([["carol", "dave"], ["carol", "dave"], ["alice", "bob"], ["alice", "bob"]])
    {
        assert_eq!(peer.version(), 4 + 2 * EACH as u64);
        let shown = peer.shown("#lobby");
        assert!(
            shown
                .iter()
                .all(|text| strangers.iter().all(|name| !text.starts_with(&format!("{name} apart"))))
        );
    }

    network.heal();
    wait_for_all(&mut peers, 4 + 4 * EACH);
    let heights: BTreeSet<String> = peers.iter_mut().map(|peer| peer.heights().to_string()).collect();
    assert_eq!(heights.len(), 1, "{heights:?}");
    for peer in &peers {
        let shown = peer.shown("#lobby");
        assert_eq!(
            shown.len(),
            shown.iter().collect::<BTreeSet<_>>().len(),
            "nothing is shown twice"
        );
    }
    for peer in peers {
        peer.quit();
    }
    let all = names
        .iter()
        .flat_map(|name| texts(name).into_iter().chain([format!("{name} with all")]));
    assert_each_once(&site.assert_same_logs(&names, "#lobby"), all);
}

#[test]
fn what_a_dead_author_gave_to_one_reaches_the_other() {
    let (site, network) = (Site::new(), Network::default());
    let mut peers = network.room(&site, "lobby", &["alice", "bob", "carol"]);
    network.cut(&["alice"], &["carol"]);
    network.wait_refused();
    let id = peers[0].say("my last words");
    peers[0].wait_stored(&id, "bob");
    peers.remove(0).kill();
    // Nobody types anything, and alice stays dead.
    let message = peers[1].hear("my last words");
    assert_eq!((&message["id"], &message["author"]), (&id.into(), &"alice".into()));
    for peer in peers {
        peer.quit();
    }
    site.assert_same_logs(&["bob", "carol"], "#lobby");
}

#[test]
fn who_comes_late_gets_a_dead_authors_entries_from_the_others() {
    let (site, network) = (Site::new(), Network::default());
    let mut peers = network.room(&site, "lobby", &["alice", "bob"]);
    let id = peers[0].say("before you came");
    peers[1].hear("before you came");
    // Without it bob could not pass it on.
    wait_for("its seal at bob's", || {
        has_seal(site.data.path(), "bob", "lobby", &id).then_some(())
    });
    peers.remove(0).kill();
    let mut carol = network.peer(&site, "carol");
    carol.join("lobby");
    carol.wait_version(1);
    carol.quit();
    peers.remove(0).quit();
    assert_eq!(
        site.assert_same_logs(&["alice", "bob", "carol"], "#lobby"),
        ["before you came"]
    );
}
