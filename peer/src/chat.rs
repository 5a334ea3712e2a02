//! `peerchat chat`: puts the parts together, runs them, and ends them in order.

mod entrance;
mod error;
mod permits;
mod world;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use peerchat_identity::{
    open_files,
    secret_file::{self},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub use self::error::ChatError;
use self::world::{Opener, World};
use crate::{
    config::{ChatConfig, RegistryChoice},
    credentials::Credentials,
    driver::{
        Channels, Driver,
        core::{Codec, Core, unreadable},
        ports::{INCOMING_MAX, ORDERS_MAX},
        refusals::Refusals,
        request::Request,
    },
    folder::{UserFolder, places},
    known_registries::KnownRegistries,
    log::{Disk as _, RealDisk},
    net::{Keys, Net, Registry, RegistryConfig, ToDriver, convert, expected, serve},
    node::{
        Identity,
        event::{Code, Event, Notice, Ready, ReplayReason},
        limits::REPLAY_LAST,
        registries::spread,
        types::{Authority, Conversation},
    },
    seal::{DeviceJudge, DeviceNotary, SharedNotary},
    ui::{self, entrance::Entrance, input::Input},
};

/// How many events wait for the screen. When they are as many, the peer waits for its user.
const EVENTS_MAX: usize = 4_096;
/// How many requests wait for the peer.
const REQUESTS_MAX: usize = 256;
/// How long ending in order may take after a signal.
const SIGNAL_WAIT: Duration = Duration::from_secs(8);
/// How long links and calls have to end.
const END_WAIT: Duration = Duration::from_secs(2);

/// Runs a peer with its user interface until the user quits.
///
/// # Errors
/// It cannot start, or the disk refuses while it runs.
pub async fn run(config: ChatConfig) -> Result<ui::Ending, ChatError> {
    run_behind(config, ui::run).await
}

/// Runs a peer behind another front than the screen. The front is started once the registry has let the user in; it is told
/// [`Event::Ready`] first and [`Event::Bye`] last, and asks for [`Request::Quit`] to end the peer.
///
/// # Errors
/// As [`run`], and where the front fails.
pub async fn run_behind<F, R>(config: ChatConfig, front: F) -> Result<ui::Ending, ChatError>
where
    F: FnOnce(mpsc::Sender<Request>, mpsc::Receiver<Event>, Option<mpsc::Receiver<Input>>, ui::Options) -> R,
    R: Future<Output = io::Result<ui::Ending>> + Send + 'static,
{
    open_files::allow_most();
    let folder = UserFolder::open(&config.data, &config.user)?;
    let aside = world::set_old_aside(folder.path())?;
    let known = KnownRegistries::in_folder(&config.data);
    let mut mended = places::mend(folder.path())?;
    mended.extend(world::mend(&config.data, folder.path(), &config.user)?);
    let expected = expected(config.registry_fingerprint, &config.registries, &known);
    let expected = match expected {
        Some(expected) => Some(Authority(expected.bytes())),
        None => places::last(folder.path())?,
    };
    let credentials = Arc::new(Credentials::load(folder.path(), &config.user, expected)?);
    let device = credentials.device();
    let me = Identity {
        user: config.user.clone(),
        device,
    };
    let disk = RealDisk;
    let notary = notary(&credentials);
    let codec = Codec {
        encode: convert::encoder(notary.tag_key().clone()),
        decode: convert::decode_entry,
    };
    let opener = Opener {
        user: folder.path().to_owned(),
        before: places::all(folder.path())?
            .into_iter()
            .map(|place| place.authority)
            .collect(),
        me: me.clone(),
        codec,
        notary: notary.clone(),
    };
    let early = opener.open_known(expected)?;
    let listener = listen(&config.listen).await?;
    let local = listener.local_addr()?;
    let advertise = config.advertise.clone().unwrap_or_else(|| local.to_string());

    let shutdown = CancellationToken::new();
    let (incoming, from_wire) = mpsc::channel(INCOMING_MAX);
    let (orders, ordered) = mpsc::channel(ORDERS_MAX);
    let (address, own_address) = watch::channel(advertise.clone());
    let refusals = Refusals::default();
    let to_driver = ToDriver {
        incoming,
        refusals: refusals.clone(),
    };
    let net = Net::new(
        me.clone(),
        Keys {
            credentials: credentials.clone(),
            notary,
        },
        disk.random(),
        own_address,
        to_driver,
        shutdown.clone(),
    );
    let registry = RegistryConfig {
        preferred: match config.registry_choice {
            RegistryChoice::First => config.registries.clone(),
            RegistryChoice::Spread => spread(&config.registries, device),
        },
        addresses: config.registries.clone(),
        advertise,
        may_host: config.host_registry,
        known,
        data: config.data,
        fingerprint: config.registry_fingerprint,
        surveyed: Arc::default(),
        authority: Arc::default(),
        password: secret_line(config.password_file.as_deref())?,
        invitation: secret_line(config.invitation_file.as_deref())?,
    };
    let damage = credentials.damage().map(|message| Notice {
        code: Code::TrustLost,
        message: message.to_owned(),
    });
    let registry_config = registry.clone();
    let (registry, mut attempts) = Registry::start(net.clone(), registry, address);
    let mut door = Entrance::new(config.json);
    let used = match entrance::pass(&mut door, &mut attempts, &net, &registry_config).await {
        Ok(used) => used.or_else(|| config.registries.first().cloned()),
        Err(refused) => {
            shutdown.cancel();
            drop(from_wire);
            net.ended(END_WAIT).await;
            // What was set aside may be why.
            for Notice { code, message } in mended {
                match config.json {
                    true => ui::json::print_error(code, &message, &mut io::stdout().lock())?,
                    false => writeln!(io::stderr(), "{message}")?,
                }
            }
            return Err(refused);
        }
    };

    // From now on nobody asks the user what a registry refuses: it is told.
    drop(attempts);
    // Whom a registry has let in has its conversations under its authority; otherwise it is the one that is expected.
    let authority = &registry_config.authority;
    let authority = match (authority.get(), expected) {
        (None, Some(expected)) => Some(Authority(authority.get_or_init(|| expected.0.into()).bytes())),
        (found, _) => found.map(|found| Authority(found.bytes())),
    };
    let World {
        core,
        state,
        notices,
        folder: place,
        was_used,
        earlier,
    } = match early {
        Some(early) if expected == authority => early,
        _ => opener.open(authority)?,
    };
    if let Some(authority) = authority {
        places::remember(folder.path(), authority)?;
    }
    // Nobody is heard before, or who is of another authority would be.
    let server = tokio::spawn(serve(net.clone(), listener));
    let wire = tokio::spawn(net.clone().run(ordered, registry));

    let (events, shown) = mpsc::channel(EVENTS_MAX);
    let (requests, requested) = mpsc::channel(REQUESTS_MAX);
    let enters = !config.join.is_empty();
    let options = ui::Options {
        user: me.user.clone(),
        json: config.json,
        join: config.join,
        history: Some(folder.path().join("input-history")),
        bell: config.bell,
    };
    let screen = tokio::spawn(front(requests.clone(), shown, door.into_lines(), options));
    // The logs of rooms that were left stay on the disk, and a room in which nothing was said has none.
    let logged = core.node().talks().keys().filter(|one| state.is_in(one)).cloned();
    let conversations: BTreeSet<_> = logged
        .chain(state.rooms().into_iter().map(Conversation::Room))
        .collect();
    let current = state
        .current(&me.user)
        .filter(|current| conversations.contains(current));
    // Where a room is entered anew, the answer to that shows it.
    let replay = current.as_ref().filter(|_| !enters);
    // What needs other logs as well is put together while the peer runs.
    let later = replay.filter(|current| earlier.has(current)).cloned();
    let replay = replay.filter(|_| later.is_none());
    let replay = replay.map(|current| core.replay(current, REPLAY_LAST, ReplayReason::Start));
    let ready = Ready {
        user: me.user.clone(),
        device,
        listen: local.to_string(),
        registry: used.unwrap_or_default(),
        authority,
        first_start: !was_used,
        conversations: conversations.into_iter().collect(),
        current,
    };
    send(&events, Event::Ready(ready)).await;
    match replay {
        Some(Ok(replay)) => send(&events, Event::Replay(replay)).await,
        Some(Err(error)) => send(&events, Event::Notice(unreadable(&error))).await,
        None => {}
    }
    for notice in aside.into_iter().chain(mended).chain(notices).chain(damage) {
        send(&events, Event::Notice(notice)).await;
    }
    tokio::spawn(quit_on_signal(requests));

    let channels = Channels {
        requests: requested,
        events: events.clone(),
        incoming: from_wire,
        orders,
        refusals,
    };
    let driver = Driver::new(core, channels, state, disk, place).with_earlier(earlier, later);
    // A task of its own: the runtime polls the future that it was entered with only after it has asked the system for events.
    let end = match tokio::spawn(driver.run()).await {
        Ok(end) => end,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    // The driver has ended and with it the queues of the links, so that these end too; the registry is told.
    shutdown.cancel();
    net.ended(END_WAIT).await;
    wire.abort();
    server.abort();
    let end = end.and_then(Core::close);
    if let Err(error) = &end {
        let message = format!("{error}; the peer ends, and nothing that was acknowledged is lost");
        send(
            &events,
            Event::Notice(Notice {
                code: Code::DiskFailed,
                message,
            }),
        )
        .await;
    }
    send(&events, Event::Bye).await;
    drop(events);
    let ending = screen.await.map_err(io::Error::other)??;
    end.map_err(ChatError::Ended)?;
    Ok(ending)
}

/// Makes and judges seals with the device's key and by what its registry has certified.
fn notary(credentials: &Arc<Credentials>) -> SharedNotary {
    let (signer, judge) = (credentials.clone(), credentials.clone());
    let judge = DeviceJudge::new(move |der| judge.introduced(der));
    DeviceNotary::shared(move |message| signer.key().sign(message), judge)
}

async fn send(events: &mpsc::Sender<Event>, event: Event) {
    // Nobody listens where the screen has ended, and then the peer ends as well.
    let _ended = events.send(event).await;
}

/// The first line of a file with a secret.
fn secret_line(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, ChatError> {
    let Some(file) = file else { return Ok(None) };
    let secret = secret_file::read(file)?.ok_or_else(|| ChatError::NoSecret(file.to_owned()))?;
    let text = std::str::from_utf8(&secret).map_err(|_| ChatError::NoSecret(file.to_owned()))?;
    let line = text.lines().next().filter(|line| !line.is_empty());
    let line = line.ok_or_else(|| ChatError::NoSecret(file.to_owned()))?;
    Ok(Some(Zeroizing::new(line.to_owned())))
}

async fn listen(address: &str) -> Result<TcpListener, ChatError> {
    let error = |source| ChatError::Listen {
        address: address.to_owned(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    Ok(listener)
}

/// Quits as the user would, when the system asks for it.
#[expect(
    clippy::disallowed_methods,
    reason = "the last resort, where ending in order takes too long"
)]
async fn quit_on_signal(requests: mpsc::Sender<Request>) -> io::Result<Infallible> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hang_up.recv() => {}
    }
    // A screen that nobody reads keeps the peer from ending in order. It ends all the same: what was acknowledged is in the log, and
    // the next start goes on as a new author.
    let patience = tokio::time::sleep(SIGNAL_WAIT);
    tokio::pin!(patience);
    tokio::select! {
        // Where this fails the driver has ended, and so has the wish.
        _ = async { requests.send(Request::Quit).await.ok(); std::future::pending::<()>().await } => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = &mut patience => {}
    }
    std::process::exit(1)
}
