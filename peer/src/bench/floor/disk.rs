//! One sync of the disk on which the logs are.

use std::{fs::File, io::Write as _, path::Path, time::Instant};

use crate::bench::{BenchError, samples::Samples};

/// How often: a sync takes up to some milliseconds.
const SYNCS: usize = 50;

/// Appends to a file in `folder` and syncs it, again and again.
///
/// # Errors
/// The disk refuses.
pub fn syncs(folder: &Path, payload: usize) -> Result<Samples, BenchError> {
    let path = folder.join("sync");
    let mut samples = Samples::default();
    let mut write = || {
        let mut file = File::create(&path)?;
        for _ in 0..SYNCS {
            let begun = Instant::now();
            file.write_all(&vec![b'x'; payload])?;
            file.sync_data()?;
            samples.0.push(begun.elapsed().as_nanos() as u64);
        }
        std::fs::remove_file(&path)
    };
    match write() {
        Ok(()) => Ok(samples),
        Err(source) => Err(BenchError::Folder { path, source }),
    }
}
