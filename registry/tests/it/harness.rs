//! Starting the program, talking to it, and waiting for conditions with a deadline.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use peerchat_proto::v1::{self, routing_service_client::RoutingServiceClient, watch_response::Change};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

/// How long anything may take that should happen at once. Generous, for machines that are busy.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) type Client = RoutingServiceClient<Channel>;

/// A running registry. Killed when dropped.
pub(crate) struct Registry {
    child: Child,
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerchat-registry"));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

impl Registry {
    pub(crate) fn start() -> Self {
        let mut command = program();
        command.args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, written) = (child.stderr.take().unwrap(), Arc::clone(&log));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let address = line
            .strip_prefix("listening on ")
            .expect("the first line tells the address")
            .trim()
            .to_owned();
        Self { child, address, log }
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::new(self.channel().await)
    }

    /// Whether the log says this already.
    pub(crate) fn has_logged(&self, part: &str) -> bool {
        self.log.lock().unwrap().contains(part)
    }

    /// Waits until the log says this, and answers the line.
    pub(crate) async fn logged(&self, part: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let log = self.log.lock().unwrap().clone();
            if let Some(line) = log.lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "{part:?} was not logged:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal by name, such as TERM.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child).await
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a process has ended by itself.
pub(crate) async fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            panic!("the program has not ended");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the program with arguments with which it must end at once: its exit code and what it wrote to stderr.
pub(crate) async fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = program()
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = ended(&mut child).await;
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (status.code(), text)
}

pub(crate) fn device(n: u8) -> Vec<u8> {
    vec![n; 32]
}

pub(crate) fn login(user: &str, n: u8, address: &str) -> v1::LogInRequest {
    v1::LogInRequest {
        user: user.to_owned(),
        device: device(n).into(),
        address: address.to_owned(),
    }
}

/// A logged-in device, as a peer would be.
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) lease: Vec<u8>,
}

impl Caller {
    pub(crate) async fn log_in(registry: &Registry, user: &str, n: u8) -> Self {
        let mut client = registry.client().await;
        let answer = client
            .log_in(login(user, n, &format!("127.0.0.1:{}", 40_000 + u16::from(n))))
            .await
            .unwrap();
        let lease = answer.into_inner().lease.to_vec();
        Self { client, lease }
    }

    pub(crate) async fn find(&mut self, user: &str) -> Result<Vec<v1::Peer>, Status> {
        let (lease, user) = (self.lease.clone().into(), user.to_owned());
        let answer = self.client.find(v1::FindRequest { lease, user }).await?;
        Ok(answer.into_inner().peers)
    }

    pub(crate) async fn join(&mut self, room: &str) -> Result<v1::JoinRoomResponse, Status> {
        let (lease, room) = (self.lease.clone().into(), room.to_owned());
        let answer = self.client.join_room(v1::JoinRoomRequest { lease, room }).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn leave(&mut self, room: &str) -> Result<bool, Status> {
        let (lease, room) = (self.lease.clone().into(), room.to_owned());
        let answer = self.client.leave_room(v1::LeaveRoomRequest { lease, room }).await?;
        Ok(answer.into_inner().dismissed)
    }

    pub(crate) async fn log_out(&mut self) -> Result<(), Status> {
        let lease = self.lease.clone().into();
        self.client.log_out(v1::LogOutRequest { lease }).await.map(drop)
    }

    /// Opens the stream and waits until it is ready.
    pub(crate) async fn watch(&mut self, users: &[&str]) -> Watcher {
        let (requests, sent) = mpsc::channel(8);
        let changes = self.client.watch(ReceiverStream::new(sent)).await.unwrap().into_inner();
        let mut watcher = Watcher { requests, changes };
        watcher.renew(&self.lease, users).await;
        assert!(matches!(watcher.next().await, Ok(Some(Change::Ready(_)))));
        watcher
    }
}

pub(crate) struct Watcher {
    pub(crate) requests: mpsc::Sender<v1::WatchRequest>,
    pub(crate) changes: Streaming<v1::WatchResponse>,
}

impl Watcher {
    pub(crate) async fn renew(&self, lease: &[u8], users: &[&str]) {
        let request = v1::WatchRequest {
            lease: lease.to_vec().into(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
        };
        self.requests.send(request).await.unwrap();
    }

    /// The next change; None at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Change>, Status> {
        self.next_within(SOON).await
    }

    pub(crate) async fn next_within(&mut self, span: Duration) -> Result<Option<Change>, Status> {
        let message = tokio::time::timeout(span, self.changes.message())
            .await
            .expect("no change came in time")?;
        Ok(message.map(|message| message.change.expect("one change is set")))
    }

    /// The next change in short: `bob Here`, `#lobby bob Left`, …
    pub(crate) async fn heard(&mut self) -> String {
        match self.next().await.unwrap().expect("the stream goes on") {
            Change::Ready(_) => "ready".to_owned(),
            Change::Presence(change) => {
                let (liveness, peer) = (change.liveness(), change.peer.unwrap());
                let what = if peer.device.is_empty() {
                    "offline ".to_owned()
                } else {
                    String::new()
                };
                format!("{what}{} {liveness:?}", peer.user)
            }
            Change::Room(change) => {
                format!(
                    "#{} {} {:?}",
                    change.room,
                    change.peer.as_ref().unwrap().user,
                    change.liveness()
                )
            }
        }
    }
}

/// The code and text of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("refused");
    (status.code(), status.message().to_owned())
}
