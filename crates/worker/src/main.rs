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
    small_pages();
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

/// Many threads each touch a little memory: with huge pages the process was measured twice as large, and no faster.
fn small_pages() {
    // SAFETY: a flag of this process.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("tidegate: {error:#}");
    ExitCode::FAILURE
}
