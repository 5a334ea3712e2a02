//! Fuzz targets of Peerchat: every reader of bytes that come from the wire or from the disk. README.md has the list.
//!
//! A target is a function of bytes that panics where a promise is broken. `targets/` at the top gives each to libFuzzer; the tests
//! run all of them over their corpora and over changed copies of these, so that none stops compiling or working unseen.

#![forbid(unsafe_code)]

pub mod dice;
pub mod files;
pub mod pens;
pub mod targets;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A target: its name, what it does with bytes, and inputs to begin with, which real encoders make.
pub struct Target {
    /// As `cargo fuzz` knows it.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub check: fn(&[u8]),
    /// Good inputs, few and small.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Does something for an input of so many bytes that may allocate `base`, whatever it is given, and `each` for every byte.
///
/// # Panics
/// It allocated more.
pub fn within<T>(base: usize, each: usize, len: usize, work: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let done = work();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let most = base + len * each;
    assert!(
        taken <= most,
        "{taken} bytes were allocated for {len}; at most {most} may be"
    );
    done
}
