//! The values that options of a closed list may have.

/// Values as `/validate` lists them, and older ones that are understood as well.
pub struct OneOf {
    pub published: &'static [&'static str],
    pub also: &'static [&'static str],
}

impl OneOf {
    pub fn allows(&self, value: &str) -> bool {
        self.published.iter().chain(self.also).any(|one| one.eq_ignore_ascii_case(value))
    }
}

pub static PLUGIN: OneOf = OneOf {
    published: &["decoderbufs", "pgoutput"],
    // Of 1.9; every one of them is served by pgoutput.
    also: &["wal2json", "wal2json_streaming", "wal2json_rds", "wal2json_rds_streaming"],
};
pub static AUTOCREATE: OneOf =
    OneOf { published: &["no_tables", "filtered", "disabled", "all_tables"], also: &[] };
pub static SSL_MODE: OneOf = OneOf {
    published: &["allow", "prefer", "disable", "verify-ca", "require", "verify-full"],
    also: &["verify_ca", "verify_full"],
};
pub static FLUSH_MODE: OneOf =
    OneOf { published: &["connector_and_driver", "connector", "manual"], also: &[] };
pub static PROCESSING_FAILURE: OneOf = OneOf { published: &["warn", "fail", "ignore", "skip"], also: &[] };
pub static CONVERTING_FAILURE: OneOf = OneOf { published: &["fail", "warn", "skip"], also: &[] };
pub static DECIMAL: OneOf = OneOf { published: &["string", "double", "precise"], also: &[] };
pub static TIME: OneOf = OneOf {
    published: &[
        "adaptive",
        "adaptive_time_microseconds",
        "isostring",
        "microseconds",
        "nanoseconds",
        "connect",
    ],
    also: &[],
};
pub static SNAPSHOT: OneOf = OneOf {
    published: &[
        "always",
        "initial_only",
        "configuration_based",
        "when_needed",
        "initial",
        "custom",
        "no_data",
    ],
    also: &["never", "exported"],
};
pub static LOCKING: OneOf = OneOf { published: &["shared", "custom", "none"], also: &[] };
pub static HSTORE: OneOf = OneOf { published: &["json", "map"], also: &[] };
pub static BINARY: OneOf = OneOf { published: &["bytes", "base64", "hex", "base64-url-safe"], also: &[] };
pub static ADJUSTMENT: OneOf = OneOf { published: &["none", "avro_unicode", "avro"], also: &[] };
pub static INTERVAL: OneOf = OneOf { published: &["string", "numeric"], also: &[] };
pub static FACTORY: OneOf =
    OneOf { published: &["io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory"], also: &[] };
pub static SOURCE_INFO: OneOf =
    OneOf { published: &["io.debezium.connector.postgresql.PostgresSourceInfoStructMaker"], also: &[] };
pub static TRUNCATE: OneOf = OneOf { published: &["skip", "include"], also: &[] };
pub static WATERMARKS: OneOf = OneOf { published: &["insert_delete", "insert_insert"], also: &[] };
pub static GUARDRAIL: OneOf = OneOf { published: &["warn", "fail"], also: &[] };
pub static MISMATCH: OneOf =
    OneOf { published: &["no_validation", "trust_offset", "trust_slot", "trust_greater_lsn"], also: &[] };
