//! Keeps who was revoked for the next start, beside the peer's one thread.

use tokio::task::spawn_blocking;

use super::Net;

/// Runs until the peer ends, and keeps what came before that.
pub(super) async fn keep(net: Net) {
    let mut revoked = net.credentials.watch_revoked();
    loop {
        tokio::select! {
            biased;
            changed = revoked.changed() => if changed.is_err() {
                return;
            },
            () = net.shutdown.cancelled() => return,
        }
        let credentials = net.credentials.clone();
        match spawn_blocking(move || credentials.keep_revoked()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "who was revoked is not kept for the next start"),
            Err(error) => tracing::warn!(%error, "who was revoked is not kept for the next start"),
        }
    }
}
