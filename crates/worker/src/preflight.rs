//! What `tidegate preflight` prints.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use connect::preflight::Severity;
use connect::settings::Properties;

use crate::doors;

/// Checks a connector's file and prints what was found.
///
/// # Errors
/// A file that cannot be read, or is no connector.
pub async fn run(connector: &Path, worker: Option<&Path>) -> Result<ExitCode> {
    let worker = doors::settings(worker)?;
    let text = std::fs::read_to_string(connector).with_context(|| format!("read {}", connector.display()))?;
    let (name, config) = parse(&text).with_context(|| connector.display().to_string())?;
    let found = runtime::preflight::preflight(&worker, &config).await.map_err(|why| anyhow!(why))?;
    println!("{name} ({})", found.class);
    for finding in &found.findings {
        let word = match finding.severity {
            Severity::Fine => "ok",
            Severity::Doubtful => "doubtful",
            Severity::Missing => "missing",
        };
        println!("  {word:<9} {}", finding.text);
        if let Some(remedy) = &finding.remedy {
            println!("            -> {remedy}");
        }
    }
    let (missing, doubtful) = (found.count(Severity::Missing), found.count(Severity::Doubtful));
    println!("{missing} missing, {doubtful} doubtful");
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The name and the configuration, from either form that people keep.
fn parse(text: &str) -> Result<(String, Properties)> {
    let json: serde_json::Value = serde_json::from_str(text).context("this is not JSON")?;
    let config = json.get("config").unwrap_or(&json);
    let fields = config.as_object().ok_or_else(|| anyhow!("this is no object of options"))?;
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let config: Properties =
        fields.iter().filter_map(|(key, field)| Some((key.clone(), value(field)?))).collect();
    let name =
        json.get("name").and_then(serde_json::Value::as_str).or(config.get("name").map(String::as_str));
    Ok((name.unwrap_or("connector").to_owned(), config))
}
