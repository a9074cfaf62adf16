//! What the runners of recordings share: their folder, the chosen cases, and what is said at the end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::guard;
use crate::worker::Worker;

/// The project's root.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the recordings are: `TIDEGATE_GOLDEN` (from here, or from the project's root: cargo runs tests elsewhere than
/// where it was called), or the project's own.
pub fn folder() -> PathBuf {
    let given = PathBuf::from(std::env::var_os("TIDEGATE_GOLDEN").unwrap_or_else(|| "golden".into()));
    if given.is_dir() { given } else { project().join(given) }
}

/// Case names, or their beginnings with `*` behind, from the command line or, without any there, from `TIDEGATE_CASES`.
pub struct Wanted {
    patterns: Vec<(String, Cell<bool>)>,
    is_default: bool,
}

impl Wanted {
    /// `default` is taken where nobody asks for anything; empty means all cases.
    pub fn new(default: &str) -> Self {
        // Cargo hands its own flags on.
        let mut text =
            std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect::<Vec<_>>().join(",");
        if text.is_empty() {
            text = std::env::var("TIDEGATE_CASES").unwrap_or_default();
        }
        let is_default = text.trim().is_empty();
        let text = if is_default { default } else { &text };
        let words = text.split([',', ' ', '\n']).filter(|word| !word.is_empty());
        Self { patterns: words.map(|word| (word.to_owned(), Cell::new(false))).collect(), is_default }
    }

    pub fn has(&self, name: &str) -> bool {
        let mut found = self.patterns.is_empty();
        for (pattern, met) in &self.patterns {
            let fits = match pattern.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == pattern,
            };
            if fits {
                met.set(true);
                found = true;
            }
        }
        found
    }

    /// After all names were asked for: nobody is told that all is well because nothing was run.
    ///
    /// # Errors
    /// A name that no case has, or no case at all.
    pub fn check(&self, chosen: usize) -> Result<()> {
        let unmet: Vec<&str> =
            self.patterns.iter().filter(|(_, met)| !met.get()).map(|(pattern, _)| pattern.as_str()).collect();
        if !self.is_default && !unmet.is_empty() {
            bail!("no case of the name {}", unmet.join(", "));
        }
        if chosen == 0 {
            bail!("no cases in {}", folder().display());
        }
        Ok(())
    }
}

/// How a case ended.
pub enum Outcome {
    Equal,
    /// Different as these rows of docs/compatibility.md say.
    Decided(Vec<&'static str>),
    /// Different for a reason that is still to be removed.
    NotYet(&'static str),
    /// The first difference.
    Different(String),
}

/// One line for a case that differs, and the counts.
pub struct Report {
    suite: &'static str,
    equal: usize,
    different: usize,
    decided: BTreeMap<&'static str, Vec<String>>,
    decided_cases: usize,
    not_yet: usize,
}

impl Report {
    pub fn new(suite: &'static str) -> Self {
        Self { suite, equal: 0, different: 0, decided: BTreeMap::new(), decided_cases: 0, not_yet: 0 }
    }

    pub fn enter(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Outcome::Equal => self.equal += 1,
            Outcome::Decided(rows) => {
                self.decided_cases += 1;
                for row in rows {
                    self.decided.entry(row).or_default().push(name.to_owned());
                }
            }
            Outcome::NotYet(reason) => {
                self.not_yet += 1;
                println!("{name}: not yet: {reason}");
            }
            Outcome::Different(text) => {
                self.different += 1;
                println!("{name}: {text}");
            }
        }
    }

    /// Prints the counts; a row that docs/compatibility.md does not have is a failure as well.
    pub fn finish(self) -> ExitCode {
        let documented = std::fs::read_to_string(project().join("docs/compatibility.md")).unwrap_or_default();
        let mut undocumented = false;
        for (row, cases) in &self.decided {
            println!("decided: {row}: {}", cases.join(" "));
            if !documented.contains(row) {
                undocumented = true;
                println!("docs/compatibility.md has no row with these words: {row}");
            }
        }
        let total = self.equal + self.decided_cases + self.not_yet + self.different;
        println!(
            "{}: {total} cases: {} equal, {} different by decision, {} not yet, {} different",
            self.suite, self.equal, self.decided_cases, self.not_yet, self.different
        );
        if self.different == 0 && !undocumented { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A folder for a run, which the server's user can reach too; it goes when dropped.
///
/// # Errors
/// It cannot be made.
pub fn scratch(suite: &str) -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::Builder::new().prefix(suite).tempdir_in("/var/tmp")?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}

/// A run that is killed leaves nothing behind: neither the worker, nor the server in `postgres`, nor the folder. After
/// an orderly end the folder is gone, and with it the reason to do anything.
///
/// # Errors
/// There is no shell.
pub fn clean_up(dir: &TempDir, worker: &Worker) -> Result<()> {
    let (dir, pid) = (dir.path().display(), worker.pid());
    guard::at_end(&format!(
        "[ -d {dir} ] && {{ kill -9 {pid}; kill -QUIT $(head -n 1 {dir}/postgres/postmaster.pid); sleep 1; rm -rf {dir}; }}"
    ))
}
