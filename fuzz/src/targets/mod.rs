//! The targets, one file each.

use crate::Target;

/// Declares the targets, and lists them under their names.
macro_rules! targets {
    ($($name:ident)*) => {
        $(pub mod $name;)*

        /// All of them.
        pub const ALL: &[Target] = &[$(Target {
            name: stringify!($name),
            check: $name::check,
            seeds: $name::seeds,
        }),*];
    };
}

targets! {
    log index seals introductions contradictions resume start remembered known_registries
    entry frame history_part history node certificate proxy names address
    typed shown
    registry_files cluster
}
