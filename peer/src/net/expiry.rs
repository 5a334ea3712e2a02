//! Tells the user in time that the own certificate ends, where the registry is not there to renew it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

use super::Net;
use crate::{
    credentials::Shown,
    node::{
        Input,
        event::{Code, Notice},
    },
};

/// How long before its end the user is told. A certificate of a few hours or less is told of in the last sixth of its time: it is
/// renewed after two thirds of it, so that by then this should have happened.
const NOTICE_AHEAD: Duration = Duration::from_secs(3_600);

/// Clocks are set and machines sleep: the time is looked at again at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Runs until the peer ends.
pub(super) async fn watch(net: Net) {
    let mut certificates = net.credentials.watch();
    loop {
        let shown = certificates.borrow_and_update().clone();
        let telling = async {
            let Some(shown) = &shown else {
                return std::future::pending().await;
            };
            let (ends, ahead) = notice_at(shown);
            until(ends - ahead).await;
            tell(&net, &soon(ends)).await;
            until(ends).await;
            let text = "your certificate has ended, so the others refuse you and you refuse them; it goes on when the registry is back";
            tell(&net, text).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = telling => {}
            () = net.shutdown.cancelled() => return,
            changed = certificates.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// When the certificate ends, and how long before that the user is told.
fn notice_at(shown: &Arc<Shown>) -> (SystemTime, Duration) {
    (shown.certificate.not_after, NOTICE_AHEAD.min(shown.span() / 6))
}

fn soon(ends: SystemTime) -> String {
    let left = ends.duration_since(SystemTime::now()).unwrap_or_default().as_secs();
    let left = match left {
        0..=119 => format!("{left} seconds"),
        _ => format!("{} minutes", left.div_ceil(60)),
    };
    format!(
        "the registry has not renewed your certificate, which ends in {left}; after that nobody can be talked to until it is back"
    )
}

async fn until(time: SystemTime) {
    while let Ok(left) = time.duration_since(SystemTime::now()) {
        sleep(left.min(LOOK_EVERY)).await;
    }
}

async fn tell(net: &Net, message: &str) {
    net.tell(Input::Notice(Notice {
        code: Code::CertificateEnds,
        message: message.to_owned(),
    }))
    .await;
}
