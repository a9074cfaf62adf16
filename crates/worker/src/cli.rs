//! What a person types.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Keeps databases in step through Kafka: runs Kafka Connect's connector JSON for PostgreSQL, with an embedded
/// broker and schema registry where no cluster is configured.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a worker until SIGTERM or Ctrl-C.
    Run {
        /// Kafka Connect's worker.properties. Without it: embedded broker at 127.0.0.1:9092, schema registry at
        /// 127.0.0.1:8081, REST API at 127.0.0.1:8083, data in ./tidegate-data.
        properties: Option<PathBuf>,
    },
    /// Check a connector against its database, and a sink against its topics, without changing anything. Prints what
    /// is missing with the statement that repairs it. Ends with 0 when nothing is missing, 1 when something is, 2 when it
    /// could not be checked.
    Preflight {
        /// The connector as it is sent to the REST API: its configuration, or `name` and `config`.
        connector: PathBuf,
        /// The worker.properties of the worker that will run it: for config providers, defaults, and to ask Kafka for
        /// the topics of a sink.
        #[arg(long, value_name = "FILE")]
        worker: Option<PathBuf>,
    },
}
