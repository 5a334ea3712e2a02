//! The rules of names.

use proptest::prelude::*;

use super::*;

#[test]
fn names_that_keep_the_rules() {
    let longest = ["x".repeat(64), "🦀".repeat(64)];
    let short = ["a", "alice", "Zoë", "小明", "🦀", "👩‍💻", "a.b-c_d", "..."];
    for name in short.into_iter().chain(longest.iter().map(String::as_str)) {
        assert!(UserName::new(name).is_ok(), "{name:?}");
        assert!(RoomName::new(name).is_ok(), "{name:?}");
    }
}

#[test]
fn names_that_break_a_rule() {
    use NameError::*;
    let cases = [
        ("", Empty),
        (".", Dots(".".into())),
        ("..", Dots("..".into())),
        ("a b", Unprintable(' ')),
        ("a\u{3000}b", Unprintable('\u{3000}')),
        ("a\nb", Unprintable('\n')),
        ("\u{1b}[31m", Unprintable('\u{1b}')),
        ("\u{202e}ecila", Unprintable('\u{202e}')),
        ("ali\u{200d}ce", Unprintable('\u{200d}')),
        ("a/b", Reserved('/')),
        ("#a", Reserved('#')),
        ("@a", Reserved('@')),
        ("a:1", Reserved(':')),
    ];
    for (name, error) in cases {
        assert_eq!(RoomName::new(name), Err(error.clone()), "{name:?}");
        assert_eq!(UserName::new(name), Err(error), "{name:?}");
    }
    assert_eq!(RoomName::new(&"x".repeat(65)).unwrap_err(), TooLong { found: 65 });
    assert!(RoomName::new(&"x".repeat(1 << 20)).is_err());
}

#[test]
fn names_are_compared_folded_and_shown_as_typed() {
    let (typed, other) = (UserName::new("ALICE").unwrap(), UserName::new("alice").unwrap());
    assert_eq!(typed, other);
    assert_eq!(typed.shown(), "ALICE");
    assert_eq!(UserName::new("e\u{301}").unwrap().shown(), "\u{e9}", "normal form C");
    assert_eq!(RoomName::new("Straße").unwrap(), RoomName::new("STRASSE").unwrap());
}

#[test]
fn a_private_room_is_a_name_that_nobody_types() {
    let plans = RoomName::new("Plans").unwrap();
    let private = plans.private(&[0xff; 16]);
    assert_eq!(private.as_str(), "plans:77777777777777777777777774");
    assert_eq!((private.base(), private.label().as_str()), ("plans", "plans:7777…"));
    assert_eq!((plans.id(), plans.label().as_str()), (None, "plans"));
    assert_eq!(RoomName::parse(private.as_str()).unwrap(), private);
    assert_eq!(RoomName::parse("plans").unwrap(), plans);
    let hidden = RoomName::unlisted(&[7; 32]);
    assert!(hidden.is_unlisted() && !private.is_unlisted() && !plans.is_unlisted());
    assert_eq!(RoomName::at_registry(hidden.as_str()).unwrap(), hidden);
    for typed in [private.as_str(), hidden.as_str()] {
        assert!(RoomName::new(typed).is_err(), "{typed}");
    }
    // Neither form is taken for the other one.
    assert!(RoomName::at_registry(private.as_str()).is_err());
    assert!(RoomName::parse(hidden.as_str()).is_err());
    for wrong in ["plans:", "plans:x7k2", "plans:77777777777777777777777777", "plans::"] {
        assert_eq!(RoomName::parse(wrong), Err(NameError::Reserved(MARK)), "{wrong}");
    }
}

proptest! {
    #[test]
    fn a_name_of_a_name_is_itself(text in "\\PC{0,70}") {
        if let Ok(room) = RoomName::new(&text) {
            prop_assert_eq!(RoomName::new(room.as_str()).unwrap(), room);
        }
        if let Ok(user) = UserName::new(&text) {
            let again = UserName::new(user.key()).unwrap();
            prop_assert_eq!(again.key(), user.key());
            prop_assert_eq!(UserName::new(user.shown()).unwrap(), user);
        }
    }
}
