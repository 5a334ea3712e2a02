//! What names look like. Two names that differ may be the same to whoever reads them: `alice`, and the same with a Cyrillic а. So no name is
//! given away that looks like one that somebody has.
//!
//! What a name looks like is its skeleton, as Unicode's technical standard 39 defines it: each sign is replaced with the one that stands for
//! all that look like it. Names are compared case-folded and shown as they are typed, so there are two, of the folded name and of the shown
//! one (a capital I looks like a small L), and both are folded too, since capitals of other scripts become those of ours.
//!
//! The tables grow with each version of Unicode. So a skeleton is made once, by the registry that was asked, and goes along with what is
//! decided: nodes of a cluster compare the same, whichever version each of them is.

use std::collections::BTreeSet;

use peerchat_proto::names::UserName;
use ring::digest::{SHA256, digest};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::skeleton;

/// How often a skeleton is folded and made a skeleton again until it stays. Two rounds are enough for all but a few signs.
const ROUNDS_MAX: usize = 4;

/// The most that a name looks like.
pub const LOOKS_MAX: usize = 2;

/// What a name looks like: the hash of a skeleton, which may be several times as long as the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look(pub [u8; 32]);

/// All that a name looks like.
pub fn looks(name: &UserName) -> Vec<Look> {
    let looks: BTreeSet<Look> = [name.key(), name.shown()].map(look).into();
    looks.into_iter().collect()
}

fn look(text: &str) -> Look {
    let hash = digest(&SHA256, settled(text).as_bytes());
    Look(hash.as_ref().try_into().unwrap_or_default())
}

/// The folded skeleton of a text, whose own it is too.
fn settled(text: &str) -> String {
    let mut now: String = skeleton(text).collect();
    for _ in 0..ROUNDS_MAX {
        let folded: String = caseless::default_case_fold_str(&now).nfc().collect();
        let next: String = skeleton(&folded).collect();
        if next == now {
            break;
        }
        now = next;
    }
    now
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> UserName {
        UserName::new(text).unwrap()
    }

    fn is_alike(one: &str, other: &str) -> bool {
        let other = looks(&name(other));
        looks(&name(one)).iter().any(|look| other.contains(look))
    }

    #[test]
    fn names_that_look_alike_are_alike() {
        for other in [
            "аlice",
            "alісе",
            "ａlice",
            "ａｌｉｃｅ",
            "Ａlice",
            "𝐚lice",
            "𝒜lice",
            "𝔸𝕝𝕚𝕔𝕖",
            "aIice",
            "ALICE",
            "a1ice",
            "al\u{456}ce",
            "ɑlice",
        ] {
            assert!(is_alike("alice", other), "{other}");
        }
        assert!(is_alike("ΑΒΓ", "ABΓ"));
        assert!(is_alike("rnary", "mary"));
        assert!(is_alike("👩\u{200d}💻", "👩💻"));
    }

    #[test]
    fn names_that_differ_are_not_alike() {
        let names = [
            "alice",
            "bob",
            "carol",
            "dave",
            "erin",
            "frank",
            "grace",
            "heidi",
            "zoe",
            "Zoë",
            "Привет",
            "Анна",
            "Άννα",
            "小明",
            "小红",
            "はなこ",
            "김철수",
            "Nguyễn",
            "Nguyen",
            "ธนกฤต",
            "שלום",
            "محمد",
            "अदिति",
            "user1",
            "user2",
            "user10",
            "user11",
            "🦀",
            "👩‍💻",
        ];
        for (n, one) in names.iter().enumerate() {
            for other in &names[n + 1..] {
                assert!(!is_alike(one, other), "{one} {other}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_skeleton_is_its_own(text in "\\PC{0,40}|[a-zA-Z0-9а-яА-Яα-ωΑ-Ω]{0,20}") {
            let once = settled(&text);
            prop_assert_eq!(settled(&once), once);
        }

        #[test]
        fn a_name_looks_like_itself_in_any_case(text in "\\PC{1,40}|[a-zA-Zа-яА-Яα-ωΑ-Ω]{1,20}") {
            if let Ok(one) = UserName::new(&text) {
                let folded = looks(&one.folded());
                prop_assert_eq!(folded.len(), 1);
                prop_assert!(looks(&one).contains(&folded[0]));
                prop_assert!(looks(&one).len() <= LOOKS_MAX);
            }
        }
    }
}
