//! Private rooms, as they are typed.

use super::*;
use crate::ui::testing::private;

#[test]
fn a_private_room_is_meant_by_its_name_where_no_other_one_is() {
    let mut session = session();
    let (one, two) = (private("plans", 1), private("plans", 2));
    let conversation = |invitation: &Invitation| Conversation::Room(invitation.room());
    asks(
        &mut session,
        &format!("/join {}", *one.text()),
        &[Request::JoinPrivate(one.clone())],
    );
    // It is current at once, as any other one.
    asks(&mut session, "hi", &[write(conversation(&one), "hi")]);
    session.learn(&joined(conversation(&one)), true);
    let switched = [Request::Current(conversation(&one))];
    for typed in ["plans", "#plans", &one.room().label(), one.room().as_str()] {
        asks(&mut session, &format!("/switch {typed}"), &switched);
    }
    asks(&mut session, "/invite", &[Request::Invite(conversation(&one))]);
    session.learn(&joined(conversation(&two)), true);
    let said = refusal(&mut session, "/switch plans");
    assert!(
        said.contains(&one.room().label()) && said.contains(&two.room().label()),
        "{said}"
    );
    asks(&mut session, &format!("/switch {}", one.room().label()), &switched);
    session.learn(&joined(room("plans")), true);
    asks(&mut session, "/switch plans", &[Request::Current(room("plans"))]);
    refuses(&mut session, "/switch #other:x7k2", Code::NotJoined);
}

#[test]
fn a_new_private_room_has_a_secret_of_its_own() {
    let mut session = session();
    let mut made = || match session.typed("/join plans --private").requests.pop() {
        Some(Request::JoinPrivate(invitation)) => invitation,
        other => panic!("{other:?}"),
    };
    let (one, two) = (made(), made());
    assert!(one != two && one.room().base() == "plans");
    assert_eq!(session.current(), Some(&Conversation::Room(two.room())));
}
