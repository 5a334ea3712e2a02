//! Many devices that name one address of somebody who has nothing to do with them.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use crate::{harness::Site, wire::Fake};

/// So many say that they are there.
const DEVICES: usize = 24;
/// So many connections may be made at once, and one more each time when so much time has passed.
const AT_ONCE: u32 = 8;
const FURTHER: u32 = 16;
const AGAIN: Duration = Duration::from_millis(500);

#[test]
fn an_address_that_many_devices_name_is_dialled_as_often_as_one() {
    let site = Site::new();
    let victim = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = victim.local_addr().unwrap();
    let fakes: Vec<Fake> = (0..DEVICES)
        .map(|n| {
            let mut fake = Fake::log_in_at(&site, &format!("user{n}"), address);
            fake.join("lobby");
            fake
        })
        .collect();
    // Before any dial, so that a slow machine makes the time longer and never shorter.
    let begun = Instant::now();
    let alice = site.peer_with("alice", &["--join", "lobby"]);
    for n in 1..=AT_ONCE + FURTHER {
        // It closes each at once, so that the next one is due soon.
        drop(victim.accept().unwrap());
        let least = AGAIN * n.saturating_sub(AT_ONCE);
        assert!(begun.elapsed() >= least, "{n} within {:?}", begun.elapsed());
    }
    alice.quit();
    drop(fakes);
}
