//! Which files a source means: patterns relative to a root, walked once, in one fixed order.
//!
//! Order is that of the relative paths as bytes. Nothing that matches is left out silently: what
//! could not be read stands in [`Found::unreadable`] with its reason. Contents are not opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::compression::Compression;
use crate::fingerprint::Stamp;

/// The folder that Whimbrel itself writes beside a plan; never a source.
const OWN_FOLDER: &str = ".whimbrel";

/// What to look for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Patterns {
    /// Globs relative to the root, or absolute: `*` and `?` stay within a folder, `**` crosses
    /// folders, `[a-z]` and `{a,b}` are alternatives.
    pub include: Vec<String>,
    /// Globs of what is left out, of files or of whole folders.
    pub exclude: Vec<String>,
    /// Also parts that begin with a dot. Parts above the pattern's first wildcard never count.
    pub hidden: bool,
    /// Letters match whatever their case.
    pub ignore_case: bool,
    /// Go through symbolic links to folders. Links to files are always followed.
    pub follow_links: bool,
}

/// What there is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Files in order.
    pub files: Vec<FoundFile>,
    /// Paths that match, or folders that may hold such paths, and cannot be read; in order.
    pub unreadable: Vec<Unreadable>,
}

/// A file and its facts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundFile {
    /// As the operator would type it: relative to the root where the pattern is, `/`-separated.
    pub path: String,
    /// File name.
    pub name: String,
    /// Name without its suffix, and without the suffix of a compression after it.
    pub stem: String,
    /// Folder part of the path; empty for the root.
    pub dir: String,
    /// Suffix in lower case, without dot and compression; empty where there is none.
    pub suffix: String,
    /// Size, times, identity.
    pub stamp: Stamp,
}

/// A path that cannot be read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Unreadable {
    /// The path; bytes that are not UTF-8 are written as `\xNN`.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// The search cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// A pattern is no glob.
    #[error("use the pattern `{pattern}`")]
    Pattern {
        /// As written.
        pattern: String,
        /// Why not.
        #[source]
        why: PatternFault,
    },
    /// The folder in front of the first wildcard cannot be listed.
    #[error("read the folder `{path}`")]
    Root {
        /// The folder.
        path: String,
        /// Why not.
        #[source]
        why: io::Error,
    },
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternFault {
    /// Nothing can match it.
    #[error("it is empty")]
    Empty,
    /// Its syntax.
    #[error("{0}")]
    Syntax(globset::ErrorKind),
}

impl DiscoveryError {
    /// The code that `explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pattern { .. } => crate::codes::BAD_GLOB,
            Self::Root { .. } => crate::codes::ROOT_MISSING,
        }
    }
}

/// Finds the files under `root` that the patterns mean.
pub fn discover(root: &Path, patterns: &Patterns) -> Result<Found, DiscoveryError> {
    let exclude = patterns
        .exclude
        .iter()
        .map(|pattern| compile(pattern, patterns.ignore_case))
        .collect::<Result<Vec<_>, _>>()?;
    let mut walk =
        Walk { root, patterns, exclude, files: BTreeMap::new(), unreadable: BTreeSet::new() };
    for (base, searches) in searches(patterns)? {
        walk.search(&base, &searches)?;
    }
    Ok(Found {
        files: walk.files.into_values().collect(),
        unreadable: walk.unreadable.into_iter().collect(),
    })
}

/// One pattern below a base folder.
struct Search {
    matcher: GlobMatcher,
    /// Folders below the base that the pattern can reach; none for `**`.
    depth: Option<usize>,
}

/// Patterns by the folder in front of their first wildcard, so that each folder is walked once.
fn searches(patterns: &Patterns) -> Result<BTreeMap<String, Vec<Search>>, DiscoveryError> {
    let mut by_base: BTreeMap<String, Vec<Search>> = BTreeMap::new();
    for pattern in &patterns.include {
        let plain = pattern.trim_start_matches("./");
        if plain.is_empty() {
            let why = PatternFault::Empty;
            return Err(DiscoveryError::Pattern { pattern: pattern.clone(), why });
        }
        let base = base_of(plain, patterns.ignore_case);
        let rest = &plain[base.len()..];
        let crosses = rest.contains("**") || (rest.contains('{') && rest.contains('/'));
        let search = Search {
            matcher: compile(plain, patterns.ignore_case)?,
            depth: (!crosses).then(|| rest.matches('/').count()),
        };
        by_base.entry(base.to_owned()).or_default().push(search);
    }
    Ok(by_base)
}

/// The part up to the last `/` before the first wildcard; with `ignore_case` any letter is one.
fn base_of(pattern: &str, ignore_case: bool) -> &str {
    let wild =
        |c: char| matches!(c, '*' | '?' | '[' | '{' | '\\') || (ignore_case && c.is_alphabetic());
    let fixed = pattern.find(wild).unwrap_or(pattern.len());
    let parents = pattern[..fixed].rfind('/').map_or(0, |slash| slash + 1);
    &pattern[..parents]
}

fn compile(pattern: &str, ignore_case: bool) -> Result<GlobMatcher, DiscoveryError> {
    GlobBuilder::new(pattern.trim_start_matches("./"))
        .literal_separator(true)
        .backslash_escape(true)
        .case_insensitive(ignore_case)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| DiscoveryError::Pattern {
            pattern: pattern.to_owned(),
            why: PatternFault::Syntax(error.kind().clone()),
        })
}

struct Walk<'a> {
    root: &'a Path,
    patterns: &'a Patterns,
    exclude: Vec<GlobMatcher>,
    files: BTreeMap<String, FoundFile>,
    unreadable: BTreeSet<Unreadable>,
}

/// A folder on the way from the base to where the walk is.
struct Folder<'a> {
    /// On disk.
    disk: PathBuf,
    /// As in paths, ending in `/` unless empty.
    path: String,
    depth: usize,
    /// Identities of this folder and those above it, where links are followed.
    above: &'a [(u64, u64)],
}

impl Walk<'_> {
    fn search(&mut self, base: &str, searches: &[Search]) -> Result<(), DiscoveryError> {
        let disk = self.root.join(base);
        let above = if self.patterns.follow_links { ancestors(&disk) } else { Vec::new() };
        let folder = Folder { disk, path: base.to_owned(), depth: 0, above: &above };
        let listing = std::fs::read_dir(&folder.disk).map_err(|why| DiscoveryError::Root {
            path: if base.is_empty() { ".".to_owned() } else { base.to_owned() },
            why,
        })?;
        self.list(&folder, listing, searches);
        Ok(())
    }

    fn list(&mut self, folder: &Folder<'_>, listing: std::fs::ReadDir, searches: &[Search]) {
        let above = self.identities(folder);
        for entry in listing {
            match entry {
                Ok(entry) => self.entry(folder, &above, &entry, searches),
                Err(error) => self.report(folder.path.clone(), &error.to_string()),
            }
        }
    }

    fn identities(&self, folder: &Folder<'_>) -> Vec<(u64, u64)> {
        if !self.patterns.follow_links {
            return Vec::new();
        }
        let own = std::fs::metadata(&folder.disk).ok().map(|metadata| identity(&metadata));
        folder.above.iter().copied().chain(own).collect()
    }

    fn entry(
        &mut self,
        folder: &Folder<'_>,
        above: &[(u64, u64)],
        entry: &std::fs::DirEntry,
        searches: &[Search],
    ) {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return self.bad_name(folder, name.as_encoded_bytes(), searches);
        };
        let path = format!("{}{name}", folder.path);
        let own = folder.depth == 0 && folder.path.is_empty() && name == OWN_FOLDER;
        if own || (name.starts_with('.') && !self.patterns.hidden) || self.excluded(&path) {
            return;
        }
        match entry.file_type() {
            Ok(kind) => self.by_kind(folder, above, (entry, kind), path, searches),
            Err(error) => self.report(path, &error.to_string()),
        }
    }

    fn by_kind(
        &mut self,
        folder: &Folder<'_>,
        above: &[(u64, u64)],
        (entry, kind): (&std::fs::DirEntry, FileType),
        path: String,
        searches: &[Search],
    ) {
        let wanted = || searches.iter().any(|search| search.matcher.is_match(&path));
        if kind.is_dir() {
            self.descend(folder, above, entry.path(), &path, searches);
        } else if kind.is_symlink() {
            self.link(folder, above, entry.path(), path, searches);
        } else if !wanted() {
            // Not asked for.
        } else if kind.is_file() {
            match entry.metadata() {
                Ok(metadata) => self.keep(path, &entry.path(), &metadata),
                Err(error) => self.report(path, &error.to_string()),
            }
        } else {
            self.report(path, "it is a pipe, socket or device");
        }
    }

    fn link(
        &mut self,
        folder: &Folder<'_>,
        above: &[(u64, u64)],
        disk: PathBuf,
        path: String,
        searches: &[Search],
    ) {
        let wanted = searches.iter().any(|search| search.matcher.is_match(&path));
        match std::fs::metadata(&disk) {
            Ok(metadata) if metadata.is_dir() => {
                if !self.patterns.follow_links {
                    return;
                }
                if above.contains(&identity(&metadata)) {
                    return self.report(path, "the link leads back to a folder above it");
                }
                self.descend(folder, above, disk, &path, searches);
            }
            Ok(metadata) if wanted && metadata.is_file() => self.keep(path, &disk, &metadata),
            Ok(_) if wanted => self.report(path, "it leads to a pipe, socket or device"),
            Err(error) if wanted => self.report(path, &format!("broken link: {error}")),
            Ok(_) | Err(_) => {}
        }
    }

    fn descend(
        &mut self,
        folder: &Folder<'_>,
        above: &[(u64, u64)],
        disk: PathBuf,
        path: &str,
        searches: &[Search],
    ) {
        let depth = folder.depth + 1;
        if !searches.iter().any(|search| search.depth.is_none_or(|reach| depth <= reach)) {
            return;
        }
        match std::fs::read_dir(&disk) {
            Ok(listing) => {
                let below = Folder { disk, path: format!("{path}/"), depth, above };
                self.list(&below, listing, searches);
            }
            Err(error) => self.report(path.to_owned(), &error.to_string()),
        }
    }

    fn excluded(&self, path: &str) -> bool {
        self.exclude.iter().any(|glob| glob.is_match(path))
    }

    /// A name that is not UTF-8 is reported if it, or something below it, could be meant.
    fn bad_name(&mut self, folder: &Folder<'_>, name: &[u8], searches: &[Search]) {
        let path = format!("{}{}", folder.path, escape(name));
        let near = format!("{}{}", folder.path, String::from_utf8_lossy(name));
        let meant = |search: &Search| {
            search.matcher.is_match(&near) || search.depth.is_none_or(|reach| folder.depth < reach)
        };
        if searches.iter().any(meant) {
            self.report(path, "its name is not UTF-8");
        }
    }

    fn report(&mut self, path: String, reason: &str) {
        self.unreadable.insert(Unreadable { path, reason: reason.to_owned() });
    }

    fn keep(&mut self, path: String, disk: &Path, metadata: &Metadata) {
        if let Err(error) = may_read(disk) {
            return self.report(path, &error.to_string());
        }
        let file = FoundFile::new(&path, Stamp::from_metadata(metadata));
        self.files.insert(path, file);
    }
}

impl FoundFile {
    fn new(path: &str, stamp: Stamp) -> Self {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let unpacked = match Compression::from_name(name) {
            Compression::None => name,
            Compression::Gzip | Compression::Zstd => {
                name.rsplit_once('.').map_or(name, |(unpacked, _)| unpacked)
            }
        };
        let (stem, suffix) = match unpacked.rsplit_once('.') {
            Some((stem, suffix)) if !stem.is_empty() => (stem, suffix.to_ascii_lowercase()),
            Some(_) | None => (unpacked, String::new()),
        };
        Self {
            path: path.to_owned(),
            name: name.to_owned(),
            stem: stem.to_owned(),
            dir: dir.to_owned(),
            suffix,
            stamp,
        }
    }
}

/// Bytes as text, those that are not printable UTF-8 as `\xNN`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                out.extend(character.escape_default());
            } else {
                out.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

#[cfg(unix)]
fn may_read(disk: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(disk, rustix::fs::Access::READ_OK)?)
}

#[cfg(not(unix))]
fn may_read(disk: &Path) -> io::Result<()> {
    std::fs::File::open(disk).map(|_| ())
}

/// Identities of the folders that a folder really lies in.
fn ancestors(disk: &Path) -> Vec<(u64, u64)> {
    let real = std::fs::canonicalize(disk).unwrap_or_default();
    let above = real.ancestors().skip(1);
    above
        .filter_map(|folder| std::fs::metadata(folder).ok())
        .map(|found| identity(&found))
        .collect()
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> (u64, u64) {
    let created = metadata.created().ok();
    let since = created.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    (0, since.map_or(0, |since| since.as_nanos() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        root
    }

    fn patterns(include: &[&str]) -> Patterns {
        let include = include.iter().map(|&glob| glob.to_owned()).collect();
        Patterns { include, ..Patterns::default() }
    }

    fn paths(root: &Path, patterns: &Patterns) -> Vec<String> {
        let found = discover(root, patterns).unwrap();
        assert_eq!(found.unreadable, []);
        found.files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn a_star_stays_within_its_folder() {
        let root = folder(&["logs/run_1.csv", "logs/old/run_0.csv", "logs/run_1.txt", "run_2.csv"]);
        assert_eq!(paths(root.path(), &patterns(&["logs/run_*.csv"])), ["logs/run_1.csv"]);
    }

    #[test]
    fn two_stars_cross_folders_and_order_is_by_bytes() {
        let root = folder(&["b/x.md", "a.md", "b.md", "B/y.md", "b/c/d/z.md"]);
        let expect = ["B/y.md", "a.md", "b.md", "b/c/d/z.md", "b/x.md"];
        assert_eq!(paths(root.path(), &patterns(&["**/*.md"])), expect);
        assert_eq!(paths(root.path(), &patterns(&["./**/*.md"])), expect);
    }

    #[test]
    fn alternatives_and_case_are_matched_as_asked() {
        let root = folder(&["a.json", "b.JSON", "c.Json", "d.txt"]);
        assert_eq!(paths(root.path(), &patterns(&["*.{json,JSON}"])), ["a.json", "b.JSON"]);
        let mut any_case = patterns(&["*.json"]);
        any_case.ignore_case = true;
        assert_eq!(paths(root.path(), &any_case), ["a.json", "b.JSON", "c.Json"]);
    }

    #[test]
    fn a_file_that_two_patterns_mean_is_found_once() {
        let root = folder(&["a/b.md"]);
        assert_eq!(paths(root.path(), &patterns(&["**/*.md", "a/*.md", "a/b.md"])), ["a/b.md"]);
    }

    #[test]
    fn hidden_parts_count_only_below_the_pattern() {
        let root = folder(&[".legacy/a.md", ".legacy/.draft/b.md", "c/.d.md", "e.md"]);
        assert_eq!(paths(root.path(), &patterns(&["**/*.md"])), ["e.md"]);
        assert_eq!(paths(root.path(), &patterns(&[".legacy/**/*.md"])), [".legacy/a.md"]);
        assert_eq!(paths(&root.path().join(".legacy"), &patterns(&["**/*.md"])), ["a.md"]);
        let mut all = patterns(&["**/*.md"]);
        all.hidden = true;
        assert_eq!(paths(root.path(), &all).len(), 4);
    }

    #[test]
    fn what_whimbrel_writes_is_no_source() {
        let root = folder(&[".whimbrel/runs/a.json", "b.json"]);
        let mut all = patterns(&["**/*.json"]);
        all.hidden = true;
        assert_eq!(paths(root.path(), &all), ["b.json"]);
    }

    #[test]
    fn excluded_files_and_folders_are_left_out() {
        let root = folder(&["a/b.md", "a/c.md", "skip/d.md", "skip/e/f.md"]);
        let mut some = patterns(&["**/*.md"]);
        some.exclude = vec!["skip".into(), "**/c.md".into()];
        assert_eq!(paths(root.path(), &some), ["a/b.md"]);
    }

    #[test]
    fn patterns_may_lead_out_of_the_root() {
        let root = folder(&["plan/x.toml", "data/a.csv"]);
        let plan = root.path().join("plan");
        assert_eq!(paths(&plan, &patterns(&["../data/*.csv"])), ["../data/a.csv"]);
        let absolute = format!("{}/data/*.csv", root.path().display());
        let expect = format!("{}/data/a.csv", root.path().display());
        assert_eq!(paths(&plan, &patterns(&[&absolute])), [expect]);
    }

    #[test]
    fn facts_are_taken_from_the_path() {
        let check = |path: &str, dir: &str, name: &str, stem: &str, suffix: &str| {
            let file = FoundFile::new(path, Stamp::default());
            assert_eq!(
                (&*file.dir, &*file.name, &*file.stem, &*file.suffix),
                (dir, name, stem, suffix)
            );
        };
        check("a/b/run_1.CSV", "a/b", "run_1.CSV", "run_1", "csv");
        check("run_1.csv.gz", "", "run_1.csv.gz", "run_1", "csv");
        check("archive.tar.zst", "", "archive.tar.zst", "archive", "tar");
        check("README", "", "README", "README", "");
        check(".env", "", ".env", ".env", "");
        check("a.gz", "", "a.gz", "a", "");
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        fn reasons(found: &Found) -> Vec<(&str, &str)> {
            found.unreadable.iter().map(|u| (&*u.path, &*u.reason)).collect()
        }

        #[test]
        fn links_to_folders_are_followed_only_if_asked_and_loops_are_reported() {
            let root = folder(&["a/b.md", "real/c.md"]);
            symlink("../real", root.path().join("a/link")).unwrap();
            symlink("..", root.path().join("a/up")).unwrap();
            let mut search = patterns(&["a/**/*.md"]);
            assert_eq!(paths(root.path(), &search), ["a/b.md"]);
            search.follow_links = true;
            let found = discover(root.path(), &search).unwrap();
            let files: Vec<_> = found.files.iter().map(|file| &*file.path).collect();
            assert_eq!(files, ["a/b.md", "a/link/c.md"]);
            assert_eq!(reasons(&found), [("a/up", "the link leads back to a folder above it")]);
        }

        #[test]
        fn links_to_files_are_files_and_broken_ones_are_reported() {
            let root = folder(&["real.txt"]);
            symlink("real.txt", root.path().join("a.md")).unwrap();
            symlink("nowhere", root.path().join("b.md")).unwrap();
            symlink("nowhere", root.path().join("b.txt")).unwrap();
            let found = discover(root.path(), &patterns(&["*.md"])).unwrap();
            assert_eq!(found.files[0].path, "a.md");
            assert_eq!(found.unreadable.len(), 1);
            assert!(reasons(&found)[0].1.starts_with("broken link: "));
        }

        #[test]
        fn sockets_that_match_are_reported_not_opened() {
            let root = folder(&["a.csv"]);
            let _socket =
                std::os::unix::net::UnixListener::bind(root.path().join("b.csv")).unwrap();
            let found = discover(root.path(), &patterns(&["*.csv"])).unwrap();
            assert_eq!(found.files.len(), 1);
            assert_eq!(reasons(&found), [("b.csv", "it is a pipe, socket or device")]);
        }

        #[test]
        fn names_that_are_not_utf_8_are_reported_escaped() {
            let root = folder(&["a.csv"]);
            fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"n\xE9.csv")), "x").unwrap();
            fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"n\xE9.txt")), "x").unwrap();
            let found = discover(root.path(), &patterns(&["*.csv"])).unwrap();
            assert_eq!(reasons(&found), [("n\\xe9.csv", "its name is not UTF-8")]);
        }
    }

    #[test]
    fn a_missing_folder_is_an_error_and_no_match_is_none() {
        let root = folder(&["a.csv"]);
        let error = discover(root.path(), &patterns(&["logs/*.csv"])).unwrap_err();
        assert_eq!(error.to_string(), "read the folder `logs/`");
        assert_eq!(paths(root.path(), &patterns(&["*.tsv"])), Vec::<String>::new());
    }

    #[test]
    fn a_broken_pattern_is_an_error_with_its_reason() {
        let error = discover(Path::new("."), &patterns(&["a/[b.csv"])).unwrap_err();
        assert_eq!(error.to_string(), "use the pattern `a/[b.csv`");
        assert_eq!(error.code(), crate::codes::BAD_GLOB);
        assert!(discover(Path::new("."), &patterns(&[""])).is_err());
    }
}
