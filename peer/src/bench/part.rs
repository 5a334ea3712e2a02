//! A process of the bench.

use std::process::ExitCode;

use super::{floor, member, registry};
use crate::{
    cli::bench::Part,
    config::{self, ChatConfig},
    node::types::UserName,
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
            // Nothing of the user's own config file: it is no part of a bench.
            let config = ChatConfig {
                user: UserName::new(&user)?,
                registries: vec![registry],
                registry_choice: Default::default(),
                listen: config::LISTEN_DEFAULT.to_owned(),
                data,
                join: Vec::new(),
                advertise,
                // So that what keeps the peer out is told, and not asked.
                json: true,
                host_registry: false,
                bell: false,
                registry_fingerprint: None,
                password_file: None,
                invitation_file: None,
            };
            Ok(ExitCode::from(member::run(config).await?.exit_code()))
        }
        Part::Registry { data } => registry::run(&data).await.map(|()| ExitCode::SUCCESS),
        Part::Floor => floor::run().await.map(|()| ExitCode::SUCCESS),
    }
}
