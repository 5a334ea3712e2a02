//! A process of the bench.

use std::process::ExitCode;

use super::{floor, member, registry};
use crate::{
    cli::{self, bench::Part},
    config,
};

/// Runs a part until the bench ends it.
///
/// # Errors
/// It cannot start or fails. The bench is told what is written to stderr.
pub async fn run(part: Part) -> anyhow::Result<ExitCode> {
    match part {
        Part::Member {
            user,
            registry,
            data,
            advertise,
        } => {
            let config = config::chat(cli::Chat {
                name: Some(user),
                registry: Some(registry),
                data: Some(data),
                advertise,
                // So that what keeps the peer out is told, and not asked.
                json: true,
                no_host_registry: true,
                ..cli::Chat::default()
            })?;
            // Rooms that the user's own config file names are no part of a bench.
            let config = config::ChatConfig {
                join: Vec::new(),
                registry_fingerprint: None,
                password_file: None,
                listen: config::LISTEN_DEFAULT.to_owned(),
                ..config
            };
            Ok(ExitCode::from(member::run(config).await?.exit_code()))
        }
        Part::Registry { data } => registry::run(&data).await.map(|()| ExitCode::SUCCESS),
        Part::Floor => floor::run().await.map(|()| ExitCode::SUCCESS),
    }
}
