//! `tidegate preflight` names what is missing, the statements that it prints repair it, and then the connectors run, with
//! passwords that stand in a file.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::worker;
use serde_json::{Value, json};

use crate::setup::{Parts, Rig};

struct Answer {
    code: Option<i32>,
    text: String,
}

impl Answer {
    /// What follows the arrow behind the line with this text.
    fn remedy(&self, text: &str) -> Result<String> {
        let mut lines = self.text.lines().skip_while(|line| !line.contains(text)).skip(1);
        let remedy = lines.next().and_then(|line| line.trim().strip_prefix("-> run "));
        let remedy = remedy.with_context(|| format!("no statement for \"{text}\" in:\n{}", self.text))?;
        // Behind the statement may stand who runs it, or what else would do.
        let end = [" as a superuser", ", or "].iter().filter_map(|word| remedy.find(word)).min();
        Ok(remedy[..end.unwrap_or(remedy.len())].to_owned())
    }
}

fn preflight(dir: &Path, properties: &Path, connector: &Value) -> Result<Answer> {
    let file = dir.join("connector.json");
    std::fs::write(&file, serde_json::to_vec_pretty(connector)?)?;
    let output = Command::new(worker::program()?)
        .arg("preflight")
        .arg(&file)
        .arg("--worker")
        .arg(properties)
        .output()?;
    Ok(Answer { code: output.status.code(), text: String::from_utf8(output.stdout)? })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_prints_repairs_what_it_found() -> Result<()> {
    let secrets = crate::setup::folder("preflight-secrets")?;
    let file = secrets.path().join("pg.properties");
    std::fs::write(&file, "capture=c'a\"p\napply=a p\n")?;
    let providers = [
        "config.providers=file".to_owned(),
        "config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider".to_owned(),
        format!("config.providers.file.param.allowed.paths={}", secrets.path().display()),
    ];
    let parts = Parts { settings: providers.to_vec(), ..Parts::default() };
    let rig = Rig::with("preflight", parts).await?;
    let properties = secrets.path().join("worker.properties");
    std::fs::write(&properties, providers.join("\n"))?;
    rig.source
        .batch_execute(
            "CREATE ROLE capture LOGIN PASSWORD 'c''a\"p'; CREATE ROLE apply LOGIN PASSWORD 'a p';
             CREATE TABLE nokey (x int); REVOKE ALL ON SCHEMA public FROM public",
        )
        .await?;
    let secret = |name: &str| json!(format!("${{file:{}:{name}}}", file.display()));

    let mut source = rig.source_connector();
    source["config"]["database.user"] = json!("capture");
    source["config"]["database.password"] = secret("capture");
    source["config"]["publication.autocreate.mode"] = json!("disabled");
    source["config"]["table.include.list"] = json!("public.(users|posts|comments|nokey)");
    let look = |connector: &Value| preflight(secrets.path(), &properties, connector);
    let found = look(&source)?;
    ensure!(found.code == Some(1), "{:?}: {}", found.code, found.text);
    for text in [
        "has not the attribute REPLICATION",
        "may not read",
        "autocreation is disabled",
        "has no primary key",
    ] {
        rig.source.batch_execute(&found.remedy(text)?).await.with_context(|| found.text.clone())?;
    }
    let found = look(&source)?;
    ensure!(found.code == Some(0) && found.text.contains("0 missing"), "{}", found.text);
    ensure!(!found.text.contains("nokey\" has no primary key"), "{}", found.text);
    let sql = "SELECT count(*) FROM pg_replication_slots";
    ensure!(rig.source.query_one(sql, &[]).await?.get::<_, i64>(0) == 0, "looking created a slot");

    let mut sink = rig.sink_connector();
    sink["config"]["connection.user"] = json!("apply");
    sink["config"]["connection.password"] = secret("apply");
    sink["config"]["connection.url"] =
        json!(format!("jdbc:postgresql://127.0.0.1:{}/sink_db?currentSchema=public", rig.target().port));
    rig.sink.batch_execute("GRANT USAGE ON SCHEMA public TO apply").await?;
    let found = look(&sink)?;
    ensure!(found.code == Some(1), "{:?}: {}", found.code, found.text);
    for table in ["users", "posts", "comments"] {
        rig.sink.batch_execute(&found.remedy(&format!("in \"public\".\"{table}\""))?).await?;
    }
    let found = look(&sink)?;
    ensure!(found.code == Some(0) && found.text.contains("0 missing"), "{}", found.text);

    rig.worker.rest.create(&source).await?;
    rig.worker.rest.create(&sink).await?;
    rig.wait_until_running().await?;
    rig.source
        .batch_execute("INSERT INTO users (name) SELECT 'u' || n FROM generate_series(1, 100) n")
        .await?;
    rig.wait_until_equal(Duration::from_secs(60)).await?;
    rig.nothing_was_rejected().await?;
    let shown = rig.worker.rest.get(&format!("/connectors/{}/config", rig.sink_name())).await?.body;
    ensure!(shown["connection.password"] == secret("apply"), "{shown}");
    let validated = rig
        .worker
        .rest
        .call(
            reqwest::Method::PUT,
            "/connector-plugins/JdbcSinkConnector/config/validate",
            Some(&sink["config"]),
        )
        .await?
        .body
        .to_string();
    ensure!(!validated.contains("\"a p\""), "the secret is shown: {validated}");
    Ok(())
}
