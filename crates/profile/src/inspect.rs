//! Groups the files of a folder into proposed sources, and lists what fits none.
//!
//! Files belong together where a plan would read them together: the same format and encoding, and
//! the same columns, or names that differ in digits alone (`run_20240101.csv`) with columns that
//! mostly agree. The globs of a proposal match exactly its files among those found.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use whimbrel_model::plan;

use crate::names;
use crate::shown;
use crate::sniff::{Format, FoundFile, Sniff, sniff};

/// A source that a plan could have.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProposedSource {
    /// Its name: a bare TOML key.
    pub name: String,
    /// Its format.
    pub format: Format,
    /// Globs that match its files and, `exclude` aside, no other file found; relative to the folder.
    pub globs: Vec<String>,
    /// Files of others that the globs would match, as globs.
    pub exclude: Vec<String>,
    /// Paths of its files, in source order.
    pub files: Vec<String>,
    /// Bytes of its files as stored.
    pub bytes: u64,
    /// Headers found, the most frequent first.
    pub generations: Vec<Generation>,
    /// An encoding to declare.
    pub encoding: Option<String>,
    /// True where suffixes differ in case.
    pub ignore_case: bool,
    /// True where a file, or a folder on its way, begins with a dot.
    pub hidden: bool,
}

/// One header and how many files have it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Generation {
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Files with exactly these.
    pub files: u64,
    /// The first of them.
    pub first: String,
}

/// A file that no proposed source reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Leftover {
    /// Its path, escaped for display.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Why.
    pub reason: String,
}

/// What a folder holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Proposal {
    /// Sources, by name of format and then of source.
    pub sources: Vec<ProposedSource>,
    /// Files that fit none.
    pub leftovers: Vec<Leftover>,
}

struct Sniffed<'a> {
    file: &'a FoundFile,
    name: Name,
    sniff: Sniff,
}

/// A path taken apart: `logs/run_20240101.CSV.gz` → `logs`, `run_#`, `csv.gz`.
#[derive(Clone)]
struct Name {
    dir: String,
    skeleton: String,
    suffix: String,
}

/// Groups files. Whoever does not want what begins with a dot does not hand it over.
pub fn propose(files: &[FoundFile]) -> Proposal {
    let mut proposal = Proposal::default();
    let mut buckets: BTreeMap<(Format, Option<String>), Vec<Sniffed<'_>>> = BTreeMap::new();
    let mut sorted: Vec<&FoundFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    for file in sorted {
        match sniff(file) {
            Ok(sniff) => {
                let key = (sniff.format.clone(), sniff.encoding.clone());
                buckets.entry(key).or_default().push(Sniffed {
                    file,
                    name: Name::of(&file.path),
                    sniff,
                });
            }
            Err(reason) => proposal.leftovers.push(leftover(file, reason)),
        }
    }
    settle(&mut buckets);
    let groups: Vec<Vec<Sniffed<'_>>> = buckets.into_values().flat_map(cluster).collect();
    let mut taken = BTreeSet::new();
    for group in &groups {
        let own: BTreeSet<&str> = group.iter().map(|one| one.file.path.as_str()).collect();
        let others: Vec<&str> = files
            .iter()
            .map(|file| file.path.as_str())
            .filter(|path| !own.contains(path))
            .collect();
        proposal.sources.push(source(group, &others, &mut taken));
    }
    proposal
}

/// Tables without any column (empty files) show no delimiter: they go where their namesakes are.
fn settle(buckets: &mut BTreeMap<(Format, Option<String>), Vec<Sniffed<'_>>>) {
    let is_blank = |one: &Sniffed<'_>| one.sniff.columns.iter().all(String::is_empty);
    let mut homes: BTreeMap<String, (Format, Option<String>)> = BTreeMap::new();
    for (key, files) in buckets.iter().filter(|(key, _)| matches!(key.0, Format::Csv { .. })) {
        for one in files.iter().filter(|one| !is_blank(one)) {
            homes.entry(one.name.skeleton.clone()).or_insert_with(|| key.clone());
        }
    }
    let keys: Vec<_> = buckets.keys().cloned().collect();
    for key in keys.into_iter().filter(|key| matches!(key.0, Format::Csv { .. })) {
        let files = buckets.remove(&key).unwrap_or_default();
        for one in files {
            let home = homes.get(&one.name.skeleton).filter(|_| is_blank(&one));
            buckets.entry(home.unwrap_or(&key).clone()).or_default().push(one);
        }
    }
}

fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.'))
}

fn leftover(file: &FoundFile, reason: String) -> Leftover {
    Leftover { path: shown::shown(&file.path, 200), size: file.size, reason }
}

impl Name {
    fn of(path: &str) -> Self {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let lower = name.to_lowercase();
        let packed =
            [".gz", ".zst"].iter().find(|suffix| lower.ends_with(**suffix)).map_or(0, |s| s.len());
        // Lower case may change lengths beyond ASCII; then the name is taken as a whole.
        let bare = name.get(..name.len() - packed).unwrap_or(name);
        let (stem, suffix) = match bare.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => (stem, name[stem.len() + 1..].to_lowercase()),
            Some(_) | None => (bare, String::new()),
        };
        Self { dir: dir.to_owned(), skeleton: skeleton(stem), suffix }
    }
}

/// The stem with each run of digits as one `#`.
fn skeleton(stem: &str) -> String {
    let mut out = String::with_capacity(stem.len());
    for letter in stem.chars() {
        match letter {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            letter => out.push(letter),
        }
    }
    out
}

/// Splits a bucket into groups of files that one source would read.
fn cluster(files: Vec<Sniffed<'_>>) -> Vec<Vec<Sniffed<'_>>> {
    let whole = matches!(files[0].sniff.format, Format::Markdown | Format::Text);
    if whole {
        return vec![files];
    }
    let documents = matches!(files[0].sniff.format, Format::Json | Format::JsonLines);
    let (known, unknown): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| !file.sniff.columns.iter().all(String::is_empty));
    let mut groups: Vec<Vec<Sniffed<'_>>> = Vec::new();
    for file in known {
        let home = groups
            .iter()
            .position(|group| group.iter().any(|other| belong_together(&file, other, documents)));
        match home {
            Some(home) => groups[home].push(file),
            None => groups.push(vec![file]),
        }
    }
    for file in unknown {
        let like = |group: &Vec<Sniffed<'_>>, same: &dyn Fn(&Name) -> bool| {
            group.iter().any(|other| same(&other.name))
        };
        let skeleton = |name: &Name| name.skeleton == file.name.skeleton;
        let folder = |name: &Name| documents && name.dir == file.name.dir;
        let home = groups.iter().position(|group| like(group, &skeleton));
        let home = home.or_else(|| groups.iter().position(|group| like(group, &folder)));
        let largest = || (0..groups.len()).max_by_key(|at| groups[*at].len()).filter(|_| documents);
        let home = home.or_else(largest);
        match home {
            Some(home) => groups[home].push(file),
            None => groups.push(vec![file]),
        }
    }
    for group in &mut groups {
        group.sort_by(|a, b| a.file.path.as_bytes().cmp(b.file.path.as_bytes()));
    }
    groups
}

fn belong_together(a: &Sniffed<'_>, b: &Sniffed<'_>, documents: bool) -> bool {
    if a.sniff.columns == b.sniff.columns {
        return true;
    }
    // Columns of the same name have to be named anew, which holds for one header alone.
    if repeats(&a.sniff.columns) || repeats(&b.sniff.columns) {
        return false;
    }
    let similarity = similarity(&a.sniff.columns, &b.sniff.columns);
    let alike = a.name.skeleton == b.name.skeleton;
    (documents && similarity >= 0.3) || (alike && similarity >= 0.5)
}

fn repeats(columns: &[String]) -> bool {
    let different: BTreeSet<_> = columns.iter().collect();
    different.len() < columns.len()
}

/// Columns in common, as a part of all columns of both: 0 to 1.
fn similarity(a: &[String], b: &[String]) -> f64 {
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (a.iter().collect(), b.iter().collect());
    let common = a.intersection(&b).count() as f64;
    common / a.union(&b).count().max(1) as f64
}

fn source(group: &[Sniffed<'_>], others: &[&str], taken: &mut BTreeSet<String>) -> ProposedSource {
    let first = &group[0];
    let ignore_case = group.iter().any(|one| {
        let name = one.file.path.rsplit('/').next().unwrap_or_default();
        !name.to_lowercase().ends_with(&one.name.suffix) || !name.ends_with(&one.name.suffix)
    });
    let (globs, exclude) = globs(group, others, ignore_case);
    ProposedSource {
        name: names::unique(&name_of(group), taken),
        format: first.sniff.format.clone(),
        globs,
        exclude,
        files: group.iter().map(|one| one.file.path.clone()).collect(),
        bytes: group.iter().map(|one| one.file.size).sum(),
        generations: generations(group),
        encoding: first.sniff.encoding.clone(),
        ignore_case,
        hidden: group.iter().any(|one| is_hidden(&one.file.path)),
    }
}

fn name_of(group: &[Sniffed<'_>]) -> String {
    let format = group[0].sniff.format.key();
    if matches!(group[0].sniff.format, Format::Markdown | Format::Text) {
        return format.to_owned();
    }
    let skeletons: BTreeSet<&str> = group.iter().map(|one| one.name.skeleton.as_str()).collect();
    let dirs: BTreeSet<&str> = group.iter().map(|one| one.name.dir.as_str()).collect();
    let words = match (skeletons.len(), dirs.len()) {
        (1, _) => skeletons.into_iter().next().unwrap_or_default().replace('#', ""),
        (_, 1) => group[0].name.dir.rsplit('/').next().unwrap_or_default().to_owned(),
        (_, _) => String::new(),
    };
    if words.chars().any(char::is_alphanumeric) { names::snake(&words) } else { format.to_owned() }
}

fn generations(group: &[Sniffed<'_>]) -> Vec<Generation> {
    let mut found: Vec<Generation> = Vec::new();
    let has_header = matches!(group[0].sniff.format, Format::Csv { .. });
    for one in group.iter().filter(|_| has_header) {
        match found.iter_mut().find(|generation| generation.columns == one.sniff.columns) {
            Some(generation) => generation.files += 1,
            None => found.push(Generation {
                columns: one.sniff.columns.clone(),
                files: 1,
                first: one.file.path.clone(),
            }),
        }
    }
    found.sort_by_key(|generation| std::cmp::Reverse(generation.files));
    found
}

/// Globs that match the group, and what they must leave out so that they match nothing of the
/// others: from the most telling to a plain list.
fn globs(group: &[Sniffed<'_>], others: &[&str], ignore_case: bool) -> (Vec<String>, Vec<String>) {
    let suffixes: BTreeSet<&str> = group.iter().map(|one| one.name.suffix.as_str()).collect();
    let mut globs = Vec::new();
    let mut exclude = BTreeSet::new();
    for suffix in suffixes {
        let files: Vec<&Sniffed<'_>> =
            group.iter().filter(|one| one.name.suffix == suffix).collect();
        let (own, left_out) = globs_of_suffix(&files, suffix, others, ignore_case);
        globs.extend(own);
        exclude.extend(left_out);
    }
    (globs, exclude.into_iter().collect())
}

fn globs_of_suffix(
    files: &[&Sniffed<'_>],
    suffix: &str,
    others: &[&str],
    ignore_case: bool,
) -> (Vec<String>, Vec<String>) {
    let dirs: BTreeSet<&str> = files.iter().map(|one| one.name.dir.as_str()).collect();
    let skeletons: BTreeSet<&str> = files.iter().map(|one| one.name.skeleton.as_str()).collect();
    let ending = if suffix.is_empty() { String::new() } else { format!(".{}", escape(suffix)) };
    let common = common_dir(&dirs);
    let within = |dir: &str| {
        if dir.is_empty() { String::new() } else { format!("{}/", escape(dir)) }
    };
    let mut candidates = Vec::new();
    let documents = matches!(files[0].sniff.format, Format::Markdown | Format::Text);
    if documents {
        candidates.push(format!("**/*{ending}"));
    }
    if let (1, Some(skeleton)) = (skeletons.len(), skeletons.first())
        && skeleton.contains('#')
    {
        let pattern = escape(skeleton).replace('#', "*");
        // `run_20240101_120000` is better told by `run_*` than by `run_*_*`.
        let short = pattern.split_once('*').map(|(front, _)| format!("{front}*"));
        for pattern in short.into_iter().filter(|short| short.len() > 1).chain([pattern]) {
            let middle = if dirs.len() == 1 {
                within(files[0].name.dir.as_str())
            } else {
                format!("{}**/", within(&common))
            };
            candidates.push(format!("{middle}{pattern}{ending}"));
        }
    }
    if files.len() > 1 {
        let middle =
            if dirs.len() == 1 { within(&common) } else { format!("{}**/", within(&common)) };
        candidates.push(format!("{middle}*{ending}"));
    }
    let takes_all = |glob: &String| {
        let mut own = files.iter();
        own.all(|one| matches(glob, &one.file.path, ignore_case))
    };
    let surplus = |glob: &String| -> Vec<String> {
        let more = others.iter().filter(|path| matches(glob, path, ignore_case));
        more.map(|path| escape(path)).collect()
    };
    // The first of those with the fewest files to leave out.
    let best = candidates
        .into_iter()
        .filter(takes_all)
        .map(|glob| (surplus(&glob), glob))
        .min_by_key(|(surplus, _)| surplus.len());
    match best {
        Some((surplus, glob)) if surplus.len() < files.len() && surplus.len() <= EXCLUDE_MAX => {
            (vec![glob], surplus)
        }
        Some(_) | None => {
            let paths = files.iter().map(|one| escape(&one.file.path));
            (paths.collect(), Vec::new())
        }
    }
}

/// More exceptions than this make a glob harder to read than a list.
const EXCLUDE_MAX: usize = 20;

fn common_dir(dirs: &BTreeSet<&str>) -> String {
    let mut parts: Option<Vec<&str>> = None;
    for dir in dirs {
        let own: Vec<&str> = if dir.is_empty() { Vec::new() } else { dir.split('/').collect() };
        parts = Some(match parts {
            None => own,
            Some(parts) => {
                let same = parts.iter().zip(&own).take_while(|(a, b)| a == b).count();
                parts[..same].to_vec()
            }
        });
    }
    parts.unwrap_or_default().join("/")
}

/// A path as a glob that matches it alone.
pub fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for letter in path.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            out.extend(['[', letter, ']']);
        } else {
            out.push(letter);
        }
    }
    out
}

/// Whether a glob of this module (`*`, `**/`, `[x]`) matches a path.
pub fn matches(glob: &str, path: &str, ignore_case: bool) -> bool {
    if ignore_case {
        return matches(&glob.to_lowercase(), &path.to_lowercase(), false);
    }
    let glob: Vec<char> = glob.chars().collect();
    let path: Vec<char> = path.chars().collect();
    matches_from(&glob, &path)
}

fn matches_from(glob: &[char], path: &[char]) -> bool {
    match glob {
        [] => path.is_empty(),
        ['*', '*', '/', rest @ ..] => {
            let after = |at: &usize| *at == 0 || path[at - 1] == '/';
            (0..=path.len()).filter(after).any(|at| matches_from(rest, &path[at..]))
        }
        ['*', rest @ ..] => {
            let end = path.iter().position(|letter| *letter == '/').unwrap_or(path.len());
            (0..=end).any(|at| matches_from(rest, &path[at..]))
        }
        ['[', letter, ']', rest @ ..] | [letter, rest @ ..] => {
            path.first() == Some(letter) && matches_from(rest, &path[1..])
        }
    }
}

impl ProposedSource {
    /// The source as a plan would say it, without spellings of NULL and with every column
    /// optional, so that whoever reads it sees each cell as it stands.
    ///
    /// `prefix` is the way from the plan's folder to the one looked at: `legacy/`, or empty.
    pub fn for_reading(&self, prefix: &str) -> plan::Source {
        let at = |value: String| plan::At { value, span: 0..0 };
        let globs = self.globs.iter().map(|glob| at(format!("{}{glob}", escape(prefix))));
        let mut columns: Vec<String> = Vec::new();
        let found = self.generations.iter().flat_map(|generation| &generation.columns);
        for column in self.names().iter().flatten().chain(found) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        plan::Source {
            name: at(self.name.clone()),
            format: self.plan_format(),
            globs: globs.collect(),
            exclude: self
                .exclude
                .iter()
                .map(|glob| at(format!("{}{glob}", escape(prefix))))
                .collect(),
            hidden: self.hidden,
            ignore_case: self.ignore_case,
            follow_links: false,
            encoding: self.encoding.clone().map(at),
            null: Vec::new(),
            columns: Vec::new(),
            optional: columns.into_iter().map(at).collect(),
            ignore: Vec::new(),
            archive: Vec::new(),
            sensitive: Vec::new(),
            max_file_size: None,
            large_files: plan::LargeFiles::Handle,
            max_record_size: 64 << 20,
        }
    }

    fn plan_format(&self) -> plan::Format {
        match &self.format {
            Format::Csv { delimiter, header } => plan::Format::Csv(plan::CsvDialect {
                delimiter: u8::try_from(*delimiter).unwrap_or(b','),
                quote: Some(b'"'),
                escape: None,
                comment: None,
                header: *header,
                names: self.names().unwrap_or_default(),
                skip_lines: 0,
                ragged: plan::Ragged::Reject,
            }),
            Format::Json => plan::Format::Json { records: None },
            Format::JsonLines => plan::Format::JsonLines,
            Format::Markdown => plan::Format::Markdown,
            // Tables of a database are proposed by their catalogue, never by files.
            Format::Text | Format::Table => plan::Format::Text,
        }
    }

    /// Names of the columns, where a plan has to say them: the files have no header, or one that
    /// repeats a name.
    pub fn names(&self) -> Option<Vec<String>> {
        let widest = self.generations.iter().max_by_key(|generation| generation.columns.len())?;
        let Format::Csv { header, .. } = self.format else {
            return None;
        };
        if header && !repeats(&widest.columns) {
            return None;
        }
        let mut taken = BTreeSet::new();
        Some(widest.columns.iter().map(|column| names::unique(column, &mut taken)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[allow(clippy::needless_pass_by_value, clippy::format_push_string)] // a test, written to be read
    fn check(files: &[(&str, &str)], expect: Expect) {
        let files: Vec<FoundFile> = files
            .iter()
            .map(|(path, head)| FoundFile {
                path: (*path).to_owned(),
                size: head.len() as u64,
                head: head.as_bytes().to_vec(),
                ..FoundFile::default()
            })
            .collect();
        let proposal = propose(&files);
        let mut out = String::new();
        for source in &proposal.sources {
            let case = if source.ignore_case { " any case" } else { "" };
            let dots = if source.hidden { " hidden" } else { "" };
            out +=
                &format!("{} {} {:?}{case}{dots}", source.name, source.format.key(), source.globs);
            if !source.exclude.is_empty() {
                out += &format!(" without {:?}", source.exclude);
            }
            if source.generations.len() > 1 {
                let counts: Vec<_> = source.generations.iter().map(|one| one.files).collect();
                out += &format!(" generations {counts:?}");
            }
            out.push('\n');
        }
        for left in &proposal.leftovers {
            out += &format!("left {}: {}\n", left.path, left.reason);
        }
        expect.assert_eq(&out);
    }

    #[test]
    fn two_generations_of_runs_are_one_source() {
        check(
            &[
                ("logs/run_20240101_120000.csv", "Timestamp,Status,T1\n"),
                ("logs/run_20240102_120000.csv", "Timestamp,Status,T1\n"),
                ("logs/run_20250101_120000.csv", "Timestamp,Time_Str,Status,T1\n"),
                ("logs/app.jsonl", "{\"level\":\"WARN\"}\n"),
                ("config.json", "{\"z1\":{}}"),
                ("logs/notes.xyz", "hello"),
            ],
            expect![[r#"
                run csv ["logs/run_*.csv"] generations [2, 1]
                config json ["config.json"]
                app jsonl ["logs/app.jsonl"]
                left logs/notes.xyz: the suffix `.xyz` is of no format that is read
            "#]],
        );
    }

    #[test]
    fn tables_with_different_columns_are_different_sources() {
        check(
            &[
                ("users.csv", "id,name\n"),
                ("orders.csv", "id,name,total\n"),
                ("jan.csv", "day,sum\n"),
                ("feb.csv", "day,sum\n"),
            ],
            expect![[r#"
                csv csv ["feb.csv", "jan.csv"]
                orders csv ["orders.csv"]
                users csv ["users.csv"]
            "#]],
        );
    }

    #[test]
    fn documents_of_one_kind_are_one_source_per_format() {
        check(
            &[
                ("a/one.json", "{\"id\":1,\"title\":\"x\",\"content\":\"y\"}"),
                ("b/two.JSON", "{\"id\":2,\"title\":\"x\",\"text\":\"y\"}"),
                ("b/broken.json", "not json"),
                ("c/three.md", "# x"),
                ("four.txt", "x"),
                (".trash/five.txt", "x"),
            ],
            expect![[r#"
                json json ["**/*.json"] any case
                markdown markdown ["**/*.md"]
                text text ["**/*.txt"] hidden
            "#]],
        );
    }

    #[test]
    fn one_odd_file_does_not_turn_a_glob_into_a_list() {
        check(
            &[
                ("logs/run_1.csv", "Time,T\n"),
                ("logs/run_2.csv", "Time,T\n"),
                ("logs/run_3.csv", "Time,T\n"),
                ("logs/run_4.csv", "user;mail;since\n"),
                ("logs/run_5.csv", "PK\u{3}\u{4}"),
            ],
            expect![[r#"
                run csv ["logs/run_*.csv"] without ["logs/run_4.csv", "logs/run_5.csv"]
                run_2 csv ["logs/run_4.csv"]
                left logs/run_5.csv: it is a ZIP archive or an office document
            "#]],
        );
    }

    #[test]
    fn names_with_glob_characters_match_themselves_alone() {
        assert!(matches(&escape("a[1]*.csv"), "a[1]*.csv", false));
        assert!(!matches(&escape("a[1]*.csv"), "a1x.csv", false));
    }

    #[test]
    fn stars_respect_folders() {
        assert!(matches("**/*.md", "a/b/c.md", false));
        assert!(matches("**/*.md", "c.md", false));
        assert!(!matches("a/*.md", "a/b/c.md", false));
        assert!(matches("logs/run_*.csv", "logs/run_1.CSV", true));
    }
}
