//! Cause before effect: an answer is never shown before its question.

use rustix::process::Signal;

use crate::{
    harness::{Site, has_seal, wait_for},
    network::Network,
};

#[test]
fn the_question_of_a_stopped_author_is_shown_before_its_answer() {
    const ROUNDS: usize = 3;
    let names = ["alice", "bob", "carol"];
    let (site, network) = (Site::new(), Network::default());
    let mut peers = network.room(&site, "lobby", &names);
    let [alice, bob, carol] = &mut peers[..] else {
        unreachable!()
    };
    network.cut(&["alice"], &["carol"]);
    network.wait_refused();
    for round in 0..ROUNDS {
        let (question, answer) = (format!("question {round}"), format!("answer {round}"));
        let id = alice.say(&question);
        // It has reached bob only, and nobody can ask alice for it.
        bob.hear(&question);
        // Without it bob could not pass it on.
        wait_for("its seal at bob's", || {
            has_seal(site.data.path(), "bob", "lobby", &id).then_some(())
        });
        alice.signal(Signal::STOP);
        bob.say(&answer);
        carol.hear(&answer);
        alice.signal(Signal::CONT);
        alice.hear(&answer);
    }
    let expected: Vec<String> = (0..ROUNDS)
        .flat_map(|round| [format!("question {round}"), format!("answer {round}")])
        .collect();
    assert_eq!(carol.shown("#lobby"), expected);
    network.heal();
    for peer in peers {
        peer.quit();
    }
    assert_eq!(site.assert_same_logs(&names, "#lobby"), expected);
}

#[test]
fn a_reader_who_was_stopped_meanwhile_shows_them_in_order() {
    let names = ["alice", "bob", "carol"];
    let site = Site::new();
    let mut peers = site.room("lobby", &names);
    let [alice, bob, carol] = &mut peers[..] else {
        unreachable!()
    };
    carol.signal(Signal::STOP);
    let mut expected = Vec::new();
    for round in 0..50 {
        let (question, answer) = (format!("question {round}"), format!("answer {round}"));
        alice.say(&question);
        bob.hear(&question);
        bob.say(&answer);
        alice.hear(&answer);
        expected.extend([question, answer]);
    }
    carol.signal(Signal::CONT);
    carol.wait_version(expected.len() as u64);
    assert_eq!(carol.shown("#lobby"), expected);
    for peer in peers {
        peer.quit();
    }
    assert_eq!(site.assert_same_logs(&names, "#lobby"), expected);
}
