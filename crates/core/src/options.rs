//! What a person says on the command line that decides which records are taken, and limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whimbrel_model::plan::{LargeFiles, Plan, Source};

/// Options of a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What decides which records are taken: kept with the run, and the same when it is resumed.
    pub selection: Selection,
    /// `--incremental`.
    pub incremental: bool,
    /// `--adopt`: go on although the mapping changed; audited.
    pub adopt: bool,
    /// `--workers`, over the plan's.
    pub workers: Option<u32>,
    /// `--batch-size`, over the plan's.
    pub batch_size: Option<u64>,
    /// `--max-rate`, over the plan's: rows per second.
    pub max_rate: Option<u64>,
    /// When the run has to stop, on the monotonic clock: `--deadline`, or the plan's.
    pub deadline_at: Option<Duration>,
}

/// What decides which records are taken.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Selection {
    /// `--max-file-size`, over the plan's, in bytes.
    pub max_file_size: Option<u64>,
    /// `--large-files`, over the plan's: `handle`, `skip`, `reject`.
    pub large_files: Option<String>,
    /// `--sample`: about so many units of each table, and what they refer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u64>,
    /// Which rejects a retry was asked for, in the words of the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<String>,
}

impl std::fmt::Display for Selection {
    /// As it is typed: `--sample 100 --max-file-size 5000`; `none` where nothing was said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words = Vec::new();
        words.extend(self.sample.map(|size| format!("--sample {size}")));
        words.extend(self.max_file_size.map(|bytes| format!("--max-file-size {bytes}")));
        words.extend(self.large_files.as_ref().map(|word| format!("--large-files {word}")));
        words.extend(self.rejects.clone());
        if words.is_empty() { f.write_str("none") } else { f.write_str(&words.join(" ")) }
    }
}

impl Options {
    /// The size above which files of a source are treated specially, and how.
    pub(crate) fn file_limit(&self, source: &Source) -> (Option<u64>, LargeFiles) {
        let limit = self.selection.max_file_size.or(source.max_file_size);
        let large = match self.selection.large_files.as_deref() {
            Some("handle") => LargeFiles::Handle,
            Some("skip") => LargeFiles::Skip,
            Some("reject") => LargeFiles::Reject,
            // A limit without a word what to do with larger files means to leave them out.
            Some(_) | None if self.selection.max_file_size.is_some() => LargeFiles::Skip,
            Some(_) | None => source.large_files,
        };
        (limit, large)
    }

    /// Threads that transform.
    pub(crate) fn workers(&self, plan: &Plan) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = self.workers.or(plan.run.workers).map(|workers| workers as usize);
        wanted.unwrap_or(cores).clamp(1, 64)
    }
}
