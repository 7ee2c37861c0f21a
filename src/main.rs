//! Tollgate: gateway, metering, billing and developer portal in one binary.

mod cli;
mod config;
mod demo;
mod memory;
mod sample_api;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    memory::give_large_blocks_back();
    cli::run(cli::Arguments::parse())
}
