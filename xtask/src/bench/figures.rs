//! What benchmarks found, against what `docs/benchmarks.md` says was found last and is aimed at.
//!
//! Owns reading, comparing and rewriting the table there under [`HEAD`]. Every figure is such that
//! less is better. Worse than recorded, beyond the tolerance, is a failure; a target that is missed,
//! now or ever, is told and is none.
//!
//! ```text
//! recorded ──── × (1 + tolerance) ────▶ allowed      nothing recorded yet: the target in its place
//! ```

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

use crate::binary::root;

/// The first line of the table.
const HEAD: &str = "| benchmark | figure | target | last | tolerance | target is |";
/// In place of a number: there is none.
const NONE: &str = "–";

/// Something that was measured.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: f64,
}

impl Figure {
    pub(super) fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value }
    }
}

/// A line of the table.
#[derive(Clone, PartialEq, Debug)]
struct Entry {
    benchmark: String,
    figure: String,
    /// Without one it is watched only.
    target: Option<f64>,
    last: Option<f64>,
    /// A share: 0.15 is 15 %.
    tolerance: f64,
}

impl Entry {
    fn parse(line: &str) -> Result<(Self, &str)> {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [benchmark, figure, target, last, tolerance, state] = cells[..] else {
            bail!("six cells expected: {line}");
        };
        let number = |cell: &str| -> Result<Option<f64>> {
            let number = cell.replace(',', "").parse();
            Ok(if cell == NONE { None } else { Some(number.with_context(|| cell.to_owned())?) })
        };
        let percent = tolerance.strip_suffix('%').context("a tolerance is in %")?.trim();
        let (benchmark, figure) = (benchmark.replace('`', ""), figure.to_owned());
        let tolerance = percent.parse::<f64>()? / 100.0;
        let entry =
            Self { benchmark, figure, target: number(target)?, last: number(last)?, tolerance };
        Ok((entry, state))
    }

    fn line(&self) -> String {
        let Self { benchmark, figure, target, last, tolerance } = self;
        let (target, last, state) = (shown(*target), shown(*last), self.state());
        let percent = (tolerance * 100.0).round();
        format!("| `{benchmark}` | {figure} | {target} | {last} | {percent} % | {state} |")
    }

    /// How the last figure stands to the target.
    fn state(&self) -> &'static str {
        match (self.last, self.target) {
            (Some(last), Some(target)) if last > target => "**missed**",
            (Some(_), Some(_)) => "met",
            (None, _) | (_, None) => NONE,
        }
    }

    /// More than this is worse than what is recorded.
    fn allowed(&self) -> Option<f64> {
        Some(self.last.or(self.target)? * (1.0 + self.tolerance))
    }

    fn verdict(&self, found: f64) -> Verdict {
        // What is no number is not within anything.
        let is_within = |max: f64| found <= max;
        match (self.allowed().is_some_and(is_within), self.target.is_none_or(is_within)) {
            (false, _) => Verdict::Worse,
            (true, false) => Verdict::Missed,
            (true, true) => Verdict::Good,
        }
    }
}

/// What a figure means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Good,
    /// Not worse than before, but beyond the target.
    Missed,
    /// Worse than before, beyond the tolerance.
    Worse,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Missed => "target missed",
            Self::Worse => "above what is allowed",
        }
    }
}

fn shown(number: Option<f64>) -> String {
    number.map_or_else(|| NONE.to_owned(), |number| format!("{number:.2}"))
}

/// The page, in lines, with its table.
#[derive(Debug)]
pub(super) struct Record {
    lines: Vec<String>,
    /// Number of the line, entry.
    entries: Vec<(usize, Entry)>,
}

impl Record {
    /// As it stands in the documentation.
    pub(super) fn read() -> Result<Self> {
        let path = path();
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut heads = lines.iter().enumerate().filter(|(_, line)| *line == HEAD);
        let (Some((head, _)), None) = (heads.next(), heads.next()) else {
            bail!("exactly one line must be: {HEAD}");
        };
        let mut entries = Vec::new();
        for (at, line) in lines.iter().enumerate().skip(head + 2) {
            if !line.starts_with('|') {
                break;
            }
            let (entry, state) = Entry::parse(line).with_context(|| format!("line {}", at + 1))?;
            let wanted = entry.state();
            ensure!(state == wanted, "line {}: the target is {wanted}, not {state}", at + 1);
            entries.push((at, entry));
        }
        Ok(Self { lines, entries })
    }

    fn of(&self, benchmark: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(_, entry)| entry).filter(move |it| it.benchmark == benchmark)
    }

    /// Prints a benchmark's figures beside what is recorded; returns what is worse, or not as the
    /// table has it.
    pub(super) fn compare(&self, benchmark: &str, found: &[Figure]) -> Vec<String> {
        let mut worse = Vec::new();
        println!("{:<52} {:>7} {:>7} {:>7} {:>7}", "", "found", "last", "allowed", "target");
        for Figure { name, value } in found {
            let Some(entry) = self.of(benchmark).find(|entry| entry.figure == *name) else {
                worse.push(format!("{benchmark}: `{name}` has no line in docs/benchmarks.md"));
                continue;
            };
            let verdict = entry.verdict(*value);
            let (last, allowed) = (shown(entry.last), shown(entry.allowed()));
            println!(
                "{name:<52} {value:>7.2} {last:>7} {allowed:>7} {:>7}  {}",
                shown(entry.target),
                verdict.name()
            );
            if verdict == Verdict::Worse {
                worse.push(format!("{benchmark}: {name} {value:.2} (at most {allowed})"));
            }
        }
        for entry in self.of(benchmark) {
            if !found.iter().any(|figure| figure.name == entry.figure) {
                worse.push(format!("{benchmark}: `{}` was not measured", entry.figure));
            }
        }
        worse
    }

    /// What was found is what is recorded from now on.
    pub(super) fn keep(&mut self, benchmark: &str, found: &[Figure]) {
        for (at, entry) in self.entries.iter_mut().filter(|(_, it)| it.benchmark == benchmark) {
            if let Some(figure) = found.iter().find(|figure| figure.name == entry.figure) {
                // As it is written: what is kept and what is read again are the same.
                entry.last = Some((figure.value * 100.0).round() / 100.0);
                self.lines[*at] = entry.line();
            }
        }
    }

    /// Writes the page back.
    pub(super) fn write(&self) -> Result<()> {
        Ok(fs::write(path(), self.lines.join("\n") + "\n")?)
    }
}

fn path() -> PathBuf {
    root().join("docs/benchmarks.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: Option<f64>, last: Option<f64>, tolerance: f64) -> Entry {
        let (benchmark, figure) = ("load".to_owned(), "ours / theirs".to_owned());
        Entry { benchmark, figure, target, last, tolerance }
    }

    fn page(lines: &str) -> String {
        format!("# Page\n\n{HEAD}\n|---|---|---|---|---|---|\n{lines}\nmore | text\n")
    }

    const LOAD: &str = "| `load` | ours / theirs | 1.00 | 1.23 | 15 % | **missed** |
| `load` | peak memory, MB | 100.00 | 82.00 | 10 % | met |
| `other` | p99 | – | 3.00 | 50 % | – |";

    fn figures(values: [f64; 2]) -> Vec<Figure> {
        let names = ["ours / theirs", "peak memory, MB"];
        names.iter().zip(values).map(|(name, value)| Figure::new(*name, value)).collect()
    }

    #[test]
    fn worse_than_recorded_beyond_the_tolerance_fails() {
        let entry = entry(Some(2.0), Some(1.0), 0.15);
        assert_eq!(entry.verdict(1.14), Verdict::Good);
        assert_eq!(entry.verdict(1.16), Verdict::Worse, "though the target is met");
    }

    #[test]
    fn a_missed_target_is_no_regression() {
        let entry = entry(Some(1.0), Some(1.23), 0.15);
        assert_eq!(entry.verdict(0.9), Verdict::Good);
        assert_eq!(entry.verdict(1.4), Verdict::Missed);
        assert_eq!(entry.verdict(1.42), Verdict::Worse);
    }

    #[test]
    fn a_target_is_missed_within_the_tolerance_too() {
        assert_eq!(entry(Some(1.0), Some(0.95), 0.15).verdict(1.05), Verdict::Missed);
    }

    #[test]
    fn before_anything_is_recorded_the_target_counts() {
        let entry = entry(Some(2.0), None, 0.1);
        let found = [1.9, 2.1, 2.3].map(|found| entry.verdict(found));
        assert_eq!(found, [Verdict::Good, Verdict::Missed, Verdict::Worse]);
    }

    #[test]
    fn what_is_no_number_fails() {
        for entry in [entry(Some(2.0), Some(1.0), 0.1), entry(None, Some(1.0), 0.1)] {
            assert_eq!(entry.verdict(f64::NAN), Verdict::Worse);
            assert_eq!(entry.verdict(f64::INFINITY), Verdict::Worse);
        }
    }

    #[test]
    fn the_table_is_read_and_compared() {
        let record = Record::parse(&page(LOAD)).unwrap();
        assert_eq!(record.compare("load", &figures([1.3, 85.0])), [""; 0]);
        assert_eq!(
            record.compare("load", &figures([1.5, 95.0])),
            [
                "load: ours / theirs 1.50 (at most 1.41)",
                "load: peak memory, MB 95.00 (at most 90.20)"
            ]
        );
    }

    #[test]
    fn what_has_no_line_or_no_figure_fails() {
        let record = Record::parse(&page(LOAD)).unwrap();
        let found = [Figure::new("p50", 1.0)];
        assert_eq!(
            record.compare("other", &found),
            ["other: `p50` has no line in docs/benchmarks.md", "other: `p99` was not measured"]
        );
    }

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else_changes() {
        let mut record = Record::parse(&page(LOAD)).unwrap();
        record.keep("load", &figures([0.996, 101.5]));
        let text = record.lines.join("\n") + "\n";
        let lines = "| `load` | ours / theirs | 1.00 | 1.00 | 15 % | met |
| `load` | peak memory, MB | 100.00 | 101.50 | 10 % | **missed** |
| `other` | p99 | – | 3.00 | 50 % | – |";
        assert_eq!(text, page(lines));
        assert_eq!(Record::parse(&text).unwrap().entries, record.entries);
    }

    #[test]
    fn a_table_that_hides_a_missed_target_is_refused() {
        let hidden = LOAD.replace("**missed**", "met");
        let error = format!("{:#}", Record::parse(&page(&hidden)).unwrap_err());
        assert_eq!(error, "line 5: the target is **missed**, not met");
        assert!(Record::parse("no table").is_err());
        assert!(Record::parse(&page("| `load` | ours | 1.0 | 1.0 | much | met |")).is_err());
    }

    #[test]
    fn every_benchmark_has_lines_of_its_own() {
        let record = Record::read().unwrap();
        let known: Vec<&str> = super::super::BENCHMARKS.iter().map(|it| it.name).collect();
        for name in &known {
            assert!(record.of(name).next().is_some(), "`{name}` is not in docs/benchmarks.md");
        }
        for (_, entry) in &record.entries {
            assert!(known.contains(&entry.benchmark.as_str()), "there is no `{}`", entry.benchmark);
            assert!(entry.allowed().is_some(), "`{}` cannot be compared", entry.figure);
        }
    }
}
