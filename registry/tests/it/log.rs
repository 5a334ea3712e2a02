//! The registry serves on whatever becomes of its log.

use std::{
    fs::File,
    io::{self, PipeReader, Read as _, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use crate::{caller::*, harness::*, servers::free_port};

/// How much a pipe takes while nobody reads.
const PIPE_BYTES: usize = 64 * 1024;

/// Starts a registry, lets it work, and ends it.
async fn serves_on(log: Stdio, before_log_ins: impl FnOnce()) {
    let mut registry = Registry::start_logging(program(), &[], log);
    before_log_ins();
    let work = async {
        for n in 1..=3 {
            let mut caller = Caller::log_in(&registry, &format!("user-{n}"), n).await;
            caller.watch(&[]).await;
        }
    };
    timeout(SOON, work).await.expect("nobody waits for the log");
    registry.signal("TERM");
    assert_eq!(registry.ended().await.code(), Some(0));
}

/// A pipe that is full, and its end from which it can be read.
fn stuck() -> (Stdio, PipeReader) {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&[b'x'; PIPE_BYTES]).unwrap();
    (writer.into(), reader)
}

#[tokio::test]
async fn a_registry_whose_log_nobody_takes_any_more_serves_on() {
    let (reader, writer) = io::pipe().unwrap();
    serves_on(writer.into(), || drop(reader)).await;
}

#[tokio::test]
async fn a_registry_whose_log_is_on_a_full_disk_serves_on() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    serves_on(full.into(), || {}).await;
}

#[tokio::test]
async fn a_registry_whose_log_is_stuck_serves_on_and_ends_in_time() {
    let (log, reader) = stuck();
    serves_on(log, || {}).await;
    drop(reader);
}

#[tokio::test]
async fn what_is_logged_while_nobody_reads_is_there_when_somebody_does() {
    let (log, mut reader) = stuck();
    let registry = Registry::start_logging(program(), &[], log);
    let alice = timeout(SOON, Caller::log_in(&registry, "alice", 1)).await;
    alice.expect("nobody waits for the log");
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    registry.stop().await;
    let text = reading.await.unwrap();
    assert!(text.contains("alice"), "{}", text.trim_start_matches('x'));
}

#[tokio::test]
async fn an_error_at_the_start_ends_it_also_where_nobody_reads_why() {
    let registry = Registry::start();
    let (log, reader) = stuck();
    let mut command = program();
    let mut second = command
        .args(["--listen", &registry.address])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    assert_eq!(ended(&mut second).await.code(), Some(1));
    drop(reader);
}

#[tokio::test]
async fn a_registry_whose_first_line_nobody_takes_serves_all_the_same() {
    let (reader, closed) = io::pipe().unwrap();
    drop(reader);
    let (stuck, _reader) = stuck();
    for stdout in [closed.into(), stuck] {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = program();
        let command = command.args(["--listen", &address]).stderr(Stdio::null());
        let mut registry = command.stdout::<Stdio>(stdout).spawn().unwrap();
        let let_in = async {
            while try_dial(&address, key(1), endpoint()).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, let_in).await.expect("it listens");
        let signal = Command::new("kill")
            .args(["-s", "TERM", &registry.id().to_string()])
            .status();
        assert!(signal.unwrap().success());
        assert_eq!(ended(&mut registry).await.code(), Some(0));
    }
}
