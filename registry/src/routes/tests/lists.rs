//! Lists of rooms, in which private ones are not.

use super::*;

#[test]
fn pages_of_rooms_follow_one_another() {
    let mut routes = Routes::new();
    ok(routes.log_in(peer("alice", 1, 1), token(1), T0));
    for name in ["c", "a", "e", "b", "d"] {
        ok(routes.join_room(token(1), &room(name), T0));
    }
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = routes.list_rooms(token(1), after.as_ref(), 2).unwrap();
        names.extend(page.rooms.iter().map(|(name, members)| format!("{name}{members}")));
        after = page.rooms.last().map(|(name, _)| name.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(names, ["a1", "b1", "c1", "d1", "e1"]);
}

#[test]
fn unlisted_rooms_are_joined_and_never_listed() {
    let mut routes = two_in_the_lobby();
    for id in [0, 0x55, 0xff] {
        let hidden = RoomName::unlisted(&[id; 32]);
        assert!(ok(routes.join_room(token(1), &hidden, T0)).created);
        assert_eq!(ok(routes.join_room(token(2), &hidden, T0)).members.len(), 2);
    }
    ok(routes.join_room(token(1), &room("zoo"), T0));
    let mut after = None;
    for listed in ["lobby", "zoo"] {
        let page = routes.list_rooms(token(1), after.as_ref(), 1).unwrap();
        assert_eq!(page.rooms.len(), 1);
        assert_eq!(page.rooms[0].0, room(listed));
        assert_eq!(page.more, listed == "lobby", "what is not listed is no page either");
        after = Some(room(listed));
    }
}
