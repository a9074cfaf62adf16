//! What must hold before anything is created: each failure says which statement repairs it, and the statement does.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::eventually::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::setup::{Parts, Rig};

/// Slots and publications: nothing may be left of a connector that could not start.
async fn created(rig: &Rig) -> Result<(i64, i64)> {
    let sql = "SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'dbz%'), \
               (SELECT count(*) FROM pg_publication)";
    let row = rig.source.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// Creates the connector or restarts its task; returns why it does not run.
async fn refusal(rig: &Rig, connector: &Value) -> Result<String> {
    let rest = &rig.worker.rest;
    let name = connector["name"].as_str().context("a name")?;
    let answer = rest.call(Method::POST, "/connectors", Some(connector)).await?;
    match answer.status {
        400 => return Ok(answer.body["message"].as_str().unwrap_or_default().to_owned()),
        201 => {}
        409 => {
            let restart =
                rest.call(Method::POST, &format!("/connectors/{name}/tasks/0/restart"), None).await?;
            ensure!(restart.status == 204, "restart: {}", restart.body);
            // The old trace stands until the task was started again.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        other => bail!("{other}: {}", answer.body),
    }
    let path = format!("/connectors/{name}/status");
    eventually("the task fails", Duration::from_secs(30), || async {
        let status = rest.get(&path).await?.body;
        let task = &status["tasks"][0];
        ensure!(task["state"] != "RUNNING", "it runs");
        Ok((task["state"] == "FAILED").then(|| task["trace"].as_str().unwrap_or_default().to_owned()))
    })
    .await
}

/// The connector is refused with this statement in the reason, and nothing was created.
async fn refused_with(rig: &Rig, connector: &Value, reason: &str, statement: &str) -> Result<()> {
    let before = created(rig).await?;
    let text = refusal(rig, connector).await.with_context(|| format!("wanted: {statement}"))?;
    ensure!(text.contains(reason), "\"{reason}\" is not in: {text}");
    ensure!(text.contains(statement), "\"{statement}\" is not in: {text}");
    ensure!(created(rig).await? == before, "something was created although: {text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_thing_names_its_repair() -> Result<()> {
    let postgres = &["wal_level = replica", "max_wal_senders = 2", "max_replication_slots = 1"];
    let mut rig = Rig::with("prerequisites", Parts { postgres, ..Parts::default() }).await?;
    rig.source
        .batch_execute(
            "CREATE ROLE capture LOGIN PASSWORD 'capture'; REVOKE ALL ON SCHEMA public FROM public;
             INSERT INTO users (name) VALUES ('first')",
        )
        .await?;
    let mut connector = rig.source_connector();
    connector["config"]["database.user"] = json!("capture");
    connector["config"]["database.password"] = json!("capture");
    connector["config"]["publication.autocreate.mode"] = json!("disabled");
    connector["config"]["table.include.list"] = json!("public.users");

    let statement = "ALTER SYSTEM SET wal_level = 'logical'";
    refused_with(&rig, &connector, "wal_level", statement).await?;
    rig.source.batch_execute(statement).await?;
    rig.cluster.stop("fast")?;
    rig.cluster.start().await?;
    rig.source = rig.cluster.connect("source_db").await?;
    let make_other = "SELECT pg_create_logical_replication_slot('other', 'pgoutput')";
    rig.source.batch_execute(make_other).await?;

    let steps = [
        ("REPLICATION", r#"ALTER ROLE "capture" REPLICATION"#),
        ("replication slots are in use", "SELECT pg_drop_replication_slot("),
        (
            "Publication autocreation is disabled",
            r#"CREATE PUBLICATION "dbz_publication" FOR TABLE "public"."users""#,
        ),
        (
            r#"role "capture" may not read "public"."users""#,
            r#"GRANT USAGE ON SCHEMA "public" TO "capture"; GRANT SELECT ON "public"."users" TO "capture""#,
        ),
    ];
    for (reason, statement) in steps {
        refused_with(&rig, &connector, reason, statement).await?;
        let repair =
            if statement.ends_with('(') { "SELECT pg_drop_replication_slot('other')" } else { statement };
        rig.source.batch_execute(repair).await?;
    }
    let restart = format!("/connectors/{}/tasks/0/restart", rig.source_name());
    ensure!(rig.worker.rest.call(Method::POST, &restart, None).await?.status == 204);
    eventually("it runs", Duration::from_secs(30), || async {
        let (_, tasks) = rig.worker.rest.states(&rig.source_name()).await?;
        Ok((tasks == ["RUNNING"]).then_some(()))
    })
    .await?;
    ensure!(created(&rig).await? == (1, 1));
    Ok(())
}

/// A database that cannot be reached, and one that refuses the login: 400 with the text that `validate` gives.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_database_answers_400_as_validate_does() -> Result<()> {
    let rig = Rig::with("unreachable", Parts::default()).await?;
    let free = e2e::ports::free().to_string();
    let cases: [(&str, &str, &str); 4] = [
        ("database.port", &free, "refused"),
        ("database.password", "wrong", "password authentication failed for user \"postgres\""),
        ("database.dbname", "nowhere", "database \"nowhere\" does not exist"),
        ("database.hostname", "no-such-host.invalid", "no-such-host.invalid"),
    ];
    for (key, value, expected) in cases {
        let mut connector = rig.source_connector();
        connector["config"][key] = json!(value);
        let answer = rig.worker.rest.call(Method::POST, "/connectors", Some(&connector)).await?;
        ensure!(answer.status == 400, "{key}: {} {}", answer.status, answer.body);
        let said = answer.body["message"].as_str().unwrap_or_default();
        ensure!(said.contains(expected), "{key}: {said}");
        let path = "/connector-plugins/PostgresConnector/config/validate";
        let mut config = connector["config"].clone();
        config["name"] = connector["name"].clone();
        let validated = rig.worker.rest.call(Method::PUT, path, Some(&config)).await?.body;
        let configs = validated["configs"].as_array().context("configs")?;
        let errors: Vec<&str> = configs
            .iter()
            .filter_map(|config| config["value"]["errors"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        ensure!(!errors.is_empty(), "{key}: validate found nothing");
        ensure!(errors.iter().all(|error| said.contains(error)), "{key}: {errors:?} is not in {said}");
    }
    ensure!(rig.worker.rest.get("/connectors").await?.body == json!([]));
    ensure!(created(&rig).await? == (0, 0));
    Ok(())
}
