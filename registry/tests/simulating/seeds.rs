//! Runs a simulation with many seeds, on all cores. All that fail are listed at the end, each with how to replay it alone.
//!
//! Each day runs other seeds: the first is the number of days since 1970, times 1,000,000. It is printed. Variables say otherwise, here
//! for a simulation of which the variable is `SIMULATION`:
//!
//! | variable | meaning |
//! |---|---|
//! | `SIMULATION_SEED` | one seed, alone |
//! | `SIMULATION_FIRST` | the first seed |
//! | `SIMULATION_SEEDS` | how many, 1,000 where it is not given |
//!
//! Seeds that have failed once are run as well, each time.

use std::{
    any::Any,
    env,
    fmt::Debug,
    io::{self, Write as _},
    panic,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// How many seeds are run where nobody says.
const SEEDS: u64 = 1_000;

/// How many seeds belong to a day.
const SEEDS_OF_A_DAY: u64 = 1_000_000;

/// How many of the seeds that fail are listed, and how many characters of what each says.
const LISTED_MAX: usize = 100;
const LINE_MAX: usize = 300;

/// Makes the `Totals` of a simulation: how often each of these things happened in all runs, which must be at least once. With
/// `; most: name` there is also the largest figure of any run, which may be 0.
macro_rules! totals {
    ($($(#[$about:meta])* $name:ident),+ $(; most: $(#[$about_most:meta])* $most:ident)?) => {
        /// How often things happened, to see that a run was worth it.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct Totals {
            $($(#[$about])* pub $name: u64,)+
            $($(#[$about_most])* pub $most: u64,)?
        }

        impl Totals {
            pub fn plus(self, other: Self) -> Self {
                Self {
                    $($name: self.$name + other.$name,)+
                    $($most: self.$most.max(other.$most),)?
                }
            }

            pub fn assert_everything_happened(self) {
                $(assert!(self.$name > 0, concat!("no ", stringify!($name), ": {:?}"), self);)+
            }
        }
    };
}
pub(crate) use totals;

/// What a simulation with many seeds is made of.
pub struct Seeds<T> {
    /// What the variables begin with that say which seeds to run.
    pub variable: &'static str,
    /// How to run it, but for the variables.
    pub command: &'static str,
    /// Seeds that have failed, each with what was wrong.
    pub once_failed: &'static [(u64, &'static str)],
    /// One run; it panics where something that must hold does not.
    pub run: fn(u64) -> T,
    /// What two runs have done.
    pub plus: fn(T, T) -> T,
    /// A simulation in which nothing happens proves nothing.
    pub assert_everything_happened: fn(T),
}

impl<T: Copy + Debug + Default + Send> Seeds<T> {
    /// Runs those that are wanted.
    pub fn run_all(&self) {
        let Self { variable, .. } = self;
        if let Some(seed) = number(&format!("{variable}_SEED")) {
            return println!("{:?}", (self.run)(seed));
        }
        let first = number(&format!("{variable}_FIRST")).unwrap_or_else(first_of_today);
        let seeds = number(&format!("{variable}_SEEDS")).unwrap_or(SEEDS);
        say(&format!("{variable}: {seeds} seeds from {first} on"));
        let (_, failed) = self.run_each(self.once_failed.iter().map(|(seed, _)| *seed).collect());
        let why = |seed| self.once_failed.iter().find(|once| once.0 == seed).map(|once| once.1);
        let once = failed.into_iter().map(|(seed, how)| {
            let why = why(seed).unwrap_or_default();
            (seed, format!("{how} (once failed: {why})"))
        });
        let mut failed: Vec<_> = once.collect();
        let (total, more) = self.run_each((first..first.saturating_add(seeds)).collect());
        failed.extend(more);
        say(&format!("{variable}: {seeds} seeds from {first} on: {total:?}"));
        assert!(failed.is_empty(), "{}", self.list(first, &failed));
        if seeds >= 100 {
            (self.assert_everything_happened)(total);
        }
    }

    /// Runs these on all cores. Returns what they have done, and those that failed, with how.
    fn run_each(&self, seeds: Vec<u64>) -> (T, Vec<(u64, String)>) {
        let workers = thread::available_parallelism().map_or(2, usize::from);
        let next = AtomicUsize::new(0);
        let work = || {
            let (mut total, mut failed) = (T::default(), Vec::new());
            while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                match panic::catch_unwind(|| (self.run)(seed)) {
                    Ok(done) => total = (self.plus)(total, done),
                    Err(panicked) => failed.push((seed, first_line(&*panicked))),
                }
            }
            (total, failed)
        };
        let parts: Vec<_> = thread::scope(|scope| {
            let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        let (mut total, mut failed) = (T::default(), Vec::new());
        for (done, part) in parts {
            total = (self.plus)(total, done);
            failed.extend(part);
        }
        failed.sort();
        (total, failed)
    }

    fn list(&self, first: u64, failed: &[(u64, String)]) -> String {
        let Self { variable, command, .. } = self;
        let mut list = format!(
            "{variable}: {} seeds failed (the first of the run was {first}):\n",
            failed.len()
        );
        for (seed, how) in failed.iter().take(LISTED_MAX) {
            list.push_str(&format!("    {variable}_SEED={seed} {command}\n        {how}\n"));
        }
        list
    }
}

/// Prints a line also where the test passes, whose output is hidden otherwise.
#[allow(clippy::explicit_write, reason = "what println prints is shown of failed tests only")]
fn say(line: &str) {
    writeln!(io::stdout(), "{line}").unwrap();
}

/// Days since 1970 by the machine's clock, as seeds.
fn first_of_today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / (24 * 60 * 60) * SEEDS_OF_A_DAY
}

/// How somebody has panicked, in one line.
fn first_line(panicked: &(dyn Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| panicked.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked");
    text.lines().next().unwrap_or_default().chars().take(LINE_MAX).collect()
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}"))
    })
}
