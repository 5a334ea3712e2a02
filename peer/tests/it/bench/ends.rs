//! A bench that does not come to its end: nothing may be left of it, and it says why.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{assert_nothing_left, bench, processes_of};
use crate::harness::wait_for;

/// A bench that runs longer than anybody waits, once all of its peers are there.
fn endless(temporary: &Path) -> std::process::Child {
    let child = bench(
        temporary,
        &["--scenario", "room", "--members", "3", "--messages", "4000000"],
    )
    .spawn()
    .unwrap();
    // The bench, a registry, and three members and ends of the floor.
    wait_for("all processes", || (processes_of(temporary).len() == 8).then_some(()));
    child
}

#[test]
fn a_signal_stops_and_removes_everything() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let temporary = TempDir::new().unwrap();
        let mut child = endless(temporary.path());
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = wait_for("the end", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(code));
        assert_nothing_left(temporary.path());
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert!(complaint.contains("interrupted"), "{complaint}");
    }
}

#[test]
fn nobody_outlives_a_bench_that_was_killed() {
    let temporary = TempDir::new().unwrap();
    let mut child = endless(temporary.path());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the end of all", || {
        processes_of(temporary.path()).is_empty().then_some(())
    });
}

#[test]
fn a_member_that_dies_ends_the_bench_at_once() {
    let temporary = TempDir::new().unwrap();
    let mut child = endless(temporary.path());
    let member = fs::read_dir("/proc").unwrap().flatten().find_map(|process| {
        let pid: i32 = process.file_name().to_str()?.parse().ok()?;
        let line = String::from_utf8(fs::read(process.path().join("cmdline")).ok()?).ok()?;
        (line.contains("peer1") && line.contains(temporary.path().to_str()?)).then_some(pid)
    });
    kill_process(Pid::from_raw(member.unwrap()).unwrap(), Signal::KILL).unwrap();
    let status = wait_for("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert!(complaint.contains("peer1 ended unasked"), "{complaint}");
    assert_nothing_left(temporary.path());
}

#[test]
fn a_place_without_room_is_a_clear_error() {
    let temporary = TempDir::new().unwrap();
    let missing = temporary.path().join("missing");
    let output = bench(&missing, &["--scenario", "pair", "--messages", "3"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains("missing") && complaint.contains("TMPDIR"),
        "{complaint}"
    );
}

#[test]
fn a_full_disk_is_a_clear_error() {
    let temporary = TempDir::new().unwrap();
    // Files of 512 blocks at most, and no signal for a longer one, so that the write fails as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 512; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_peerchat")]);
    command.args(["bench", "--scenario", "pair", "--payload", "60000", "--messages", "100"]);
    command.env("TMPDIR", temporary.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("peer") && complaint.contains("/log"), "{complaint}");
    assert_nothing_left(temporary.path());
}

#[test]
fn figures_of_logs_that_are_not_right_are_not_printed() {
    let temporary = TempDir::new().unwrap();
    let args = ["--scenario", "room", "--members", "2", "--messages", "2000"];
    let mut child = bench(temporary.path(), &args).spawn().unwrap();
    let log = wait_for("a log", || {
        let folder = fs::read_dir(temporary.path()).unwrap().flatten().next()?;
        let log = folder.path().join("0-room/peer1/rooms/bench/log");
        (fs::metadata(&log).ok()?.len() > 4_000).then_some(log)
    });
    // The peer appends, so it does not notice before the end.
    let mut file = fs::File::options().write(true).open(log).unwrap();
    file.seek(SeekFrom::Start(2_000)).unwrap();
    file.write_all(&[0; 64]).unwrap();
    let status = wait_for("the end", || child.try_wait().unwrap());
    let (mut out, mut complaint) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((status.code(), out.as_str()), (Some(1), ""), "{complaint}");
    assert!(complaint.contains("WRONG"), "{complaint}");
    assert_nothing_left(temporary.path());
}
