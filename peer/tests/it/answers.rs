//! What one asks at the prompt and is answered, and what one is told of the others without asking.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Peer, Site};

/// Types a line, and waits for an event of a kind.
fn ask(peer: &mut Peer, line: &str, event: &str) -> Value {
    peer.type_line(line);
    peer.wait(line, |answer| answer["event"] == *event)
}

/// The texts that a line brings up again, in their order.
fn replayed(peer: &mut Peer, line: &str, why: &str) -> Vec<String> {
    let (messages, end) = peer.replayed(line);
    let texts: Vec<String> = messages
        .iter()
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((&end["why"], &end["count"]), (&why.into(), &texts.len().into()));
    texts
}

#[test]
fn every_question_is_answered() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let entered = ask(&mut alice, "/join 讨论", "joined");
    assert_eq!(
        (&entered["created"], &entered["members"]),
        (&true.into(), &json!(["alice"]))
    );
    let mut bob = site.peer("bob");
    let entered = ask(&mut bob, "/join 讨论", "joined");
    assert_eq!(
        (&entered["created"], &entered["members"]),
        (&false.into(), &json!(["alice", "bob"]))
    );
    alice.see("#讨论", "bob");
    let texts = ["Release ＰＬＡＮ", "今天讨论发布计划", "the planet"];
    for text in texts {
        alice.say(text);
        bob.hear(text);
    }
    assert_eq!(replayed(&mut bob, "/history", "history"), texts);
    assert_eq!(replayed(&mut bob, "/history 2", "history"), texts[1..]);
    assert_eq!(replayed(&mut bob, "/search plan", "search"), [texts[0], texts[2]]);
    assert_eq!(replayed(&mut bob, "/search 发布", "search"), [texts[1]]);
    assert!(replayed(&mut bob, "/search 布发", "search").is_empty());

    let version = ask(&mut bob, "/version", "version");
    let heights = version["heights"].as_object().unwrap();
    assert_eq!(
        (&version["conversation"], &version["version"]),
        (&"#讨论".into(), &3.into())
    );
    assert_eq!(heights.values().collect::<Vec<_>>(), [&json!(3)]);
    let author = heights.keys().next().unwrap();
    assert_eq!(version["users"], json!({ author.as_str(): "alice" }));
    let who = ask(&mut bob, "/who", "who");
    let users: Vec<&Value> = who["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["user"])
        .collect();
    assert_eq!(users, ["alice", "bob"]);

    let opened = ask(&mut bob, "/msg alice", "joined");
    assert_eq!(
        (&opened["conversation"], &opened["version"]),
        (&"@alice".into(), &0.into())
    );
    bob.say("between us");
    alice.hear("between us");
    let list = ask(&mut bob, "/list", "list");
    assert_eq!(
        list["own"],
        json!([
            { "conversation": "#讨论", "version": 3, "private": false },
            { "conversation": "@alice", "version": 1, "private": false },
        ])
    );
    assert_eq!(list["rooms"], json!([{ "conversation": "#讨论", "members": 2 }]));
    assert_eq!(ask(&mut bob, "/switch #讨论", "switched")["conversation"], "#讨论");
    bob.type_line("//not a command");
    assert_eq!(alice.hear("/not a command")["conversation"], "#讨论");
    bob.type_line("/histroy");
    assert!(bob.error("no_such_command").contains("did you mean /history"));
    assert_eq!(ask(&mut bob, "/leave", "left")["conversation"], "#讨论");
    bob.type_line("to nobody");
    bob.error("no_conversation");
    // Entering again shows the last ones again.
    ask(&mut bob, "/join 讨论", "joined");
    let mut shown = Vec::new();
    bob.wait("the last entries", |event| {
        shown.extend(event["text"].as_str().map(str::to_owned));
        event["event"] == "synced"
    });
    assert_eq!(shown, [&texts[..], &["/not a command"]].concat());
    bob.quit();
    alice.quit();
}

/// Waits until somebody is told to be there, or away without having left.
fn is_told(peer: &mut Peer, user: &str, online: bool) {
    let told = peer.wait(user, |event| {
        event["event"] == "presence" && event["user"] == *user && event["online"] == online
    });
    assert_eq!(
        (&told["conversation"], &told["left"]),
        (&"#lobby".into(), &false.into())
    );
}

#[test]
fn who_is_killed_and_who_hangs_is_told_to_be_offline_and_to_be_back() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob", "carol"]);
    peers.pop().unwrap().kill();
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    for peer in [&mut *alice, &mut *bob] {
        is_told(peer, "carol", false);
    }
    // One whose sockets stay open, which only his lease and the silence of his link tell.
    bob.signal(Signal::STOP);
    is_told(alice, "bob", false);
    alice.say("for both");
    bob.signal(Signal::CONT);
    is_told(alice, "bob", true);
    bob.hear("for both");
    let mut carol = site.peer("carol");
    is_told(alice, "carol", true);
    carol.hear("for both");
    carol.quit();
    for peer in peers {
        peer.quit();
    }
    site.assert_same_logs(&["alice", "bob", "carol"], "#lobby");
}
