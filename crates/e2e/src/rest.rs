//! Connect's REST API as a client sees it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::Value;

use crate::eventually::eventually;

#[derive(Clone)]
pub struct Rest {
    base: String,
    client: reqwest::Client,
}

/// A status and a body; `Null` where there is none.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Rest {
    pub fn new(base: String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { base, client: reqwest::Client::new() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// # Errors
    /// Nobody answers.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).timeout(Duration::from_secs(60));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body =
            serde_json::from_str(&text).unwrap_or(if text.is_empty() { Value::Null } else { text.into() });
        Ok(Answer { status, headers, body })
    }

    /// # Errors
    /// Nobody answers.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, None).await
    }

    /// Creates a connector from a file's content: `{"name":…,"config":…}`.
    ///
    /// # Errors
    /// It is refused; the reason is the worker's.
    pub async fn create(&self, connector: &Value) -> Result<()> {
        let answer = self.call(Method::POST, "/connectors", Some(connector)).await?;
        if answer.status != 201 {
            bail!("creating {} was answered with {}: {}", connector["name"], answer.status, answer.body);
        }
        Ok(())
    }

    /// Deletes a connector where it exists.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn delete(&self, name: &str) -> Result<u16> {
        Ok(self.call(Method::DELETE, &format!("/connectors/{name}"), None).await?.status)
    }

    /// State of the connector and of its tasks.
    ///
    /// # Errors
    /// There is no such connector.
    pub async fn states(&self, name: &str) -> Result<(String, Vec<String>)> {
        let answer = self.get(&format!("/connectors/{name}/status")).await?;
        let text = |value: &Value| value["state"].as_str().unwrap_or_default().to_owned();
        let tasks = answer.body["tasks"].as_array().context("no tasks in the status")?;
        Ok((text(&answer.body["connector"]), tasks.iter().map(text).collect()))
    }

    /// Waits until the connector and all its tasks (one at least) are in this state.
    ///
    /// # Errors
    /// They are not in time, or a task failed: its trace is in the error.
    pub async fn wait_for_state(&self, name: &str, state: &str) -> Result<()> {
        eventually(&format!("{name} is {state}"), Duration::from_secs(60), || async {
            let answer = self.get(&format!("/connectors/{name}/status")).await?;
            let tasks = answer.body["tasks"].as_array().cloned().unwrap_or_default();
            if let Some(task) = tasks.iter().find(|task| task["state"] == "FAILED" && state != "FAILED") {
                bail!("a task failed: {}", task["trace"]);
            }
            let all = !tasks.is_empty() && tasks.iter().all(|task| task["state"] == state);
            Ok(all.then_some(()))
        })
        .await
    }
}
