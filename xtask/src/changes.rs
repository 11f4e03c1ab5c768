//! What happens to a legacy folder between two runs (`changes.tsv`): files that come, grow, change,
//! go, or are only touched.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value as Json, json};

use crate::{checker, sheet};

/// When the files were written that are named there, in seconds since 1970: 2024-07-01T12:00:00Z.
const CHANGED: u64 = 1_719_835_200;

/// The changes of a fixture.
pub struct Changes {
    fixture: PathBuf,
    changes: Vec<Change>,
}

struct Change {
    kind: Kind,
    /// Relative to the plan.
    file: String,
    /// Whether its time of change stays as it was.
    time_kept: bool,
    /// What goes and what comes, where something is replaced.
    from: Vec<u8>,
    to: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    New,
    Append,
    Replace,
    Delete,
    Touch,
}

impl Changes {
    /// Reads what the fixture in this folder says.
    pub fn of(fixture: &Path) -> Result<Self> {
        let mut changes = Vec::new();
        for [kind, file, time, from, to] in sheet::rows(&fixture.join("changes.tsv"))? {
            let kind = match kind.as_str() {
                "new" => Kind::New,
                "append" => Kind::Append,
                "replace" => Kind::Replace,
                "delete" => Kind::Delete,
                "touch" => Kind::Touch,
                _ => bail!("no such change: {kind}"),
            };
            let time_kept = match time.as_str() {
                "kept" => true,
                "new" | "" => false,
                _ => bail!("no such time: {time}"),
            };
            let (from, to) = (sheet::unescaped(&from)?, sheet::unescaped(&to)?);
            changes.push(Change { kind, file, time_kept, from, to });
        }
        Ok(Self { fixture: fixture.to_owned(), changes })
    }

    /// Makes them in a working copy.
    pub fn make(&self, folder: &Path) -> Result<()> {
        for change in &self.changes {
            let path = folder.join(&change.file);
            self.make_one(change, &path).with_context(|| change.file.clone())?;
        }
        Ok(())
    }

    /// A file that is there is not written to, but replaced: whoever shares it keeps what it was.
    fn make_one(&self, change: &Change, path: &Path) -> Result<()> {
        let mut modified = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED);
        let mut bytes = Vec::new();
        if change.kind == Kind::New {
            ensure!(!path.exists(), "it is there already");
        } else {
            if change.time_kept {
                modified = path.metadata()?.modified()?;
            }
            bytes = fs::read(path)?;
            fs::remove_file(path)?;
        }
        match change.kind {
            Kind::New | Kind::Append => bytes.extend(self.bytes(change)?),
            Kind::Replace => bytes = sheet::replace(&bytes, &change.from, &change.to)?,
            Kind::Touch => {}
            Kind::Delete => return Ok(()),
        }
        fs::write(path, bytes)?;
        Ok(File::options().append(true).open(path)?.set_modified(modified)?)
    }

    /// What comes, of a file that is new or has grown.
    fn bytes(&self, change: &Change) -> Result<Vec<u8>> {
        let below = Path::new(&change.file).strip_prefix("legacy")?;
        Ok(fs::read(self.fixture.join("changes").join(below))?)
    }

    /// Compares with what `check-incremental --format json` has said. Of a file that is gone it says
    /// how many records of it were loaded, as the expected accounts do.
    pub fn compare_told(&self, told: &str) -> Result<()> {
        let told: Json = serde_json::from_str(told)?;
        let lists = &told["data"]["changes"];
        for (name, kind) in
            [("new", Kind::New), ("appended", Kind::Append), ("changed", Kind::Replace)]
        {
            compare_list(name, &lists[name], self.files(kind).map(Json::from))?;
        }
        let loaded = self.loaded()?;
        let gone = self.files(Kind::Delete).map(|file| json!([file, loaded.get(file)]));
        compare_list("deleted", &lists["deleted"], gone)
    }

    /// Records of each file that were loaded, in the table that has most of them.
    fn loaded(&self) -> Result<BTreeMap<String, u64>> {
        let mut loaded: BTreeMap<String, u64> = BTreeMap::new();
        for row in sheet::rows::<13>(&self.fixture.join("expected/accounts.tsv"))? {
            let [_, _, file, _, _, _, _, _, records, ..] = row;
            let most = loaded.entry(file).or_default();
            *most = records.parse::<u64>()?.max(*most);
        }
        Ok(loaded)
    }

    fn files(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let of_kind = self.changes.iter().filter(move |change| change.kind == kind);
        of_kind.map(|change| change.file.as_str())
    }
}

fn compare_list(name: &str, list: &Json, wanted: impl Iterator<Item = Json>) -> Result<()> {
    let found = list.as_array().with_context(|| format!("no list `{name}`"))?;
    let mut found: Vec<String> = found.iter().map(Json::to_string).collect();
    let mut wanted: Vec<String> = wanted.map(|entry| entry.to_string()).collect();
    found.sort_unstable();
    wanted.sort_unstable();
    checker::same_lines(name, &found, &wanted)
}
