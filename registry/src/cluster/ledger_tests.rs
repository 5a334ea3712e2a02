//! The ledger step by step, where chance would seldom lead. Whole clusters are in `tests/ledger`.

use super::*;

#[path = "ledger_history_tests.rs"]
mod history;

fn node(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

fn term(number: u64) -> Term {
    Term::new(number).unwrap()
}

fn place(term_number: u64, index: u64) -> Place {
    let term = term(term_number);
    Place { term, index }
}

fn entry(term_number: u64, index: u64) -> Entry {
    let place = place(term_number, index);
    Entry { place, proposal: None }
}

/// The life of each node here.
const LIFE: u64 = 7;

/// A node of a cluster of so many, with a new disk.
fn blank(me: u64, count: u64) -> Ledger {
    start(me, count, Kept::default())
}

fn start(me: u64, count: u64, kept: Kept) -> Ledger {
    let nodes = (1..=count).map(node);
    Ledger::new(node(me), nodes, kept, Place::default(), LIFE, Limits::DEFAULT)
}

/// A node that has these entries.
fn member(me: u64, count: u64, entries: &[Entry]) -> Ledger {
    let mut kept = Kept::default();
    kept.take(&Record::Member);
    kept.take(&Record::Append(entries.to_vec()));
    start(me, count, kept)
}

impl Ledger {
    fn step(&mut self, input: Input) -> Vec<Output> {
        self.handle(input, Millis(0))
    }

    fn hear(&mut self, from: u64, message: Message) -> Vec<Output> {
        let from = node(from);
        self.step(Input::Message { from, message })
    }

    fn lead_under(&mut self, number: u64) -> Vec<Output> {
        self.step(Input::Role(Role::Leader(term(number))))
    }
}

fn promise(number: u64, end: Place) -> Message {
    Message::Promise {
        term: term(number),
        is_member: true,
        life: LIFE,
        end,
    }
}

fn prepare(number: u64, life: u64) -> Message {
    let term = term(number);
    Message::Prepare { term, life }
}

fn append(number: u64, entries: &[Entry]) -> Message {
    Message::Append {
        term: term(number),
        prev: Place::default(),
        entries: entries.to_vec(),
        commit: 0,
        floor: 0,
        taken: 0,
    }
}

fn applied(outputs: &[Output]) -> Vec<u64> {
    let index = |output: &Output| match output {
        Output::Apply { at, .. } => Some(at.index),
        _ => None,
    };
    outputs.iter().filter_map(index).collect()
}

/// The operator may have let it count meanwhile, and nothing else would tell.
#[test]
fn who_did_not_count_is_asked_again() {
    let mut ledger = member(3, 3, &[entry(103, 1)]);
    ledger.lead_under(203);
    let blank = Message::Promise {
        term: term(203),
        is_member: false,
        life: LIFE,
        end: Place::default(),
    };
    ledger.hear(1, blank);
    let outputs = ledger.handle(Input::Tick, limits::RETRY);
    let asked = |to| Output::Send {
        to: node(to),
        message: prepare(203, LIFE),
    };
    assert_eq!(outputs, [asked(1), asked(2)]);
    let leads = |ledger: &Ledger| matches!(ledger.standing(), Standing::Leads(_) | Standing::NoMajority(_));
    ledger.hear(1, promise(203, Place::default()));
    assert!(leads(&ledger));
}

/// A later leader could still choose a log without them.
#[test]
fn entries_of_earlier_leaderships_count_only_with_one_of_the_leaders_own() {
    let mut ledger = member(3, 3, &[entry(103, 1), entry(103, 2)]);
    ledger.lead_under(203);
    ledger.hear(2, promise(203, Place::default()));
    let stored = |matched| Message::Stored {
        term: term(203),
        matched,
        is_member: true,
        applied: 0,
    };
    assert_eq!(applied(&ledger.hear(2, stored(2))), [0; 0]);
    assert_eq!(applied(&ledger.hear(2, stored(3))), [1, 2, 3]);
}

#[test]
fn nothing_of_an_earlier_term_is_taken_after_a_promise() {
    let mut ledger = member(1, 3, &[]);
    let outputs = ledger.hear(3, prepare(203, LIFE));
    let kept = Output::Persist(Record::Promise(term(203)));
    assert_eq!(outputs[0], kept, "before it is said");
    let stale = Output::Send {
        to: node(2),
        message: Message::Stale { term: term(203) },
    };
    assert_eq!(ledger.hear(2, append(102, &[entry(102, 1)])), [stale]);
    assert!(ledger.kept().log.is_empty());
}

/// Who has lost his disk may not know that he has led under it: there would be two entries at one place.
#[test]
fn nobody_leads_twice_under_one_term() {
    let mut ledger = member(1, 3, &[]);
    let promises = |outputs: &[Output]| {
        let is_promise = |output: &&Output| {
            matches!(
                output,
                Output::Send {
                    message: Message::Promise { .. },
                    ..
                }
            )
        };
        outputs.iter().filter(is_promise).count()
    };
    assert_eq!(promises(&ledger.hear(3, prepare(203, LIFE))), 1);
    assert_eq!(promises(&ledger.hear(3, prepare(203, LIFE))), 1, "the answer was lost");
    let (to, message) = (node(3), Message::Stale { term: term(203) });
    assert_eq!(ledger.hear(3, prepare(203, LIFE + 1)), [Output::Send { to, message }]);
    let mut restarted = start(1, 3, ledger.kept().clone());
    assert_eq!(promises(&restarted.hear(3, prepare(203, LIFE))), 0);

    let mut leader = blank(3, 3);
    leader.lead_under(203);
    let outputs = leader.hear(1, Message::Stale { term: term(203) });
    assert_eq!(outputs, [Output::Seen(term(303))]);
}

#[test]
fn a_node_with_a_new_disk_counts_when_all_others_have_answered() {
    let mut ledger = blank(1, 5);
    let outputs = ledger.hear(5, append(105, &[entry(105, 1)]));
    let nonce = outputs.iter().find_map(|output| match output {
        Output::Send {
            message: Message::Ask { nonce },
            ..
        } => Some(*nonce),
        _ => None,
    });
    let told = |promised, leads: Option<u64>| Message::Told {
        nonce: nonce.unwrap(),
        promised: term(promised),
        is_member: true,
        leads: leads.map(|end| (term(105), end)),
    };
    for from in [2, 3] {
        ledger.hear(from, told(105, None));
    }
    ledger.hear(5, told(105, Some(1)));
    assert!(!ledger.kept().is_member, "4 has not answered");
    ledger.hear(4, told(105, None));
    assert!(ledger.kept().is_member);
}

/// It may have promised something to a later leader.
#[test]
fn a_node_does_not_count_while_another_one_has_promised_to_follow_somebody_else() {
    let mut ledger = blank(1, 3);
    ledger.hear(3, append(103, &[entry(103, 1)]));
    let told = |promised, leads| Message::Told {
        nonce: LIFE + 1,
        promised: term(promised),
        is_member: true,
        leads,
    };
    ledger.hear(3, told(103, None));
    ledger.hear(2, told(202, None));
    ledger.hear(3, told(103, Some((term(103), 1))));
    assert!(!ledger.kept().is_member);
    ledger.hear(2, told(103, None));
    assert!(ledger.kept().is_member);
}

/// It may have said that it has all of them.
#[test]
fn a_node_with_a_new_disk_counts_when_it_has_what_the_leader_had_when_it_was_asked() {
    let mut ledger = blank(1, 3);
    ledger.hear(3, append(103, &[entry(103, 1)]));
    for (from, leads) in [(2, None), (3, Some((term(103), 2)))] {
        let told = Message::Told {
            nonce: LIFE + 1,
            promised: term(103),
            is_member: true,
            leads,
        };
        ledger.hear(from, told);
    }
    assert!(!ledger.kept().is_member);
    ledger.hear(3, append(103, &[entry(103, 1), entry(103, 2)]));
    assert!(ledger.kept().is_member);
}

#[test]
fn a_leader_with_a_new_disk_counts_when_all_others_follow() {
    let mut ledger = blank(5, 5);
    ledger.lead_under(205);
    for from in [1, 2, 3] {
        ledger.hear(from, promise(205, place(101, 1)));
    }
    let lend = Message::Lend {
        term: term(205),
        prev: Place::default(),
        entries: vec![entry(101, 1)],
    };
    ledger.hear(3, lend);
    assert_eq!(ledger.kept().log.end(), place(205, 2), "it leads");
    assert!(!ledger.kept().is_member);
    ledger.hear(4, promise(205, Place::default()));
    assert!(ledger.kept().is_member);
}

/// It may have had something meanwhile, and have lost it.
#[test]
fn a_cluster_begins_with_a_node_only_in_the_life_in_which_it_had_nothing() {
    let mut ledger = blank(1, 3);
    let begin = |life| Message::Begin { term: term(103), life };
    ledger.hear(3, begin(LIFE - 1));
    assert!(!ledger.kept().is_member);
    ledger.hear(3, begin(LIFE));
    assert!(ledger.kept().is_member);
}

#[test]
fn a_node_whose_state_was_lost_has_lost_its_log() {
    let mut kept = member(1, 3, &[entry(103, 1), entry(103, 2), entry(103, 3)])
        .kept()
        .clone();
    kept.take(&Record::Promise(term(103)));
    kept.take(&Record::Drop(place(103, 2)));
    let restart = |applied| {
        let nodes = [1, 2, 3].map(node);
        Ledger::new(node(1), nodes, kept.clone(), applied, LIFE, Limits::DEFAULT)
    };
    assert_eq!(*restart(place(103, 2)).kept(), kept);
    let lost = restart(Place::default());
    assert!(!lost.kept().is_member && lost.kept().log.is_empty());
    assert_eq!(lost.kept().promised, term(103));
    let older = restart(place(103, 1));
    assert!(!older.kept().is_member);
    assert_eq!(older.kept().log.end(), place(103, 1));
}

/// Or it would choose leaders under terms that nobody follows any more.
#[test]
fn the_election_is_told_of_every_later_term() {
    let mut ledger = blank(1, 3);
    let seen = |number| Output::Seen(term(number));
    let outputs = ledger.hear(3, prepare(303, LIFE));
    assert!(outputs.contains(&seen(303)));
    assert_eq!(ledger.hear(2, Message::Stale { term: term(403) }), [seen(403)]);
    let mut restarted = start(1, 3, ledger.kept().clone());
    assert_eq!(restarted.wake_at(), Millis(0));
    assert_eq!(restarted.step(Input::Tick), [seen(303)]);
    assert!(
        restarted.lead_under(201).contains(&seen(303)),
        "it cannot lead under that"
    );
}

#[test]
fn too_many_and_too_large_proposals_are_refused_at_once() {
    let mut ledger = blank(1, 3);
    let mut propose = |number, len| {
        let change = vec![0; len].into();
        let ticket = Ticket(number);
        ledger.step(Input::Propose { ticket, change })
    };
    let refused = |number, why| Output::Refused {
        ticket: Ticket(number),
        why,
    };
    assert_eq!(propose(0, CHANGE_MAX + 1), [refused(0, Refusal::TooLarge)]);
    for number in 1..=Limits::DEFAULT.pending as u64 {
        assert_eq!(propose(number, 1), []);
    }
    assert_eq!(propose(9_999, 1), [refused(9_999, Refusal::Busy)]);
}

#[test]
fn a_proposal_that_nobody_takes_is_refused_in_time() {
    let mut ledger = blank(1, 3);
    let (ticket, change) = (Ticket(1), [0].to_vec().into());
    ledger.step(Input::Propose { ticket, change });
    assert_eq!(ledger.wake_at(), limits::PROPOSAL_WAIT);
    let why = Refusal::NoLeader;
    assert_eq!(
        ledger.handle(Input::Tick, limits::PROPOSAL_WAIT),
        [Output::Refused { ticket, why }]
    );
}

/// Members are believed, but nothing that comes from the wire ends the process or tears the log.
#[test]
fn what_no_node_would_send_changes_nothing() {
    let mut ledger = member(1, 3, &[entry(103, 1)]);
    let gap = append(103, &[entry(103, 1), entry(103, 3)]);
    let back = append(103, &[entry(103, 1), entry(102, 2)]);
    let later = append(103, &[entry(103, 1), entry(203, 2)]);
    let others = append(102, &[entry(102, 1)]);
    let part = Message::Part {
        term: term(103),
        at: place(103, u64::MAX),
        offset: u64::MAX,
        total: u64::MAX,
        bytes: vec![1],
    };
    let fetch = Message::Fetch {
        term: term(103),
        after: u64::MAX,
        part: Some((place(103, 1), u64::MAX)),
    };
    let last = Message::Part {
        term: term(103),
        at: place(103, u64::MAX),
        offset: 0,
        total: 1,
        bytes: vec![1],
    };
    for message in [gap, back, later, others, part, last, fetch] {
        ledger.hear(3, message);
        assert_eq!(ledger.kept().log.end(), place(103, 1));
    }
}
