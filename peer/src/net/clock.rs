//! Tells the user when this machine's clock is not the registry's. Nobody is cut off for it, since certificates are judged by the
//! registry's time; but what is written here carries a wrong time.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::Net;
use crate::{
    credentials::Compared,
    node::{
        Input,
        apart::{ClockNews, apart, news},
        event::{Code, Notice},
    },
};

/// How often the two are compared: clocks are set at any time.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Runs until the peer ends.
pub(super) async fn watch(net: Net) {
    let mut certificates = net.credentials.watch();
    let mut told = None;
    loop {
        if let Some(clocks) = net.credentials.clock().compared() {
            let ahead_ms = clocks.ahead_ms();
            if let Some(news) = news(told, ahead_ms) {
                told = (news == ClockNews::Apart).then_some(ahead_ms);
                let (code, message) = (Code::ClockWrong, text(news, clocks));
                net.tell(Input::Notice(Notice { code, message })).await;
            }
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = net.shutdown.cancelled() => return,
            changed = certificates.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

fn text(news: ClockNews, clocks: Compared) -> String {
    let (here, registry) = (shown(clocks.here), shown(clocks.registry));
    match apart(clocks.ahead_ms()).filter(|_| news == ClockNews::Apart) {
        Some(apart) => format!(
            "this machine's clock is {apart} the registry's: it shows {here}, and the registry's {registry}. Set it: what you write carries \
             its time. You can talk all the same"
        ),
        None => format!("this machine's clock is right again: it shows {here}, as the registry's does"),
    }
}

/// A time as both clocks are shown, to the minute.
pub(super) fn shown(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).format("%Y-%m-%d %H:%M UTC").to_string()
}
