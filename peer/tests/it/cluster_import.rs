//! One registry becomes a cluster, and nobody who chats is asked anything.

use std::process::Output;

use crate::harness::{Cluster, Peer, Site, Spot, lasting_address, registry_program};

fn import(site: &Site, cluster: &Cluster) -> Output {
    let mut command = Spot::default().program(registry_program());
    command.arg("import").arg("--from").arg(site.registry.folder());
    command.arg("--ca").arg(cluster.ca());
    command.args(["--registry", &cluster.list(&[1, 2, 3])]);
    command.output().unwrap()
}

#[test]
fn a_registry_becomes_a_cluster_while_its_users_chat() {
    let mut site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    site.registry.kill();
    let old = (1, (site.registry.address, Spot::default()));
    let new = [2, 3].map(|id| (id, (lasting_address(), Spot::default())));
    let mut cluster = Cluster::at([old].into_iter().chain(new));
    cluster.adopt(&site.registry.folder());
    for id in 1..=3 {
        cluster.start_node_with(id, &["--registration", "closed"]);
    }
    cluster.wait_led(3, &[1, 2, 3]);
    let imported = import(&site, &cluster);
    let told = String::from_utf8_lossy(&imported.stderr);
    assert!(imported.status.success(), "{told}");
    let printed = String::from_utf8_lossy(&imported.stdout);
    assert!(printed.contains("imported 2 accounts with 2 devices"), "{printed}");

    for peer in &mut peers {
        peer.wait_registry("lost");
        peer.wait_registry("connected");
    }
    peers[0].say("we are a cluster now");
    peers[1].hear("we are a cluster now");
    // Who comes again is in with his key, also where he has met nobody yet.
    let bob = peers.pop().unwrap();
    bob.quit();
    let mut bob = Peer::spawn(site.data.path(), &cluster.list(&[2, 1]), "bob", &[]);
    let ready = bob.wait("ready", |event| event["event"] == "ready");
    assert_eq!(ready["registry"], cluster.address(2));
    peers[0].say("welcome back");
    bob.hear("welcome back");
    bob.quit();
    for peer in peers {
        let asked = peer.events().into_iter().find(|event| event["event"] == "error");
        assert!(asked.is_none(), "{}: {}", peer.name, asked.unwrap());
        peer.quit();
    }
}
