//! Codes for new devices: asked for, given up, approved.

use proptest::prelude::*;

use super::*;

fn origin(last: u8) -> Origin {
    Origin::new([192, 0, 2, last].into())
}

fn request(links: &mut Links, account: &str, device: u8, from: u8, now: u64) -> Result<Ticket, NoRoom> {
    let (device, label) = (DeviceId([device; 32]), DeviceLabel::new("laptop"));
    links.ask(account, device, label, origin(from), [7; 5], Millis(now))
}

fn ask(links: &mut Links, account: &str, device: u8, from: u8, now: u64) -> Result<Code, NoRoom> {
    request(links, account, device, from, now).map(|ticket| ticket.code)
}

#[test]
fn a_code_is_approved_once_within_its_account_and_time() {
    let mut links = Links::default();
    let code = ask(&mut links, "alice", 1, 1, 0).unwrap();
    assert_eq!(ask(&mut links, "alice", 1, 1, 5), Ok(code), "one code per device");
    assert_eq!(links.approve("bob", code, Millis(0)), Err(NotApproved::Unknown));
    assert_eq!(
        links.approve("alice", code, Millis(9)).unwrap().device,
        DeviceId([1; 32])
    );
    assert!(
        links.approve("alice", code, Millis(9)).is_ok(),
        "approving may have failed, and is tried again"
    );
    links.forget(DeviceId([1; 32]));
    assert_eq!(links.approve("alice", code, Millis(9)), Err(NotApproved::Unknown));

    let code = ask(&mut links, "alice", 2, 1, 0).unwrap();
    assert_eq!(links.approve("alice", code, CODE_LIFETIME), Err(NotApproved::Unknown));
}

#[test]
fn the_same_random_bytes_make_different_codes_in_one_account() {
    let mut links = Links::default();
    let first = ask(&mut links, "alice", 1, 1, 0).unwrap();
    let second = ask(&mut links, "alice", 2, 1, 0).unwrap();
    assert_ne!(first, second);
    assert_eq!(
        links.approve("alice", second, Millis(0)).unwrap().device,
        DeviceId([2; 32])
    );
    assert_eq!(Code(CODES - 1).next(), Code(0));
}

#[test]
fn a_code_that_another_registry_asks_for_is_found_in_its_account_alone_and_counts_nothing() {
    let mut links = Links::default();
    let first = ask(&mut links, "alice", 1, 1, 0).unwrap();
    let second = ask(&mut links, "alice", 2, 1, 0).unwrap();
    let others = ask(&mut links, "bob", 3, 1, 0).unwrap();
    let found = |links: &Links, account: &str, code: Code, now: u64| {
        let found = links.find(account, |it| it == code, Millis(now))?;
        Some(found.device.0[0])
    };
    assert_eq!(found(&links, "alice", first, 0), Some(1));
    assert_eq!(found(&links, "alice", second, 0), Some(2));
    assert_eq!(found(&links, "bob", others, 0), Some(3));
    for account in ["", "alic", "alicf", "carol"] {
        assert!(links.find(account, |_| true, Millis(0)).is_none(), "{account}");
    }
    assert_eq!(found(&links, "alice", first, CODE_LIFETIME.0), None);
    for _ in 0..100 {
        assert!(links.find("alice", |_| false, Millis(0)).is_none());
    }
    assert!(
        links.approve("alice", first, Millis(0)).is_ok(),
        "nobody waits for that"
    );
}

#[test]
fn a_code_that_was_right_elsewhere_does_not_count_as_a_wrong_one() {
    let mut links = Links::default();
    for _ in 0..100 {
        assert_eq!(links.approve("alice", Code(1), Millis(0)), Err(NotApproved::Unknown));
        links.was_right("alice");
    }
    let wrong = (0..100).map(|_| links.approve("alice", Code(1), Millis(0)));
    assert!(
        wrong
            .into_iter()
            .any(|wrong| matches!(wrong, Err(NotApproved::TooManyTries(_))))
    );
}

#[test]
fn a_device_that_asks_elsewhere_waits_only_there() {
    let mut links = Links::default();
    let code = ask(&mut links, "alice", 1, 1, 0).unwrap();
    let other = ask(&mut links, "bob", 1, 1, 0).unwrap();
    assert_eq!(links.approve("alice", code, Millis(0)), Err(NotApproved::Unknown));
    assert!(links.approve("bob", other, Millis(0)).is_ok());
}

#[test]
fn the_latest_request_of_a_device_is_the_one_that_waits() {
    let mut links = Links::default();
    let first = request(&mut links, "alice", 1, 1, 0).unwrap();
    assert!(links.waits(&first));
    let second = request(&mut links, "alice", 1, 1, 5).unwrap();
    assert_eq!((second.code, second.ends), (first.code, first.ends));
    assert!(!links.waits(&first) && links.waits(&second));
    links.give_up(&first);
    assert!(
        links.approve("alice", second.code, Millis(9)).is_ok(),
        "the code is the second one's too"
    );

    let elsewhere = request(&mut links, "bob", 1, 1, 5).unwrap();
    links.give_up(&second);
    assert!(!links.waits(&second) && links.waits(&elsewhere));
    links.give_up(&elsewhere);
    assert_eq!(
        links.approve("bob", elsewhere.code, Millis(9)),
        Err(NotApproved::Unknown)
    );

    let other = request(&mut links, "alice", 2, 1, 0).unwrap();
    links.clear();
    assert!(!links.waits(&other));
}

#[test]
fn those_who_wait_are_bounded_until_their_codes_end() {
    let mut links = Links::default();
    for device in 0..8 {
        ask(&mut links, "alice", device, 1, 0).unwrap();
        ask(&mut links, "bob", 100 + device, 1, 0).unwrap();
    }
    assert_eq!(ask(&mut links, "alice", 9, 2, 0), Err(NoRoom::Account));
    assert_eq!(ask(&mut links, "carol", 9, 1, 0), Err(NoRoom::Origin));
    assert!(ask(&mut links, "carol", 9, 2, 0).is_ok());
    assert!(ask(&mut links, "alice", 10, 1, CODE_LIFETIME.0).is_ok());
}

#[test]
fn wrong_codes_are_heard_ever_more_rarely() {
    let mut links = Links::default();
    let right = ask(&mut links, "alice", 1, 1, 0).unwrap();
    for _ in 0..5 {
        assert_eq!(
            links.approve("alice", right.next(), Millis(0)),
            Err(NotApproved::Unknown)
        );
    }
    let refused = links.approve("alice", right, Millis(0));
    assert!(matches!(refused, Err(NotApproved::TooManyTries(_))), "{refused:?}");
    assert!(links.approve("alice", right, Millis(1_000)).is_ok());
}

proptest! {
    #[test]
    fn every_code_is_read_as_it_is_shown(random: [u8; 5]) {
        let code = Code::new(random);
        let shown = code.to_string();
        prop_assert_eq!(shown.len(), 9);
        prop_assert!(!shown.contains(['0', '1', 'I', 'O']));
        prop_assert_eq!(shown.parse(), Ok(code));
        prop_assert_eq!(shown.to_lowercase().replace('-', " ").parse(), Ok(code));
    }

    #[test]
    fn no_text_makes_the_reader_fall(text in "\\PC{0,20}") {
        if let Ok(code) = text.parse::<Code>() {
            prop_assert!(code.0 < CODES);
        }
    }
}
