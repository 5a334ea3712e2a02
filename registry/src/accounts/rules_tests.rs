//! Who gets in and who does not, in each case and in all of them.

use proptest::prelude::*;

use super::*;

const NOTHING: Brought = Brought {
    password: PasswordResult::None,
    invite: InviteState::None,
};

fn with(password: PasswordResult) -> Brought {
    Brought { password, ..NOTHING }
}

fn account(live: usize, has_password: bool) -> Stored {
    Stored::Account {
        live,
        ever: live,
        has_password,
    }
}

#[test]
fn a_free_name_goes_to_whom_the_registry_takes() {
    use InviteState as I;
    let cases = [
        (Registration::Open, I::None, Ok(false)),
        (Registration::Open, I::Good, Ok(false)),
        (Registration::Open, I::Expired, Ok(false)),
        (Registration::Invite, I::Good, Ok(true)),
        (Registration::Invite, I::None, Err(Refusal::InviteNeeded)),
        (Registration::Invite, I::Unknown, Err(Refusal::InviteUnknown)),
        (Registration::Invite, I::Used, Err(Refusal::InviteUsed)),
        (Registration::Invite, I::Expired, Err(Refusal::InviteExpired)),
        (Registration::Closed, I::Good, Err(Refusal::RegistrationClosed)),
    ];
    for (registration, invite, expected) in cases {
        let brought = Brought { invite, ..NOTHING };
        let expected = expected.map_or_else(Decision::Refuse, |uses_invite| Decision::Create { uses_invite });
        let decided = decide(Stored::Nothing, DeviceState::Unknown, brought, registration);
        assert_eq!(decided, expected, "{registration} {invite:?}");
    }
}

#[test]
fn a_taken_name_needs_its_password() {
    let unknown = |stored, password| decide(stored, DeviceState::Unknown, with(password), Registration::Closed);
    for has_password in [true, false] {
        let refused = Decision::Refuse(Refusal::NameTaken { has_password });
        assert_eq!(unknown(account(1, has_password), PasswordResult::None), refused);
    }
    let wrong = Decision::Refuse(Refusal::WrongPassword);
    assert_eq!(unknown(account(1, true), PasswordResult::Wrong), wrong);
    assert_eq!(unknown(account(1, true), PasswordResult::Right), Decision::AddDevice);
    assert_eq!(unknown(account(0, true), PasswordResult::Right), Decision::AddDevice);
    let full = Decision::Refuse(Refusal::TooManyDevices);
    assert_eq!(unknown(account(DEVICES_MAX, true), PasswordResult::Right), full);
    let worn = Stored::Account {
        live: 1,
        ever: DEVICES_EVER_MAX,
        has_password: true,
    };
    assert_eq!(unknown(worn, PasswordResult::Right), full);
}

#[test]
fn a_device_lets_another_one_in() {
    use DeviceState::*;
    assert_eq!(may_approve(account(1, false), Live, Unknown), Ok(()));
    assert_eq!(may_approve(account(1, false), Live, Live), Ok(()));
    assert_eq!(
        may_approve(account(DEVICES_MAX, false), Live, Unknown),
        Err(Refusal::TooManyDevices)
    );
    assert_eq!(
        may_approve(account(1, false), Live, Revoked),
        Err(Refusal::DeviceRevoked)
    );
    assert_eq!(
        may_approve(account(1, false), Live, OfAnother),
        Err(Refusal::DeviceOfAnother)
    );
    for stranger in [Unknown, Revoked, OfAnother] {
        assert_eq!(
            may_approve(account(1, false), stranger, Unknown),
            Err(Refusal::NotADevice)
        );
    }
}

#[test]
fn the_last_way_in_is_not_thrown_away() {
    use DeviceState::*;
    assert_eq!(may_revoke(account(2, false), Live, Live), Ok(()));
    assert_eq!(may_revoke(account(1, true), Live, Live), Ok(()));
    assert_eq!(may_revoke(account(1, false), Live, Live), Err(Refusal::LastDevice));
    assert_eq!(
        may_revoke(account(1, false), Live, Revoked),
        Ok(()),
        "it is done already"
    );
    for other in [Unknown, OfAnother] {
        assert_eq!(may_revoke(account(2, true), Live, other), Err(Refusal::NotADevice));
        assert_eq!(may_revoke(account(2, true), other, Live), Err(Refusal::NotADevice));
    }
    assert_eq!(may_revoke(account(2, true), Revoked, Live), Err(Refusal::NotADevice));
}

#[test]
fn modes_are_read_as_they_are_shown() {
    for mode in [Registration::Open, Registration::Invite, Registration::Closed] {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    assert!("Open".parse::<Registration>().is_err());
}

fn any_stored() -> impl Strategy<Value = Stored> {
    let account = (0..40_usize, 0..2_000_usize, any::<bool>()).prop_map(|(live, more, has_password)| Stored::Account {
        live,
        ever: live + more,
        has_password,
    });
    prop_oneof![Just(Stored::Nothing), account]
}

fn any_device() -> impl Strategy<Value = DeviceState> {
    use DeviceState::*;
    prop::sample::select(vec![Unknown, Live, Revoked, OfAnother])
}

fn any_brought() -> impl Strategy<Value = Brought> {
    use InviteState as I;
    use PasswordResult as P;
    let password = prop::sample::select(vec![P::None, P::Right, P::Wrong]);
    let invite = prop::sample::select(vec![I::None, I::Good, I::Unknown, I::Used, I::Expired]);
    (password, invite).prop_map(|(password, invite)| Brought { password, invite })
}

fn any_registration() -> impl Strategy<Value = Registration> {
    prop::sample::select(Registration::ALL.map(|(mode, _)| mode).to_vec())
}

proptest! {
    #[test]
    fn nobody_gets_into_an_account_without_its_key_or_password(
        stored in any_stored(), device in any_device(), brought in any_brought(), registration in any_registration(),
    ) {
        match decide(stored, device, brought, registration) {
            Decision::Create { uses_invite } => {
                prop_assert_eq!(stored, Stored::Nothing);
                prop_assert_eq!(uses_invite, registration == Registration::Invite);
                prop_assert!(!uses_invite || brought.invite == InviteState::Good);
                prop_assert_ne!(registration, Registration::Closed);
            }
            Decision::Welcome => prop_assert_eq!(device, DeviceState::Live),
            Decision::AddDevice => {
                prop_assert_eq!(device, DeviceState::Unknown);
                prop_assert_eq!(brought.password, PasswordResult::Right);
                let has_room = matches!(stored, Stored::Account { live, .. } if live < DEVICES_MAX);
                prop_assert!(has_room);
            }
            Decision::Refuse(_) => {}
        }
    }

    #[test]
    fn a_revoked_device_never_gets_in(
        stored in any_stored(), brought in any_brought(), registration in any_registration(),
    ) {
        let decided = decide(stored, DeviceState::Revoked, brought, registration);
        prop_assert_eq!(decided, Decision::Refuse(Refusal::DeviceRevoked));
        prop_assert!(may_approve(stored, DeviceState::Live, DeviceState::Revoked).is_err());
        prop_assert!(may_approve(stored, DeviceState::Revoked, DeviceState::Unknown).is_err());
    }

    #[test]
    fn a_known_device_is_asked_nothing(
        brought in any_brought(), registration in any_registration(), live in 1..40_usize, has_password: bool,
    ) {
        let decided = decide(account(live, has_password), DeviceState::Live, brought, registration);
        prop_assert_eq!(decided, Decision::Welcome);
    }
}
