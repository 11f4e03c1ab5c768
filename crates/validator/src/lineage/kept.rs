//! A lineage that stands in files: recomputed from its first leaf to its last, and searched on the way.
//!
//! Everything is read once for a question, so memory does not grow with the leaves. What is found is shown
//! only with what the whole came down to: a leaf of files that do not give their head proves nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path as FilePath, PathBuf};

use serde_json::Value as Json;
use whimbrel_endpoint::EndpointError;

use super::draft::{LEAF_MAX, unkept};
use super::leaf::{Leaf, LeafFate, Unit};
use super::tree::{self, Path, Tree};
use super::{Head, SCHEMA, files, hex};

/// Leaves that one question is answered with; more are counted.
pub const LEAVES_MAX: usize = 1_000;

/// Bytes of a head, a signature or a key that are read.
const SMALL: u64 = 1 << 20;

/// A lineage in its folder.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The folder.
    pub folder: PathBuf,
    /// The head's file, as it stands.
    pub text: String,
    /// What it says; `None` where it is no head.
    pub head: Option<Head>,
    /// The signature of the head's bytes, and the key beside it in PEM.
    pub signature: Option<(Vec<u8>, String)>,
}

/// What is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A record: FILE:LINE, FILE#RECORD, FILE, or SOURCE/KEY of an old database.
    Record(String),
    /// A row: TABLE/KEY.
    Row(String),
}

/// A leaf with its way to the root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proved {
    /// Its bytes.
    pub text: String,
    /// What they say.
    pub leaf: Leaf,
    /// What it is hashed with.
    pub path: Path,
}

impl Proved {
    /// Whether its path leads to the root, computed from its bytes alone.
    pub fn leads_to(&self, root: &str, leaves: u64) -> bool {
        let hash = tree::leaf(self.text.as_bytes());
        self.leaf.n == self.path.index
            && tree::root_of(hash, &self.path, leaves).is_some_and(|found| hex(&found) == root)
    }
}

/// What came of a search through all leaves.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Found {
    /// The leaves that were asked for, the first thousand.
    pub leaves: Vec<Proved>,
    /// Records before them that have decided what became of them.
    pub decided_by: Vec<Proved>,
    /// How many more there are.
    pub more: u64,
    /// What comes nearest, where nothing was found.
    pub near: Option<String>,
    /// How many leaves the file holds.
    pub count: u64,
    /// The root of their tree, in hex.
    pub root: String,
    /// The first line that cannot be the leaf that it stands for.
    pub fault: Option<String>,
}

impl Kept {
    /// Opens what a run has left; `None` where it has no lineage.
    pub fn open(folder: &FilePath, run: &str) -> Result<Option<Self>, EndpointError> {
        // It comes from a ledger, and becomes a part of a path.
        if run.is_empty() || !run.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let folder = folder.join(run);
        let Some(text) = small(&folder.join(files::HEAD))? else {
            return if folder.join(files::LEAVES).exists() {
                Ok(Some(Self { folder, text: String::new(), head: None, signature: None }))
            } else {
                Ok(None)
            };
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let head = serde_json::from_str::<Head>(&text).ok();
        let head = head.filter(|head| head.schema == SCHEMA && head.to_text() == text);
        let signature = small(&folder.join(files::SIGNATURE))?;
        let key = small(&folder.join(files::PUBLIC_KEY))?;
        let key = key.map(|key| String::from_utf8_lossy(&key).into_owned());
        Ok(Some(Self { folder, text, head, signature: signature.zip(key) }))
    }

    /// The SHA-256 of the head's bytes, by which the ledger names it.
    pub fn digest(&self) -> String {
        super::sha256(self.text.as_bytes())
    }

    /// Reads every leaf, computes the root anew, and answers.
    pub fn find(&self, asked: &Asked) -> Result<Found, EndpointError> {
        let path = self.folder.join(files::LEAVES);
        let failed = |error| unkept(&path, error);
        let question = Question::new(asked);
        let mut found = self.pass(&question, &BTreeSet::new()).map_err(failed)?;
        let wanted: BTreeSet<(String, Place)> = found
            .leaves
            .iter()
            .filter_map(|proved| Some((proved.leaf.table.clone(), place(proved.leaf.of.as_ref()?))))
            .filter(|wanted| !found.leaves.iter().any(|proved| is(&proved.leaf, wanted)))
            .collect();
        if !wanted.is_empty() {
            // They stand before what they have decided.
            let again = self.pass(&question, &wanted).map_err(failed)?;
            if (&again.root, again.count) == (&found.root, found.count) {
                found = again;
            }
        }
        Ok(found)
    }

    /// One pass over all leaves, also watching these records.
    fn pass(&self, question: &Question, deciding: &BTreeSet<(String, Place)>) -> io::Result<Found> {
        let mut tree = Tree::default();
        let mut found = Found::default();
        let file = match File::open(self.folder.join(files::LEAVES)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                found.fault = Some("the leaves are missing".to_owned());
                found.root = hex(&tree.finish().0);
                return Ok(found);
            }
            file => file?,
        };
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let mut watched: Vec<(String, Leaf, bool)> = Vec::new();
        let mut made_by: BTreeSet<(String, Place)> = BTreeSet::new();
        let mut near = Near::default();
        let mut line = Vec::new();
        let mut answers = 0;
        loop {
            line.clear();
            if reader.by_ref().take(LEAF_MAX as u64 + 1).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let n = tree.count();
            if line.len() > LEAF_MAX {
                found.fault.get_or_insert_with(|| format!("leaf {n} is too long to be one"));
                break;
            }
            if line.pop_if(|last| *last == b'\n').is_none() {
                found.fault.get_or_insert_with(|| format!("leaf {n} has no end"));
            }
            let leaf = std::str::from_utf8(&line).ok();
            let leaf = leaf.and_then(|text| Some((text, serde_json::from_str::<Leaf>(text).ok()?)));
            let mut is_watched = false;
            match leaf {
                None => {
                    found.fault.get_or_insert_with(|| format!("line {} is no leaf", n + 1));
                }
                Some((text, leaf)) => {
                    if leaf.n != n {
                        let said = leaf.n;
                        found.fault.get_or_insert_with(|| {
                            format!("leaf {said} stands in the place of leaf {n}")
                        });
                    }
                    let of = leaf.of.as_ref().map(|of| (leaf.table.clone(), place(of)));
                    let leads = leaf.fate == LeafFate::Duplicate
                        && of.as_ref().is_some_and(|of| made_by.contains(of));
                    let is_answer = question.is_answered_by(&leaf) || leads;
                    if is_answer
                        && let Question::Row { .. } = question
                        && let Some(from) = &leaf.from
                    {
                        made_by.insert((leaf.table.clone(), place(&from.unit)));
                    }
                    let decides =
                        !deciding.is_empty() && deciding.iter().any(|wanted| is(&leaf, wanted));
                    if is_answer && answers == LEAVES_MAX {
                        found.more += 1;
                    } else if is_answer || decides {
                        is_watched = true;
                        answers += usize::from(is_answer);
                        watched.push((text.to_owned(), leaf, is_answer));
                    } else if answers == 0 {
                        near.see(question, &leaf);
                    }
                }
            }
            tree.push(tree::leaf(&line), is_watched);
        }
        found.count = tree.count();
        let (root, paths) = tree.finish();
        found.root = hex(&root);
        for ((text, leaf, is_answer), path) in watched.into_iter().zip(paths) {
            let proved = Proved { text, leaf, path };
            if is_answer { found.leaves.push(proved) } else { found.decided_by.push(proved) }
        }
        let tables = || {
            let head = self.head.as_ref()?;
            let names: Vec<&str> = head.counts.keys().map(String::as_str).collect();
            let is_row = matches!(question, Question::Row { .. });
            is_row.then(|| format!("tables are `{}`", names.join("`, `")))
        };
        found.near = near.said(question).or_else(tables).filter(|_| found.leaves.is_empty());
        Ok(found)
    }
}

/// A small file, `None` where it is not there.
fn small(path: &FilePath) -> Result<Option<Vec<u8>>, EndpointError> {
    match fs::metadata(path) {
        Ok(about) if about.len() > SMALL => {
            let error = io::Error::other("it is too large to be what its name says");
            return Err(unkept(path, error));
        }
        _ => {}
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unkept(path, error)),
    }
}

type Place = (String, String, u64);

fn place(unit: &Unit) -> Place {
    (unit.source.clone(), unit.path.clone(), unit.record)
}

fn is(leaf: &Leaf, (table, (source, path, record)): &(String, Place)) -> bool {
    leaf.table == *table
        && leaf.from.as_ref().is_some_and(|from| {
            from.unit.record == *record && from.unit.path == *path && from.unit.source == *source
        })
}

/// The ways in which what was typed can be meant.
enum Question {
    Record {
        /// The whole text: a file.
        whole: String,
        /// FILE:LINE
        line: Option<(String, u64)>,
        /// FILE#RECORD
        record: Option<(String, u64)>,
        /// SOURCE/KEY
        keyed: Option<(String, String)>,
    },
    Row {
        text: String,
    },
}

impl Question {
    fn new(asked: &Asked) -> Self {
        let numbered = |text: &str, sign: char| {
            let (path, number) = text.rsplit_once(sign)?;
            Some((path.to_owned(), number.parse().ok()?))
        };
        match asked {
            Asked::Record(text) => {
                let text = text.strip_prefix("./").unwrap_or(text);
                let keyed = text.split_once('/');
                Self::Record {
                    whole: text.to_owned(),
                    line: numbered(text, ':'),
                    record: numbered(text, '#'),
                    keyed: keyed.map(|(source, key)| (source.to_owned(), key.to_owned())),
                }
            }
            Asked::Row(text) => Self::Row { text: text.clone() },
        }
    }

    fn is_answered_by(&self, leaf: &Leaf) -> bool {
        match self {
            Self::Row { text } => rest_of(text, &leaf.table)
                .is_some_and(|key| leaf.rows.iter().any(|row| is_key(key, &row.key))),
            Self::Record { whole, line, record, keyed } => {
                let Some(from) = &leaf.from else { return false };
                let path = &from.unit.path;
                path == whole
                    || line
                        .as_ref()
                        .is_some_and(|(of, line)| of == path && from.line == Some(*line))
                    || record
                        .as_ref()
                        .is_some_and(|(of, record)| of == path && from.unit.record == *record)
                    || keyed.as_ref().is_some_and(|(source, key)| {
                        *source == from.unit.source && is_key(key, &from.key)
                    })
            }
        }
    }
}

/// The key of `TABLE/KEY`, where that is the table.
fn rest_of<'t>(text: &'t str, table: &str) -> Option<&'t str> {
    text.strip_prefix(table)?.strip_prefix('/')
}

/// Whether a key is meant: as it stands; of several columns parts between `/`, or an array of JSON.
pub fn is_key(text: &str, key: &[String]) -> bool {
    match key {
        [] => false,
        [one] if one == text => true,
        several if several.len() > 1 && text.split('/').eq(several.iter().map(String::as_str)) => {
            true
        }
        all if text.starts_with('[') => {
            let Ok(Json::Array(parts)) = serde_json::from_str::<Json>(text) else { return false };
            let said = |part: &Json| match part {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            parts.iter().map(said).eq(all.iter().cloned())
        }
        _ => false,
    }
}

/// What comes nearest to a record or row that is not there.
#[derive(Default)]
struct Near {
    before: Option<u64>,
    behind: Option<u64>,
    /// How much is the same, and what it is.
    alike: Option<(usize, String)>,
}

impl Near {
    fn see(&mut self, question: &Question, leaf: &Leaf) {
        match question {
            Question::Row { text } => {
                if rest_of(text, &leaf.table).is_some() {
                    for row in &leaf.rows {
                        self.take(text, || format!("{}/{}", leaf.table, row.key.join("/")));
                    }
                }
            }
            Question::Record { whole, line, keyed, .. } => {
                let Some(from) = &leaf.from else { return };
                match line {
                    Some((path, line)) if *path == from.unit.path => {
                        let own = from.line.unwrap_or(0);
                        if own > 0 && own < *line {
                            self.before = self.before.max(Some(own));
                        } else if own > *line {
                            self.behind = Some(self.behind.map_or(own, |known| known.min(own)));
                        }
                    }
                    _ if !from.key.is_empty()
                        && keyed
                            .as_ref()
                            .is_some_and(|(source, _)| *source == from.unit.source) =>
                    {
                        self.take(whole, || format!("{}/{}", from.unit.source, from.key.join("/")));
                    }
                    _ => {
                        let wanted = line.as_ref().map_or(whole, |(path, _)| path);
                        self.take(wanted, || from.unit.path.clone());
                    }
                }
            }
        }
    }

    fn take(&mut self, wanted: &str, other: impl FnOnce() -> String) {
        let other = other();
        let (a, b) = (wanted.as_bytes(), other.as_bytes());
        let ahead = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let behind = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let alike = (ahead + behind).min(a.len().max(b.len()));
        if self.alike.as_ref().is_none_or(|(known, _)| alike > *known) {
            self.alike = Some((alike, other));
        }
    }

    fn said(self, question: &Question) -> Option<String> {
        let lines = match (self.before, self.behind) {
            (None, None) => None,
            (Some(before), None) => Some(format!("the last one before begins in line {before}")),
            (None, Some(behind)) => Some(format!("the first one behind begins in line {behind}")),
            (Some(before), Some(behind)) => {
                Some(format!("records begin in line {before} and in line {behind}"))
            }
        };
        let what = match question {
            Question::Row { .. } => "key",
            Question::Record { .. } => "name",
        };
        lines.or_else(|| self.alike.map(|(_, other)| format!("the nearest {what} is `{other}`")))
    }
}
