//! The real Debezium beside ours on one database, under a random workload: both write the same records.
//!
//! `TIDEGATE_SEED` is the first seed (default: the clock's), `TIDEGATE_ROUNDS` how many follow each other (1), and
//! `TIDEGATE_STEPS` how long each is (6). A round prints its seed; where the records differ, its statements are kept.

mod random; // numbers of a seed
mod kinds; // column types and values
mod tables; // what the tables are
mod workload; // transactions
mod options; // configurations of connectors
mod compare; // record by record
mod rig; // the two systems on one database

use anyhow::{Result, bail};
use compare::{Repeats, difference};
use rig::{Rig, Round};
use workload::Range;

/// A number of the environment.
fn given(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn seeds() -> impl Iterator<Item = u64> {
    let clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs())
    };
    let first = given("TIDEGATE_SEED").unwrap_or_else(clock);
    (0..given("TIDEGATE_ROUNDS").unwrap_or(1)).map(move |round| first.wrapping_add(round))
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_and_ours_write_the_same() -> Result<()> {
    let mut rig = Rig::start().await?;
    let mut different = vec![];
    for seed in seeds() {
        println!("differential: TIDEGATE_SEED={seed}");
        let mut round = Round::open(&mut rig, seed, Range::Everything).await?;
        for _ in 0..given("TIDEGATE_STEPS").unwrap_or(6) {
            round.step().await?;
        }
        let records = round.records().await?;
        println!("{}", round.summary(&records));
        if let Some(text) = difference(&records[0], &records[1], Repeats::Refused) {
            println!("TIDEGATE_SEED={seed}: {text}\n  statements: {}", round.keep()?);
            different.push(seed);
        }
        round.close().await?;
    }
    if !different.is_empty() {
        bail!("records differ with the seeds {different:?}");
    }
    Ok(())
}

/// What Debezium wrote is the order of all changes: ours may go back in it after a kill, and leaves nothing out.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_ours_leaves_nothing_out() -> Result<()> {
    let mut rig = Rig::start().await?;
    for seed in seeds() {
        println!("killed: TIDEGATE_SEED={seed}");
        let mut round = Round::open(&mut rig, seed, Range::Rows).await?;
        round.open_sink().await?;
        for _ in 0..given("TIDEGATE_STEPS").unwrap_or(6) {
            round.step_with_kill().await?;
        }
        round.mark().await?;
        let records = round.records().await?;
        println!("{}", round.summary(&records));
        if let Some(text) = difference(&records[0], &records[1], Repeats::Allowed) {
            bail!("TIDEGATE_SEED={seed}: {text}\n  statements: {}", round.keep()?);
        }
        if let Err(error) = round.wait_sink_equal().await {
            bail!("TIDEGATE_SEED={seed}: {error:#}\n  statements: {}", round.keep()?);
        }
        round.close().await?;
    }
    Ok(())
}
