//! `usage requeue`: records that could not be read are tried again.

use clap::Subcommand;
use domain::clock::Clock;
use store::Store;

use super::operations::runtime;
use super::{End, ProcessOptions, causes};
use crate::config::{Config, Environment};

/// Commands about usage.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Count records that were put aside as unreadable, where this version can read them: each once.
    Requeue(ProcessOptions),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, environment: &Environment) -> End {
    let Command::Requeue(options) = command;
    let config = match options.read(environment) {
        Ok((_, config)) => config,
        Err(error) => return End::Failed(causes(&error)),
    };
    match requeue(&config) {
        Ok(report) => {
            println!(
                "{} records counted, {} rows still unreadable, {} not known to be missing",
                report.admitted, report.unreadable, report.refused
            );
            End::Done
        }
        Err(message) => End::Failed(message),
    }
}

fn requeue(config: &Config) -> Result<metering::RequeueReport, String> {
    let failed = |error: &dyn std::error::Error| causes(error);
    runtime().map_err(|error| failed(&error))?.block_on(async {
        let store = Store::open(&config.store_location())
            .await
            .map_err(|error| failed(&error))?;
        let report = metering::requeue(&store, Clock::system().now()).await;
        store.close().await;
        report.map_err(|error| failed(&error))
    })
}
