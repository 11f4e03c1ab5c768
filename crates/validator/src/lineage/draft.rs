//! Leaves on their way into files. What is on its way stands in a folder of its own, which takes its name
//! only when everything in it is durable and the ledger knows its head.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use whimbrel_endpoint::{EndpointError, ErrorClass};

use super::leaf::Leaf;
use super::tree::{self, Tree};
use super::{Counts, Head, Signer, files, hex};
use crate::codes;

/// Bytes of a leaf with its line's end: some two million rows of one record.
pub(super) const LEAF_MAX: usize = 256 << 20;

/// A lineage that is being written.
#[derive(Debug)]
pub struct Draft {
    place: Place,
    out: BufWriter<File>,
    tree: Tree,
    counts: Counts,
    salt: [u8; 32],
}

/// A folder that goes away with its draft, unless it was kept.
#[derive(Debug)]
struct Place {
    /// The folder of all lineages.
    folder: PathBuf,
    run: String,
    kept: bool,
}

impl Place {
    fn draft(&self) -> PathBuf {
        self.folder.join(format!("{}.draft", self.run))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing leads to it, and the next draft of the run takes it away too.
            let _gone = fs::remove_dir_all(self.draft());
        }
    }
}

/// Every leaf is written; the head is still to be made.
#[derive(Debug)]
pub struct Sealed {
    place: Place,
    /// How many leaves there are.
    pub leaves: u64,
    /// The root of their tree, in hex.
    pub root: String,
    /// By table and fate.
    pub counts: Counts,
}

impl Draft {
    /// A draft for a run, in the place of any that was left there. `project` is the key of the ledger's
    /// digests: who does not know it cannot guess salts.
    pub fn begin(folder: &Path, run: &str, project: &[u8; 32]) -> Result<Self, EndpointError> {
        let place = Place { folder: folder.to_owned(), run: run.to_owned(), kept: false };
        let draft = place.draft();
        let mut material = project.to_vec();
        material.extend_from_slice(run.as_bytes());
        let opened = || {
            if draft.exists() {
                fs::remove_dir_all(&draft)?;
            }
            fs::create_dir_all(&draft)?;
            File::create_new(draft.join(files::LEAVES))
        };
        let file = opened().map_err(|error| unkept(&draft, error))?;
        Ok(Self {
            place,
            out: BufWriter::with_capacity(256 << 10, file),
            tree: Tree::default(),
            counts: Counts::new(),
            salt: blake3::derive_key("whimbrel 2026 lineage salt", &material),
        })
    }

    /// Takes the next leaf; its number and salt are set here.
    pub fn push(&mut self, mut leaf: Leaf) -> Result<(), EndpointError> {
        leaf.n = self.tree.count();
        leaf.salt = hex(&blake3::keyed_hash(&self.salt, &leaf.n.to_be_bytes()).as_bytes()[..16]);
        let text = leaf.to_text();
        if text.len() >= LEAF_MAX {
            let long = io::Error::other("the rows of one record are more than a leaf can hold");
            return Err(unkept(&self.place.draft(), long));
        }
        self.tree.push(tree::leaf(text.as_bytes()), false);
        if !self.counts.contains_key(&leaf.table) {
            self.counts.insert(leaf.table.clone(), std::collections::BTreeMap::new());
        }
        if let Some(counts) = self.counts.get_mut(&leaf.table) {
            *counts.entry(leaf.fate).or_default() += 1;
        }
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|error| unkept(&self.place.draft(), error))
    }

    /// How many leaves of each fate a table has so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// No more leaves: they are durable now.
    pub fn seal(self) -> Result<Sealed, EndpointError> {
        let Self { place, out, tree, counts, .. } = self;
        let durable = || out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all();
        durable().map_err(|error| unkept(&place.draft(), error))?;
        let leaves = tree.count();
        Ok(Sealed { place, leaves, root: hex(&tree.finish().0), counts })
    }
}

impl Sealed {
    /// Writes the head beside the leaves, signed where somebody signs.
    pub fn close(&self, head: &Head, signer: Option<&dyn Signer>) -> Result<(), EndpointError> {
        let text = head.to_text();
        let draft = self.place.draft();
        let written = || {
            durably(&draft.join(files::HEAD), text.as_bytes())?;
            if let Some(signer) = signer {
                durably(&draft.join(files::SIGNATURE), &signer.sign(text.as_bytes()))?;
                durably(&draft.join(files::PUBLIC_KEY), signer.public_key().as_bytes())?;
            }
            File::open(&draft)?.sync_all()
        };
        written().map_err(|error| unkept(&draft, error))
    }

    /// Puts it in the place of what the run had before.
    pub fn keep(mut self) -> Result<PathBuf, EndpointError> {
        let folder = self.place.folder.join(&self.place.run);
        let before = self.place.folder.join(format!("{}.before", self.place.run));
        let draft = self.place.draft();
        let moved = || {
            if before.exists() {
                fs::remove_dir_all(&before)?;
            }
            if folder.exists() {
                fs::rename(&folder, &before)?;
            }
            fs::rename(&draft, &folder)?;
            File::open(&self.place.folder)?.sync_all()?;
            if before.exists() {
                fs::remove_dir_all(&before)?;
            }
            Ok(())
        };
        moved().map_err(|error| unkept(&folder, error))?;
        self.place.kept = true;
        Ok(folder)
    }
}

fn durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn unkept(path: &Path, error: io::Error) -> EndpointError {
    let what = format!("keeping the lineage of a run: `{}`", path.display());
    EndpointError::new(ErrorClass::System, codes::LINEAGE_FILES, what).because(error)
}
