//! Names, passwords and devices: who may be whom.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

use crate::{
    harness::{Peer, Site, wait_for},
    wire::Fake,
};

fn spawn(site: &Site, data: &TempDir, name: &str, args: &[&str]) -> Peer {
    Peer::spawn(data.path(), &site.registry.address.to_string(), name, args)
}

/// The user is in, with this device.
fn device(peer: &mut Peer) -> String {
    let ready = peer.wait("ready", |event| event["event"] == "ready");
    ready["device"].as_str().unwrap().to_owned()
}

/// At how many devices a member is.
fn devices_of(peer: &mut Peer, user: &str) -> u64 {
    peer.type_line("/who");
    let who = peer.wait("who", |event| event["event"] == "who");
    let members = who["members"].as_array().unwrap();
    let member = members.iter().find(|member| member["user"] == *user);
    member.map_or(0, |member| member["devices"].as_u64().unwrap())
}

fn assert_refused(mut peer: Peer, code: &str, why: &str) {
    let message = peer.error(code);
    assert!(message.contains(why), "{message}");
    assert_eq!(peer.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_password_lets_a_further_device_in_and_a_wrong_one_does_not() {
    let site = Site::new();
    let elsewhere = TempDir::new().unwrap();
    let password = site.password_file("alice");
    let mut alice = site.peer_with("alice", &["--password-file", &password]);
    let mut bob = site.peer("bob");
    alice.type_line("/msg bob hello");
    bob.hear("hello");

    let wrong = elsewhere.path().join("wrong");
    fs::write(&wrong, "something else\n").unwrap();
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = wrong.to_str().unwrap();
    assert_refused(
        spawn(&site, &elsewhere, "alice", &["--password-file", wrong]),
        "refused",
        "wrong password",
    );
    let told = alice.error("account_attempt");
    assert!(told.contains("wrong password"), "{told}");

    // A file that others can read is no place for a password.
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused(
        spawn(&site, &elsewhere, "alice", &["--password-file", &password]),
        "refused",
        "chmod 600",
    );
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();

    let mut second = spawn(&site, &elsewhere, "alice", &["--password-file", &password]);
    device(&mut second);
    let told = alice.error("account_attempt");
    assert!(told.contains("with your password"), "{told}");
    second.quit();
    // From now on its key is enough.
    let mut second = spawn(&site, &elsewhere, "alice", &[]);
    device(&mut second);
}

#[test]
fn a_device_is_linked_by_a_code_and_ended_for_good() {
    let site = Site::new();
    let elsewhere = TempDir::new().unwrap();
    let mut alice = site.peer("alice");
    let mut bob = site.peer("bob");
    bob.join("lobby");
    let mut second = spawn(&site, &elsewhere, "alice", &[]);
    second.error("name_in_use");
    second.type_line("/link");
    let link = second.wait("the code", |event| event["event"] == "link");
    let code = link["code"].as_str().unwrap().to_owned();
    // Nobody else's code, and no other code.
    bob.type_line(&format!("/approve {code}"));
    bob.error("refused");
    alice.type_line("/approve 2222-2222");
    alice.error("refused");
    alice.type_line(&format!("/approve {}", code.to_lowercase().replace('-', " ")));
    alice.wait("the approval", |event| event["event"] == "approved");
    let id = device(&mut second);
    second.join("lobby");
    second.say("from my other device");
    assert_eq!(bob.hear("from my other device")["author"], "alice");
    wait_for("both devices", || (devices_of(&mut bob, "alice") == 2).then_some(()));

    alice.type_line("/devices");
    let devices = alice.wait("the devices", |event| event["event"] == "devices");
    let devices = devices["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    assert!(
        devices
            .iter()
            .any(|one| one["device"] == *id && one["online"] == true && one["here"] == false)
    );

    alice.type_line(&format!("/revoke {}", &id[..8]));
    alice.wait("the end", |event| event["event"] == "revoked" && event["device"] == *id);
    // Its link is cut, and nobody takes it back.
    wait_for("the cut", || (devices_of(&mut bob, "alice") == 1).then_some(()));
    // It is told why, once, and tries no more.
    let lost = second.wait("the reason", |event| {
        event["event"] == "registry" && event["state"] == "lost"
    });
    let reason = lost["reason"].as_str().unwrap();
    assert!(
        reason.contains("was revoked") && reason.contains("No other try"),
        "{reason}"
    );
    second.type_line("/passwd another good password");
    assert!(second.error("refused").contains("was revoked"));
    second.kill();
    assert_refused(spawn(&site, &elsewhere, "alice", &[]), "refused", "revoked");
    bob.say("undisturbed");
}

#[test]
fn a_device_that_began_without_a_registry_is_told_that_its_name_is_taken() {
    let mut site = Site::new();
    let elsewhere = TempDir::new().unwrap();
    let mut alice = site.peer("alice");
    site.registry.kill();
    let mut second = spawn(&site, &elsewhere, "alice", &[]);
    device(&mut second);
    site.registry.restart();
    let refused = second.wait("the reason", |event| {
        event["event"] == "registry"
            && event["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("No other try"))
    });
    let reason = refused["reason"].as_str().unwrap();
    assert!(
        reason.contains("name is taken") && reason.contains("start it again"),
        "{reason}"
    );
    // Whatever is asked is answered with that.
    second.type_line("/join lobby");
    let answer = second.error("refused");
    assert!(
        answer.contains("cannot join #lobby") && answer.contains("start it again"),
        "{answer}"
    );
    alice.wait_registry("connected");
    second.quit();
    alice.quit();
}

#[test]
fn a_revoked_device_is_refused_by_peers_though_its_certificate_is_valid() {
    let site = Site::new();
    let password = site.password_file("mallory");
    let mut mallory = site.peer_with("mallory", &["--password-file", &password]);
    let mut alice = site.peer("alice");
    alice.join("lobby");
    mallory.join("lobby");
    // One that does not care.
    let fake = Fake::log_in_as_device(&site, "mallory", &fs::read_to_string(&password).unwrap());
    let mut client = fake.client(&alice);
    let version = || peerchat_proto::v1::VersionRequest {
        conversation: Some(crate::wire::room("lobby")),
    };
    fake.block_on(client.version(version())).unwrap();
    let id: String = fake.device.iter().map(|byte| format!("{byte:02x}")).collect();
    mallory.type_line(&format!("/revoke {id}"));
    mallory.wait("the end", |event| event["event"] == "revoked");
    let refused = wait_for("the refusal", || fake.block_on(client.version(version())).err());
    assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused}");
    assert!(refused.message().contains("revoked"), "{refused}");
    // Also by who comes later.
    let bob = site.peer("bob");
    let mut client = fake.client(&bob);
    let refused = fake.block_on(client.version(version())).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused}");
}

#[test]
fn a_password_can_be_set_later() {
    let site = Site::new();
    let elsewhere = TempDir::new().unwrap();
    let mut alice = site.peer("alice");
    alice.type_line("/passwd short");
    alice.error("refused");
    alice.type_line("/passwd a good long password");
    alice.wait("the answer", |event| event["event"] == "password_set");
    alice.type_line("/devices");
    let devices = alice.wait("the devices", |event| event["event"] == "devices");
    assert_eq!(devices["has_password"], true);
    let file = elsewhere.path().join("password");
    fs::write(&file, "a good long password\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut second = spawn(&site, &elsewhere, "alice", &["--password-file", file.to_str().unwrap()]);
    device(&mut second);
    // It is nowhere to be read.
    for data in [site.data.path(), elsewhere.path(), &site.registry.folder()] {
        let found = std::process::Command::new("grep")
            .args(["-rl", "a good long password"])
            .arg(data)
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        assert!(found.lines().all(|path| path == file.to_str().unwrap()), "{found}");
    }
}
