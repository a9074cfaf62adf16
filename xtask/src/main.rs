//! Chores that are longer than a line.

mod demo; // two clusters, a worker, a load and a verdict
mod tidy; // the invariants of ARCHITECTURE.md, as a test

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Rows written to one PostgreSQL arrive in another one, before your eyes.
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let Chore::Demo(options) = Arguments::parse().chore;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    match runtime.block_on(demo::run(&options)) {
        Ok(demo::Verdict::Equal) => ExitCode::SUCCESS,
        Ok(demo::Verdict::Different) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
