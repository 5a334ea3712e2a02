//! Tells the user in time that the own certificate ends, where the registry is not there to renew it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

use super::{Net, clock::shown as shown_time};
use crate::{
    credentials::{Clock, Shown},
    node::{
        Input,
        event::{Code, Notice},
    },
};

/// How long before its end the user is told. A certificate of a few hours or less is told of in the last sixth of its time: it is
/// renewed after two thirds of it, so that by then this should have happened.
const NOTICE_AHEAD: Duration = Duration::from_secs(3_600);

/// Registries tell the time and machines sleep: it is looked at again at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long a registry has to certify a device whose certificate had ended at the start, before the user is told.
const LAPSED_WAIT: Duration = Duration::from_secs(10);

/// Runs until the peer ends.
pub(super) async fn watch(net: Net) {
    let mut certificates = net.credentials.watch();
    loop {
        let shown = certificates.borrow_and_update().clone();
        let telling = async {
            let clock = net.credentials.clock();
            let Some(shown) = &shown else {
                if let Some(end) = net.credentials.lapsed() {
                    sleep(LAPSED_WAIT).await;
                    tell(&net, &lapsed(end, clock.now())).await;
                }
                return std::future::pending().await;
            };
            let (ends, ahead) = notice_at(shown);
            until(clock, ends - ahead).await;
            tell(&net, &soon(ends, clock.now())).await;
            until(clock, ends).await;
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

/// Told where no registry is there that knows the time.
fn lapsed(ended: SystemTime, now: SystemTime) -> String {
    format!(
        "your certificate has ended at {}, and this machine's clock shows {}: nobody can be talked to until the registry is back. If the \
         clock is wrong, set it and start Peerchat again",
        shown_time(ended),
        shown_time(now)
    )
}

fn soon(ends: SystemTime, now: SystemTime) -> String {
    let left = ends.duration_since(now).unwrap_or_default().as_secs();
    let left = match left {
        0..=119 => format!("{left} seconds"),
        _ => format!("{} minutes", left.div_ceil(60)),
    };
    format!(
        "the registry has not renewed your certificate, which ends in {left}; after that nobody can be talked to until it is back"
    )
}

async fn until(clock: &Clock, time: SystemTime) {
    while let Ok(left) = time.duration_since(clock.now()) {
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
