//! Registries whose disk is full.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tonic::Code;

use crate::{caller::*, cluster_site::*, harness::*, shared::in_the_end};

/// A small file system on a folder, while it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount anything.
    fn on(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder);
        let mounted = command.stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder.to_owned()));
        }
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "this must not be skipped in CI"
        );
        println!("skipped: needs a tmpfs mount");
        None
    }

    /// Leaves no room for anything.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since a registry of a test that failed may still use it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Logs in new users until one is refused, which is answered, or until there are too many. The rest are known from then on.
async fn fill_with_users(registry: &Registry, known: &mut Vec<u8>) -> Option<(Code, String)> {
    for n in 100..250 {
        let caller = Caller::try_log_in(registry, n, login(&format!("user{n}"), "127.0.0.1:4444")).await;
        if caller.is_err() {
            return Some(refused(caller));
        }
        known.push(n);
    }
    None
}

/// Keeps a lease up, as its peer would, for as long as what is returned lives.
async fn keep_up(caller: &mut Caller) -> JoinSet<()> {
    let (stream, lease) = (caller.watch(&[]).await, caller.lease.clone());
    let mut renewing = JoinSet::new();
    renewing.spawn(async move {
        loop {
            stream.renew(&lease, &[]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    renewing
}

#[tokio::test]
async fn a_registry_whose_disk_is_full_refuses_new_names_and_keeps_what_it_has_granted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let Some(disk) = SmallDisk::on(&data) else { return };
    let registry = Registry::start_in(&data);
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut known = Vec::new();
    disk.fill();
    let (code, text) = fill_with_users(&registry, &mut known).await.expect("its disk is full");
    assert_eq!(code, Code::Unavailable, "{text}");
    assert!(text.contains("cannot use its accounts; its log says why"), "{text}");
    registry.logged("database or disk is full").await;
    // Who has a name is not concerned.
    alice.join("lobby").await.unwrap();
    for n in &known {
        Caller::log_in(&registry, &format!("user{n}"), *n).await;
    }

    disk.make_room();
    in_the_end(async || Caller::try_log_in(&registry, 2, login("bob", "127.0.0.1:4445")).await).await;
    // None of its connections to its database remembers anything of that.
    for n in 3..13 {
        Caller::log_in(&registry, &format!("late{n}"), n).await;
    }
    registry.stop().await;
    // All that was granted is there after a restart, and nobody else can have it.
    let registry = Registry::start_in(&data);
    for (n, name) in known
        .iter()
        .map(|n| (*n, format!("user{n}")))
        .chain([(1, "alice".into()), (2, "bob".into())])
    {
        let thief = Caller::try_log_in(&registry, 99, login(&name, "127.0.0.1:4446")).await;
        assert_eq!(refused(thief).0, Code::AlreadyExists, "{name}");
        Caller::log_in(&registry, &name, n).await;
    }
}

#[tokio::test]
async fn a_node_whose_disk_is_full_takes_no_part_until_there_is_room_and_the_others_go_on() {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    let Some(disk) = SmallDisk::on(&cluster.data(2)) else {
        return;
    };
    for id in 1..=3 {
        cluster.start(id);
    }
    cluster.led_by(3, &[1, 2, 3]).await;
    let mut alice = Caller::log_in(cluster.node(1), "alice", 1).await;
    let mut bob = Caller::log_in(cluster.node(2), "bob", 2).await;
    alice.join("lobby").await.unwrap();
    bob.join("lobby").await.unwrap();
    let _alice_is_there = keep_up(&mut alice).await;

    disk.fill();
    // The next leader would be the one that cannot keep its term.
    cluster.kill(3);
    let killed = Instant::now();
    cluster.led_by(1, &[1]).await;
    println!("the other one leads after {:?}", killed.elapsed());
    let told = cluster.node(2).logged("this node takes no part until it can").await;
    assert!(told.contains("No space left on device"), "{told}");
    in_the_end(async || alice.join("tea").await).await;
    let (code, text) = refused(bob.join("tea").await);
    assert_eq!(code, Code::Unavailable, "{text}");
    assert_eq!(bob.find("alice").await.unwrap().len(), 1, "looking up takes no leader");
    // So its peer goes to another one.
    let mut bob = Caller::log_in(cluster.node(1), "bob", 2).await;
    let _bob_is_there = keep_up(&mut bob).await;
    for room in ["lobby", "tea"] {
        assert_eq!(bob.join(room).await.unwrap().members.len(), 2);
    }

    disk.make_room();
    cluster.led_by(2, &[1, 2]).await;
    cluster.agree(&[1, 2]).await;
    cluster.start(3);
    cluster.led_by(3, &[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    for (node, n) in (1..=3).zip(10..) {
        let mut guest = Caller::log_in(cluster.node(node), &format!("guest{n}"), n).await;
        let rooms = guest.list_rooms().await.unwrap();
        let mut rooms: Vec<_> = rooms.into_iter().map(|room| (room.name, room.members)).collect();
        rooms.sort();
        assert_eq!(rooms, [("lobby".to_owned(), 2), ("tea".to_owned(), 2)], "node {node}");
    }
}
