//! Changes and all accounts, as bytes and back.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    accounts::{LABEL_CHARS_MAX, looks::looks, rules::Registration},
    cluster::ledger::CHANGE_MAX,
};

fn name() -> impl Strategy<Value = UserName> {
    "[a-zA-Zé]{1,64}".prop_map(|name| UserName::new(&name).unwrap())
}

fn device() -> impl Strategy<Value = DeviceId> {
    any::<[u8; 32]>().prop_map(DeviceId)
}

fn label() -> impl Strategy<Value = DeviceLabel> {
    any::<String>().prop_map(|label| DeviceLabel::new(&label))
}

fn hash() -> impl Strategy<Value = PasswordHash> {
    "[a-z0-9$=,]{1,128}".prop_map(|hash| PasswordHash::stored(&hash))
}

fn time() -> impl Strategy<Value = WallTime> {
    any::<u64>().prop_map(WallTime)
}

fn invite() -> impl Strategy<Value = InviteHash> {
    any::<[u8; 32]>().prop_map(InviteHash)
}

fn claim() -> impl Strategy<Value = Claim> {
    let proof = prop_oneof![
        Just(Proof::None),
        (hash(), any::<bool>()).prop_map(|(with, is_right)| Proof::Compared { with, is_right }),
        hash().prop_map(Proof::New),
    ];
    let registration = prop_oneof![
        Just(Registration::Open),
        Just(Registration::Invite),
        Just(Registration::Closed)
    ];
    let parts = (name(), device(), label(), proof, option::of(invite()), registration);
    parts.prop_map(|(name, device, label, proof, invite, registration)| Claim {
        looks: looks(&name),
        name,
        device,
        label,
        proof,
        invite,
        registration,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let what = prop_oneof![
        claim().prop_map(What::Claim),
        (name(), device(), device(), label()).prop_map(|(name, by, device, label)| What::Approve {
            name,
            by,
            device,
            label
        }),
        (name(), device(), device()).prop_map(|(name, by, device)| What::Revoke { name, by, device }),
        (name(), device(), hash()).prop_map(|(name, by, password)| What::SetPassword { name, by, password }),
        (invite(), time()).prop_map(|(invite, expires)| What::AddInvite { invite, expires }),
        part().prop_map(What::Import),
    ];
    (time(), what).prop_map(|(at, what)| Change { at, what })
}

fn known_device() -> impl Strategy<Value = Device> {
    let added_by = prop_oneof![
        Just(AddedBy::Registration),
        Just(AddedBy::Password),
        Just(AddedBy::Approval)
    ];
    let device = (device(), label(), added_by, time(), time(), option::of(time()));
    device.prop_map(|(device, label, added_by, added, seen, revoked)| Device {
        device,
        label,
        added_by,
        added,
        seen,
        revoked,
    })
}

fn part() -> impl Strategy<Value = AccountPart> {
    let devices = vec(known_device(), 0..=PART_DEVICES_MAX);
    let part = (name(), option::of(hash()), time(), devices);
    part.prop_map(|(name, password, created, devices)| AccountPart {
        name,
        password,
        created,
        devices,
    })
}

fn whole() -> impl Strategy<Value = Whole> {
    let account = (name(), option::of(hash()), time()).prop_map(|(name, password, created)| StoredAccount {
        name,
        password,
        created,
    });
    let device = (known_device(), name()).prop_map(|(device, name)| StoredDevice {
        account: name.key().to_owned(),
        device,
    });
    let invite = (invite(), time(), time(), option::of((time(), name())));
    let invite = invite.prop_map(|(hash, created, expires, used)| WholeInvite {
        stored: StoredInvite {
            hash,
            created,
            expires,
            used_by: used.as_ref().map(|(_, name)| name.key().to_owned()),
        },
        used: used.map(|(time, _)| time),
    });
    let look = (any::<[u8; 32]>(), name()).prop_map(|(look, name)| (Look(look), name.key().to_owned()));
    let parts = (
        vec(account, 0..4),
        vec(device, 0..4),
        vec(invite, 0..4),
        vec(look, 0..4),
    );
    parts.prop_map(|(accounts, devices, invites, looks)| Whole {
        accounts,
        devices,
        invites,
        looks,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_change_is_read_as_it_was_written_and_never_too_long(change in change()) {
        let bytes = change_to_bytes(&change);
        prop_assert!(bytes.len() <= CHANGE_MAX);
        prop_assert_eq!(change_from_bytes(&bytes), Ok(Some(change)));
    }

    #[test]
    fn any_bytes_are_a_change_or_none(bytes in vec(any::<u8>(), 1..60)) {
        let _ = change_from_bytes(&bytes);
        prop_assert_eq!(whole_from_bytes(&bytes), Err(Unreadable));
    }

    #[test]
    fn all_accounts_are_read_as_they_were_written_or_not_at_all(whole in whole(), byte: prop::sample::Index, bit in 0..8) {
        let mut bytes = whole_to_bytes(&whole);
        prop_assert_eq!(whole_from_bytes(&bytes), Ok(whole));
        let at = byte.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert_eq!(whole_from_bytes(&bytes), Err(Unreadable));
    }
}

#[test]
fn what_is_not_known_is_not_passed_over() {
    assert_eq!(change_from_bytes(&[]), Ok(None));
    let unknown = v1::AccountChange {
        at_s: 7,
        user: "alice".to_owned(),
        what: None,
    };
    assert_eq!(change_from_bytes(&unknown.encode_to_vec()), Err(Unreadable));
}

/// As long as it can be: all devices that can be live, whose labels and all else have as many bytes as they can.
#[test]
fn a_part_of_an_account_fits_into_a_change() {
    let widest = |chars| "\u{1f600}".repeat(chars);
    let device = |n: u8| Device {
        device: DeviceId([n; 32]),
        label: DeviceLabel::new(&widest(LABEL_CHARS_MAX)),
        added_by: AddedBy::Registration,
        added: WallTime(u64::MAX),
        seen: WallTime(u64::MAX),
        revoked: Some(WallTime(u64::MAX)),
    };
    let mut part = AccountPart {
        name: UserName::new(&widest(64)).unwrap(),
        password: Some(PasswordHash::stored(&"x".repeat(512))),
        created: WallTime(u64::MAX),
        devices: (0..32).map(device).collect(),
    };
    assert_eq!(part.devices.len(), PART_DEVICES_MAX);
    let at = WallTime(u64::MAX);
    let bytes = |part: &AccountPart| {
        let what = What::Import(part.clone());
        change_to_bytes(&Change { at, what })
    };
    let fits = bytes(&part);
    assert!(fits.len() <= CHANGE_MAX, "{}", fits.len());
    change_from_bytes(&fits).unwrap();
    part.devices.push(device(99));
    assert_eq!(change_from_bytes(&bytes(&part)), Err(Unreadable));
}
