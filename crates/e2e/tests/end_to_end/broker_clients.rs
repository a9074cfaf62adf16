//! Other people's clients on the embedded broker, and bytes that are no requests.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::worker::{Worker, WorkerOptions};

use crate::setup::{clients, folder, python};

#[tokio::test(flavor = "multi_thread")]
async fn kafka_python_librdkafka_and_the_java_console() -> Result<()> {
    let dir = folder("broker-clients")?;
    let worker = Worker::start(dir.path(), &WorkerOptions::default()).await?;
    let output = Command::new(python()?).arg(clients().join("broker.py")).arg(&worker.bootstrap).output()?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let libs = e2e::java_kafka::libs()?;
    let java = |class: &str, arguments: &[&str], input: &str| -> Result<String> {
        let mut command = Command::new("java");
        command.arg("-cp").arg(format!("{}/*", libs.display())).arg(class);
        command.args(["--bootstrap-server", &worker.bootstrap]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn()?;
        child.stdin.take().context("a pipe")?.write_all(input.as_bytes())?;
        Ok(String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned())
    };
    let lines: String = (1..=100).map(|n| format!("line {n}\n")).collect();
    java("org.apache.kafka.tools.ConsoleProducer", &["--topic", "console"], &lines)?;
    let arguments =
        ["--topic", "console", "--from-beginning", "--max-messages", "100", "--group", "console-group"];
    let read = java("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments, "")?;
    ensure!(read == lines, "the console consumer read {read:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat() -> Result<()> {
    let dir = folder("broker-kcat")?;
    let worker = Worker::start(dir.path(), &WorkerOptions::default()).await?;
    let kcat = |arguments: &[&str], input: &str| -> Result<String> {
        let mut command = Command::new("kcat");
        command.args(["-b", &worker.bootstrap]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("run kcat (./test installs it)")?;
        child.stdin.take().context("a pipe")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(output.status.success(), "kcat {arguments:?}: {}", text(&output.stderr));
        Ok(text(&output.stdout))
    };
    let lines: String = (1..=1000).map(|n| format!("key {n}:value {n}\n")).collect();
    kcat(&["-P", "-t", "cats", "-K", ":", "-H", "colour=grey", "-z", "gzip"], &lines)?;
    let read = kcat(&["-C", "-t", "cats", "-e", "-q", "-f", "%k:%s\n"], "")?;
    ensure!(read == lines, "kcat read {read:?}");
    ensure!(kcat(&["-C", "-t", "cats", "-o", "-1", "-e", "-q", "-f", "%o %h"], "")? == "999 colour=grey");
    let listed: serde_json::Value = serde_json::from_str(&kcat(&["-L", "-J", "-t", "cats"], "")?)?;
    ensure!(listed["topics"][0]["topic"] == "cats", "{listed}");
    ensure!(listed["topics"][0]["partitions"][0]["leader"] == listed["brokers"][0]["id"], "{listed}");
    let offset = kcat(&["-Q", "-t", "cats:0:-1"], "")?;
    ensure!(offset.contains("1000"), "the end of cats: {offset}");
    let in_group =
        ["-G", "cat-group", "-e", "-q", "-X", "auto.offset.reset=earliest", "-f", "%k:%s\n", "cats"];
    ensure!(kcat(&in_group, "")? == lines);
    kcat(&["-P", "-t", "cats", "-K", ":"], "key 1001:value 1001\n")?;
    // The group goes on where it was.
    let read = kcat(&in_group, "")?;
    ensure!(read == "key 1001:value 1001\n", "the group read {read:?}");
    Ok(())
}

/// Bad frames, oversize requests and unknown versions close that connection, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_closes_its_own_connection() -> Result<()> {
    let dir = folder("broker-garbage")?;
    let worker = Worker::start(dir.path(), &WorkerOptions::default()).await?;
    let frames: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        // An unknown request, a version that is not served, and a body that is cut off.
        &[0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 0, 0, 10, 0, 0, 0x7f, 0, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 0, 0, 10, 0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff],
    ];
    for frame in frames {
        let mut stream = TcpStream::connect(&worker.bootstrap)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(frame)?;
        let mut answer = vec![];
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut answer);
        ensure!(answer.is_empty(), "{frame:?} was answered with {answer:?}");
    }
    let settings = kafka::ClientSettings::new([("bootstrap.servers", worker.bootstrap.as_str())]);
    let topics = kafka::Admin::new(&settings)?.partitions(None).await?;
    ensure!(topics.contains_key("connect-configs"), "the broker still answers: {topics:?}");
    Ok(())
}
