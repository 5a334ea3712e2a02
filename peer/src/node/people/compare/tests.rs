//! What two sides see.

use proptest::prelude::*;

use super::*;

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

/// What one side compares.
fn side(own: (&str, &[DeviceId]), other: (&str, &[DeviceId])) -> Comparison {
    let known = |(name, ids): (&str, &[DeviceId])| -> Vec<Compared> {
        let known = |id: &DeviceId| Compared {
            user: user(name),
            device: *id,
            first_met: None,
            counts: true,
            trusted: false,
        };
        ids.iter().map(known).collect()
    };
    Comparison {
        user: user(other.0),
        devices: [known(own), known(other)].concat(),
        trusted: false,
    }
}

#[test]
fn words_never_change() {
    let [one, two, three] = [1, 2, 3].map(|n| DeviceId([n; 32]));
    let (alice, bob) = ([one], [two, three]);
    let words = side(("alice", &alice), ("bob", &bob)).words();
    let expected = "vampire engine jelly muffin raven juggler raven twilight puzzle pumpkin puzzle castle";
    assert_eq!(words.join(" "), expected);
}

fn ids() -> impl Strategy<Value = Vec<DeviceId>> {
    prop::collection::btree_set(any::<[u8; 32]>().prop_map(DeviceId), 1..5)
        .prop_map(|ids| ids.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

proptest! {
    #[test]
    fn both_sides_see_the_same_words(alice in ids(), bob in ids()) {
        let here = side(("alice", &alice), ("Bob", &bob));
        let mut there = side(("bob", &bob), ("ALICE", &alice));
        prop_assert_eq!(here.words_after(2), there.words_after(2));
        // What was only heard of is no part of them.
        there.devices[0].counts = false;
        prop_assert_ne!(here.words_after(2), there.words_after(2));
        there.devices.push(Compared { counts: true, ..there.devices[0].clone() });
        prop_assert_eq!(here.words_after(2), there.words_after(2));
    }

    #[test]
    fn any_other_device_or_name_gives_other_words(
        alice in ids(), bob in ids(), place in any::<prop::sample::Index>(), bit in 0..256usize, more in any::<[u8; 32]>(),
    ) {
        let words = side(("alice", &alice), ("bob", &bob)).words_after(2);
        let mut other = bob.clone();
        let changed = place.index(other.len());
        other[changed].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(words, side(("alice", &alice), ("bob", &other)).words_after(2));
        let more = [bob.clone(), vec![DeviceId(more)]].concat();
        prop_assert_ne!(words, side(("alice", &alice), ("bob", &more)).words_after(2));
        prop_assert_ne!(words, side(("alice", &alice), ("bob2", &bob)).words_after(2));
        // The same keys the other way round are other people's.
        if alice != bob {
            prop_assert_ne!(words, side(("alice", &bob), ("bob", &alice)).words_after(2));
        }
    }
}
