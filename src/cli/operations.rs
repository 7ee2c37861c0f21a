//! Commands for those who run a platform: copy it, move its databases on, look into one request.

mod archive;
mod backup;
mod databases;
mod manifest;
mod restore;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use domain::clock::Clock;
use store::Store;

pub(super) use self::databases::runtime;
use super::client::{Error, ServerOptions};
use super::{End, ProcessOptions, causes, yaml};
use crate::config::{Config, Environment};

/// Options of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupOptions {
    #[command(flatten)]
    process: ProcessOptions,
    /// A folder that does not exist yet, or a file whose name ends with .tar or .tar.gz.
    #[arg(long, value_name = "DIR|FILE")]
    to: PathBuf,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreOptions {
    /// What `backup` wrote.
    #[arg(long, value_name = "DIR|FILE")]
    from: PathBuf,
    /// The data directory to make; it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Options of `why`.
#[derive(Debug, Args)]
pub(crate) struct WhyOptions {
    /// The `X-Request-Id` of an answer.
    #[arg(value_name = "REQUEST_ID")]
    request_id: String,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `openapi`.
#[derive(Debug, Args)]
pub(crate) struct OpenapiOptions {
    /// Compare with the committed document instead of printing.
    #[arg(long)]
    check: bool,
    /// The committed document.
    #[arg(long, value_name = "FILE", default_value = "openapi/admin.json")]
    file: PathBuf,
}

/// `backup`
pub(crate) fn backup(options: &BackupOptions, environment: &Environment) -> End {
    let config = match options.process.read(environment) {
        Ok((_, config)) => config,
        Err(error) => return End::Failed(causes(&error)),
    };
    if config.store_url.is_some() {
        return End::Failed(
            "store.url names a database server, and a backup holds the embedded deployment alone\n\
             copy the database with its own tools, such as pg_dump, and the data directory afterwards"
                .to_owned(),
        );
    }
    let from = backup::Source {
        data_dir: &config.data_dir,
        master_key: &config.master_key_file,
    };
    match backup::backup(&from, &options.to, &Clock::system()) {
        Ok(manifest) => {
            println!(
                "{}: {} files, {} bytes",
                options.to.display(),
                manifest.files.len(),
                manifest.bytes()
            );
            End::Done
        }
        Err(error) => End::Failed(causes(&error)),
    }
}

/// `restore`
pub(crate) fn restore(options: &RestoreOptions) -> End {
    match restore::restore(&options.from, &options.data_dir) {
        Ok(manifest) => {
            println!("{}: restored as of {}", options.data_dir.display(), manifest.created_at);
            println!(
                "start it with: tollgate serve --data-dir {}",
                options.data_dir.display()
            );
            End::Done
        }
        Err(error) => End::Failed(causes(&error)),
    }
}

/// `why`
pub(crate) fn why(options: &WhyOptions, environment: &Environment) -> End {
    let id = &options.request_id;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.is_empty() || !id.bytes().all(plain) {
        return End::Usage(format!("{id:?} is no request id: it is the X-Request-Id of an answer"));
    }
    let answer = options
        .server
        .client(environment)
        .and_then(|client| client.get(&format!("/requests/{id}")));
    match answer {
        Ok(story) if options.json => {
            println!("{story:#}");
            End::Done
        }
        Ok(story) => {
            print!("{}", yaml::write(&story));
            End::Done
        }
        Err(Error::Refused(problem)) if problem.status == 404 => End::Failed(format!(
            "no request {id} is known\nit may not be counted yet, which takes about a second, or its record is no longer kept"
        )),
        Err(error) => End::Failed(causes(&error)),
    }
}

/// `migrate`
pub(crate) fn migrate(options: &ProcessOptions, environment: &Environment) -> End {
    let outcome = match options.read(environment) {
        Ok((_, config)) => migrate_all(&config),
        Err(error) => Err(causes(&error)),
    };
    match outcome {
        Ok(lines) => {
            print!("{lines}");
            End::Done
        }
        Err(message) => End::Failed(message),
    }
}

fn migrate_all(config: &Config) -> Result<String, String> {
    let failed = |error: &dyn std::error::Error| causes(error);
    let runtime = databases::runtime().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let store = Store::open(&config.store_location())
            .await
            .map_err(|error| failed(&error))?;
        store
            .migrate(Clock::system().now())
            .await
            .map_err(|error| failed(&error))?;
        let mut lines = String::new();
        for area in store::Area::ALL {
            let version = store.schema_version(area).await.map_err(|error| failed(&error))?;
            let _ = writeln!(lines, "{}: version {version}", area.name());
        }
        store.close().await;
        crate::serve::prepare_directory(&config.data_dir).map_err(|error| failed(&error))?;
        let analytics = crate::serve::open_analytics(config)
            .await
            .map_err(|error| failed(&error))?;
        analytics.close().await;
        lines.push_str("analytics: up to date\n");
        Ok(lines)
    })
}

/// `openapi`
pub(crate) fn openapi(options: &OpenapiOptions) -> End {
    let document = portal::openapi_document();
    if !options.check {
        println!("{}", document.trim_end());
        return End::Done;
    }
    let file = options.file.display();
    let update = format!("write it with: tollgate openapi > {file}");
    match std::fs::read_to_string(&options.file) {
        Ok(committed) if committed.trim_end() == document.trim_end() => End::Done,
        Ok(committed) => {
            let pairs = committed.lines().zip(document.lines());
            let line = 1 + pairs.take_while(|(old, new)| old == new).count();
            End::Failed(format!(
                "{file}:{line}:1: differs from the API of this program\n{update}"
            ))
        }
        Err(error) => End::Failed(format!("{file}: cannot be read: {error}\n{update}")),
    }
}
