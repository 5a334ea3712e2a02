//! What becomes of a part of an account, whatever is here.

use super::*;
use crate::accounts::{DeviceLabel, store::AddedBy};

const CREATED: WallTime = WallTime(1_700_000_000);

fn device(n: u16) -> Device {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&n.to_be_bytes());
    Device {
        device: DeviceId(key),
        label: DeviceLabel::new("laptop"),
        added_by: AddedBy::Password,
        added: CREATED,
        seen: CREATED,
        revoked: None,
    }
}

fn revoked(n: u16) -> Device {
    Device {
        revoked: Some(CREATED),
        ..device(n)
    }
}

fn part(password: Option<&str>, devices: Vec<Device>) -> AccountPart {
    AccountPart {
        name: UserName::new("Alice").unwrap(),
        password: password.map(PasswordHash::stored),
        created: CREATED,
        devices,
    }
}

fn here(created: u64, password: Option<&str>, live: usize) -> AccountHere {
    AccountHere {
        created: WallTime(created),
        password: password.map(PasswordHash::stored),
        live,
        ever: live,
    }
}

fn of(account: &str, is_revoked: bool) -> Option<DeviceHere> {
    let account = account.to_owned();
    Some(DeviceHere { account, is_revoked })
}

fn added(plan: &Plan<'_>) -> Vec<DeviceId> {
    plan.adds.iter().map(|device| device.device).collect()
}

fn skipped(plan: &Plan<'_>) -> Vec<Skipped> {
    plan.skipped.iter().map(|skipped| skipped.why.clone()).collect()
}

#[test]
fn a_free_name_is_made_with_all_devices_but_those_of_others() {
    let part = part(None, vec![device(1), device(2), revoked(3)]);
    let plan = judge(&part, None, &[None, of("bob", false), None]);
    assert_eq!(plan.account, Fate::Made);
    assert_eq!(added(&plan), [device(1).device, device(3).device]);
    assert_eq!(skipped(&plan), [Skipped::OfAnother("bob".to_owned())]);
}

#[test]
fn a_name_that_nobody_could_enter_stays_free() {
    let of_others = [of("bob", false)];
    let plan = judge(&part(None, vec![device(1)]), None, &of_others).account;
    assert_eq!(plan, Fate::LeftOut);
    let plan = judge(&part(Some("hash"), vec![device(1)]), None, &of_others).account;
    assert_eq!(plan, Fate::Made, "a password is enough");
}

#[test]
fn a_name_of_somebody_else_is_left_alone() {
    let part = part(Some("hash"), vec![device(1), revoked(2)]);
    let cases = [
        (here(9, None, 1), [None, None]),
        // The same moment alone proves nothing.
        (here(CREATED.0, Some("other"), 1), [of("bob", false), None]),
        // Who was shut out has taken the name: that makes him nobody's heir.
        (here(9, None, 1), [None, of("alice", false)]),
        (here(9, None, 1), [of("alice", true), None]),
    ];
    for (account, devices) in cases {
        let plan = judge(&part, Some(&account), &devices);
        assert_eq!(plan.account, Fate::NameTaken, "{account:?} {devices:?}");
        assert!(!plan.sets_password && plan.adds.is_empty());
    }
}

#[test]
fn nothing_is_ended_here_of_an_account_that_was_not_taken() {
    let skipped = || SkippedDevice {
        device: device(2).device,
        why: Skipped::InUse,
    };
    for (account, has) in [
        (Fate::Made, [true, false]),
        (Fate::Known, [true, false]),
        (Fate::NameTaken, [false, false]),
        (Fate::LeftOut, [false, false]),
    ] {
        let imported = Imported {
            account,
            added: 0,
            skipped: vec![skipped()],
        };
        assert_eq!([1, 2].map(|n| imported.has(device(n).device)), has, "{account:?}");
    }
}

#[test]
fn who_took_his_name_anew_gets_his_other_devices_and_his_password() {
    let part = part(Some("hash"), vec![device(1), device(2), revoked(3), revoked(4)]);
    let devices = [of("alice", false), None, None, of("alice", false)];
    let plan = judge(&part, Some(&here(9, None, 2)), &devices);
    assert_eq!(plan.account, Fate::Known);
    assert!(plan.sets_password);
    assert_eq!(added(&plan), [device(2).device, device(3).device]);
    assert_eq!(skipped(&plan), [Skipped::InUse]);
    let plan = judge(&part, Some(&here(9, Some("newer"), 2)), &devices);
    assert!(!plan.sets_password, "the newer one counts");
}

#[test]
fn what_was_imported_is_known_again_whatever_was_revoked_since() {
    let part = part(Some("hash"), vec![device(1), revoked(2)]);
    let devices = [of("alice", true), of("alice", true)];
    let newer = here(CREATED.0, Some("newer"), 0);
    let without_devices = (here(CREATED.0, Some("hash"), 0), [of("bob", false), of("alice", true)]);
    for (account, devices) in [(newer, devices), without_devices] {
        let plan = judge(&part, Some(&account), &devices);
        assert_eq!((plan.account, plan.sets_password), (Fate::Known, false));
        assert!(plan.adds.is_empty());
    }
}

#[test]
fn no_more_devices_are_taken_than_an_account_can_have() {
    let part = part(None, vec![device(1), device(2), device(3), revoked(4)]);
    let devices = [of("alice", false), None, None, None];
    let mut account = here(9, None, DEVICES_MAX - 1);
    let plan = judge(&part, Some(&account), &devices);
    assert_eq!(added(&plan), [device(2).device, device(4).device]);
    assert_eq!(skipped(&plan), [Skipped::NoRoom]);
    account.ever = DEVICES_EVER_MAX - 1;
    account.live = 1;
    let plan = judge(&part, Some(&account), &devices);
    assert_eq!(added(&plan), [device(2).device]);
    assert_eq!(skipped(&plan), [Skipped::NoRoom, Skipped::NoRoom]);
}

#[test]
fn parts_bring_each_device_once_and_are_known_by_one_that_was_taken() {
    let mut devices: Vec<_> = (0..70).map(revoked).collect();
    devices.extend((70..72).map(device));
    let account = StoredAccount {
        name: UserName::new("Alice").unwrap(),
        password: None,
        created: CREATED,
    };
    let (first, mut rest) = first_part(&account, devices);
    assert_eq!(first.devices.len(), PART_DEVICES_MAX);
    assert_eq!(first.devices[..2], [device(70), device(71)]);
    let mut became = Imported {
        account: Fate::Made,
        added: PART_DEVICES_MAX - 1,
        skipped: vec![SkippedDevice {
            device: device(70).device,
            why: Skipped::NoRoom,
        }],
    };
    let mut brought = first.devices.clone();
    while let Some(next) = next_part(&first, &became, &mut rest) {
        assert!(next.devices.len() <= PART_DEVICES_MAX);
        assert_eq!(next.devices[0], device(71));
        brought.extend_from_slice(&next.devices[1..]);
    }
    brought.sort_by_key(|device| device.device);
    brought.dedup();
    assert_eq!(brought.len(), 72);

    became.account = Fate::NameTaken;
    assert_eq!(next_part(&first, &became, &mut [revoked(1)].into()), None);
}
