//! The program `peerchat-registry`.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::{CommandFactory as _, error::ErrorKind};
use peerchat_identity::open_files;
use peerchat_registry::{
    Registry, RoutesUrl, Settings,
    accounts::store::DatabaseUrl,
    bind_to, command,
    config::{Config, UrlError, prepare_data_folder},
    serve, telemetry,
};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long what still waits for a disk, for the names of hosts or for the log may take at the end: each can hang, and nothing needs it any more.
const LAST_WAIT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let config = Config::read();
    let accounts = config.accounts_url().unwrap_or_else(|error| wrong_usage(&error));
    let routes = config.routes_url().unwrap_or_else(|error| wrong_usage(&error));
    let log = telemetry::init();
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log.put(format!("peerchat-registry: cannot start threads: {error}\n").as_bytes());
            log.flush(LAST_WAIT);
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(config, accounts, routes));
    runtime.shutdown_timeout(LAST_WAIT);
    if let Err(error) = &ended {
        // Said also where nothing is to be logged.
        log.put(format!("peerchat-registry: {error:#}\n").as_bytes());
    }
    log.flush(LAST_WAIT);
    if ended.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Ends as for anything else that is typed wrong.
fn wrong_usage(error: &UrlError) -> ! {
    Config::command().error(ErrorKind::ValueValidation, error).exit()
}

async fn run(config: Config, accounts: Option<DatabaseUrl>, routes: Option<RoutesUrl>) -> anyhow::Result<()> {
    if let Some(command) = &config.command {
        let line = command::run(command, &config, accounts).await?;
        return writeln!(io::stdout(), "{}", *line).context("cannot print");
    }
    open_files::allow_most();
    let folder = config.data_folder()?;
    match &folder {
        Some(folder) => prepare_data_folder(folder)?,
        None if accounts.is_some() && config.ca.is_some() => {}
        None => warn!("accounts and keys are in memory and end with this process; --data DIR keeps them"),
    }
    let cluster = config.cluster();
    if cluster.as_ref().is_some_and(|cluster| cluster.members.is_even()) {
        warn!("the cluster has an even number of nodes: with one less, as many may fail");
    }
    let listener = bind_to(&config.listens_at()).await?;
    let registry = Registry::open(Settings {
        folder,
        accounts,
        routes,
        registration: config.registration,
        certificate_lifetime: config.certificate_lifetime,
        is_hosted: false,
        ca: config.ca,
        cluster,
        accepts_lost_accounts: config.accept_lost_accounts,
        proxies: config.proxy_protocol_from,
        allows_link_local: config.allow_link_local,
    });
    let registry = registry.await?;
    info!(fingerprint = %registry.fingerprint(), "peers know this registry by its fingerprint");
    let address = listener
        .local_addr()
        .context("cannot tell where the registry listens")?;
    let shutdown = CancellationToken::new();
    let asked = shutdown.clone();
    let signals = Signals::new().context("cannot wait for signals")?;
    tokio::spawn(async move {
        signals.wait().await;
        info!("shutting down");
        asked.cancel();
    });
    // Scripts wait for this line. Where nobody reads it or stdout takes nothing more, the registry runs all the same.
    tokio::task::spawn_blocking(move || writeln!(io::stdout(), "listening on {address}"));
    serve(listener, registry, shutdown).await?;
    Ok(())
}

/// Ctrl-C and, where there is such a thing, SIGTERM.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From here on the signals no longer kill the process.
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn wait(self) {
        // An error would mean that Ctrl-C cannot be awaited; the process can still be ended from outside.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
