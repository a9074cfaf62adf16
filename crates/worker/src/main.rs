//! The process: command line, wiring, signals. Nothing else.

mod cli; // what a person types
mod doors; // broker, registry and REST API: opened in this order, closed in the other
mod log; // where the log goes
mod preflight; // what `tidegate preflight` prints
mod dlq; // what `tidegate dlq` prints

use std::process::ExitCode;

use clap::Parser as _;

/// One allocator for the whole process: librdkafka's threads free what ours allocate only through its own calls.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    small_pages();
    small_heap();
    log::start();
    // Whoever opens a TLS connection finds one provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("start the runtime")),
    };
    let ended = match arguments.command {
        cli::Command::Run { properties } => {
            runtime.block_on(doors::run(properties.as_deref())).map(|()| ExitCode::SUCCESS)
        }
        cli::Command::Dlq { url, json, verb } => {
            let printed = runtime.block_on(dlq::run(&url, json, verb));
            return printed.unwrap_or_else(|error| {
                failed(&error);
                ExitCode::from(2)
            });
        }
        cli::Command::Preflight { connector, worker } => {
            let printed = runtime.block_on(preflight::run(&connector, worker.as_deref()));
            return printed.unwrap_or_else(|error| {
                failed(&error);
                ExitCode::from(2)
            });
        }
    };
    ended.unwrap_or_else(|error| failed(&error))
}

/// mimalloc's `mi_option_purge_delay`, which the binding has no name for.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Buffers wander from thread to thread: with mimalloc's second, a fifth of the process was memory that nobody used.
const PURGE_DELAY_MS: libc::c_long = 100;

/// Memory that was freed goes back to the system soon.
fn small_heap() {
    // SAFETY: an option of the allocator, set before other threads run.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) }
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_of_the_purge_delay_is_right() {
        // SAFETY: reads an option; its default in mimalloc 3 is a second, which no other option has.
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(super::PURGE_DELAY) }, 1000);
    }
}
