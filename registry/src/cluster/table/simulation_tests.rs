//! Three nodes without a network: what they say lies in queues, and is heard, or not, in any pace. Leaders come and go.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::{
    leading::Arrival,
    log::Log,
    message::{Down, Gathered, Up},
    order::{Order, Position},
    queue::{Waiting, queue},
    replica::Replica,
    state::{PENDING_MAX, Part, State},
};
use crate::{
    cluster::term::{NodeId, Term},
    routes::{
        Answer, Command, LeaseToken, Millis, Refusal, Routes,
        random::{Call, Script, calls},
    },
};

const NODES: usize = 3;

fn id(node: usize) -> NodeId {
    NodeId::new(node as u64 + 1).unwrap()
}

/// A follower's stream to its leader.
struct Stream {
    leader: usize,
    downs: Waiting,
    says: mpsc::Sender<Up>,
    ups: mpsc::Receiver<Up>,
    parts: Gathered,
}

struct World {
    nodes: Vec<State>,
    streams: BTreeMap<usize, Stream>,
    seen: Term,
    script: Script,
    /// How often a follower was sent a whole table.
    tables: usize,
    /// The node where a token was asked for.
    asked: BTreeMap<LeaseToken, usize>,
}

#[derive(Debug, Clone)]
enum Step {
    Call(usize, Call),
    /// A follower hears some of what its leader says, and is heard.
    Hear(usize, usize),
    /// A node leads these others.
    Elect(usize, [bool; NODES]),
    /// A node is killed and starts anew.
    Kill(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..NODES, calls(2)).prop_map(|(node, calls)| (node, calls.into_iter().next())).prop_map(|(node, call)| {
            Step::Call(node, call.unwrap_or(Call::LogIn { device: node as u8, port: 1 }))
        }),
        4 => (0..NODES, 0..12_usize).prop_map(|(node, some)| Step::Hear(node, some)),
        1 => (0..NODES, any::<[bool; NODES]>()).prop_map(|(node, others)| Step::Elect(node, others)),
        1 => (0..NODES).prop_map(Step::Kill),
    ];
    prop::collection::vec(step, 1..120)
}

impl World {
    fn new() -> Self {
        Self {
            nodes: (0..NODES).map(|node| State::new(id(node))).collect(),
            streams: BTreeMap::new(),
            seen: Term::NONE,
            script: Script::new(),
            tables: 0,
            asked: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Call(at, call) => {
                if let Some(command) = self.script.command(&call) {
                    if let Command::LogIn { token, .. } = &command {
                        self.asked.insert(*token, at);
                    }
                    self.nodes[at].submit(Order::Call(command), None).unwrap();
                }
            }
            Step::Hear(node, some) => self.hear(node, some),
            Step::Elect(leader, others) => self.elect(leader, others),
            Step::Kill(node) => {
                self.part(node);
                self.nodes[node] = State::new(id(node));
            }
        }
    }

    /// A node has no part any more, and whoever follows it neither.
    fn part(&mut self, node: usize) {
        self.hang_up(node);
        self.nodes[node].part = Part::Apart;
        let followers: Vec<usize> = self
            .streams
            .iter()
            .filter(|(_, to)| to.leader == node)
            .map(|(of, _)| *of)
            .collect();
        for follower in followers {
            self.hang_up(follower);
        }
    }

    fn hang_up(&mut self, follower: usize) {
        if let Some(stream) = self.streams.remove(&follower) {
            let last = self.nodes[stream.leader].last_arrival_of(id(follower));
            self.nodes[stream.leader].gone(id(follower), last);
            self.nodes[follower].part = Part::Apart;
        }
    }

    fn elect(&mut self, leader: usize, others: [bool; NODES]) {
        self.seen = self.seen.next_of(id(leader)).unwrap();
        self.part(leader);
        self.nodes[leader].gather(self.seen);
        for other in (0..NODES).filter(|other| *other != leader && others[*other]) {
            self.part(other);
            self.follow(other, leader);
        }
        let ahead = self.nodes[leader].ahead();
        let copy = ahead.first().map(|(node, _)| {
            let node = usize::from(node.number()) - 1;
            copy(&self.nodes[node].replica)
        });
        let _former = self.nodes[leader].lead(copy);
        assert_eq!(self.nodes[leader].replica.position().term, self.seen);
    }

    fn follow(&mut self, follower: usize, leader: usize) {
        let (says, ups) = mpsc::channel(PENDING_MAX);
        let (to, downs) = queue();
        let arrival = Arrival {
            id: self.nodes[leader].next_arrival(),
            position: self.nodes[follower].replica.position(),
            claims: self.nodes[follower].claims(),
            downs: to,
        };
        let parts = Gathered::default();
        self.nodes[leader].arrive(id(follower), self.seen, arrival).unwrap();
        let stream = Stream {
            leader,
            downs,
            says,
            ups,
            parts,
        };
        self.streams.insert(follower, stream);
    }

    /// Answers whether there was something.
    fn hear(&mut self, follower: usize, some: usize) {
        for _ in 0..some {
            self.hear_one(follower);
        }
    }

    fn hear_one(&mut self, follower: usize) -> bool {
        let Some(stream) = self.streams.get_mut(&follower) else {
            return false;
        };
        if let Ok(Up::Submit { ticket, order }) = stream.ups.try_recv() {
            let leader = &mut self.nodes[stream.leader];
            leader.order(id(follower), ticket, order);
            leader.settle();
            return true;
        }
        let Some(down) = stream.downs.next_now() else {
            return false;
        };
        let node = &mut self.nodes[follower];
        match down {
            Down::Table(parts) => {
                self.tables += 1;
                let tables = parts.into_iter().filter_map(|part| stream.parts.take(part).unwrap());
                let _former = node.replace(tables.last().unwrap().restore().unwrap());
            }
            Down::GoOn(term) => node.begin(term),
            Down::Entry(entry) => node.take(&entry).unwrap(),
            Down::Ready => {
                node.part = Part::Following(stream.says.clone());
                node.is_ready();
            }
            Down::TableWanted | Down::Part(_) => unreachable!("the test hands over copies itself"),
        }
        true
    }

    /// All reach each other, and hear all that is said.
    fn heal(&mut self) {
        self.elect(NODES - 1, [true; NODES]);
        self.hear_all();
    }

    fn hear_all(&mut self) {
        while (0..NODES).any(|node| self.hear_one(node)) {}
    }

    /// Has something done for a peer of a node, who waits for the answer.
    fn ask(&mut self, node: usize, call: &Call) -> oneshot::Receiver<Result<Answer, Refusal>> {
        let command = self.script.command(call).unwrap();
        if let Command::LogIn { token, .. } = &command {
            self.asked.insert(*token, node);
        }
        let (reply, answer) = oneshot::channel();
        self.nodes[node].submit(Order::Call(command), Some(reply)).unwrap();
        answer
    }

    fn check(&self) {
        let all: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("{:?}", node.replica.parts()))
            .collect();
        assert!(all.iter().all(|one| *one == all[0]), "{all:#?}");
        for (at, node) in self.nodes.iter().enumerate() {
            assert_eq!(node.waiting(), 0, "node {at} has its answers");
            let routes: &Routes = &node.replica.routes;
            for lease in routes.records() {
                assert_eq!(node.replica.home(lease.token), Some(id(self.asked[&lease.token])));
            }
            // Whoever is connected has a lease, wherever he is.
            for lease in node.streams.leases() {
                assert!(routes.is_lease(lease), "{lease:?} at node {at}");
            }
        }
    }
}

fn copy(replica: &Replica) -> Replica {
    let mut parts = Gathered::default();
    let tables = replica.parts().into_iter().filter_map(|part| parts.take(part).unwrap());
    tables.last().unwrap().restore().unwrap()
}

proptest! {
    #[test]
    fn all_tables_are_equal_when_all_reach_each_other(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.heal();
        world.check();
        let now = world.nodes[0].replica.position();
        prop_assert!(now > Position::default());
        // They stay so under the next leader.
        world.elect(0, [true; NODES]);
        world.hear_all();
        world.check();
    }
}

#[test]
fn what_both_sides_of_a_partition_hold_is_put_together() {
    let mut world = World::new();
    world.heal();
    world.elect(0, [false; NODES]);
    world.elect(2, [false, true, true]);
    for node in 0..NODES {
        let device = u8::try_from(node).unwrap();
        let mut logged_in = world.ask(node, &Call::LogIn { device, port: 1 });
        world.hear_all();
        assert!(logged_in.try_recv().unwrap().is_ok());
        let mut joined = world.ask(node, &Call::Join(0, 0));
        world.hear_all();
        assert!(joined.try_recv().unwrap().is_ok());
    }
    world.heal();
    world.check();
    let leases: Vec<_> = world.nodes[0].replica.routes.records().collect();
    assert_eq!(leases.len(), NODES);
    assert!(leases.iter().all(|lease| lease.rooms.len() == 1), "{leases:?}");
    assert!(world.nodes.iter().all(|node| node.streams.leases().count() == 1));
}

#[test]
fn what_was_done_by_the_last_leader_and_is_asked_again_is_answered_as_done() {
    for (call, expected) in [(Call::Leave(0, 0), "Ok(Left(false))"), (Call::LogOut(0), "Ok(Done)")] {
        let mut world = World::new();
        world.heal();
        let _logged_in = world.ask(0, &Call::LogIn { device: 1, port: 1 });
        let _joined = world.ask(0, &Call::Join(0, 0));
        world.hear_all();
        let mut answer = world.ask(0, &call);
        // The leader carries it out, and another follower does; the one who asked has not heard of it when the leader dies.
        world.hear_one(0);
        while world.hear_one(1) {}
        world.step(Step::Kill(2));
        assert!(answer.try_recv().is_err());
        // So much has been done since that it is not kept any more.
        world.nodes[1].log = Log::new(world.nodes[1].replica.position());
        world.elect(1, [true, false, false]);
        world.hear_all();
        assert_eq!(format!("{:?}", answer.try_recv().unwrap()), expected);
    }
    let mut world = World::new();
    world.heal();
    let _logged_in = world.ask(0, &Call::LogIn { device: 1, port: 1 });
    let mut answer = world.ask(0, &Call::Leave(0, 0));
    world.hear_all();
    assert!(
        answer.try_recv().unwrap().is_err(),
        "asked once, it is answered as it is"
    );
}

#[test]
fn who_is_a_little_behind_when_leaders_change_is_given_what_it_lacks_and_no_table() {
    let mut world = World::new();
    world.heal();
    for device in 0..5 {
        let _logged_in = world.ask(0, &Call::LogIn { device, port: 1 });
    }
    // One follower hears of all, the other one of half.
    while world.hear_one(1) || world.nodes[0].replica.routes.records().count() < 3 && world.hear_one(0) {}
    let mut answer = world.ask(0, &Call::Join(0, 0));
    world.hear_one(0);
    while world.hear_one(1) {}
    world.step(Step::Kill(2));
    world.elect(1, [true, false, false]);
    world.hear_all();
    assert_eq!(world.nodes[0].replica.position(), world.nodes[1].replica.position());
    assert_eq!(world.nodes[0].replica.routes.records().count(), 5);
    assert!(answer.try_recv().unwrap().is_ok(), "the answer is among it");
    assert_eq!(world.tables, 0);
}

#[test]
fn a_leader_that_comes_back_empty_goes_on_with_the_newest_copy() {
    let mut world = World::new();
    world.heal();
    let _logged_in = world.ask(0, &Call::LogIn { device: 1, port: 1 });
    world.hear_all();
    // Its stream broke, so nobody would claim it: it is in the table alone.
    let (lease, _) = world.asked.first_key_value().unwrap();
    world.nodes[0].streams.end(*lease, None);
    world.step(Step::Kill(2));
    world.heal();
    world.check();
    assert_eq!(world.nodes[2].replica.routes.records().count(), 1);
}

#[test]
fn what_a_follower_holds_that_comes_late_is_put_in() {
    let mut world = World::new();
    world.heal();
    world.elect(0, [false; NODES]);
    let _logged_in = world.ask(0, &Call::LogIn { device: 1, port: 1 });
    world.elect(2, [false, true, false]);
    world.hear_all();
    world.part(0);
    world.follow(0, 2);
    world.hear_all();
    world.check();
    assert_eq!(world.nodes[2].replica.routes.records().count(), 1);
}

#[test]
fn time_goes_on_under_the_next_leader() {
    let hour = Millis(3_600_000);
    let mut node = State::new(id(0));
    let mut head = node.replica.head();
    head.now = hour;
    node.replica = Replica::restore(head, Vec::new(), Vec::new()).unwrap();
    node.gather(Term::NONE.next_of(id(0)).unwrap());
    assert!(node.lead(None).is_none());
    let Part::Leading(leading) = &mut node.part else {
        panic!("it leads");
    };
    assert!(leading.now() >= hour);
}
