//! One case per rule of the table.

mod lists;

use super::*;
use crate::address::Address;

const T0: Millis = Millis(1_000);

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

fn device(n: usize) -> DeviceId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(n as u64).to_be_bytes());
    DeviceId(key)
}

fn token(n: usize) -> LeaseToken {
    let mut secret = [0; 16];
    secret[..8].copy_from_slice(&(n as u64).to_be_bytes());
    LeaseToken(secret)
}

fn peer(name: &str, n: usize, port: u16) -> Peer {
    Peer {
        user: user(name),
        device: device(n),
        address: Address::new(&format!("127.0.0.1:{port}"), None).unwrap(),
    }
}

/// What happened, in short: `2 #lobby alice@1 Here`, `lobby created`, …
fn told(effects: &[Effect]) -> Vec<String> {
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes[..8].try_into().unwrap());
    let who = |peer: &Peer| format!("{}@{}", peer.user, peer.address.as_str().rsplit(':').next().unwrap());
    let short = |effect: &Effect| match effect {
        Effect::Tell { to, change } => {
            let to = number(&to.0);
            match change {
                Change::Presence { peer, liveness } => format!("{to} {} {liveness:?}", who(peer)),
                Change::Offline { user } => format!("{to} {user} offline"),
                Change::Revoked { devices } => {
                    let devices: Vec<u64> = devices.iter().map(|device| number(&device.0)).collect();
                    format!("{to} revoked {devices:?}")
                }
                Change::Attempt { device, from, outcome } => {
                    format!("{to} attempt {} {from} {outcome:?}", number(&device.0))
                }
                Change::Room { room, peer, liveness } => format!("{to} {room:?} {} {liveness:?}", who(peer)),
            }
        }
        Effect::Ended { lease, end, .. } => format!("{} ended {end:?}", number(&lease.0)),
        Effect::RoomCreated { room, by } => format!("{room:?} created by {by}"),
        Effect::RoomDismissed { room } => format!("{room:?} dismissed"),
        Effect::Said { note } => format!("{note:?}"),
    };
    effects.iter().map(short).collect()
}

fn ok<T>(step: Step<T>) -> T {
    step.answer.unwrap()
}

/// alice is device 1 with lease 1, bob device 2 with lease 2; both are in the lobby.
fn two_in_the_lobby() -> Routes {
    let mut routes = Routes::new();
    for (n, name) in [(1, "alice"), (2, "bob")] {
        ok(routes.log_in(peer(name, n, n as u16), token(n), T0));
        ok(routes.join_room(token(n), &room("lobby"), T0));
    }
    routes
}

#[test]
fn several_devices_of_a_user_are_live() {
    let mut routes = two_in_the_lobby();
    ok(routes.renew(token(2), &[user("alice")], T0));
    let step = routes.log_in(peer("alice", 3, 3), token(3), T0);
    assert_eq!(told(&step.effects), ["2 alice@3 Here"]);
    ok(step);
    let found = routes.find(token(2), &user("ALICE")).unwrap();
    assert_eq!(found.peers.len(), 2);
    let step = routes.join_room(token(3), &room("lobby"), T0);
    assert_eq!(
        told(&step.effects),
        ["1 #lobby alice@3 Here", "2 #lobby alice@3 Here"],
        "the other device of the user is a member like any other"
    );
    assert_eq!(ok(step).members.len(), 3);

    let step = routes.log_out(token(1), T0);
    let expected = [
        "1 ended LoggedOut",
        "3 #lobby alice@1 Lost",
        "2 #lobby alice@1 Lost",
        "2 alice@1 Left",
    ];
    assert_eq!(told(&step.effects), expected);
    let found = routes.find(token(2), &user("alice")).unwrap();
    assert_eq!(found.peers[0].device, device(3), "one of them is still there");
}

#[test]
fn a_lease_tells_whose_it_is() {
    let mut routes = two_in_the_lobby();
    assert_eq!(routes.who(token(1)), Ok((device(1), user("alice"))));
    assert!(routes.is_live(device(1)) && !routes.is_live(device(3)));
    ok(routes.log_in(peer("alice", 1, 1), token(11), T0));
    assert_eq!(
        routes.who(token(1)),
        Err(Refusal::UnknownLease),
        "the newer lease counts"
    );
    assert_eq!(routes.who(token(11)), Ok((device(1), user("alice"))));
    ok(routes.log_out(token(11), T0));
    assert_eq!(routes.who(token(11)), Err(Refusal::UnknownLease));
    assert!(!routes.is_live(device(1)));
}

#[test]
fn a_revoked_device_is_gone_and_everybody_hears_of_it() {
    let mut routes = two_in_the_lobby();
    ok(routes.log_in(peer("carol", 3, 3), token(3), T0));
    let effects = routes.revoke(device(1), T0);
    let expected = [
        "1 ended Revoked",
        "2 #lobby alice@1 Lost",
        "2 revoked [1]",
        "3 revoked [1]",
    ];
    assert_eq!(told(&effects), expected, "carol has nothing to do with alice");
    assert_eq!(routes.who(token(1)), Err(Refusal::UnknownLease));
    let effects = routes.revoke(device(9), T0);
    assert_eq!(
        told(&effects),
        ["2 revoked [9]", "3 revoked [9]"],
        "a device may be revoked that is not there"
    );
    let effects = routes.revoke(device(2), T0 + limits::LEASE);
    assert_eq!(
        told(&effects),
        ["2 ended Lost", "#lobby dismissed", "3 ended Lost"],
        "time passes first, and then nobody is left to be told"
    );
}

#[test]
fn attempts_are_told_to_the_devices_of_the_user_alone() {
    let mut routes = two_in_the_lobby();
    ok(routes.log_in(peer("alice", 3, 3), token(3), T0));
    let here = [192, 0, 2, 7].into();
    let effects = routes.tell_attempt(&user("ALICE"), device(9), here, AttemptOutcome::Refused);
    let expected = ["1 attempt 9 192.0.2.7 Refused", "3 attempt 9 192.0.2.7 Refused"];
    assert_eq!(told(&effects), expected);
    let effects = routes.tell_attempt(&user("alice"), device(3), here, AttemptOutcome::Added);
    assert_eq!(
        told(&effects),
        ["1 attempt 3 192.0.2.7 Added"],
        "nobody is told of himself"
    );
    let effects = routes.tell_attempt(&user("carol"), device(9), here, AttemptOutcome::Waits);
    assert!(effects.is_empty());
}

#[test]
fn rooms_are_created_by_the_first_and_dismissed_after_the_last() {
    let mut routes = Routes::new();
    ok(routes.log_in(peer("alice", 1, 1), token(1), T0));
    ok(routes.log_in(peer("bob", 2, 2), token(2), T0));
    let step = routes.join_room(token(1), &room("Lobby"), T0);
    assert_eq!(told(&step.effects), ["#lobby created by alice"]);
    assert!(ok(step).created);

    let step = routes.join_room(token(2), &room("lobby"), T0);
    assert_eq!(told(&step.effects), ["1 #lobby bob@2 Here"]);
    let joined = ok(step);
    assert!(!joined.created);
    assert_eq!(joined.members.len(), 2);
    let again = routes.join_room(token(2), &room("lobby"), T0);
    assert!(again.effects.is_empty(), "joining twice changes nothing");

    let step = routes.leave_room(token(1), &room("lobby"), T0);
    assert_eq!(told(&step.effects), ["2 #lobby alice@1 Left"]);
    assert!(!ok(step));
    let step = routes.leave_room(token(1), &room("lobby"), T0);
    assert_eq!(step.answer, Err(Refusal::NotInRoom(room("lobby"))));
    let step = routes.leave_room(token(2), &room("lobby"), T0);
    assert_eq!(told(&step.effects), ["#lobby dismissed"]);
    assert!(ok(step));
}

#[test]
fn who_logs_out_has_not_left_his_rooms() {
    let mut routes = two_in_the_lobby();
    let step = routes.log_out(token(1), T0);
    assert_eq!(told(&step.effects), ["1 ended LoggedOut", "2 #lobby alice@1 Lost"]);
    ok(step);
    let step = routes.log_out(token(2), T0);
    assert_eq!(told(&step.effects), ["2 ended LoggedOut", "#lobby dismissed"]);
}

#[test]
fn a_lease_ends_unless_it_is_renewed() {
    let mut routes = two_in_the_lobby();
    let later = T0 + limits::RENEWAL;
    ok(routes.renew(token(2), &[user("alice")], later));
    assert!(routes.expire(Millis(T0.0 + limits::LEASE.0 - 1)).is_empty());
    let effects = routes.expire(T0 + limits::LEASE);
    assert_eq!(
        told(&effects),
        ["1 ended Lost", "2 #lobby alice@1 Lost", "2 alice@1 Lost"]
    );
    let refused = routes.find(token(1), &user("bob")).unwrap_err();
    assert_eq!(refused, Refusal::UnknownLease);
}

#[test]
fn a_lease_whose_time_is_up_is_gone_before_anybody_looks() {
    let mut routes = two_in_the_lobby();
    let step = routes.log_in(peer("alice", 3, 3), token(3), T0 + limits::LEASE);
    assert_eq!(told(&step.effects)[0], "1 ended Lost");
    ok(step);
}

#[test]
fn a_lost_stream_shortens_the_lease_and_a_renewal_makes_it_long_again() {
    let mut routes = two_in_the_lobby();
    ok(routes.renew(token(2), &[], T0 + limits::RENEWAL));
    routes.stream_lost(token(1), T0);
    let gone = routes.expire(T0 + limits::STREAM_LOST);
    assert_eq!(told(&gone), ["1 ended Lost", "2 #lobby alice@1 Lost"]);

    routes.stream_lost(token(2), T0 + limits::RENEWAL);
    ok(routes.renew(token(2), &[], T0 + limits::RENEWAL));
    assert!(routes.expire(T0 + limits::LEASE).is_empty());
    routes.stream_lost(token(1), T0);
}

#[test]
fn a_lost_stream_never_lengthens_a_lease() {
    let mut routes = two_in_the_lobby();
    let late = Millis(T0.0 + limits::LEASE.0 - 1);
    routes.stream_lost(token(1), late);
    assert!(!routes.expire(T0 + limits::LEASE).is_empty());
}

#[test]
fn who_reconnects_and_joins_again_is_not_seen_to_leave() {
    let mut routes = two_in_the_lobby();
    ok(routes.renew(token(2), &[user("alice")], T0));
    routes.stream_lost(token(1), T0);
    let step = routes.log_in(peer("alice", 1, 1), token(11), Millis(T0.0 + 2_000));
    assert_eq!(told(&step.effects), ["1 ended Replaced"]);
    let step = routes.join_room(token(11), &room("lobby"), Millis(T0.0 + 2_500));
    assert!(step.effects.is_empty());
    assert!(!ok(step).created);
    assert!(routes.expire(T0 + limits::REJOIN + limits::REJOIN).is_empty());
    assert_eq!(routes.renew(token(1), &[], T0).answer, Err(Refusal::UnknownLease));
}

#[test]
fn a_new_process_is_not_held_for_a_member_of_rooms_that_it_does_not_join() {
    let mut routes = two_in_the_lobby();
    ok(routes.log_in(peer("alice", 1, 1), token(11), T0));
    let step = routes.leave_room(token(2), &room("lobby"), T0);
    assert!(
        step.effects.is_empty(),
        "alice has not joined with her new lease: {:?}",
        step.effects
    );
    ok(routes.join_room(token(2), &room("lobby"), T0));
    let effects = routes.expire(T0 + limits::REJOIN);
    assert_eq!(told(&effects), ["2 #lobby alice@1 Lost"]);
    assert_eq!(routes.find(token(2), &user("alice")).unwrap().peers.len(), 1);
}

#[test]
fn a_kept_membership_can_be_left() {
    let mut routes = two_in_the_lobby();
    ok(routes.log_in(peer("alice", 1, 1), token(11), T0));
    let step = routes.leave_room(token(11), &room("lobby"), T0);
    assert_eq!(told(&step.effects), ["2 #lobby alice@1 Left"]);
    assert!(routes.expire(T0 + limits::REJOIN).is_empty());
}

#[test]
fn a_new_address_is_told_as_here_again() {
    let mut routes = two_in_the_lobby();
    ok(routes.renew(token(2), &[user("alice")], T0));
    let step = routes.log_in(peer("Alice", 1, 9), token(11), T0);
    assert_eq!(
        told(&step.effects),
        ["1 ended Replaced", "2 Alice@9 Here", "2 #lobby Alice@9 Here"]
    );
}

#[test]
fn a_device_that_comes_under_another_name_is_no_longer_the_former_user() {
    let mut routes = two_in_the_lobby();
    ok(routes.renew(token(2), &[user("alice"), user("carol")], T0));
    let step = routes.log_in(peer("carol", 1, 1), token(11), T0);
    let expected = [
        "1 ended Replaced",
        "2 #lobby alice@1 Lost",
        "2 alice@1 Left",
        "2 carol@1 Here",
    ];
    assert_eq!(told(&step.effects), expected);
    ok(routes.log_in(peer("alice", 3, 3), token(3), T0));
}

#[test]
fn a_watcher_hears_at_once_and_from_then_on() {
    let mut routes = two_in_the_lobby();
    let step = routes.renew(token(2), &[user("alice"), user("Carol")], T0);
    assert_eq!(told(&step.effects), ["2 alice@1 Here", "2 Carol offline"]);
    let step = routes.log_in(peer("carol", 3, 3), token(3), T0);
    assert_eq!(told(&step.effects), ["2 carol@3 Here"]);
    let step = routes.log_out(token(3), T0);
    assert_eq!(told(&step.effects), ["3 ended LoggedOut", "2 carol@3 Left"]);
    let step = routes.renew(token(2), &[user("CAROL")], T0);
    assert_eq!(told(&step.effects), ["2 carol offline"], "as its user wrote it");
}

#[test]
fn offline_is_told_from_never_heard_of() {
    let mut routes = two_in_the_lobby();
    let unknown = routes.find(token(1), &user("carol"));
    assert_eq!(unknown.unwrap_err(), Refusal::UnknownUser(user("carol")));
    ok(routes.log_out(token(2), T0));
    let found = routes.find(token(1), &user("BOB")).unwrap();
    assert_eq!((found.user.shown(), found.peers.len()), ("bob", 0));
}

#[test]
fn over_a_limit_is_refused_and_what_is_there_stays() {
    let mut routes = Routes::new();
    for n in 0..limits::LEASES_MAX {
        ok(routes.log_in(peer(&format!("user{n}"), n, 1), token(n), T0));
    }
    let full = limits::LEASES_MAX;
    assert_eq!(
        routes.log_in(peer("late", full, 1), token(full), T0).answer,
        Err(Refusal::LeasesFull)
    );
    ok(routes.log_in(peer("user0", 0, 1), token(full), T0));

    let members = limits::MEMBERS_PER_ROOM_MAX;
    for n in 1..=members {
        ok(routes.join_room(token(n), &room("big"), T0));
    }
    let refused = routes.join_room(token(members + 1), &room("big"), T0).answer;
    assert_eq!(refused.unwrap_err(), Refusal::RoomFull(room("big")));

    let watched: Vec<UserName> = (0..limits::WATCHED_PER_LEASE_MAX)
        .map(|n| user(&format!("w{n}")))
        .collect();
    ok(routes.renew(token(1), &watched, T0));
    ok(routes.renew(token(1), &watched[..1], T0));
    let refused = routes.renew(token(1), &[user("one-more")], T0).answer;
    assert_eq!(refused, Err(Refusal::WatchedFull));

    let by = members + 10;
    let holders = limits::ROOMS_MAX / limits::ROOMS_PER_LEASE_MAX;
    for n in 1..limits::ROOMS_MAX {
        ok(routes.join_room(token(by + n % holders), &room(&format!("r{n}")), T0));
    }
    let refused = routes.join_room(token(members + 1), &room("one-more"), T0).answer;
    assert_eq!(refused.unwrap_err(), Refusal::RoomsFull);
    let refused = routes.join_room(token(by + 1), &room("one-more"), T0).answer;
    assert_eq!(refused.unwrap_err(), Refusal::RoomsPerLease);
}
