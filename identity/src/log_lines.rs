//! The log of a program, written by a thread of its own, so that telling about the program never stops it.
//!
//! Who logs puts a line into a bounded queue and goes on. Where whatever takes the lines is full, closed or stuck, lines are lost and
//! counted, and once writing works again the log says how many.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The most lines that wait to be written.
const LINES_MAX: usize = 4_096;

/// The most bytes that wait to be written.
const BYTES_MAX: usize = 1024 * 1024;

/// Where lines are put; its clones put theirs into the same queue.
#[derive(Clone)]
pub struct LogLines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write.
    news: Condvar,
    /// All is written.
    empty: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that found no place or could not be written, and have not been told of.
    lost: u64,
    is_writing: bool,
    /// The last write failed.
    has_failed: bool,
}

impl Queue {
    fn put(&mut self, line: &[u8]) {
        if self.lines.len() == LINES_MAX || self.bytes + line.len() > BYTES_MAX {
            self.lost += 1;
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
    }

    /// What to write next, after how many lost lines; an empty line where only these are to be told.
    fn next(&mut self) -> Option<(Vec<u8>, u64)> {
        // Where writing fails, it is tried again with the next line and not before.
        if self.lines.is_empty() && (self.lost == 0 || self.has_failed) {
            return None;
        }
        let line = self.lines.pop_front().unwrap_or_default();
        self.bytes -= line.len();
        self.is_writing = true;
        Some((line, std::mem::take(&mut self.lost)))
    }

    fn wrote(&mut self, lost: u64) {
        self.is_writing = false;
        self.has_failed = lost > 0;
        self.lost += lost;
    }
}

impl LogLines {
    /// Lines for `out`, which may block or fail.
    pub fn to(out: impl io::Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        // Without a thread all lines are lost, and everything else works.
        let _ = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&writer, out));
        Self(shared)
    }

    /// Puts a line, with its end, into the queue.
    pub fn put(&self, line: &[u8]) {
        self.0.lock().put(line);
        self.0.news.notify_one();
    }

    /// Waits until all is written, but not for long.
    pub fn flush(&self, at_most: Duration) {
        let is_waiting = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        let waited = self.0.empty.wait_timeout_while(self.0.lock(), at_most, is_waiting);
        drop(waited);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what comes, as long as the process lives.
fn write(shared: &Shared, mut out: impl io::Write) {
    let mut queue = shared.lock();
    loop {
        let Some((line, lost)) = queue.next() else {
            shared.empty.notify_all();
            queue = shared.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let had_failed = queue.has_failed;
        drop(queue);
        // The line that failed may be there in part.
        let end = if had_failed { "\n" } else { "" };
        let told = format!("{end}{lost} lines of this log were not written\n");
        let still_lost = if lost == 0 || put_out(&mut out, told.as_bytes()) {
            u64::from(!put_out(&mut out, &line))
        } else {
            lost + u64::from(!line.is_empty())
        };
        queue = shared.lock();
        queue.wrote(still_lost);
    }
}

fn put_out(out: &mut impl io::Write, bytes: &[u8]) -> bool {
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// One call is one line.
impl io::Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LogLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogLines")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Writes each time what it is told to: all, or nothing.
    struct Moody {
        moods: mpsc::Receiver<bool>,
        written: Arc<Mutex<String>>,
    }

    impl io::Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Whoever writes waits here until the test says how it goes.
            if !self.moods.recv().unwrap() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written
                .lock()
                .unwrap()
                .push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn moody() -> (LogLines, mpsc::SyncSender<bool>, Arc<Mutex<String>>) {
        let (mood, moods) = mpsc::sync_channel(2 * LINES_MAX);
        let written = Arc::new(Mutex::new(String::new()));
        let out = Moody {
            moods,
            written: Arc::clone(&written),
        };
        (LogLines::to(out), mood, written)
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_told_when_writing_works_again() {
        let (log, mood, written) = moody();
        for (line, is_written) in [("a\n", true), ("b\n", false), ("c\n", false)] {
            log.put(line.as_bytes());
            mood.send(is_written).unwrap();
            log.flush(SOON);
        }
        mood.send(true).unwrap();
        mood.send(true).unwrap();
        log.put(b"d\n");
        log.flush(SOON);
        assert_eq!(
            *written.lock().unwrap(),
            "a\n\n2 lines of this log were not written\nd\n"
        );
    }

    #[test]
    fn nobody_waits_for_a_log_that_is_stuck_and_what_found_no_place_is_told_at_the_end() {
        let (log, mood, written) = moody();
        let lines = LINES_MAX + 100;
        for n in 0..lines {
            log.put(format!("{n}\n").as_bytes());
        }
        log.flush(Duration::from_millis(1));
        assert_eq!(*written.lock().unwrap(), "");
        for _ in 0..=lines {
            mood.send(true).unwrap();
        }
        // What was lost is told with the next line that is written, and nothing is written twice.
        log.flush(SOON);
        let written = written.lock().unwrap();
        let told: u64 = written
            .lines()
            .filter_map(|line| line.strip_suffix(" lines of this log were not written"))
            .map(|lost| lost.parse::<u64>().unwrap())
            .sum();
        let kept = written.lines().filter(|line| line.parse::<usize>().is_ok()).count();
        assert_eq!(told as usize + kept, lines);
        assert!((LINES_MAX..=LINES_MAX + 1).contains(&kept), "{kept}");
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_too() {
        let mut queue = Queue::default();
        for _ in 0..3 {
            queue.put(&vec![b'x'; BYTES_MAX / 2]);
        }
        assert_eq!((queue.lines.len(), queue.bytes, queue.lost), (2, BYTES_MAX, 1));
        queue.next();
        assert_eq!(queue.bytes, BYTES_MAX / 2);
    }
}
