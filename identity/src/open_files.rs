//! How many files a process may have open at once. A connection is one, so this is what limits them first: most systems give a process
//! 1,024 until it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// So many are enough, and taken by systems that refuse to allow as many as they name.
const ENOUGH: u64 = 10_240;

/// How many files this process may have open; none where the system sets no limit.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the limit as far as the system lets it, or what others may open could take all of them, and with them the logs and the
/// database. Where that is refused, the process has as many as it was given.
pub fn allow_most() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    for current in [limit.maximum, Some(most.min(ENOUGH))] {
        match setrlimit(Resource::Nofile, Rlimit { current, ..limit }) {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, ?current, "cannot raise the limit of open files"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let limit = getrlimit(Resource::Nofile);
        let less = limit.maximum.map(|most| most / 2);
        let lowered = Rlimit { current: less, ..limit };
        setrlimit(Resource::Nofile, lowered).unwrap();
        allow_most();
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
