//! The election step by step. Whole clusters are in `tests/election`.

use super::*;

fn node(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

fn term(number: u64) -> Term {
    Term::new(number).unwrap()
}

/// A node of a cluster of three that has held its first election at time 0.
fn started(me: u64, seen: u64) -> (Election, Vec<Output>) {
    let mut election = Election::new(node(me), [1, 2, 3].map(node), term(seen), Millis(0));
    assert_eq!(election.wake_at(), Millis(0));
    let outputs = election.handle(Input::Tick, Millis(0), 0);
    (election, outputs)
}

fn says(from: u64, message: Message) -> Input {
    Input::Message {
        from: node(from),
        message,
    }
}

fn send(to: u64, message: Message) -> Output {
    Output::Send { to: node(to), message }
}

fn election(seen: u64) -> Message {
    Message::Election { seen: term(seen) }
}

fn answer(seen: u64) -> Message {
    hearing(seen, 0)
}

fn hearing(seen: u64, leader: u64) -> Message {
    Message::Answer {
        seen: term(seen),
        leader: term(leader),
    }
}

fn coordinator(number: u64) -> Message {
    Message::Coordinator { term: term(number) }
}

fn heartbeat(number: u64) -> Message {
    Message::Heartbeat { term: term(number) }
}

/// Node 2 follows node 3 since time 10.
fn follower() -> Election {
    let (mut two, _) = started(2, 0);
    two.handle(says(3, coordinator(103)), Millis(10), 0);
    assert_eq!(two.role(), Role::Follower(term(103)));
    two
}

/// Node 2 leads under 202 since time 0, both others having answered.
fn leader() -> Election {
    let (mut two, _) = started(2, 103);
    two.handle(says(1, answer(103)), Millis(0), 0);
    let outputs = two.handle(Input::Tick, Millis(0) + ANSWER_WAIT, 0);
    assert_eq!(outputs[0], Output::Persist(term(202)));
    two
}

#[test]
fn who_starts_asks_all_and_leads_when_all_that_are_lower_have_answered() {
    let (mut three, outputs) = started(3, 0);
    assert_eq!(outputs, [send(1, election(0)), send(2, election(0))]);
    assert_eq!(three.handle(says(1, answer(0)), Millis(5), 0), []);
    // It takes a term above all that it has been told, and keeps that first.
    let outputs = three.handle(says(2, answer(502)), Millis(9), 0);
    let expected = [
        Output::Persist(term(502)),
        Output::Persist(term(603)),
        Output::Became(Role::Leader(term(603))),
        send(1, coordinator(603)),
        send(2, coordinator(603)),
    ];
    assert_eq!(outputs, expected);
    assert_eq!(three.wake_at(), Millis(9) + HEARTBEAT);
    let outputs = three.handle(Input::Tick, three.wake_at(), 0);
    assert_eq!(outputs, [send(1, heartbeat(603)), send(2, heartbeat(603))]);
}

#[test]
fn who_is_answered_by_nobody_leads_alone() {
    let (mut one, _) = started(1, 0);
    assert_eq!(one.wake_at(), ANSWER_WAIT);
    assert_eq!(one.handle(Input::Tick, Millis(ANSWER_WAIT.0 - 1), 0), []);
    one.handle(Input::Tick, ANSWER_WAIT, 0);
    assert_eq!(one.role(), Role::Leader(term(101)));
}

#[test]
fn who_is_answered_by_a_higher_one_waits_and_asks_anew() {
    let (mut two, _) = started(2, 0);
    two.handle(says(3, answer(0)), Millis(5), 150);
    two.handle(says(1, answer(0)), Millis(6), 0);
    let until = Millis(5) + COORDINATOR_WAIT + Millis(150);
    assert_eq!((two.role(), two.wake_at()), (Role::Election, until));
    let outputs = two.handle(Input::Tick, until, 0);
    assert_eq!(outputs, [send(1, election(0)), send(3, election(0))]);
}

#[test]
fn a_higher_one_that_asks_is_there_as_well() {
    let (mut two, _) = started(2, 0);
    assert_eq!(
        two.handle(says(3, election(0)), Millis(5), 0),
        [send(3, answer(0))],
        "it need not be asked again"
    );
    assert_eq!(two.wake_at(), Millis(5) + COORDINATOR_WAIT);
}

#[test]
fn a_leader_that_is_silent_is_dead() {
    let mut two = follower();
    two.handle(says(3, heartbeat(103)), Millis(500), 50);
    // In between it says that it is there, and whom it hears.
    let outputs = two.handle(Input::Tick, GREETING, 0);
    assert_eq!(outputs, [send(1, hearing(103, 103)), send(3, hearing(103, 103))]);
    let dead_at = Millis(500) + LEADER_DEAD + Millis(50);
    assert_eq!(two.wake_at(), dead_at);
    let outputs = two.handle(Input::Tick, dead_at, 0);
    let expected = [
        Output::Became(Role::Election),
        send(1, election(103)),
        send(3, election(103)),
    ];
    assert_eq!(outputs, expected);
}

#[test]
fn an_election_that_was_not_needed_changes_nothing() {
    let (mut three, _) = started(3, 0);
    three.handle(Input::Tick, ANSWER_WAIT, 0);
    let outputs = three.handle(says(2, election(103)), Millis(400), 0);
    assert_eq!(outputs, [send(2, hearing(103, 103)), send(2, coordinator(103))]);
}

#[test]
fn who_is_asked_by_a_lower_one_asks_himself_unless_he_hears_the_leader() {
    let mut two = follower();
    let outputs = two.handle(says(1, election(103)), Millis(20), 0);
    assert_eq!(outputs, [send(1, hearing(103, 103))]);
    let silent = Millis(10) + LEADER_RECENT;
    let outputs = two.handle(says(1, election(103)), silent, 0);
    assert_eq!(outputs[0], send(1, answer(103)));
    assert_eq!(outputs[1], Output::Became(Role::Election));
}

#[test]
fn older_leaderships_are_refused_and_told_of_the_later_one() {
    let mut two = follower();
    two.handle(says(3, coordinator(303)), Millis(20), 0);
    for old in [coordinator(103), heartbeat(203)] {
        let outputs = two.handle(says(3, old), Millis(30), 0);
        assert_eq!(outputs, [send(3, hearing(303, 303))]);
    }
}

#[test]
fn a_leader_that_hears_of_a_later_term_steps_down_before_anything_is_kept() {
    for message in [answer(301), election(301), coordinator(301)] {
        let outputs = leader().handle(says(1, message), Millis(400), 0);
        assert_eq!(
            outputs[..2],
            [Output::Became(Role::Election), Output::Persist(term(301))]
        );
        assert_eq!(outputs[2..4], [send(1, election(301)), send(3, election(301))]);
    }
    let mut two = leader();
    let outputs = two.handle(says(3, coordinator(303)), Millis(400), 0);
    let expected = [
        Output::Became(Role::Election),
        Output::Persist(term(303)),
        Output::Became(Role::Follower(term(303))),
    ];
    assert_eq!(outputs, expected);
}

#[test]
fn a_leader_that_is_shown_a_later_term_steps_down_and_leads_under_one_that_is_later_still() {
    let mut election = leader();
    let outputs = election.handle(Input::Seen(term(901)), Millis(0), 0);
    assert_eq!(
        outputs[..2],
        [Output::Became(Role::Election), Output::Persist(term(901))]
    );
    assert_eq!(election.handle(Input::Seen(term(901)), Millis(0), 0), []);
    election.handle(Input::Tick, ANSWER_WAIT, 0);
    assert!(election.role().term() > Some(term(901)));
}

#[test]
fn a_higher_one_takes_the_lead_back() {
    let (mut three, _) = started(3, 103);
    three.handle(says(2, heartbeat(202)), Millis(1), 0);
    three.handle(says(1, hearing(202, 202)), Millis(2), 0);
    three.handle(says(2, hearing(202, 202)), Millis(3), 0);
    assert_eq!(three.role(), Role::Leader(term(303)));
    // And who leads is asked to go on until then.
    let mut two = leader();
    let outputs = two.handle(says(3, election(103)), Millis(400), 0);
    assert_eq!(outputs, [send(3, hearing(202, 202))]);
    assert_eq!(two.role(), Role::Leader(term(202)));
}

#[test]
fn who_is_told_of_a_higher_leader_that_he_does_not_hear_deposes_nobody() {
    let (mut two, _) = started(2, 103);
    two.handle(says(1, hearing(103, 103)), Millis(5), 0);
    assert_eq!(
        (two.role(), two.wake_at()),
        (Role::Election, Millis(5) + COORDINATOR_WAIT)
    );
}

#[test]
fn who_resigns_is_followed_at_once_and_not_waited_for() {
    let mut two = follower();
    let outputs = two.handle(says(3, Message::Resign { term: term(103) }), Millis(50), 0);
    assert_eq!(outputs[0], Output::Became(Role::Election));
    two.handle(says(1, answer(103)), Millis(52), 0);
    assert_eq!(two.role(), Role::Leader(term(202)));

    let outputs = two.handle(Input::Resign, Millis(60), 0);
    let resigned = Message::Resign { term: term(202) };
    assert_eq!(
        outputs,
        [Output::Became(Role::Election), send(1, resigned), send(3, resigned)]
    );
    assert_eq!(two.wake_at(), Millis(u64::MAX));
    assert_eq!(two.handle(says(1, election(202)), Millis(70), 0), []);
    // Nobody hands over what he does not have.
    assert_eq!(
        follower().handle(Input::Resign, Millis(60), 0),
        [Output::Became(Role::Election)]
    );
}

#[test]
fn nobody_speaks_for_another_or_from_outside() {
    let mut two = follower();
    for (from, message) in [
        (1, coordinator(303)),
        (1, heartbeat(303)),
        (1, Message::Resign { term: term(103) }),
        (4, election(903)),
        (2, coordinator(202)),
    ] {
        assert_eq!(two.handle(says(from, message), Millis(20), 0), []);
    }
    assert_eq!(two.role(), Role::Follower(term(103)));
}

#[test]
fn when_all_terms_are_over_nobody_leads() {
    let last = term((1 << 40) * 100 + 3);
    assert_eq!(last.next_of(node(3)), None);
    let (mut three, _) = started(3, last.number());
    let outputs = three.handle(Input::Tick, ANSWER_WAIT, 0);
    assert_eq!((outputs, three.role()), (vec![], Role::Election));
    assert!(three.wake_at() > ANSWER_WAIT, "it does not spin");
}
