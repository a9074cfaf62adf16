//! Ends what is shared by a whole test binary: nobody drops a static, and a test process may be killed.

use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result};

/// Shells that wait for our end: each reads from a pipe that only we hold open.
static WAITING: Mutex<Vec<Child>> = Mutex::new(vec![]);

/// Runs a line of shell when this process ends, however it ends.
///
/// # Errors
/// There is no shell.
pub fn at_end(line: &str) -> Result<()> {
    let script = format!("trap '' INT TERM HUP; cat >/dev/null; {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().context("run sh")?;
    WAITING.lock().expect("nobody panics while holding this").push(child);
    Ok(())
}
