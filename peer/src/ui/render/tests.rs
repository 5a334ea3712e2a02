//! Lines as they stand on a screen.

use chrono::FixedOffset;
use proptest::prelude::*;

use super::*;
use crate::{
    node::{
        event::{Code, Line, Member, Replay, ReplayReason},
        people::{Comparison, News, Trust, compare::Compared},
        types::{Author, DeviceId, Heights, Seq, WallTime},
    },
    ui::testing::{author, line, private, room, user},
};

fn renderer(colours: bool, width: Option<usize>) -> Renderer<FixedOffset> {
    let zone = FixedOffset::east_opt(3600).unwrap();
    let mut renderer = Renderer::new(user("alice"), Paint::new(colours), zone);
    renderer.set_width(width);
    renderer
}

fn message(renderer: &mut Renderer<FixedOffset>, line: &Line) -> String {
    renderer.message(line, Show::default())
}

#[test]
fn a_day_a_time_a_name_and_a_text() {
    let mut r = renderer(false, Some(60));
    let day = "── Saturday, 31 January 2026 ──\n";
    assert_eq!(message(&mut r, &line("bob", "hi")), format!("{day}15:02  bob    hi\n"));
    assert_eq!(
        message(&mut r, &line("alice", "two\nlines")),
        "15:02  alice  two\n              lines\n"
    );
    let mut late = line("bob", "late");
    late.sent_at.0 += 9 * 3600 * 1000;
    assert_eq!(
        message(&mut r, &late),
        "── Sunday, 1 February 2026 ──\n00:02  bob    late\n"
    );
    let mut unknown = late.clone();
    unknown.text = None;
    assert!(message(&mut r, &unknown).ends_with("  (something that this version of Peerchat cannot show)\n"));
}

#[test]
fn texts_hang_behind_their_names() {
    let mut r = renderer(false, Some(40));
    message(&mut r, &line("bob", ""));
    assert_eq!(
        message(&mut r, &line("bob", "a text that is longer than the line")),
        "15:02  bob    a text that is longer\n              than the line\n"
    );
    assert_eq!(
        message(&mut r, &line("小明", "你好世界你好世界你好世界你好世界")),
        "15:02  小明   你好世界你好世界你好世界\n              你好世界\n"
    );
    assert_eq!(
        message(&mut r, &line("a-name-that-leaves-no-room", "text")),
        "15:02  a-name-that-leaves-no-room\n       text\n"
    );
}

#[test]
fn the_own_name_is_marked_and_rings_if_wanted() {
    let mut r = renderer(true, None);
    message(&mut r, &line("bob", ""));
    let live = Show {
        live: true,
        ..Show::default()
    };
    let named = line("bob", "ALICE, malice");
    let shown = r.message(&named, live);
    assert!(shown.ends_with("  \u{1b}[7mALICE\u{1b}[0m, malice\n"), "{shown:?}");
    assert!(r.is_mention(&named) && !r.is_mention(&line("bob", "malice")) && !r.is_mention(&line("alice", "alice")));
    r.set_bell(true);
    assert!(r.message(&named, live).starts_with('\u{7}'));
    assert!(!message(&mut r, &named).contains('\u{7}'), "not in a replay");
    assert!(
        !r.message(&line("alice", "alice"), live).contains('\u{7}'),
        "not by oneself"
    );
    assert!(
        r.message(&line("alice", "x"), live).contains("\u{1b}[1;38;5;"),
        "the own name is bold"
    );
}

#[test]
fn answers() {
    let mut r = renderer(false, Some(80));
    let replay = Replay {
        conversation: room("lobby"),
        why: ReplayReason::Search("HI".into()),
        lines: vec![line("bob", "hi")],
        more: true,
    };
    assert_eq!(
        r.replay(&replay),
        "── the latest 1 in #lobby with “HI” ──\n── Saturday, 31 January 2026 ──\n15:02  bob    hi\n── now ──\n"
    );
    let member = |name: &str, online, version| Member {
        user: user(name),
        me: name == "alice",
        online,
        version,
        devices: usize::from(online),
        refused: 0,
        trust: Trust::None,
    };
    let mut members = [member("alice", true, Some(9)), member("小明", false, None)];
    assert_eq!(
        r.who(&room("lobby"), &members, 0),
        "── #lobby: 2 members ──\n  alice  you      version 9\n  小明   offline\n"
    );
    // Where it is not the own one it may be an old one.
    members[1].version = Some(8);
    assert!(
        r.who(&room("lobby"), &members, 0)
            .ends_with("  小明   offline  version 8 as last told\n")
    );
    members[1].version = Some(9);
    assert!(
        r.who(&room("lobby"), &members, 0)
            .ends_with("  小明   offline  version 9\n")
    );
    members[1].version = None;
    members[0].devices = 2;
    assert!(
        r.who(&room("lobby"), &members, 0)
            .contains("alice  you (2 devices)  version 9\n")
    );
    members[0].devices = 1;
    members[1].refused = 3;
    assert_eq!(
        r.who(&room("lobby"), &members, 5),
        "── #lobby: 2 members ──\n  alice  you      version 9\n  小明   offline  3 refused\n  5 refused from unknown senders\n"
    );
    members[1].refused = 0;
    members[1].trust = Trust::Whole;
    assert!(
        r.who(&room("lobby"), &members, 0)
            .ends_with("小明   offline  ✓ trusted\n")
    );
    members[1].trust = Trust::NewDevice;
    assert!(
        r.who(&room("lobby"), &members, 0)
            .ends_with("小明   offline  ! has a new device\n")
    );
    let rooms = [(crate::node::types::RoomName::new("dev").unwrap(), 1)];
    assert_eq!(
        r.list(&[(room("lobby"), 12)], Some(&rooms), Some(&room("lobby"))),
        "── your conversations ──\n  #lobby  12 messages  current\n── rooms ──\n  #dev  1 member\n"
    );
}

#[test]
fn a_private_room_is_marked_and_its_id_is_shortened() {
    let r = renderer(false, Some(40));
    let plans = private("plans", 7);
    let conversation = Conversation::Room(plans.room());
    let label = plans.room().label();
    assert_eq!(
        r.list(&[(conversation.clone(), 1)], Some(&[]), Some(&conversation)),
        format!(
            "── your conversations ──\n  #{label}  1 message  private, current\n── rooms ──\n  none yet: /join ROOM creates one\n"
        )
    );
    // It can be copied from its line, however narrow the screen is.
    let shown = r.invitation(&conversation, &plans);
    assert!(shown.ends_with(&format!("\n  {}\n", *plans.text())), "{shown}");
}

#[test]
fn a_version_names_users_and_tells_the_authors_of_one_apart() {
    let again = Author {
        incarnation: 0x20,
        ..author(11)
    };
    let authors = [(author(12), "alice", 1), (author(11), "bob", 7), (again, "bob", 2)];
    let heights = Heights(authors.iter().map(|(author, _, seq)| (*author, Seq(*seq))).collect());
    let users = authors.iter().map(|(author, name, _)| (*author, user(name))).collect();
    assert_eq!(
        renderer(false, Some(80)).version(&room("lobby"), &heights, &users),
        "── #lobby: version 10 ──
  alice  1 entry
  bob    7 entries  device 0b0b0b0b0b0b…, incarnation 000000000000001f
  bob    2 entries  device 0b0b0b0b0b0b…, incarnation 0000000000000020
"
    );
}

#[test]
fn comings_and_goings() {
    let mut r = renderer(false, Some(80));
    let presence = |online, left| Presence {
        user: user("bob"),
        online,
        conversation: room("lobby"),
        left,
    };
    assert_eq!(r.presence(&presence(true, false)), "→ bob is in #lobby\n");
    assert_eq!(r.presence(&presence(false, true)), "← bob left #lobby\n");
    assert_eq!(
        r.presence(&presence(false, false)),
        "← bob is offline; what is said in #lobby is delivered later\n"
    );
    let bob = user("bob");
    let told: Vec<_> = (0..=10_000)
        .filter_map(|have| r.progress(&room("lobby"), &bob, have, 10_000))
        .collect();
    assert_eq!(told.len(), 10);
    assert_eq!(told[4], "· #lobby: 5000 of 10000 messages from bob (50 %)\n");
    assert_eq!(r.progress(&room("lobby"), &bob, 10, 20), None);
    assert_eq!(
        r.synced(&room("lobby"), 10_001, &[bob], 1).unwrap(),
        "✓ #lobby is complete: 1 message came from bob; 10001 in all\n"
    );
    let notice = Notice {
        code: Code::Refused,
        message: "no\u{1b}[2J\n15:02  eve  forged".into(),
    };
    assert_eq!(r.notice(&notice), "! no␛[2J\n  15:02  eve  forged\n");
}

#[test]
fn a_new_device_is_loud() {
    let mut r = renderer(true, Some(200));
    let news = |name, trusted| {
        let (user, device) = (user(name), author(11).device);
        News::NewDevice {
            user,
            device,
            known: 1,
            trusted,
        }
    };
    assert_eq!(
        r.people(&news("bob", false)),
        "\u{1b}[1;31m!\u{1b}[0m \u{1b}[7mbob is here with a new device\u{1b}[0m (0b0b0b0b0b0b…) — /verify bob compares\n"
    );
    assert!(
        without_colours(&r.people(&news("bob", true))).starts_with("! bob, whom you trust, is here with a device that")
    );
    assert!(
        without_colours(&r.people(&news("alice", true))).starts_with("! you are logged in on another device (0b0b")
    );
    r.set_bell(true);
    assert!(r.people(&news("bob", false)).starts_with('\u{7}'));
    // A name that is long breaks the line, and nothing is lost.
    let long = "b".repeat(64);
    let mut narrow = renderer(true, Some(40));
    narrow.set_bell(false);
    let shown = without_colours(&narrow.people(&news(&long, false)));
    assert!(shown.lines().all(|line| width::columns(line) < 40), "{shown}");
    assert!(
        shown
            .replace(['\n', ' '], "")
            .contains(&format!("/verify{long}compares")),
        "{shown}"
    );
}

#[test]
fn what_to_compare_stands_in_rows_with_the_devices() {
    let known = |name, device, first_met: Option<i64>, counts, trusted| Compared {
        user: user(name),
        device: DeviceId([device; 32]),
        first_met: first_met.map(WallTime),
        counts,
        trusted,
    };
    let devices = vec![
        known("alice", 1, None, true, false),
        known("bob", 2, Some(1_769_868_127_042), true, true),
        known("bob", 3, None, false, false),
    ];
    let mut comparison = Comparison {
        user: user("bob"),
        devices,
        trusted: false,
    };
    let words = [
        "acorn", "bell", "candle", "dew", "easel", "fox", "gate", "hut", "igloo", "jam", "kite", "lemon",
    ];
    let r = renderer(false, Some(200));
    assert_eq!(
        r.people(&News::Compared(comparison.clone(), words)),
        "── compare with bob ──
  acorn   bell    candle  dew
  easel   fox     gate    hut
  igloo   jam     kite    lemon
  alice  010101010101…  this device
  bob    020202020202…  first met 2026-01-31 15:02  ✓ trusted
  bob    030303030303…  never met; wrote what you hold
/verify alice must show bob the same words: compare them by voice, and not by a message. Then /trust bob.
Where they differ, compare the devices: both sides must have met the same ones. /untrust bob DEVICE forgets one that is gone.
1 device you have only heard of, and not met: who has met more than you knows more and gets other words.
"
    );
    comparison.trusted = true;
    let shown = r.people(&News::Compared(comparison, words));
    assert!(shown.contains("You have trusted bob with these devices."), "{shown}");
    let trusted = |count: u8| News::Trusted(user("bob"), (0..count).map(|n| DeviceId([n; 32])).collect());
    assert_eq!(
        r.people(&trusted(2)),
        "✓ bob is trusted with 2 devices that you have met\n"
    );
    assert_eq!(r.people(&trusted(0)), "· bob is not trusted\n");
}

#[test]
fn the_first_start_teaches_in_five_lines() {
    let mut ready = Ready {
        user: user("alice"),
        device: author(1).device,
        listen: String::new(),
        registry: String::new(),
        authority: None,
        first_start: true,
        conversations: Vec::new(),
        current: None,
    };
    let r = renderer(false, None);
    assert_eq!(r.ready(&ready, None).lines().count(), 5);
    let narrow = renderer(false, Some(60)).ready(&ready, None);
    let hangs = "  /join lobby     enter a room; whoever enters the same one\n                  is there too\n";
    assert!(narrow.contains(hangs), "{narrow}");
    ready.first_start = false;
    assert_eq!(
        r.ready(&ready, Some(&room("dev"))),
        "Welcome back, alice. You are in #dev; /list shows what there is, /help what you can do.\n"
    );
}

/// What is left when the colours that `Paint` writes are taken out.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find('m').expect("a colour ends with m");
        assert!(
            part[..end].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';')),
            "{part:?}"
        );
        plain += &part[end + 1..];
    }
    plain
}

proptest! {
    #[test]
    fn no_text_drives_the_terminal_or_forges_a_line(
        text in "([\\x00-\\x1f\\x7f-\\x9f]|\u{1b}\\[[0-9]{0,2}[A-Zm]|alice|[a-z ]{0,9}|\n15:02  bob|\\PC|你|\u{202e}){0,40}",
        width in prop::option::of(20usize..100),
        hit in prop::option::of("[a-z]{1,2}"),
    ) {
        let mut r = renderer(true, width);
        message(&mut r, &line("bob", ""));
        let show = Show { live: true, tag: None, hit: hit.as_deref() };
        let plain = without_colours(&r.message(&line("bob", &text), show));
        prop_assert!(plain.ends_with('\n'));
        for (number, shown) in plain.lines().enumerate() {
            prop_assert!(!shown.chars().any(char::is_control), "{:?}", shown);
            let start = if number == 0 { "15:02  bob" } else { "       " };
            prop_assert!(shown.starts_with(start), "{:?}", shown);
            let narrow = width.is_some_and(|width| width::columns(shown) > width);
            prop_assert!(!narrow, "{:?} in {:?}", shown, width);
        }
    }
}
