//! More disks are lost than a cluster can bear.

use peerchat_registry::cluster::ledger::{Input, Standing};

use crate::{node::In, world::World};

/// A cluster of three in which something was decided, at peace.
fn three() -> World {
    let mut world = World::quiet(3, fastrand::Rng::with_seed(1));
    world.peace = true;
    for who in 0..3 {
        world.start(who);
    }
    world.run_until(5_000);
    for who in 0..3 {
        world.propose(who, true);
    }
    world.run_until(10_000);
    assert!(world.checks.entries() >= 4);
    world
}

fn standing(world: &World, who: usize) -> Standing {
    world.nodes[who].process.as_ref().unwrap().ledger.standing()
}

#[test]
fn a_majority_of_lost_disks_is_no_new_cluster_until_the_operator_says_so() {
    let mut world = three();
    let before = world.checks.entries();
    for who in [0, 2] {
        world.crash(who);
        world.lose(who);
        world.start(who);
    }
    world.run_until(12_000);
    for who in 0..3 {
        world.propose(who, false);
    }
    world.run_until(20_000);
    assert_eq!(world.checks.entries(), before, "something was decided");
    let lost = [0, 2].map(|who| world.nodes[who].id).into();
    assert_eq!(standing(&world, 2), Standing::Lost(lost));

    for who in [0, 2] {
        world.input(who, In::Ledger(Input::Force));
    }
    world.run_until(22_000);
    for who in 0..3 {
        world.propose(who, true);
    }
    world.run_until(25_000);
    world.check_the_end();
    assert!(world.checks.entries() > before);
}

#[test]
fn a_cluster_begins_only_with_all_of_its_nodes() {
    let mut world = World::quiet(3, fastrand::Rng::with_seed(2));
    world.peace = true;
    for who in [0, 1] {
        world.start(who);
    }
    world.run_until(3_000);
    for who in [0, 1] {
        world.propose(who, false);
    }
    world.run_until(8_000);
    assert_eq!(world.checks.entries(), 0);
    let missing = [world.nodes[2].id].into();
    assert_eq!(standing(&world, 1), Standing::NotBegun(missing));
    world.start(2);
    world.run_until(12_000);
    for who in 0..3 {
        world.propose(who, true);
    }
    world.run_until(15_000);
    world.check_the_end();
}

#[test]
fn two_of_three_go_on_without_the_third_which_catches_up_with_a_new_disk() {
    let mut world = three();
    let before = world.checks.entries();
    world.crash(2);
    world.lose(2);
    world.run_until(14_000);
    for _ in 0..8 {
        world.propose(0, true);
        world.run_until(world.now() + 2_000);
    }
    assert!(world.checks.entries() >= before + 8);
    world.start(2);
    world.run_until(world.now() + 5_000);
    world.check_the_end();
    assert!(matches!(standing(&world, 2), Standing::Leads(_)));
}
