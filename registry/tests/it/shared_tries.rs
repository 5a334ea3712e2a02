//! Guesses that are made at several registries of a site.

use tonic::Code;

use crate::{caller::*, cluster_site::Cluster, harness::*, servers::Kind, shared::Site};

/// Wrong passwords that each registry would hear without the others.
const FREE: usize = 5;

/// Guesses by turns at both, until both tell the guesser to wait. Answers how many were heard.
async fn guesses_heard(at: [&Registry; 2]) -> usize {
    let (mut heard, mut waits) = (0, 0);
    for turn in 0.. {
        let guess = Caller::log_in_with(at[turn % 2], "alice", 9, "wrong horse").await;
        match refused(guess) {
            (Code::PermissionDenied, text) => {
                assert!(text.contains("wrong password"), "{text}");
                (heard, waits) = (heard + 1, 0);
            }
            (Code::ResourceExhausted, text) => {
                assert!(text.contains("too many tries; wait "), "{text}");
                waits += 1;
            }
            other => panic!("{other:?}"),
        }
        if waits == 2 {
            break;
        }
        assert!(heard < 3 * FREE, "the waits double");
    }
    heard
}

#[tokio::test]
async fn registries_that_share_a_table_count_guesses_together() {
    let Some(site) = Site::start(Kind::Postgres).await else {
        return;
    };
    let (a, b) = (site.registry(), site.registry());
    let mut alice = Caller::log_in(&a, "alice", 1).await;
    alice.set_password("correct horse").await.unwrap();
    let heard = guesses_heard([&a, &b]).await;
    assert!((FREE..2 * FREE).contains(&heard), "{heard}");
}

#[tokio::test]
async fn nodes_of_a_cluster_count_guesses_together() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let mut alice = Caller::log_in(cluster.node(1), "alice", 1).await;
    alice.set_password("correct horse").await.unwrap();
    cluster.accounts_agree(&[1, 2, 3]).await;
    let heard = guesses_heard([cluster.node(1), cluster.node(3)]).await;
    assert!((FREE..2 * FREE).contains(&heard), "{heard}");
}
