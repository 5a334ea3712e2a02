//! The machine on which was measured: without it a figure says little.

use std::{fs, thread};

use serde::Serialize;

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// The model of its processor; empty where the system does not tell.
    pub cpu: String,
    /// How many threads run at a time.
    pub cores: usize,
    /// The system and its version.
    pub system: String,
    /// Debug builds are slow, and their figures say nothing.
    pub optimised: bool,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Self {
            cpu: model(&info).unwrap_or_default(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            system: [uname.sysname(), uname.release(), uname.machine()].map(text).join(" "),
            optimised: !cfg!(debug_assertions),
        }
    }
}

fn model(info: &str) -> Option<String> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_where_it_is_told() {
        assert_eq!(
            model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n").as_deref(),
            Some("Some CPU @ 2 GHz")
        );
        assert_eq!(model("processor : 0\n"), None);
    }
}
