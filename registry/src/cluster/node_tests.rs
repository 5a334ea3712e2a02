//! A node whose disk does not answer.

use std::time::Duration;

use tokio::{sync::Semaphore, time::timeout};

use super::*;
use crate::{
    accounts::{Policy, rules::Registration, store::Place},
    cluster::ledger::Limits,
};

/// How long the end may take, on a machine that is busy.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data");
    let settings = ClusterSettings {
        own: NodeId::new(2).unwrap(),
        members: "1=127.0.0.1:1,2=127.0.0.1:2".parse().unwrap(),
        accepts_lost_accounts: false,
        limits: Limits::DEFAULT,
    };
    let policy = Policy {
        registration: Registration::Open,
        certificate_lifetime: SOON,
    };
    let accounts = Arc::new(Accounts::open(&Place::Memory, policy).await.unwrap());
    let authority = Authority::in_memory().unwrap();
    let node = Node::open(settings, Some(&folder), &authority).unwrap();
    let (hang, hung) = std::sync::mpsc::sync_channel::<()>(1);
    let (hung, begun) = (Mutex::new(hung), Arc::new(Semaphore::new(0)));
    let asked = Arc::clone(&begun);
    node.engine.lock().unwrap().as_mut().unwrap().keep = Arc::new(move |_| {
        asked.add_permits(1);
        // Until the test is over.
        let _ = hung.lock().unwrap().recv();
        Ok(())
    });
    let shutdown = CancellationToken::new();
    let ends = async {
        let asked = begun.acquire().await.unwrap();
        assert_eq!(node.leadership().role, Role::Election, "it leads when the term is kept");
        drop(asked);
        shutdown.cancel();
    };
    let ran = timeout(SOON, async { tokio::join!(node.run(accounts, shutdown.clone()), ends) }).await;
    drop(hang);
    assert!(ran.is_ok(), "it waits for the disk");
}
