//! Runs a simulation with many seeds, on all cores. A seed that fails is printed, with how to replay it alone.

use std::{env, fmt::Debug, panic, thread};

/// How many seeds are run where nobody says.
const SEEDS: u64 = 1_000;

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
    /// `{variable}_SEED` is the one seed to run, and `{variable}_SEEDS` how many.
    pub variable: &'static str,
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
            println!("{:?}", self.run_one(seed).unwrap());
            return;
        }
        let seeds = number(&format!("{variable}_SEEDS")).unwrap_or(SEEDS);
        let workers = thread::available_parallelism().map_or(2, |n| n.get() as u64);
        let totals: Vec<T> = thread::scope(|scope| {
            let worker = |first| {
                move || {
                    let seeds = (first..seeds).step_by(workers as usize);
                    seeds.map(|seed| self.run_one(seed)).collect::<Result<Vec<_>, _>>()
                }
            };
            let handles: Vec<_> = (0..workers).map(|first| scope.spawn(worker(first))).collect();
            let found = handles.into_iter().flat_map(|handle| handle.join().unwrap().unwrap());
            found.collect()
        });
        let total = totals.into_iter().fold(T::default(), self.plus);
        println!("{seeds} seeds: {total:?}");
        if seeds >= 100 {
            (self.assert_everything_happened)(total);
        }
    }

    fn run_one(&self, seed: u64) -> Result<T, String> {
        let outcome = panic::catch_unwind(|| (self.run)(seed));
        outcome.map_err(|_| format!("seed {seed} failed: replay it with {}_SEED={seed}", self.variable))
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}"))
    })
}
