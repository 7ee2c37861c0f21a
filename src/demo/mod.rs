//! `tollgate demo`: the whole platform on embedded defaults, configured through its own Admin API, with the sample API
//! behind it. Nothing is seeded: every number that the demo shows comes from requests that were sent.

mod child;
mod people;
mod set_up;
mod story;
mod traffic;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use crate::cli::{End, ProcessOptions, causes};
use crate::config::Environment;
use crate::serve;

/// Options of `tollgate demo`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    process: ProcessOptions,
    /// Print one JSON object for scripts instead of a text for people.
    #[arg(long)]
    json: bool,
    /// Also send so many real requests a second, as several consumers on several plans.
    #[arg(long, value_name = "N", default_value_t = 0)]
    traffic: u32,
}

/// Why the demo could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the configuration does not stand")]
    Config(#[from] crate::config::Error),
    #[error("the platform could not start")]
    Serve(#[from] serve::Error),
    #[error("the sample API could not start")]
    SampleApi(#[source] std::io::Error),
    #[error("the platform could not be configured: {0}")]
    SetUp(String),
}

/// Runs until the process is told to end.
pub(crate) fn run(options: &Options, environment: &Environment) -> End {
    match demo(options, environment) {
        Ok(()) => End::Done,
        Err(error) => End::Failed(causes(&error)),
    }
}

fn fresh_directory() -> Result<PathBuf, Error> {
    let name = format!("tollgate-demo-{:016x}", u64::from_be_bytes(domain::random::bytes()));
    let path = std::env::temp_dir().join(name);
    serve::prepare_directory(&path).map_err(serve::Error::from)?;
    Ok(path)
}

fn demo(options: &Options, environment: &Environment) -> Result<(), Error> {
    let data_dir = options.process.data_dir().map_or_else(fresh_directory, Ok)?;
    let (_, mut config) = options.process.with_data_dir(data_dir).read(environment)?;
    if config.log_filter == "info" {
        // The text that is printed is for people; the log shows what needs them.
        "warn".clone_into(&mut config.log_filter);
    }
    let secret = domain::key::KeyHash(domain::random::bytes()).to_hex();
    let sample = child::SampleApi::start(&secret).map_err(Error::SampleApi)?;
    let runtime = serve::runtime()?;
    runtime.block_on(async {
        let mut signals = serve::Signals::listen();
        let running = serve::start(config.clone(), serve::Roles::ALL, environment).await?;
        let facts = set_up::Facts {
            gateway_url: config.gateway_public_url.clone(),
            portal_url: config.portal_public_url.clone(),
            ops_url: format!("http://{}", config.ops_listen),
            data_dir: config.data_dir.clone(),
            admin_token: running.admin_token().to_owned(),
            sample_url: sample.url().to_owned(),
            sample_secret: secret,
        };
        let mut logins = running.logins();
        let set_up = tokio::task::spawn_blocking(move || set_up::run(facts))
            .await
            .map_err(|error| Error::SetUp(error.to_string()))?
            .map_err(Error::SetUp)?;
        let people = people::make(&running, set_up.organisation.as_deref());
        logins.extend(people.await.map_err(Error::SetUp)?);
        story::tell(&set_up, &logins, options.json);
        let stop = Arc::new(AtomicBool::new(false));
        let senders = traffic::start(&set_up, options.traffic, &stop);
        signals.told_to_end().await;
        stop.store(true, Ordering::Release);
        running.stop().await;
        for sender in senders {
            // A sender that panicked has nothing to clean up.
            let _ = sender.join();
        }
        Ok(())
    })
}
