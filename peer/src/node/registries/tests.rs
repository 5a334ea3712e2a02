//! Failing over, backing off and moving back, with time and chance in hand.

use proptest::prelude::*;

use super::*;

fn three() -> Registries {
    Registries::new(["a:1", "b:1", "c:1"].map(String::from))
}

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(7)
}

/// Tries what is next; it fails.
fn fail_next(registries: &mut Registries, now: Millis, rng: &mut fastrand::Rng) -> usize {
    let Next::Try(place) = registries.next(now) else {
        panic!("nothing is tried at {now:?}");
    };
    registries.tries(place);
    registries.fails(place, "away".into(), now, rng);
    place
}

#[test]
fn all_are_tried_at_once_before_there_is_a_pause() {
    let (mut registries, mut rng) = (three(), rng());
    let now = Millis(1_000);
    let tried: Vec<usize> = (0..3).map(|_| fail_next(&mut registries, now, &mut rng)).collect();
    assert_eq!(tried, [0, 1, 2]);
    let Next::Wait(until) = registries.next(now) else {
        panic!("all have failed")
    };
    assert!(
        (REGISTRY_RETRY_MS_MIN / 2..=REGISTRY_RETRY_MS_MIN).contains(&until.since(now)),
        "{until:?}"
    );
    assert!(matches!(registries.next(until), Next::Try(_)));
    assert!(registries.report().iter().all(|one| one.state == BreakerState::Open));
}

#[test]
fn the_pause_grows_to_its_limit_while_none_answers() {
    let (mut registries, mut rng) = (Registries::new(["a:1".to_owned()]), rng());
    let (mut now, mut longest) = (Millis(0), 0);
    for _ in 0..20 {
        fail_next(&mut registries, now, &mut rng);
        let Next::Wait(until) = registries.next(now) else {
            panic!()
        };
        longest = longest.max(until.since(now));
        assert!(until.since(now) <= REGISTRY_RETRY_MS_MAX);
        now = until;
    }
    assert!(longest >= REGISTRY_RETRY_MS_MAX / 2, "{longest}");
}

#[test]
fn those_that_have_not_failed_come_before_those_that_may_be_tried_again() {
    let (mut registries, mut rng) = (three(), rng());
    fail_next(&mut registries, Millis(0), &mut rng);
    registries.tries(1);
    registries.lets_in(1, Millis(0), &mut rng);
    registries.breaks("gone".into(), Millis(60_000), &mut rng);
    // The first one may be tried again by now, but it was not there when it was last tried.
    assert_eq!(registries.next(Millis(60_000)), Next::Try(2));
    fail_next(&mut registries, Millis(60_000), &mut rng);
    assert_eq!(registries.next(Millis(60_000)), Next::Try(0));
}

#[test]
fn one_that_lets_in_and_breaks_at_once_is_left_alone_for_longer_and_longer() {
    let (mut registries, mut rng) = (Registries::new(["a:1".to_owned()]), rng());
    let mut now = Millis(0);
    let mut waits = Vec::new();
    for _ in 0..12 {
        registries.tries(0);
        registries.lets_in(0, now, &mut rng);
        assert_eq!(registries.report()[0].state, BreakerState::Closed);
        registries.breaks("gone".into(), now, &mut rng);
        let Next::Wait(until) = registries.next(now) else {
            panic!()
        };
        waits.push(until.since(now));
        now = until;
    }
    assert!(waits[11] >= REGISTRY_RETRY_MS_MAX / 2, "{waits:?}");
    registries.tries(0);
    registries.lets_in(0, now, &mut rng);
    let later = now.plus(REGISTRY_LASTING_MS + 1);
    registries.breaks("gone".into(), later, &mut rng);
    assert!(matches!(registries.next(later), Next::Wait(at) if at.since(later) <= REGISTRY_RETRY_MS_MIN));
}

#[test]
fn a_peer_moves_back_when_the_first_has_been_there_for_a_while() {
    let (mut registries, mut rng) = (three(), rng());
    let mut now = Millis(0);
    fail_next(&mut registries, now, &mut rng);
    registries.tries(1);
    registries.lets_in(1, now, &mut rng);
    // It is not there for a minute, then it is, then it goes away once more.
    let mut there_since = None;
    loop {
        now = registries.look_at().unwrap();
        assert!(now.0 < 200_000, "it never moves");
        let look = registries.look(now).unwrap();
        registries.tries(FIRST);
        assert_eq!(registries.look_at(), None, "one look at a time");
        let is_there = now.0 > 60_000 && !(65_000..75_000).contains(&now.0);
        match (look, is_there) {
            (Look::See, true) => {
                there_since = there_since.or(Some(now));
                registries.is_there(FIRST, now, &mut rng);
            }
            (Look::See, false) => {
                there_since = None;
                registries.fails(FIRST, "away".into(), now, &mut rng);
            }
            (Look::Move, _) => break,
        }
        assert_eq!(registries.used(), Some(1));
    }
    let waited = now.since(there_since.expect("it moves to one that is there"));
    assert!((HOME_AFTER_MS / 2..=HOME_AFTER_MS).contains(&waited), "{waited}");
    registries.lets_in(FIRST, now, &mut rng);
    assert_eq!((registries.used(), registries.look_at()), (Some(0), None));
}

#[test]
fn one_that_could_do_nothing_is_not_gone_back_to_as_soon_as_it_is_there() {
    let (mut registries, mut rng) = (three(), rng());
    let mut now = Millis(0);
    let elsewhere = |registries: &Registries, now| works_elsewhere(&registries.report(), now);
    registries.tries(FIRST);
    registries.lets_in(FIRST, now, &mut rng);
    assert!(elsewhere(&registries, now), "nothing is known against the others");
    registries.is_unwilling(now, &mut rng);
    registries.breaks("cannot".into(), now, &mut rng);
    assert_eq!(registries.next(now), Next::Try(1));
    registries.tries(1);
    registries.lets_in(1, now, &mut rng);
    assert!(elsewhere(&registries, now), "there is a third one");
    registries.tries(2);
    registries.fails(2, "away".into(), now, &mut rng);
    assert!(!elsewhere(&registries, now));
    // It is there all the time, and that is not enough.
    let moved = loop {
        now = registries.look_at().unwrap();
        match registries.look(now).unwrap() {
            Look::See => registries.is_there(FIRST, now, &mut rng),
            Look::Move => break now,
        }
        if now.0 < UNWILLING_MS / 2 {
            assert!(!elsewhere(&registries, now), "{now:?}");
        }
    };
    let most = UNWILLING_MS + HOME_AFTER_MS + HOME_LOOK_MS;
    assert!((UNWILLING_MS / 2..=most).contains(&moved.0), "{moved:?}");
    assert!(elsewhere(&registries, moved));
}

#[test]
fn peers_do_not_move_back_in_step() {
    let moves: std::collections::BTreeSet<u64> = (0..100)
        .map(|seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut registries = three();
            fail_next(&mut registries, Millis(0), &mut rng);
            registries.tries(1);
            registries.lets_in(1, Millis(0), &mut rng);
            loop {
                let now = registries.look_at().unwrap();
                match registries.look(now).unwrap() {
                    Look::Move => return now.0 / 100,
                    Look::See => registries.is_there(FIRST, now, &mut rng),
                }
            }
        })
        .collect();
    assert!(moves.len() > 50, "{moves:?}");
}

#[test]
fn what_is_shown_says_which_is_used_and_when_which_is_tried() {
    let (mut registries, mut rng) = (three(), rng());
    fail_next(&mut registries, Millis(0), &mut rng);
    registries.tries(1);
    assert_eq!(registries.report()[1].state, BreakerState::Closed, "its first try");
    registries.lets_in(1, Millis(0), &mut rng);
    let report = registries.report();
    assert_eq!(
        report.iter().map(|one| one.is_used).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(
        (report[0].state, report[0].error.as_deref()),
        (BreakerState::Open, Some("away"))
    );
    assert_eq!(report[0].next_try, registries.look_at());
    assert_eq!((report[1].next_try, report[2].next_try), (None, None));
    registries.tries(FIRST);
    assert_eq!(registries.report()[0].state, BreakerState::HalfOpen);
}

proptest! {
    /// Whatever comes of every try: there is always something to do, at most one is used, what is tried may be tried, and as long as
    /// one of them works a peer without a registry comes to it without a pause that is longer than the limit.
    #[test]
    fn a_registry_that_works_is_found(answers in prop::collection::vec((0_u8..8, 0_u64..3_000), 1..150), seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut registries, mut now) = (three(), Millis(0));
        for (up, passed) in answers {
            let works = |place: usize| up & (1 << place) != 0;
            now = now.plus(passed);
            if let Some(place) = registries.used() {
                if !works(place) {
                    registries.breaks("gone".into(), now, &mut rng);
                } else if let Some(look) = registries.look(now) {
                    registries.tries(FIRST);
                    match (look, works(FIRST)) {
                        (_, false) => registries.fails(FIRST, "away".into(), now, &mut rng),
                        (Look::See, true) => registries.is_there(FIRST, now, &mut rng),
                        (Look::Move, true) => registries.lets_in(FIRST, now, &mut rng),
                    }
                }
            }
            let begun = now;
            let mut steps = 0;
            while registries.used().is_none() && up != 0 {
                match registries.next(now) {
                    Next::Try(place) => {
                        prop_assert!(registries.list[place].breaker.admits(now));
                        registries.tries(place);
                        if works(place) {
                            registries.lets_in(place, now, &mut rng);
                        } else {
                            registries.fails(place, "away".into(), now, &mut rng);
                        }
                    }
                    Next::Wait(until) => {
                        prop_assert!(until > now && until.since(now) <= REGISTRY_RETRY_MS_MAX);
                        now = until;
                    }
                }
                steps += 1;
                prop_assert!(steps < 100);
            }
            prop_assert!(now.since(begun) <= REGISTRY_RETRY_MS_MAX);
        }
    }
}
