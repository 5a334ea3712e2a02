//! The prompt at a real terminal: a pseudo-terminal of the system's.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::{Site, program, wait_for};

#[test]
fn lines_that_are_typed_ahead_are_all_said() {
    let site = Site::new();
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let open = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
    let mut command = program();
    command.args(["chat", "alice", "--no-host-registry", "--registry"]);
    command
        .arg(site.registry.address.to_string())
        .arg("--data")
        .arg(site.data.path());
    command
        .env("TERM", "xterm")
        .stdin(open())
        .stdout(open())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut keyboard = File::from(screen);
    let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (mut reader, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        // It fails when the last process has closed the terminal.
        while let Ok(count) = reader.read(&mut bytes) {
            seen.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    });
    let shows = |text: &str| {
        String::from_utf8_lossy(&shown.lock().unwrap())
            .contains(text)
            .then_some(())
    };
    wait_for("the prompt", || shows("> "));
    // In one go: all of it is there before the first line has been read.
    keyboard.write_all(b"/join lobby\rone\rtwo\r/who\rthree\r").unwrap();
    wait_for("the last line", || shows("alice  three").or_else(|| shows("three\r\n")));
    keyboard.write_all(b"/quit\r").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(site.texts("alice", "#lobby"), ["one", "two", "three"]);
}
