//! A revocation outlasts the process that heard of it.

use std::fs;

use peerchat_proto::v1::VersionRequest;
use tonic::{Code, Status};

use crate::{
    harness::{Peer, Site, wait_for},
    wire::{Fake, room},
};

/// A site where alice has heard that one of mallory's devices was revoked, and that device.
fn revoked() -> (Site, Peer, Fake) {
    let site = Site::new();
    let password = site.password_file("mallory");
    let mut mallory = site.peer_with("mallory", &["--password-file", &password]);
    let mut alice = site.peer("alice");
    for peer in [&mut alice, &mut mallory] {
        peer.join("lobby");
    }
    let fake = Fake::log_in_as_device(&site, "mallory", &fs::read_to_string(&password).unwrap());
    call(&fake, &alice).unwrap();
    let id: String = fake.device.iter().map(|byte| format!("{byte:02x}")).collect();
    mallory.type_line(&format!("/revoke {id}"));
    mallory.wait("the end", |event| event["event"] == "revoked");
    wait_for("the refusal", || call(&fake, &alice).err());
    wait_for("the file", || {
        site.folder("alice").join("revoked").exists().then_some(())
    });
    mallory.quit();
    (site, alice, fake)
}

fn call(fake: &Fake, to: &Peer) -> Result<(), Status> {
    let mut client = fake.client(to);
    let conversation = Some(room("lobby"));
    fake.block_on(client.version(VersionRequest { conversation })).map(drop)
}

#[track_caller]
fn assert_refused(fake: &Fake, by: &Peer) {
    let refused = call(fake, by).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    assert!(refused.message().contains("revoked"), "{refused}");
}

#[test]
fn a_revoked_device_is_refused_after_a_start_without_a_registry() {
    let (mut site, alice, fake) = revoked();
    site.registry.kill();
    // As when the power fails, and in order.
    alice.kill();
    let alice = site.peer("alice");
    assert_refused(&fake, &alice);
    alice.quit();
    assert_refused(&fake, &site.peer("alice"));
}

#[test]
fn a_damaged_list_of_revoked_devices_is_named_and_what_is_whole_of_it_counts() {
    let (mut site, alice, fake) = revoked();
    site.registry.kill();
    alice.quit();
    let path = site.folder("alice").join("revoked");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let mut alice = site.peer("alice");
    let told = alice.error("trust_lost");
    assert!(
        told.contains(path.to_str().unwrap()) && told.contains("is damaged"),
        "{told}"
    );
    assert_eq!(fs::read(path.with_extension("damaged")).unwrap(), bytes);
    assert_refused(&fake, &alice);
    alice.quit();
    // It is told once, and nothing of it is a reason not to start.
    fs::write(&path, b"\0\xff nothing that was ever written here").unwrap();
    let mut alice = site.peer("alice");
    alice.error("trust_lost");
    alice.quit();
    site.peer("alice").quit();
}
