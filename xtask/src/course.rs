//! What is done with a system, step by step: migrated, taken further, mended. Each step is got ready
//! by hand, as a person would, and then is one command, which may be killed and run again.

use std::path::Path;

use anyhow::Result;

use crate::binary::expect;
use crate::changes::Changes;
use crate::fixtures::System;
use crate::repairs;
use crate::site::Site;

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// The first load.
    Migrate,
    /// The legacy folder has changed, and what changed is taken.
    Incremental,
    /// Rejected records are exported, mended, and read again.
    Mended,
    /// The plan is edited, and all rejects are read again.
    Again,
}

/// The order in which crashes meet them.
pub const COURSE: [Step; 4] = [Step::Migrate, Step::Incremental, Step::Mended, Step::Again];

impl Step {
    /// What it is called in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Incremental => "incremental",
            Self::Mended => "retry of mended records",
            Self::Again => "retry of all",
        }
    }

    /// Does by hand what comes before the command.
    pub fn prepare(self, binary: &Path, system: &System, site: &Site<'_>) -> Result<()> {
        let (fixture, folder) = (system.folder(), site.folder());
        match self {
            Self::Migrate => Ok(()),
            Self::Incremental => Changes::of(&fixture)?.make(folder),
            Self::Mended => {
                expect(binary, site, &["rejects", "export", "mended"], &[0])?;
                repairs::mend(&fixture, &folder.join("mended"))
            }
            Self::Again => repairs::edit_plan(&fixture, &folder.join("whimbrel.toml")),
        }
    }

    /// The command. In every fixture some records stay rejected, so it ends with 3.
    pub fn command(self) -> &'static [&'static str] {
        match self {
            Self::Migrate => &["migrate", "--yes"],
            Self::Incremental => &["migrate", "--yes", "--incremental"],
            Self::Mended => &["rejects", "retry", "--from", "mended"],
            Self::Again => &["rejects", "retry"],
        }
    }
}
