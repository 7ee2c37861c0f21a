//! The commands. Each has a file of its own; this one parses and dispatches.
//!
//! Exit codes: 0 done, 1 failed, 2 differences found or wrong usage. Errors go to standard error, one cause a line.

mod client;
mod configuration;
mod operations;
mod reconcile;
mod usage;
mod yaml;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Environment, Setting, gather};
use crate::{demo, sample_api, serve};

/// API management in one binary: gateway, metering, billing and developer portal.
///
/// Start with `tollgate demo`: it runs everything on embedded defaults and prints a curl line that answers.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, max_term_width = 120)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on embedded defaults with a sample API, plans, logins and a working key.
    Demo(demo::Options),
    /// Run the platform.
    Serve(ServeOptions),
    /// Make the platform equal to the files.
    Apply(configuration::ApplyOptions),
    /// Show what apply would change; exit 0 for nothing, 2 for changes, 1 for an error.
    Diff(configuration::DiffOptions),
    /// Print the live configuration as a file that apply accepts.
    Export(configuration::ExportOptions),
    /// Check files without a server: file, line and column, the reason, the fix.
    Lint(configuration::LintOptions),
    /// Make configuration from other formats.
    Import(configuration::ImportOptions),
    /// Write a consistent copy of everything the embedded deployment holds.
    Backup(operations::BackupOptions),
    /// Make a data directory from a backup.
    Restore(operations::RestoreOptions),
    /// Tell the story of one request: route, credential, plan, counters, price, time per step.
    Why(operations::WhyOptions),
    /// Compare the same requests as every hop has counted them, from the journal to the invoice; exit 2 if one differs.
    Reconcile(reconcile::Options),
    /// Look after usage that was put aside.
    #[command(subcommand)]
    Usage(usage::Command),
    /// Bring the databases to the layout of this version.
    Migrate(ProcessOptions),
    /// Print the OpenAPI document of the Admin API, or check the committed one.
    Openapi(operations::OpenapiOptions),
    /// Look at the configuration of the process.
    Config(ConfigOptions),
    /// Print the version.
    Version,
    /// The sample API that `demo` puts behind the gateway.
    #[command(hide = true)]
    SampleApi {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: std::net::SocketAddr,
        /// End when standard input closes.
        #[arg(long)]
        until_input_closes: bool,
    },
}

/// Options of commands that read the configuration of the process.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProcessOptions {
    /// Configuration file; ./tollgate.toml where that exists.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the embedded deployment keeps everything.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Added to the ports 8080, 8081 and 8082 of listeners that are not set.
    #[arg(long, value_name = "N", default_value_t = 0)]
    port_offset: u16,
}

#[derive(Debug, Args)]
struct ServeOptions {
    #[command(flatten)]
    process: ProcessOptions,
    /// What this process does.
    #[arg(
        long,
        value_name = "ROLES",
        value_delimiter = ',',
        default_value = "gateway,portal,metering,billing"
    )]
    roles: Vec<String>,
}

#[derive(Debug, Args)]
struct ConfigOptions {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the effective configuration with secrets masked, and where each value was set.
    Check(ProcessOptions),
    /// List every key with its default and meaning.
    Keys,
}

/// How a command ends.
pub(crate) enum End {
    Done,
    Failed(String),
    Differences,
    Usage(String),
}

impl<E: std::error::Error> From<Result<(), E>> for End {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::Failed(causes(&error)),
        }
    }
}

/// An error and its causes, one a line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        if lines.last().is_none_or(|last| !last.contains(&line)) {
            lines.push(line);
        }
        next = cause.source();
    }
    lines.join("\n")
}

impl ProcessOptions {
    /// The data directory that was given.
    pub(crate) fn data_dir(&self) -> Option<PathBuf> {
        self.data_dir.clone()
    }

    /// The same options with a data directory.
    pub(crate) fn with_data_dir(&self, data_dir: PathBuf) -> Self {
        Self {
            data_dir: Some(data_dir),
            ..self.clone()
        }
    }

    /// The gathered settings and what they mean.
    pub(crate) fn read(
        &self,
        environment: &Environment,
    ) -> Result<(std::collections::BTreeMap<&'static str, Setting>, Config), crate::config::Error> {
        let default = PathBuf::from("tollgate.toml");
        let file = self.config.clone().or_else(|| default.exists().then_some(default));
        let flags: Vec<_> = self
            .data_dir
            .iter()
            .map(|dir| ("data_dir", "data-dir", dir.to_string_lossy().into_owned()))
            .collect();
        let settings = gather(file.as_deref(), environment, &flags)?;
        let config = Config::read(&settings, self.port_offset)?;
        Ok((settings, config))
    }
}

/// Runs the command and says how it ended.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let environment = Environment::of_process();
    let end = match arguments.command {
        Command::Demo(options) => demo::run(&options, &environment),
        Command::Serve(options) => serve_command(&options, &environment),
        Command::Apply(options) => configuration::apply(&options, &environment),
        Command::Diff(options) => configuration::diff(&options, &environment),
        Command::Export(options) => configuration::export(&options, &environment),
        Command::Lint(options) => configuration::lint(&options, &environment),
        Command::Import(options) => configuration::import(&options),
        Command::Backup(options) => operations::backup(&options, &environment),
        Command::Restore(options) => operations::restore(&options),
        Command::Why(options) => operations::why(&options, &environment),
        Command::Reconcile(options) => reconcile::run(&options, &environment),
        Command::Usage(command) => usage::run(&command, &environment),
        Command::Migrate(options) => operations::migrate(&options, &environment),
        Command::Openapi(options) => operations::openapi(&options),
        Command::Config(options) => config_command(&options.command, &environment),
        Command::Version => {
            println!("tollgate {}", env!("CARGO_PKG_VERSION"));
            End::Done
        }
        Command::SampleApi {
            listen,
            until_input_closes,
        } => {
            let until = if until_input_closes {
                sample_api::Until::InputCloses
            } else {
                sample_api::Until::Killed
            };
            sample_api::run(listen, until)
        }
    };
    match end {
        End::Done => ExitCode::SUCCESS,
        End::Failed(message) => {
            eprintln!("{message}");
            ExitCode::from(1)
        }
        End::Differences => ExitCode::from(2),
        End::Usage(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn serve_command(options: &ServeOptions, environment: &Environment) -> End {
    let roles = match serve::Roles::parse(&options.roles) {
        Ok(roles) => roles,
        Err(message) => return End::Usage(message),
    };
    match options.process.read(environment) {
        Ok((_, config)) => End::from(serve::run(config, roles, environment)),
        Err(error) => End::Failed(causes(&error)),
    }
}

fn config_command(command: &ConfigCommand, environment: &Environment) -> End {
    match command {
        ConfigCommand::Keys => {
            print!("{}", crate::config::reference());
            End::Done
        }
        ConfigCommand::Check(options) => match options.read(environment) {
            Ok((settings, config)) => {
                print!("{}", crate::config::show(&settings));
                for line in &config.not_built {
                    eprintln!("{line}");
                }
                if config.not_built.is_empty() {
                    End::Done
                } else {
                    End::Failed("this configuration cannot be served".to_owned())
                }
            }
            Err(error) => End::Failed(causes(&error)),
        },
    }
}
