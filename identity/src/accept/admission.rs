//! The table of places with a lock, a clock, and what closes a connection.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Limits, Refused, Watcher,
    places::{Full, Id, Places, Source},
};
use crate::DeviceBytes;

/// Who is in.
pub(super) struct Admission {
    inner: Mutex<Inner>,
    refused: Watcher,
    /// There is somebody who may ask nothing for too long. Where nobody is, nobody looks: an idle peer is to cost little.
    entered: Notify,
    /// How often it is looked meanwhile.
    look_every: Duration,
}

struct Inner {
    places: Places,
    doors: BTreeMap<Id, (SocketAddr, CancellationToken)>,
}

impl Admission {
    pub(super) fn new(limits: &Limits, refused: Watcher) -> Arc<Self> {
        let places = Places::new(
            limits.connections_max,
            limits.per_device_max(),
            limits.first_call_timeout,
        );
        let doors = BTreeMap::new();
        let inner = Mutex::new(Inner { places, doors });
        Arc::new(Self {
            inner,
            refused,
            entered: Notify::new(),
            look_every: limits.first_call_timeout / 2,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place to whoever comes from `address`; `closing` is cancelled when somebody else needs it more.
    pub(super) fn enter(self: &Arc<Self>, address: SocketAddr, closing: CancellationToken) -> Result<Entered, Refused> {
        let mut inner = self.lock();
        let entered = inner.places.enter(Source::of(address.ip()), Instant::now());
        let (id, closed) = entered.map_err(|Full| Refused::TooMany)?;
        inner.doors.insert(id, (address, closing));
        let closed = closed.and_then(|closed| inner.close(closed));
        drop(inner);
        self.entered.notify_one();
        self.tell(closed, Refused::Crowded);
        let admission = Arc::clone(self);
        Ok(Entered(Place { admission, id }))
    }

    /// Closes whoever asks nothing for too long, as long as it is polled.
    pub(super) async fn watch(&self) {
        loop {
            self.entered.notified().await;
            sleep(self.look_every).await;
            let mut inner = self.lock();
            let overdue = inner.places.overdue(Instant::now());
            let closed: Vec<_> = overdue.into_iter().filter_map(|id| inner.close(id)).collect();
            let goes_on = inner.places.any_silent();
            drop(inner);
            if goes_on {
                self.entered.notify_one();
            }
            for address in closed {
                self.tell(Some(address), Refused::Idle);
            }
        }
    }

    fn tell(&self, closed: Option<SocketAddr>, why: impl FnOnce(SocketAddr) -> Refused) {
        if let Some(address) = closed {
            (self.refused)(why(address));
        }
    }
}

impl Inner {
    fn close(&mut self, id: Id) -> Option<SocketAddr> {
        let (address, closing) = self.doors.remove(&id)?;
        closing.cancel();
        Some(address)
    }
}

/// The place of a connection, for as long as that lives.
pub(super) struct Entered(Place);

impl Entered {
    /// The same place, to be passed on.
    pub(super) fn place(&self) -> Place {
        self.0.clone()
    }

    /// A proxy has said where the connection comes from.
    pub(super) fn comes_from(&self, address: SocketAddr) {
        let mut inner = self.0.admission.lock();
        inner.places.comes_from(self.0.id, Source::of(address.ip()));
        if let Some((known, _)) = inner.doors.get_mut(&self.0.id) {
            *known = address;
        }
    }

    /// It has proved of which device it is.
    pub(super) fn is_of(&self, device: DeviceBytes) {
        let mut inner = self.0.admission.lock();
        let closed = inner.places.is_of(self.0.id, device);
        let closed = closed.and_then(|closed| inner.close(closed));
        drop(inner);
        self.0.admission.tell(closed, Refused::Share);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut inner = self.0.admission.lock();
        inner.places.leave(self.0.id);
        inner.doors.remove(&self.0.id);
    }
}

/// The place of a connection, as those know it who serve what comes over it.
#[derive(Clone)]
pub struct Place {
    admission: Arc<Admission>,
    id: Id,
}

impl Place {
    /// Something is asked over the connection.
    pub(super) fn called(&self) {
        self.admission.lock().places.called(self.id, Instant::now());
    }

    /// Nobody else gets the place as long as the connection is open: it is of the same house.
    pub fn trust(&self) {
        self.admission.lock().places.trust(self.id);
    }

    /// Nobody else gets the place before what is answered is dropped.
    pub fn keep(&self) -> Kept {
        self.admission.lock().places.keep(self.id);
        Kept(self.clone())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.id)
    }
}

/// A reason to keep a place: something goes on over its connection on which others rely.
#[derive(Debug)]
pub struct Kept(Place);

impl Drop for Kept {
    fn drop(&mut self) {
        let Place { admission, id } = &self.0;
        admission.lock().places.release(*id, Instant::now());
    }
}
