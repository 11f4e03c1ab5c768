//! Connections that are cut: every command of a course runs through a proxy that cuts it again and
//! again, at random bytes and around COMMIT, and is run again until it gets through.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use whimbrel_testkit::Dice;
use whimbrel_testkit::proxy::{Cut, Proxy};

use crate::binary::run;
use crate::crash::{BATCH_SIZE, Course};
use crate::site::Site;
use crate::tally::Cuts;

/// A cut later than that in a connection would seldom be met.
const BYTES_MAX: u64 = 60_000;
/// So often one command is run again before that is called a fault.
const RUNS_MAX: u64 = 60;

/// One course, with every connection of it in danger.
pub fn course(binary: &Path, course: &Course<'_>, dice: &mut Dice, cuts: &mut Cuts) -> Result<()> {
    let mut site = Site::of(course.system, course.ground, Some(BATCH_SIZE))?;
    let server = course.ground.server.as_deref().context("connections lead to servers")?;
    let proxy = Proxy::start(server.engine(), server.upstream())?;
    let through = site.database().context("a server's target")?.url_at_port(proxy.port());
    site.lead(through);
    for scene in &course.scenes {
        proxy.disarm();
        scene.step.prepare(binary, course.system, &site)?;
        let mut armed = Vec::new();
        step(binary, &site, scene.step.command(), &proxy, dice, cuts, &mut armed)
            .and_then(|()| scene.compare(course.system, &site))
            .with_context(|| {
                let (system, engine) = (course.system.name, site.engine());
                format!("`{system}` on {engine}, {}, cuts {armed:?}", scene.step.name())
            })?;
    }
    cuts.courses += 1;
    Ok(())
}

fn step(
    binary: &Path,
    site: &Site<'_>,
    command: &[&str],
    proxy: &Proxy,
    dice: &mut Dice,
    cuts: &mut Cuts,
    armed: &mut Vec<Cut>,
) -> Result<()> {
    for _ in 0..RUNS_MAX {
        let cut = if dice.one_in(2) { Cut::at_commit(dice) } else { Cut::any(dice, BYTES_MAX) };
        let before = proxy.cuts();
        armed.push(cut.clone());
        let passes = if cut.leaves_commit_open() { dice.below(12) } else { 0 };
        proxy.arm_after(cut.clone(), passes);
        let ended = run(binary, site, command)?;
        cuts.runs += 1;
        let missed = proxy.disarm();
        let cut_now = proxy.cuts() - before;
        cuts.total += cut_now;
        cuts.at_commit += cut_now.min(u64::from(cut.leaves_commit_open()));
        // A late COMMIT may still be on its way.
        if let Cut::Late(_, by) = cut {
            std::thread::sleep(by + Duration::from_millis(50));
        }
        match ended.code {
            Some(0 | 3) => return Ok(()),
            Some(_) if !missed => {}
            code => bail!("it ended with {code:?} although nothing was cut\n{}", ended.stderr),
        }
    }
    bail!("it did not get through in {RUNS_MAX} runs")
}
