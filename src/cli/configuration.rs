//! Commands about the configuration of a platform: check, compare, apply, export, import.
//!
//! Messages about files go to standard error, what a command is asked for goes to standard output. Secrets are read
//! from the environment by the command that applies and are never printed.

mod changes;
mod descriptions;
mod gather;
mod load;
mod merge;
mod report;
mod secrets;
mod typed;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use description::bundle::Error as BundleError;
use description::import::{Options, import as make_entry};
use domain::validate::Severity;
use serde_json::Value;

use self::load::{Loaded, Scope, load};
use self::report::{Message, Report, counted};
use super::client::{Client, Error, Problem, ServerOptions};
use super::{End, causes, yaml};
use crate::config::Environment;

/// Options of `lint`.
#[derive(Debug, Args)]
pub(crate) struct LintOptions {
    /// A file or a folder; `-` is standard input.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyOptions {
    /// A file or a folder; `-` is standard input.
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    path: PathBuf,
    /// Tell what would change and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take away what came from files and is not in these.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffOptions {
    /// A file or a folder; `-` is standard input.
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    path: PathBuf,
    /// As if `apply --prune` was meant.
    #[arg(long)]
    prune: bool,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    /// Accounts, consumers, subscriptions and hashes of credentials as well.
    #[arg(long)]
    with_consumers: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    #[command(subcommand)]
    format: ImportFormat,
}

#[derive(Debug, Subcommand)]
enum ImportFormat {
    /// Make an API of an OpenAPI document.
    Openapi(OpenapiImport),
}

#[derive(Debug, Args)]
struct OpenapiImport {
    /// The document: YAML or JSON of version 2.0, 3.0 or 3.1.
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Where requests go.
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Name of the API; made of the title unless set.
    #[arg(long)]
    name: Option<String>,
    /// Prefix of every route; `/` and the name unless set.
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
}

/// `lint`
pub(crate) fn lint(options: &LintOptions, _: &Environment) -> End {
    let loaded = load(&options.path, Scope::Files);
    let failed = loaded.report.has_errors();
    if options.json {
        println!("{:#}", loaded.report.json());
    } else {
        eprint!("{}", loaded.report.text());
    }
    let (errors, warnings) = loaded.report.counts();
    if failed {
        return End::Failed(format!(
            "{}, {}",
            counted(errors as u64, "error"),
            counted(warnings as u64, "warning")
        ));
    }
    if !options.json {
        println!(
            "{} is fine: {}",
            options.path.display(),
            changes::contents(&loaded.document)
        );
    }
    End::Done
}

/// The files of an apply, or how the command ends because of them.
fn checked(path: &Path) -> Result<Loaded, End> {
    let loaded = load(path, Scope::Server);
    eprint!("{}", loaded.report.text());
    let (errors, _) = loaded.report.counts();
    if errors > 0 {
        return Err(End::Failed(format!(
            "{}; nothing was changed",
            counted(errors as u64, "error")
        )));
    }
    Ok(loaded)
}

/// `apply`
pub(crate) fn apply(options: &ApplyOptions, environment: &Environment) -> End {
    let outcome = || -> Result<Value, End> {
        let loaded = checked(&options.path)?;
        let client = client(&options.server, environment)?;
        send(&client, &loaded, (options.dry_run, options.prune))
    };
    match outcome() {
        Ok(answer) => {
            print!("{}", changes::summary(&answer));
            End::Done
        }
        Err(end) => end,
    }
}

/// `diff`
pub(crate) fn diff(options: &DiffOptions, environment: &Environment) -> End {
    let outcome = || -> Result<Value, End> {
        let loaded = checked(&options.path)?;
        let client = client(&options.server, environment)?;
        send(&client, &loaded, (true, options.prune))
    };
    match outcome() {
        Ok(answer) => {
            if options.json {
                println!("{answer:#}");
            } else {
                print!("{}", changes::details(&answer));
            }
            if changes::is_empty(&answer) {
                End::Done
            } else {
                End::Differences
            }
        }
        Err(end) => end,
    }
}

fn client(options: &ServerOptions, environment: &Environment) -> Result<Client, End> {
    options.client(environment).map_err(|error| End::Failed(causes(&error)))
}

fn send(client: &Client, loaded: &Loaded, (dry_run, prune): (bool, bool)) -> Result<Value, End> {
    let path = format!("/config?dry_run={dry_run}&prune={prune}");
    client.put(&path, &loaded.document).map_err(|error| match error {
        Error::Refused(problem) if problem.errors.iter().any(|fault| fault.pointer.is_some()) => {
            End::Failed(placed(&problem, loaded))
        }
        error => End::Failed(causes(&error)),
    })
}

/// What the server refuses, by file, line and column.
fn placed(problem: &Problem, loaded: &Loaded) -> String {
    let mut report = Report::default();
    for fault in &problem.errors {
        let pointer = fault.pointer.as_deref().unwrap_or_default();
        report.push(loaded.message(pointer, fault.detail.clone()));
    }
    format!(
        "{}the server refuses ({} {}); nothing was changed",
        report.sorted().text(),
        problem.status,
        problem.title
    )
}

/// `export`
pub(crate) fn export(options: &ExportOptions, environment: &Environment) -> End {
    let path = format!("/config?with_consumers={}", options.with_consumers);
    match client(&options.server, environment)
        .and_then(|client| client.get(&path).map_err(|error| End::Failed(causes(&error))))
    {
        Ok(document) => {
            print!("{}", yaml::write(&document));
            End::Done
        }
        Err(end) => end,
    }
}

/// `import`
pub(crate) fn import(options: &ImportOptions) -> End {
    let ImportFormat::Openapi(options) = &options.format;
    let spec = options.spec.display().to_string();
    let (_, description) = match descriptions::open(&options.spec) {
        Ok(read) => read,
        Err(BundleError::Read { source, .. }) => {
            return End::Failed(format!("{spec}: cannot be read: {source}"));
        }
        Err(BundleError::Syntax { source, .. }) => {
            let message = Message::of_file(spec, source.reason, source.remedy);
            return End::Failed(
                Message {
                    position: Some(source.position),
                    ..message
                }
                .to_string(),
            );
        }
    };
    let wish = Options {
        openapi: spec,
        name: options.name.clone(),
        base_path: options.base_path.clone(),
    };
    let imported = make_entry(&description, &options.upstream, &wish);
    let mut report = Report::default();
    for fault in description.faults.iter().chain(&imported.faults) {
        report.push(descriptions::in_file(&options.spec, fault, Severity::Warning));
    }
    eprint!("{}", report.sorted().text());
    if description.operations.is_empty() {
        return End::Failed(format!("{}: no route results", options.spec.display()));
    }
    print!("{}", yaml::write(&imported.value));
    End::Done
}
