//! What a person types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// Look at what a sink refused, and send it again.
    Dlq {
        /// The worker's REST API.
        #[arg(long, global = true, env = "TIDEGATE_URL", default_value = "http://127.0.0.1:8083")]
        url: String,
        /// Print what the REST API answers.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        verb: DlqVerb,
    },
}

#[derive(Debug, Subcommand)]
pub enum DlqVerb {
    /// The records of a connector's dead letter topic, grouped by what went wrong.
    List { connector: String },
    /// Chosen records: what went wrong, headers, key and value.
    Show {
        connector: String,
        #[command(flatten)]
        which: Which,
        /// How many to show.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Show stack traces too.
        #[arg(long)]
        trace: bool,
    },
    /// Send chosen records through the connector again, each of them once. Ends with 0 when all were applied, 1 when some
    /// were not, 2 when it could not be done.
    Replay {
        connector: String,
        #[command(flatten)]
        which: Which,
        /// All records.
        #[arg(long)]
        all: bool,
        /// The first ones only.
        #[arg(long)]
        limit: Option<usize>,
        /// Also records that were applied already, or may have been.
        #[arg(long)]
        force: bool,
        /// Only say what would be sent.
        #[arg(long)]
        dry_run: bool,
        /// How long the target may take for 500 records.
        #[arg(long, value_name = "MS")]
        timeout_ms: Option<u64>,
    },
}

/// Which records are meant: all that is given must hold.
#[derive(Args, Debug)]
pub struct Which {
    /// Places in the dead letter topic: OFFSET, PARTITION:OFFSET or PARTITION:OFFSET-OFFSET.
    pub at: Vec<String>,
    /// A group, by the id that `list` shows.
    #[arg(long)]
    pub group: Option<String>,
    /// The step that failed, such as VALUE_CONVERTER or TASK_PUT.
    #[arg(long)]
    pub stage: Option<String>,
    /// The exception's class, or the end of its name.
    #[arg(long)]
    pub exception: Option<String>,
    /// The topic that the record was read from.
    #[arg(long)]
    pub topic: Option<String>,
    /// A part of the exception's message.
    #[arg(long)]
    pub contains: Option<String>,
}
