//! The process: command line, wiring, signals. Nothing else.

mod cli; // what a person types
mod doors; // broker, registry and REST API: opened in this order, closed in the other
mod log; // where the log goes

use std::process::ExitCode;

use clap::Parser as _;

/// One allocator for the whole process: librdkafka's threads free what ours allocate only through its own calls.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    log::start();
    // Whoever opens a TLS connection finds one provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("start the runtime")),
    };
    let cli::Command::Run { properties } = arguments.command;
    match runtime.block_on(doors::run(properties.as_deref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("tidegate: {error:#}");
    ExitCode::FAILURE
}
