//! What a process takes, as Linux tells it.

use std::{fs, io};

use super::BenchError;

/// How much memory of the machine a process has now, in bytes.
///
/// # Errors
/// The system does not tell.
pub fn resident_bytes(pid: u32) -> Result<u64, BenchError> {
    let path = format!("/proc/{pid}/status");
    let status = read(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.ok_or(BenchError::System(untold(&path)))? * 1_024)
}

/// How long a process has had a processor so far, in nanoseconds: all of its threads together.
///
/// # Errors
/// The system does not tell.
pub fn cpu_ns(pid: u32) -> Result<u64, BenchError> {
    let tasks = format!("/proc/{pid}/task");
    let mut sum = 0;
    for task in fs::read_dir(&tasks).map_err(|_| untold(&tasks))? {
        let path = task?.path().join("schedstat");
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let ns = text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok());
        sum += ns.ok_or(untold(&path.display().to_string()))?;
    }
    Ok(sum)
}

fn read(path: &str) -> Result<String, BenchError> {
    fs::read_to_string(path).map_err(|_| untold(path).into())
}

fn untold(path: &str) -> io::Error {
    io::Error::other(format!(
        "what a process takes cannot be read from {path}, which Linux has"
    ))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let me = std::process::id();
        assert!(resident_bytes(me).unwrap() > 100_000);
        assert!(cpu_ns(me).unwrap() > 0);
        assert!(cpu_ns(u32::MAX).is_err() && resident_bytes(u32::MAX).is_err());
    }
}
