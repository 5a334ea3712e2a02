//! A registry in a process of its own, as `peerchat-registry` runs it.

use std::path::Path;

use peerchat_registry::{Registry, Settings, bind, serve};
use tokio_util::sync::CancellationToken;

use super::wire::{Order, Report, read_orders, report};

/// Runs a registry until the bench ends it.
///
/// # Errors
/// It cannot start.
pub async fn run(data: &Path) -> anyhow::Result<()> {
    let mut orders = read_orders::<Order>()?;
    let listener = bind(([127, 0, 0, 1], 0).into()).await?;
    let listen = listener.local_addr()?.to_string();
    let settings = Settings {
        folder: Some(data.to_owned()),
        ..Settings::in_memory()
    };
    let registry = Registry::open(settings).await?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, registry, stop.clone()));
    report(&Report::Ready { listen })?;
    // It has no orders but to end, which is the end of its input.
    while orders
        .recv()
        .await
        .is_some_and(|order| !matches!(order, Ok(Order::Quit)))
    {}
    stop.cancel();
    Ok(serving.await??)
}
