//! Servers of others that the tests start themselves: on free ports of loopback, with all that they keep in a folder that goes with them.
//! Where one is not installed a test is skipped, and fails with `CI` set. All are skipped where this is built without their drivers.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use sqlx::Connection as _;

/// How long a server may take to be there.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The user and the password of all of them.
pub(crate) const USER: &str = "peerchat";
pub(crate) const PASSWORD: &str = "correct-horse";

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MariaDb,
    Postgres,
    Redis,
}

/// A running server. Killed when dropped, and with the thread that started it.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    program: PathBuf,
    child: Option<Child>,
    pub(crate) port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts one; none where it is not installed.
    pub(crate) async fn start(kind: Kind) -> Option<Self> {
        let program = installed(kind)?;
        let folder = tempfile::tempdir().unwrap();
        // It runs as another user, who must get through to its own part of it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let mut server = Self {
            kind,
            program,
            child: None,
            port: free_port(),
            folder,
        };
        server.make_data();
        server.resume().await;
        Some(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The URL of a database of this server; of Redis without a database.
    pub(crate) fn url(&self, database: &str) -> String {
        let scheme = match self.kind {
            Kind::MariaDb => "mysql",
            Kind::Postgres => "postgres",
            Kind::Redis => return format!("redis://:{PASSWORD}@{}", self.address()),
        };
        format!("{scheme}://{USER}:{PASSWORD}@{}/{database}", self.address())
    }

    /// Makes a database, and answers its URL.
    pub(crate) async fn create(&self, name: &str) -> String {
        sqlx::any::install_default_drivers();
        let always_there = if self.kind == Kind::MariaDb {
            "mysql"
        } else {
            "postgres"
        };
        let mut connection = sqlx::AnyConnection::connect(&self.url(always_there)).await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        self.url(name)
    }

    /// Stops it as if the way to it were cut, or lets it go on.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let signal = if is_frozen { "STOP" } else { "CONT" };
        let status = Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again with what it kept, at the same port.
    pub(crate) async fn resume(&mut self) {
        let deadline = Instant::now() + READY_WITHIN;
        self.child = Some(self.command().spawn().unwrap());
        while !self.is_ready() {
            // Its port may have been taken by somebody else meanwhile, or its former process may not have gone yet.
            if self
                .child
                .as_mut()
                .is_some_and(|child| child.try_wait().unwrap().is_some())
            {
                self.child = Some(self.command().spawn().unwrap());
            }
            assert!(
                Instant::now() < deadline,
                "{:?} does not start:\n{}",
                self.kind,
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The Debian user that the server is to run as: root is refused by some.
    fn user(&self) -> &'static str {
        match self.kind {
            Kind::MariaDb => "mysql",
            Kind::Postgres => "postgres",
            Kind::Redis => "nobody",
        }
    }

    fn make_data(&self) {
        let data = self.data();
        fs::create_dir(&data).unwrap();
        own(&data, self.user());
        match self.kind {
            Kind::Redis => {}
            Kind::MariaDb => {
                let sql = format!(
                    "CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; \
                     GRANT ALL ON *.* TO '{USER}'@'127.0.0.1';"
                );
                // One statement a line.
                fs::write(self.folder.path().join("init.sql"), sql.replace("; ", ";\n")).unwrap();
                let mut install = Command::new("mariadb-install-db");
                install
                    .args([
                        "--no-defaults",
                        "--auth-root-authentication-method=normal",
                        "--skip-test-db",
                    ])
                    .arg(format!("--datadir={}", data.display()));
                succeed(self.as_user(install));
            }
            Kind::Postgres => {
                let password = self.folder.path().join("password");
                fs::write(&password, PASSWORD).unwrap();
                let mut install = Command::new(self.program.with_file_name("initdb"));
                install
                    .args([
                        "--username",
                        USER,
                        // Not the better one: its hashing takes seconds without optimisation.
                        "--auth=md5",
                        "--no-sync",
                        "--encoding=UTF8",
                        "--locale=C",
                    ])
                    .arg(format!("--pwfile={}", password.display()))
                    .arg(&data);
                succeed(self.as_user(install));
            }
        }
    }

    fn command(&self) -> Command {
        let (data, port) = (self.data(), self.port.to_string());
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::MariaDb => {
                command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-log-bin"]);
                command.args(["--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=2"]);
                command.arg(format!("--init-file={}", self.folder.path().join("init.sql").display()));
                command.arg(format!("--socket={}", data.join("socket").display()));
                command.arg(format!("--datadir={}", data.display()));
                command.arg(format!("--port={port}"));
            }
            Kind::Postgres => {
                command
                    .arg("-D")
                    .arg(&data)
                    .args(["-p", &port, "-c", "listen_addresses=127.0.0.1"]);
                command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
            }
            Kind::Redis => {
                command.args(["--port", &port, "--bind", "127.0.0.1", "--requirepass", PASSWORD]);
                // Nothing is kept: killed and started again it is empty.
                command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(&data);
            }
        }
        let mut command = self.as_user(command);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    /// The same command, ended with the thread that starts it, and not as root.
    fn as_user(&self, command: Command) -> Command {
        let mut whole = Command::new("setpriv");
        whole.args(["--pdeathsig", "KILL"]);
        if is_root() {
            let user = self.user();
            whole.args(["--reuid", user, "--regid", &group_of(user), "--clear-groups"]);
        }
        whole.arg("--").arg(command.get_program()).args(command.get_args());
        whole.current_dir(self.folder.path()).stdin(Stdio::null());
        whole
    }

    /// Whether it answers: a database is there long before it lets anybody in.
    fn is_ready(&self) -> bool {
        let timeout = Duration::from_millis(500);
        if TcpStream::connect_timeout(&self.address(), timeout).is_err() {
            return false;
        }
        let log = self.log();
        let ready = match self.kind {
            Kind::MariaDb => "ready for connections",
            Kind::Postgres => "database system is ready to accept connections",
            Kind::Redis => "Ready to accept connections",
        };
        // Its last start counts.
        let begun = match self.kind {
            Kind::MariaDb => "starting as process",
            Kind::Postgres => "starting PostgreSQL",
            Kind::Redis => "Redis is starting",
        };
        log.rfind(ready) > log.rfind(begun)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program, if it is there and can be spoken to.
fn installed(kind: Kind) -> Option<PathBuf> {
    if cfg!(not(feature = "shared")) {
        println!("skipped: needs the feature `shared`");
        return None;
    }
    let found = match kind {
        Kind::MariaDb => find("mariadbd").filter(|_| find("mariadb-install-db").is_some()),
        Kind::Redis => find("redis-server").or_else(|| find("valkey-server")),
        // Debian keeps each version in a folder of its own.
        Kind::Postgres => find("postgres").or_else(|| {
            let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
            let programs = versions.map(|version| version.unwrap().path().join("bin/postgres"));
            programs.filter(|program| program.is_file()).max()
        }),
    };
    let found = found.filter(|_| find("setpriv").is_some());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{kind:?} must be installed");
        println!("skipped: needs {kind:?}");
    }
    found
}

/// A program in the path, or where Debian has those of the system.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Writes a file that is its owner's alone.
pub(crate) fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn is_root() -> bool {
    id(&["-u"]).trim() == "0"
}

fn group_of(user: &str) -> String {
    id(&["-g", user]).trim().to_owned()
}

fn own(path: &Path, user: &str) {
    if is_root() {
        let number = |text: String| Some(text.trim().parse().unwrap());
        chown(path, number(id(&["-u", user])), number(id(&["-g", user]))).unwrap();
    }
}

fn id(arguments: &[&str]) -> String {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn succeed(mut command: Command) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = [stdout, stderr].concat();
    assert!(status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&text));
}
