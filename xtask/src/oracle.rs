//! The second opinion, computed anew: what a fixture's `expect.py` makes of the legacy data is what
//! was written down.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::checker;
use crate::engine::Engine;
use crate::fixtures::{Legacy, Stage, System};

/// Whether there is a Python that knows time zones.
pub fn is_here() -> bool {
    let probe = "import zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')";
    let output = Command::new("python3").args(["-c", probe]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Compares every stage of a system, from a working copy whose legacy data is as it was made.
pub fn agrees(system: &System, folder: &Path) -> Result<()> {
    let fixture = system.folder();
    let dump = expect_py(&fixture, &["--dump-sql".as_ref()])?;
    ensure!(dump == fs::read(fixture.join("dump.sql"))?, "dump.sql is not what expect.py prints");
    for stage in system.stages() {
        let scratch = tempfile::tempdir()?;
        let mut arguments = vec![folder.as_os_str(), scratch.path().as_os_str()];
        match stage {
            Stage::Migrated => {}
            Stage::Repaired | Stage::Changed => arguments.push(stage.name().as_ref()),
        }
        match system.legacy {
            Legacy::Folder | Legacy::Database(Engine::Sqlite) => {}
            Legacy::Database(engine) => arguments.push(engine.name().as_ref()),
        }
        expect_py(&fixture, &arguments)?;
        same_files(stage.folder(), scratch.path(), &system.expected(*stage))?;
    }
    Ok(())
}

fn expect_py(fixture: &Path, arguments: &[&OsStr]) -> Result<Vec<u8>> {
    let script = fixture.join("expect.py");
    let output = Command::new("python3").arg("-B").arg(script).args(arguments).output()?;
    ensure!(output.status.success(), "expect.py: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn same_files(what: &str, actual: &Path, wanted: &Path) -> Result<()> {
    let files = names(actual)?;
    checker::same_lines(what, &files, &names(wanted)?)?;
    for file in files {
        let lines = |folder: &Path| -> Result<Vec<String>> {
            let text = fs::read_to_string(folder.join(&file)).context("a text")?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        checker::same_lines(&format!("{what}/{file}"), &lines(actual)?, &lines(wanted)?)?;
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}
