//! The table of options: those of Debezium's PostgreSQL connector, in its order, and what we make of each.

use connect::settings::Importance::{High, Low};
use connect::settings::Standing::{Accepted, Internal, Refused};
use connect::settings::Width::{Long, Medium, Short};
use connect::settings::{Definition, Row, row};

/// All options, as `/validate` publishes them; the last part is known but not published.
pub fn definition() -> Definition {
    let mut rows = postgres();
    rows.extend(connector());
    rows.extend(events());
    rows.extend(unpublished());
    Definition::new(rows)
}

fn postgres() -> Vec<Row> {
    const GROUP: &str = "Postgres";
    vec![
        row("topic.prefix")
            .importance(High)
            .group(GROUP, 1)
            .width(Medium)
            .display("Topic prefix")
            .doc("Names this source: prefix of every topic and key of the stored offset.")
            .aliases(&["database.server.name"]),
        row("database.hostname")
            .importance(High)
            .group(GROUP, 2)
            .width(Medium)
            .display("Hostname")
            .doc("Host of the PostgreSQL server."),
        row("database.port")
            .int()
            .default("5432")
            .importance(High)
            .group(GROUP, 3)
            .width(Short)
            .display("Port")
            .doc("Port of the PostgreSQL server."),
        row("database.user")
            .importance(High)
            .group(GROUP, 4)
            .width(Short)
            .display("User")
            .doc("Role that reads the tables and the slot."),
        row("database.password")
            .password()
            .importance(High)
            .group(GROUP, 5)
            .width(Short)
            .display("Password")
            .doc("Password of that role."),
        row("database.dbname")
            .importance(High)
            .group(GROUP, 6)
            .width(Medium)
            .display("Database")
            .doc("Database to capture."),
        row("database.query.timeout.ms")
            .int()
            .default("600000")
            .importance(Low)
            .group(GROUP, 7)
            .display("Query timeout")
            .doc("Query timeout.")
            .standing(Accepted),
        row("plugin.name")
            .default("decoderbufs")
            .group(GROUP, 8)
            .width(Medium)
            .display("Plugin")
            .recommended(&["decoderbufs", "pgoutput"])
            .doc("Output plugin of the slot; pgoutput is used whatever is given."),
        row("slot.name")
            .default("debezium")
            .group(GROUP, 9)
            .width(Medium)
            .display("Slot")
            .doc("Replication slot to read from."),
        row("publication.name")
            .default("dbz_publication")
            .group(GROUP, 10)
            .width(Medium)
            .display("Publication")
            .doc("Publication to read from."),
        row("publication.autocreate.mode")
            .default("all_tables")
            .group(GROUP, 11)
            .width(Medium)
            .display("Publication Auto Create Mode")
            .recommended(&["no_tables", "filtered", "disabled", "all_tables"])
            .doc("What to do where the publication is missing."),
        row("replica.identity.autoset.values")
            .group(GROUP, 12)
            .width(Long)
            .display("Replica Identity Auto Set Values")
            .doc("Identities that the tables are given at start: schema.table:DEFAULT, FULL, NOTHING or INDEX name; a comma between two."),
        row("slot.drop.on.stop")
            .boolean()
            .default("false")
            .group(GROUP, 13)
            .display("Drop slot on stop")
            .doc("Drop the slot on an orderly stop.").aliases(&["slot.drop_on_stop", "drop_on_stop"]),
        row("slot.failover")
            .boolean()
            .default("false")
            .group(GROUP, 14)
            .display("Create failover slot")
            .doc("Keep the slot on standbys too (PostgreSQL 17)."),
        row("slot.stream.params")
            .importance(Low)
            .group(GROUP, 15)
            .width(Long)
            .display("Optional parameters to pass to the logical decoder when the stream is started.")
            .doc("Further options of the output plugin: name=value;name=value."),
        row("database.initial.statements")
            .importance(Low)
            .group(GROUP, 16)
            .width(Long)
            .display("Initial statements")
            .doc("Statements run on every new SQL session, separated by ;."),
        row("database.sslmode")
            .default("prefer")
            .group(GROUP, 17)
            .width(Medium)
            .display("SSL mode")
            .recommended(&["allow", "prefer", "disable", "verify-ca", "require", "verify-full"])
            .doc("How the connection is protected."),
        row("database.sslcert")
            .group(GROUP, 18)
            .width(Long)
            .display("SSL Client Certificate")
            .doc("File of the client certificate."),
        row("database.sslpassword")
            .password()
            .group(GROUP, 19)
            .width(Medium)
            .display("SSL Client Key Password")
            .doc("Password of the client key."),
        row("database.sslrootcert")
            .group(GROUP, 20)
            .width(Long)
            .display("SSL Root Certificate")
            .doc("File of the authority that signed the server certificate."),
        row("database.sslkey")
            .group(GROUP, 21)
            .width(Long)
            .display("SSL Client Key")
            .doc("File of the client key."),
        row("slot.max.retries")
            .int()
            .default("6")
            .importance(Low)
            .group(GROUP, 22)
            .display("Retry count")
            .doc("Attempts to get hold of the slot."),
        row("slot.retry.delay.ms")
            .long()
            .default("10000")
            .importance(Low)
            .group(GROUP, 23)
            .display("Retry delay")
            .doc("Wait between attempts to get hold of the slot."),
        row("database.sslfactory")
            .group(GROUP, 24)
            .width(Long)
            .display("SSL Root Certificate")
            .doc("SSL Root Certificate."),
        row("status.update.interval.ms")
            .int()
            .default("10000")
            .group(GROUP, 25)
            .width(Short)
            .display("Status update interval (ms)")
            .doc("Longest silence towards the server."),
        row("lsn.flush.timeout.ms")
            .long()
            .default("30000")
            .group(GROUP, 26)
            .width(Short)
            .display("LSN flush timeout (ms)")
            .doc("LSN flush timeout (ms).")
            .standing(Accepted),
        row("lsn.flush.timeout.action")
            .default("fail")
            .group(GROUP, 27)
            .width(Medium)
            .display("LSN flush timeout action")
            .recommended(&["fail", "warn", "ignore"])
            .doc("LSN flush timeout action.")
            .standing(Accepted),
        row("database.tcpKeepAlive")
            .boolean()
            .default("true")
            .group(GROUP, 28)
            .width(Short)
            .display("TCP keep-alive probe")
            .doc("TCP keep-alive probe."),
        row("xmin.fetch.interval.ms")
            .long()
            .default("0")
            .group(GROUP, 29)
            .width(Short)
            .display("Xmin fetch interval (ms)")
            .doc("Xmin fetch interval (ms).")
            .standing(Refused),
        row("skipped.operations")
            .list()
            .default("t")
            .importance(Low)
            .group(GROUP, 30)
            .width(Short)
            .display("Skipped Operations")
            .doc("Operations that are not sent: c, u, d, t, or none."),
        row("lsn.flush.mode")
            .importance(Low)
            .group(GROUP, 31)
            .width(Short)
            .display("LSN flush mode")
            .recommended(&["connector_and_driver", "connector", "manual"])
            .doc("Whether positions are confirmed to the server."),
        row("flush.lsn.source")
            .boolean()
            .default("true")
            .importance(Low)
            .group(GROUP, 32)
            .width(Short)
            .display("Boolean to determine if Debezium should flush LSN in the source database")
            .doc("Older form of lsn.flush.mode."),
    ]
}

fn connector() -> Vec<Row> {
    const GROUP: &str = "Connector";
    vec![
        row("event.processing.failure.handling.mode").default("fail").group(GROUP, 1).width(Short).display("Event deserialization failure handling").recommended(&["warn", "fail", "ignore", "skip"]).doc("What to do with an event that cannot be processed."),
        row("max.batch.size").int().default("2048").group(GROUP, 2).width(Short).display("Change event batch size").doc("Most records of one batch."),
        row("max.queue.size").int().default("8192").group(GROUP, 3).width(Short).display("Change event buffer size").doc("Most records that wait to be sent.").standing(Accepted),
        row("poll.interval.ms").long().default("500").group(GROUP, 4).width(Short).display("Poll interval (ms)").doc("Accepted; records are sent as soon as they are there.").standing(Accepted),
        row("max.queue.size.in.bytes").long().default("0").group(GROUP, 5).width(Long).display("Change event buffer size in bytes").doc("Most bytes that wait to be sent; 0 is the default limit."),
        row("provide.transaction.metadata").boolean().default("false").importance(Low).group(GROUP, 6).width(Short).display("Store transaction metadata information in a dedicated topic.").doc("Write a topic of beginnings and ends of transactions, and each change’s place in its transaction."),
        row("snapshot.delay.ms").long().default("0").importance(Low).group(GROUP, 7).width(Medium).display("Snapshot Delay (milliseconds)").doc("Snapshot Delay (milliseconds)."),
        row("streaming.delay.ms").long().default("0").importance(Low).group(GROUP, 8).width(Medium).display("Streaming Delay (milliseconds)").doc("Streaming Delay (milliseconds)."),
        row("snapshot.include.collection.list").list().group(GROUP, 9).width(Long).display("Snapshot mode include data collection").doc("Captured tables whose rows the snapshot reads."),
        row("snapshot.fetch.size").int().group(GROUP, 10).width(Medium).display("Snapshot fetch size").doc("Accepted; the snapshot is read as a stream.").aliases(&["rows.fetch.size"]).standing(Accepted),
        row("snapshot.max.threads").int().default("1").group(GROUP, 11).width(Short).display("Snapshot maximum threads").doc("Connections that read the snapshot."),
        row("snapshot.max.threads.multiplier").int().default("1").group(GROUP, 12).width(Short).display("Snapshot maximum thread multiplier").doc("Snapshot maximum thread multiplier.").standing(Accepted),
        row("legacy.snapshot.max.threads").boolean().default("false").importance(Low).group(GROUP, 13).width(Short).display("Enforces using a single thread per table regardless of table size").doc("Enforces using a single thread per table regardless of table size.").standing(Accepted),
        row("internal.legacy.snapshot.max.threads").boolean().default("false").importance(Low).group(GROUP, 13).width(Short).display("Enforces using a single thread per table regardless of table size").doc("Enforces using a single thread per table regardless of table size.").standing(Accepted),
        row("snapshot.mode.custom.name").group(GROUP, 14).width(Medium).display("Snapshot Mode Custom Name").doc("Snapshot Mode Custom Name.").standing(Refused),
        row("snapshot.mode.configuration.based.snapshot.data").boolean().default("false").group(GROUP, 15).width(Medium).display("Snapshot mode property based snapshot data").doc("With snapshot.mode configuration_based: read a snapshot at every start."),
        row("snapshot.mode.configuration.based.snapshot.schema").boolean().default("false").group(GROUP, 16).width(Medium).display("Snapshot mode property based snapshot schema").doc("Accepted; schemas are read when they are needed."),
        row("snapshot.mode.configuration.based.start.stream").boolean().default("false").group(GROUP, 17).width(Medium).display("Snapshot mode property based start stream").doc("With snapshot.mode configuration_based: stream after it."),
        row("snapshot.mode.configuration.based.snapshot.on.schema.error").boolean().default("false").group(GROUP, 18).width(Medium).display("Snapshot mode property based snapshot on schema error").doc("Accepted; there is no history of schemas to lose."),
        row("snapshot.mode.configuration.based.snapshot.on.data.error").boolean().default("false").group(GROUP, 19).width(Medium).display("Snapshot mode property based snapshot on data error").doc("With snapshot.mode configuration_based: read a snapshot where the position is lost."),
        row("retriable.restart.connector.wait.ms").long().default("10000").importance(Low).group(GROUP, 20).width(Medium).display("Retriable restart wait (ms)").doc("Retriable restart wait (ms).").standing(Accepted),
        row("query.fetch.size").int().default("0").group(GROUP, 21).width(Medium).display("Query fetch size").doc("Query fetch size.").standing(Accepted),
        row("errors.max.retries").int().default("-1").importance(Low).group(GROUP, 22).width(Medium).display("The maximum number of retries").doc("The maximum number of retries.").standing(Accepted),
        row("incremental.snapshot.watermarking.strategy").default("INSERT_INSERT").importance(Low).group(GROUP, 23).width(Medium).display("Incremental snapshot watermarking strategy").recommended(&["insert_delete", "insert_insert"]).doc("How the end of a chunk is written to the signal table: as a row more, or by deleting the row of its beginning."),
        row("internal.log.position.check.enable").boolean().default("true").group(GROUP, 24).width(Medium).display("Enable/Disable log position check").doc("Enable/Disable log position check.").standing(Accepted),
        row("internal.advanced.metrics.enable").boolean().default("false").group(GROUP, 25).width(Medium).display("Enable/Disable advance metrics").doc("Enable/Disable advance metrics.").standing(Accepted),
        row("connection.validation.timeout.ms").long().default("60000").importance(Low).group(GROUP, 26).width(Short).display("Connection validation timeout (ms)").doc("Connection validation timeout (ms).").standing(Accepted),
        row("executor.shutdown.timeout.ms").long().default("4000").group(GROUP, 27).width(Medium).display("Executor shutdown timeout (ms)").doc("Executor shutdown timeout (ms).").standing(Accepted),
        row("openlineage.integration.enabled").boolean().default("false").importance(Low).group(GROUP, 28).width(Short).display("Enables OpenLineage integration").doc("Enables OpenLineage integration.").standing(Refused),
        row("openlineage.integration.config.file.path").default("./openlineage.yml").importance(Low).group(GROUP, 29).width(Long).display("Path to OpenLineage file configuration").doc("Path to OpenLineage file configuration.").standing(Accepted),
        row("openlineage.integration.job.namespace").importance(Low).group(GROUP, 30).width(Long).display("Namespace used for Debezium job").doc("Namespace used for Debezium job.").standing(Accepted),
        row("openlineage.integration.job.description").default("Debezium change data capture job").importance(Low).group(GROUP, 31).width(Long).display("Description used for Debezium job").doc("Description used for Debezium job.").standing(Accepted),
        row("openlineage.integration.job.tags").list().importance(Low).group(GROUP, 32).width(Long).display("Debezium job tags").doc("Debezium job tags.").standing(Accepted),
        row("openlineage.integration.job.owners").list().importance(Low).group(GROUP, 33).width(Long).display("Debezium job owners").doc("Debezium job owners.").standing(Accepted),
        row("openlineage.integration.dataset.kafka.bootstrap.servers").importance(Low).group(GROUP, 34).width(Long).display("Kafka bootstrap server used in Kafka Connect deployment").doc("Kafka bootstrap server used in Kafka Connect deployment.").standing(Accepted),
        row("extended.headers.enabled").boolean().default("true").importance(Low).group(GROUP, 35).width(Short).display("Enable/Disable extended headers").doc("Put headers with connector and task on every record."),
        row("guardrail.collections.max").int().default("0").group(GROUP, 36).width(Short).display("Maximum number of collections or tables").doc("Most tables that may be captured; 0 is no limit."),
        row("guardrail.collections.limit.action").default("warn").group(GROUP, 37).width(Short).display("Guardrail collections limit action").recommended(&["warn", "fail"]).doc("What to do beyond it: warn, or fail."),
        row("custom.sanitize.pattern").default(".*secret$|.*password$|.*sasl\\.jaas\\.config$|.*basic\\.auth\\.user\\.info|.*registry\\.auth\\.client-secret|.*credentials\\.json$|.*connectionstring$|.*connection\\.string$").importance(Low).group(GROUP, 38).width(Long).display("Custom pattern for masking sensitive configuration").doc("Custom pattern for masking sensitive configuration.").standing(Accepted),
        row("statistics.metrics.enabled").boolean().default("true").group(GROUP, 39).width(Short).display("Enable collecting statistics metrics like latencies").doc("Enable collecting statistics metrics like latencies.").standing(Accepted),
        row("decimal.handling.mode").default("precise").group(GROUP, 40).width(Short).display("Decimal Handling").recommended(&["string", "double", "precise"]).doc("How numeric and money are written."),
        row("time.precision.mode").default("adaptive").group(GROUP, 41).width(Short).display("Time Precision").recommended(&["adaptive", "adaptive_time_microseconds", "isostring", "microseconds", "nanoseconds", "connect"]).doc("How dates, times and timestamps are written."),
        row("snapshot.lock.timeout.ms").long().default("10000").group(GROUP, 42).width(Long).display("Snapshot lock timeout (ms)").doc("Snapshot lock timeout (ms)."),
        row("memory.management.schemas.class").class().default("io.debezium.relational.ConcurrentMapTableMappingStorage").importance(Low).group(GROUP, 43).width(Long).display("Schema storage class").doc("Schema storage class.").standing(Accepted),
        row("memory.management.tables.class").class().default("io.debezium.relational.ConcurrentMapTableMappingStorage").importance(Low).group(GROUP, 44).width(Long).display("Table storage class").doc("Table storage class.").standing(Accepted),
        row("snapshot.mode").default("initial").group(GROUP, 45).width(Short).display("Snapshot mode").recommended(&["always", "initial_only", "configuration_based", "when_needed", "initial", "custom", "no_data"]).doc("Which data is read before streaming."),
        row("snapshot.isolation.mode").default("serializable").importance(Low).group(GROUP, 46).width(Short).display("Snapshot isolation mode").recommended(&["read_uncommitted", "repeatable_read", "read_committed", "serializable"]).doc("Snapshot isolation mode.").standing(Accepted),
        row("snapshot.query.mode").default("select_all").importance(Low).group(GROUP, 47).width(Short).display("Snapshot query mode").recommended(&["custom", "select_all"]).doc("Snapshot query mode.").standing(Refused),
        row("snapshot.query.mode.custom.name").group(GROUP, 48).width(Medium).display("Snapshot Query Mode Custom Name").doc("Snapshot Query Mode Custom Name.").standing(Refused),
        row("snapshot.locking.mode.custom.name").group(GROUP, 49).width(Medium).display("Snapshot Locking Mode Custom Name").doc("Snapshot Locking Mode Custom Name.").standing(Refused),
        row("snapshot.locking.mode").default("none").importance(Low).group(GROUP, 50).width(Short).display("Snapshot locking mode").recommended(&["shared", "custom", "none"]).doc("Snapshot locking mode."),
        row("hstore.handling.mode").default("json").importance(Low).group(GROUP, 51).width(Medium).display("HStore Handling").recommended(&["json", "map"]).doc("How hstore is written: as JSON, or as a map."),
        row("binary.handling.mode").default("bytes").importance(Low).group(GROUP, 52).width(Medium).display("Binary Handling").recommended(&["bytes", "base64", "hex", "base64-url-safe"]).doc("How bytea is written."),
        row("schema.name.adjustment.mode").default("none").importance(Low).group(GROUP, 53).width(Medium).display("Schema Name Adjustment").recommended(&["none", "avro_unicode", "avro"]).doc("How names of schemas are made valid for Avro."),
        row("interval.handling.mode").default("numeric").importance(Low).group(GROUP, 54).width(Medium).display("Interval Handling").recommended(&["string", "numeric"]).doc("How intervals are written: in microseconds, or as ISO 8601."),
        row("schema.refresh.mode").default("columns_diff").group(GROUP, 55).width(Short).display("Schema refresh mode").recommended(&["columns_diff", "columns_diff_exclude_unchanged_toast"]).doc("Schema refresh mode.").standing(Accepted),
        row("incremental.snapshot.chunk.size").int().default("1024").group(GROUP, 56).width(Medium).display("Incremental snapshot chunk size").doc("Most rows that an incremental snapshot reads at once."),
        row("unavailable.value.placeholder").default("__debezium_unavailable_value").group(GROUP, 57).width(Medium).display("Unavailable value placeholder").doc("What stands for a value out of line that did not change and was not sent."),
        row("message.prefix.include.list").list().group(GROUP, 58).width(Long).display("Include Logical Decoding Message Prefixes").doc("Regular expressions of the prefixes of messages in the WAL to send."),
        row("message.prefix.exclude.list").list().group(GROUP, 59).width(Long).display("Exclude Logical Decoding Message Prefixes").doc("Regular expressions of the prefixes of messages in the WAL not to send."),
        row("publish.via.partition.root").boolean().default("false").group(GROUP, 60).width(Short).display("Publish via partition root").doc("Make the publication name changes of partitions by their root."),
    ]
}

fn events() -> Vec<Row> {
    const GROUP: &str = "Events";
    vec![
        row("converters").importance(Low).group(GROUP, 1).width(Medium).display("List of prefixes defining custom values converters.").doc("List of prefixes defining custom values converters.").standing(Refused),
        row("post.processors").importance(Low).group(GROUP, 2).width(Medium).display("List of change event post processors.").doc("List of change event post processors.").standing(Refused),
        row("tombstones.on.delete").boolean().default("true").group(GROUP, 3).width(Short).display("Change the behaviour of Debezium with regards to delete operations").doc("Send a record without value after each delete."),
        row("heartbeat.interval.ms").int().default("0").group(GROUP, 4).width(Medium).display("Connector heartbeat interval (milli-seconds)").doc("Time between heartbeat records; 0 is none."),
        row("heartbeat.topics.prefix").default("__debezium-heartbeat").importance(Low).group(GROUP, 5).width(Medium).display("A prefix used for naming of heartbeat topics").doc("Older name of topic.heartbeat.prefix."),
        row("signal.data.collection").list().group(GROUP, 6).width(Medium).display("Signaling data collection").doc("Table whose new rows are signals, as schema.table; it is captured whatever the filters say."),
        row("signal.poll.interval.ms").long().default("5000").group(GROUP, 7).width(Short).display("Signal processor poll interval").doc("How often the file of signals is looked at."),
        row("signal.enabled.channels").list().default("source").group(GROUP, 8).width(Long).display("Enabled channels names").doc("Where signals come from: source (the signal table), kafka, file."),
        row("topic.naming.strategy").class().default("io.debezium.schema.SchemaTopicNamingStrategy").group(GROUP, 9).width(Medium).display("Topic naming strategy class").doc("How topics are named: one of the classes that come with Debezium."),
        row("notification.enabled.channels").list().group(GROUP, 10).width(Long).display("Enabled notification channels names").doc("Where notifications of snapshots go: sink (a topic), log."),
        row("notification.sink.topic.name").importance(High).group(GROUP, 11).width(Long).display("Notification topic name").doc("Topic of the channel sink."),
        row("transaction.metadata.factory").class().default("io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory").importance(Low).group(GROUP, 12).width(Medium).display("Factory class to create transaction context & transaction struct maker classes").doc("Accepted with its default only."),
        row("custom.metric.tags").list().importance(Low).group(GROUP, 13).width(Medium).display("Customize metric tags").doc("Customize metric tags.").standing(Accepted),
        row("column.include.list").list().group(GROUP, 14).width(Long).display("Include Columns").doc("Regular expressions of the columns to send."),
        row("column.exclude.list").list().group(GROUP, 15).width(Long).display("Exclude Columns").doc("Regular expressions of the columns not to send."),
        row("table.include.list").list().importance(High).group(GROUP, 16).width(Long).display("Include Tables").doc("Regular expressions of the tables to capture."),
        row("table.exclude.list").list().group(GROUP, 17).width(Long).display("Exclude Tables").doc("Regular expressions of the tables not to capture."),
        row("table.ignore.builtin").boolean().default("true").importance(Low).group(GROUP, 18).width(Short).display("Ignore system databases").doc("Leave out the tables of the system."),
        row("schema.include.list").list().importance(High).group(GROUP, 19).width(Long).display("Include Schemas").dependents(&["table.include.list"]).doc("Regular expressions of the schemas to capture."),
        row("schema.exclude.list").list().group(GROUP, 20).width(Long).display("Exclude Schemas").doc("Regular expressions of the schemas not to capture."),
        row("message.key.columns").group(GROUP, 21).width(Long).display("Columns PK mapping").doc("Columns of the key where it is not the primary key: table:column,column;table:column."),
        row("snapshot.select.statement.overrides").group(GROUP, 22).width(Long).display("List of tables where the default select statement used during snapshotting should be overridden.").doc("Tables that the snapshot reads with a statement of their own, given as snapshot.select.statement.overrides.<schema>.<table>."),
        row("column.mask.hash.([^.]+).with.salt.(.+)").group(GROUP, 23).width(Long).display("Mask Columns Using Hash and Salt").doc("Mask Columns Using Hash and Salt."),
        row("column.mask.with.(d+).chars").group(GROUP, 24).display("Mask Columns With n Asterisks").doc("Mask Columns With n Asterisks."),
        row("column.truncate.to.(d+).chars").int().group(GROUP, 25).display("Truncate Columns To n Characters").doc("Truncate Columns To n Characters."),
        row("include.schema.comments").boolean().default("false").group(GROUP, 26).width(Short).display("Include Table and Column Comments").doc("Include Table and Column Comments.").standing(Refused),
        row("column.propagate.source.type").list().group(GROUP, 27).display("Propagate Source Types by Columns").doc("Regular expressions of the columns whose type, length and scale become parameters of their schema."),
        row("datatype.propagate.source.type").list().group(GROUP, 28).display("Propagate Source Types by Data Type").doc("Regular expressions of the types whose columns are treated so."),
        row("internal.snapshot.scan.all.columns.force").boolean().default("false").importance(Low).group(GROUP, 29).width(Short).display("Snapshot force scan all columns of all tables").doc("Snapshot force scan all columns of all tables.").standing(Accepted),
        row("snapshot.tables.order.by.row.count").default("disabled").group(GROUP, 30).display("Initial snapshot tables order by row count").recommended(&["disabled", "ascending", "descending"]).doc("Initial snapshot tables order by row count.").standing(Accepted),
        row("heartbeat.action.query").importance(Low).group(GROUP, 31).width(Medium).display("An optional query to execute with every heartbeat").doc("Statement run with every heartbeat."),
        row("include.unknown.datatypes").boolean().default("false").group(GROUP, 32).width(Short).display("Include unknown datatypes").doc("Send types that have no form of their own as bytes of their text."),
        row("sourceinfo.struct.maker").class().default("io.debezium.connector.postgresql.PostgresSourceInfoStructMaker").importance(Low).group(GROUP, 33).width(Medium).display("Source info struct maker class").doc("Accepted with its default only."),
    ]
}

fn unpublished() -> Vec<Row> {
    vec![
        row("money.fraction.digits")
            .int()
            .default("2")
            .standing(Internal)
            .doc("Digits behind the point of money."),
        row("event.converting.failure.handling.mode")
            .default("warn")
            .standing(Internal)
            .doc("What to do with a value that cannot be converted."),
        row("field.name.adjustment.mode")
            .standing(Internal)
            .doc("How names of fields are made valid for Avro."),
        row("topic.delimiter")
            .default(".")
            .standing(Internal)
            .doc("What stands between the parts of a topic name."),
        row("topic.heartbeat.prefix").standing(Internal).doc("Prefix of the heartbeat topic."),
        row("topic.heartbeat.name").standing(Internal).doc("Name of the heartbeat topic."),
        row("topic.cache.size").int().default("10000").standing(Internal),
        row("offset.mismatch.strategy")
            .default("no_validation")
            .standing(Internal)
            .doc("What to do where stored offset and slot differ."),
        row("skip.messages.without.change")
            .boolean()
            .default("false")
            .standing(Internal)
            .doc("Do not send updates that change no captured column."),
        row("compat.version")
            .default("3.6")
            .recommended(&["1.9", "2.5", "2.7", "3.0", "3.6"])
            .standing(Internal)
            .doc("Version of Debezium whose records are written."),
        row("truncate.handling.mode")
            .default("skip")
            .standing(Internal)
            .doc("Of 1.9: include sends truncations."),
        row("topic.regex")
            .standing(Internal)
            .doc("With a regex naming strategy: pattern of the whole name of a topic."),
        row("topic.replacement")
            .standing(Internal)
            .doc("With a regex naming strategy: what a matching name becomes; $1 is a group."),
        row("topic.key.enforce.uniqueness")
            .boolean()
            .default("true")
            .standing(Internal)
            .doc("With a regex naming strategy: add the table to the key."),
        row("topic.key.field.name")
            .default("__dbz__physicalTableIdentifier")
            .standing(Internal)
            .doc("With a regex naming strategy: name of that field."),
        row("topic.key.field.regex")
            .standing(Internal)
            .doc("With a regex naming strategy: pattern that makes that field of the topic's name."),
        row("topic.key.field.replacement")
            .standing(Internal)
            .doc("With a regex naming strategy: what it becomes."),
        row("read.only")
            .boolean()
            .default("false")
            .standing(Internal)
            .doc("Write nothing to the database: a chunk’s place in the stream is found by its position in the WAL."),
        row("incremental.snapshot.allow.schema.changes")
            .boolean()
            .default("false")
            .standing(Internal)
            .doc("Accepted; tables may change while an incremental snapshot reads them."),
        row("signal.file")
            .default("file-signals.txt")
            .standing(Internal)
            .doc("File of signals: one JSON object in a line, taken out when its effect is durable."),
        row("signal.kafka.topic")
            .standing(Internal)
            .doc("Topic of signals, of which partition 0 is read; default <topic.prefix>-signal."),
        row("signal.kafka.bootstrap.servers")
            .standing(Internal)
            .doc("Brokers of that topic; required with the channel kafka."),
        row("signal.kafka.groupId")
            .default("kafka-signal")
            .standing(Internal)
            .doc("Group under which the place in that topic is kept."),
        row("signal.kafka.poll.timeout.ms")
            .int()
            .default("100")
            .standing(Internal)
            .doc("Accepted; signals are taken as soon as they are there."),
        row("topic.transaction")
            .default("transaction")
            .standing(Internal)
            .doc("Last part of the name of the topic of transactions."),
        row("transaction.topic").standing(Internal).doc("Of 1.9: its whole name."),
        row("snapshot.new.tables").standing(Internal),
        row("snapshot.custom.class").standing(Internal),
        row("connector.adapter").standing(Internal),
        row("database.connectTimeout").standing(Internal).doc("Seconds to wait for a connection."),
        row("database.loginTimeout").standing(Internal).doc("Seconds to wait for the login."),
        row("database.connection.timeout.ms").int().standing(Internal).doc("Time to wait for a connection."),
        row("database.socketTimeout").standing(Internal),
        row("database.targetServerType").standing(Internal),
        row("database.options").standing(Internal).doc("Server options of every session: -c name=value."),
        row("database.connection.factory.class").standing(Internal),
        row("source.struct.version").default("v2").standing(Internal),
        row("toasted.value.placeholder")
            .standing(Internal)
            .doc("Older name of unavailable.value.placeholder."),
        row("sanitize.field.names")
            .boolean()
            .standing(Internal)
            .doc("Older form of field.name.adjustment.mode."),
    ]
}
