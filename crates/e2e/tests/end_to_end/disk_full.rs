//! The embedded broker without space: those who write wait, nothing is damaged, and with space everything goes on.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::eventually::eventually;

use crate::setup::{Parts, Rig, folder, wait_until_equal};

const EQUAL_WITHIN: Duration = Duration::from_secs(90);
const SIZE_MIB: usize = 48;
/// What somebody else has put there.
const FILLER_MIB: usize = 30;

/// A small file system in a mount namespace of its own; it goes with the process that holds it.
struct SmallDisk {
    holder: Child,
    dir: PathBuf,
    /// Runs its arguments where the file system is seen.
    wrapper: PathBuf,
}

impl SmallDisk {
    async fn mount(dir: &Path, scripts: &Path) -> Result<Self> {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        std::fs::create_dir_all(dir)?;
        let is_root = std::fs::metadata("/proc/self")?.uid() == 0;
        let mounted = scripts.join("mounted");
        let script = format!(
            "mount -t tmpfs -o size={SIZE_MIB}m tmpfs '{}' && touch '{}' && cat",
            dir.display(),
            mounted.display()
        );
        let mut unshare = Command::new("unshare");
        unshare.args(if is_root { &["--mount"][..] } else { &["--user", "--map-root-user", "--mount"] });
        let holder =
            unshare.args(["sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let user = if is_root { "" } else { "--user --preserve-credentials" };
        let wrapper = scripts.join("inside");
        std::fs::write(
            &wrapper,
            format!("#!/bin/sh\nexec nsenter --target {} --mount {user} -- \"$@\"\n", holder.id()),
        )?;
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
        eventually("the small file system is mounted", Duration::from_secs(10), || async {
            Ok(mounted.exists().then_some(()))
        })
        .await?;
        Ok(Self { holder, dir: dir.to_owned(), wrapper })
    }

    /// A path in it, as it is seen from here.
    fn path(&self, name: &str) -> PathBuf {
        let inside = self.dir.strip_prefix("/").unwrap_or(&self.dir);
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside).join(name)
    }

    fn fill(&self) -> Result<()> {
        match std::fs::write(self.path("filler"), vec![7; FILLER_MIB << 20]) {
            // Even better.
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
            result => Ok(result?),
        }
    }

    fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.path("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_waits_for_space() -> Result<()> {
    let scripts = folder("disk-full")?;
    let disk = SmallDisk::mount(&scripts.path().join("broker"), scripts.path()).await?;
    let data = format!("broker.data.dir={}", disk.dir.join("data").display());
    let parts = Parts { settings: vec![data], wrapper: Some(disk.wrapper.clone()), ..Parts::default() };
    let mut rig = Rig::with("disk-full", parts).await?;
    rig.create_connectors().await?;
    for round in 0..2 {
        let said = rig.worker.log_text().matches("No space left on device").count();
        disk.fill()?;
        // Random hexadecimal digits: no compression helps.
        let rows = format!(
            "INSERT INTO users (name) SELECT 'round {round} ' || string_agg(md5(random()::text), '') \
             FROM generate_series(1, 700) n, generate_series(1, 32) m GROUP BY n"
        );
        for _ in 0..20 {
            rig.source.batch_execute(&rows).await?;
            if is_full(&rig, said).await {
                break;
            }
        }
        ensure!(is_full(&rig, said).await, "the disk never was full\n{}", rig.worker.log_text());
        // Nobody gave up meanwhile.
        tokio::time::sleep(Duration::from_secs(3)).await;
        for name in [rig.source_name(), rig.sink_name()] {
            let (connector, tasks) = rig.worker.rest.states(&name).await?;
            ensure!(connector == "RUNNING" && tasks != ["FAILED"], "{name}: {connector} {tasks:?}");
        }
        if round == 1 {
            // Killed without space, and started again before there is any.
            rig.worker.kill()?;
            rig.worker.restart().await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            disk.free()?;
        } else {
            disk.free()?;
        }
        let equal = wait_until_equal(&rig.source, &rig.sink, &[("users", "users")], EQUAL_WITHIN).await;
        equal.with_context(|| rig.worker.log_text())?;
    }
    rig.nothing_was_rejected().await
}

/// The broker said so, once more than before.
async fn is_full(rig: &Rig, before: usize) -> bool {
    tokio::time::sleep(Duration::from_millis(700)).await;
    rig.worker.log_text().matches("No space left on device").count() > before
}
