//! The part of validation that asks the database: can it be reached, does it take the login, is it set up.

use connect::settings::Resolved;
use pg::ErrorClass;

use super::Settings;
use crate::settings::AfterSnapshot;

/// Adds what is wrong to the host's answer, as Debezium does.
pub async fn check(settings: &Settings, resolved: &mut Resolved) {
    let error = |text: String| format!("Error while validating connector config: {text}");
    let connect = settings.connect.named("Debezium Validate Connection");
    let session = match pg::connect(&connect).await {
        Ok(session) => session,
        Err(failure) => return resolved.error("database.hostname", error(text(settings, &failure))),
    };
    let row = session.query_one("SELECT current_setting('wal_level')", &[]).await;
    match row.map(|row| row.get::<_, String>(0)) {
        Ok(level) if level == "logical" || settings.snapshot_mode.after == AfterSnapshot::Rest => {}
        Ok(level) => resolved.error(
            "database.hostname",
            error(format!(
                "Postgres server wal_level property must be 'logical' but is: '{level}' (run ALTER SYSTEM SET \
                 wal_level = 'logical' and restart PostgreSQL)"
            )),
        ),
        Err(failure) => resolved.error("database.hostname", error(pg::Error::from(failure).to_string())),
    }
}

/// The driver's words for the failures that people search for.
fn text(settings: &Settings, failure: &pg::Error) -> String {
    if let Some(report) = failure.report() {
        return format!("{}: {}", report.severity, report.message);
    }
    let refused = failure.message().contains("refused");
    match (failure.class(), settings.connect.hosts.first()) {
        (ErrorClass::Connection, Some((host, port))) if refused => format!(
            "Connection to {host}:{port} refused. Check that the hostname and port are correct and that the \
             postmaster is accepting TCP/IP connections."
        ),
        (ErrorClass::Connection, Some((host, port))) => {
            format!("The connection attempt failed. ({host}:{port}: {})", failure.message())
        }
        _ => failure.to_string(),
    }
}
