//! Devices that were revoked and have a lease all the same. Whoever has one revoked ends its lease as well, but in a cluster he may be killed between the two, the
//! decision may come after he was told that there is none, and a part of the network may let the device in that has not heard of it.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tracing::{info, warn};

use crate::{accounts::AccountError, cluster::election::Role, engine::EngineError, registry::Registry};

/// How often they are looked for.
const INTERVAL: Duration = Duration::from_secs(5);

/// Why they are not ended now.
#[derive(Debug, thiserror::Error)]
enum NotEnded {
    #[error(transparent)]
    Accounts(#[from] AccountError),
    #[error(transparent)]
    Table(#[from] EngineError),
}

/// Ends their leases while this registry leads a cluster, for ever.
pub(crate) async fn run(registry: Arc<Registry>) {
    let Some(leadership) = registry.leadership() else {
        return std::future::pending().await;
    };
    loop {
        sleep(INTERVAL).await;
        let leads = matches!(leadership.borrow().role, Role::Leader(_));
        if leads && let Err(error) = end(&registry).await {
            warn!(%error, "leases of revoked devices may be left");
        }
    }
}

async fn end(registry: &Registry) -> Result<(), NotEnded> {
    let revoked = registry.accounts.revoked(registry.now().wall).await?;
    let devices = revoked.into_iter().map(|revoked| revoked.device).collect();
    for device in registry.engine.live(devices).await? {
        info!(%device, "a revoked device had a lease");
        registry.engine.revoke(device).await?;
    }
    Ok(())
}
