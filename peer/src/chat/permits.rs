//! Before a session begins the permits of all logs are taken from the disk, side by side: a slow disk is waited for once, and not for each log.

use std::thread;

use crate::{
    driver::core::Core,
    log::{LogError, RealDisk},
};

/// So many threads wait for the disk at a time.
const THREADS: usize = 64;

/// Takes the permits from the disk.
///
/// # Errors
/// The disk refuses.
pub(super) fn release(core: &mut Core<RealDisk>) -> Result<(), LogError> {
    let tasks = core.begin_releases();
    for part in tasks.chunks(THREADS) {
        let outcomes = thread::scope(|scope| {
            let running: Vec<_> = part.iter().map(|(_, task)| scope.spawn(|| task.run())).collect();
            let join = |run: thread::ScopedJoinHandle<'_, _>| match run.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            running.into_iter().map(join).collect::<Vec<_>>()
        });
        for ((conversation, _), outcome) in part.iter().zip(outcomes) {
            core.finish_release(conversation, outcome)?;
        }
    }
    Ok(())
}
