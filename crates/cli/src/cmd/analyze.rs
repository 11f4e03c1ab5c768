//! `analyze`: what a folder of legacy data, or a database, looks like. Reads it; writes nothing but
//! the page that `--html` names.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use whimbrel_endpoint::Source;
use whimbrel_files::compression;
use whimbrel_files::discovery::{self, Patterns};
use whimbrel_profile::database;
use whimbrel_profile::inspect::{Leftover, Proposal, ProposedSource, propose};
use whimbrel_profile::profile::Profile;
use whimbrel_profile::read::{self, ProfileError, Progress, Request};
use whimbrel_profile::render;
use whimbrel_profile::sniff::FoundFile;
use whimbrel_sql::Look;

use crate::args::{Analyze, Global, LogForm, ProgressForm};
use crate::cmd::legacy::{self, Legacy};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log;
use crate::output::{Answer, count, printable, thousands};

/// First bytes of a file that a proposal is made from.
const HEAD_BYTES: u64 = 64 << 10;
/// Characters in a line of the text.
const WIDTH: usize = 100;
/// Leftovers that an error lists.
const LEFTOVERS_SHOWN: usize = 5;

pub(crate) async fn run(global: &Global, args: &Analyze) -> Result<Answer, Failure> {
    let profile = match Legacy::of(&args.path) {
        Legacy::Folder(folder) => profile_of(global, folder, args.hidden).await?,
        Legacy::Database(url) => {
            let look = Look::Rows { estimate_above: args.estimate_above };
            database_of(global, &url, look).await?
        }
    };
    let mut text =
        render::text(&profile, render::Look { width: WIDTH, ascii: global.ascii, values: true });
    if let Some(file) = &args.html {
        fs::write(file, render::html(&profile, false)).map_err(|error| {
            let message = format!("the page cannot be written: `{}`", file.display());
            Failure::io("WB0724", message, &error).with_exit(Exit::Usage)
        })?;
        let page = format!("Page without values of the data: {}\n", file.display());
        let next = text.rfind("Next: ").unwrap_or(text.len());
        text.insert_str(next, &page);
    }
    let of = if profile.database.is_some() { "table" } else { "file" };
    let message = format!(
        "{}: {} in {}",
        profile.folder,
        count(profile.totals.records, "record"),
        count(profile.totals.files, of)
    );
    let data = serde_json::to_value(&profile).expect("a profile has a JSON form");
    Ok(Answer::new(message, text, data))
}

/// Reads everything below a folder once.
pub(crate) async fn profile_of(
    global: &Global,
    folder: &Path,
    hidden: bool,
) -> Result<Profile, Failure> {
    let shown = printable(&folder.display().to_string(), 400);
    let Proposal { sources, leftovers } = look(folder, &shown, hidden)?;
    if sources.is_empty() {
        return Err(nothing_usable(&shown, &leftovers, hidden));
    }
    let mut opened: Vec<(ProposedSource, Arc<dyn Source>)> = Vec::with_capacity(sources.len());
    for proposed in sources {
        let source = whimbrel_files::open(&proposed.for_reading(""), folder)?;
        opened.push((proposed, source));
    }
    let begun = Instant::now();
    let elapsed = || begun.elapsed();
    let request = Request { folder: &shown, sources: &opened, leftovers, elapsed: &elapsed };
    let mut watch = Watch::new(global);
    let profile = read::profile(request, &mut |progress| watch.progress(&progress)).await;
    watch.end();
    profile.map_err(failure)
}

/// Looks at a database's catalogue and reads every row of its tables once.
async fn database_of(global: &Global, url: &str, look: Look) -> Result<Profile, Failure> {
    let begun = Instant::now();
    let elapsed = || begun.elapsed();
    let (catalogue, opened) = legacy::database(url, look).await?;
    let shown = catalogue.shown.clone();
    let mut profile = if opened.is_empty() {
        Profile::of_nothing(&shown)
    } else {
        let request =
            Request { folder: &shown, sources: &opened, leftovers: Vec::new(), elapsed: &elapsed };
        let mut watch = Watch::new(global);
        let profile = read::profile(request, &mut |progress| watch.progress(&progress)).await;
        watch.end();
        profile.map_err(failure)?
    };
    database::describe(&mut profile, &catalogue);
    Ok(profile)
}

fn failure(error: ProfileError) -> Failure {
    let code = error.code();
    match error {
        ProfileError::NothingFound { .. } => {
            Failure::usage(code, error.to_string(), "name another folder")
        }
        ProfileError::List { source_name, why } => {
            let mut failure = Failure::from(why);
            let message = format!("the files of `{source_name}` cannot be listed");
            failure.causes.insert(0, std::mem::replace(&mut failure.message, message));
            failure
        }
    }
}

/// The sources that the folder's files make up.
fn look(folder: &Path, shown: &str, hidden: bool) -> Result<Proposal, Failure> {
    check_folder(folder, shown)?;
    let patterns = Patterns { include: vec!["**/*".to_owned()], hidden, ..Patterns::default() };
    let found = discovery::discover(folder, &patterns).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        Failure { causes: cause.into_iter().collect(), ..unreadable(shown) }
    })?;
    let files: Vec<FoundFile> = found
        .files
        .into_iter()
        .map(|file| {
            let head = head(&folder.join(&file.path), &file.name);
            let problem = head.as_ref().err().map(ToString::to_string);
            let (path, size) = (file.path, file.stamp.size);
            FoundFile {
                path,
                size,
                head: head.unwrap_or_default(),
                problem,
                ..FoundFile::default()
            }
        })
        .collect();
    let mut proposal = propose(&files);
    proposal.leftovers.extend(found.unreadable.into_iter().map(|path| Leftover {
        path: printable(&path.path, 200),
        size: 0,
        reason: path.reason,
    }));
    Ok(proposal)
}

fn check_folder(folder: &Path, shown: &str) -> Result<(), Failure> {
    match fs::metadata(folder) {
        Ok(facts) if !facts.is_dir() => {
            let message = format!("not a folder: `{shown}`");
            return Err(Failure::usage("WB0721", message, "name the folder that the file is in"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("no such folder: `{shown}`");
            return Err(Failure::usage("WB0721", message, "name a folder that exists"));
        }
        Err(error) => return Err(Failure { causes: vec![error.to_string()], ..unreadable(shown) }),
    }
    let listing = fs::read_dir(folder).map(drop);
    listing.map_err(|error| Failure { causes: vec![error.to_string()], ..unreadable(shown) })
}

fn unreadable(shown: &str) -> Failure {
    let message = format!("the folder cannot be read: `{shown}`");
    Failure::usage("WB0721", message, "give the user who runs whimbrel the right to read it")
}

fn nothing_usable(shown: &str, leftovers: &[Leftover], hidden: bool) -> Failure {
    let hint = if hidden {
        "CSV, TSV, JSON, JSON Lines, Markdown and text files are read"
    } else {
        "CSV, TSV, JSON, JSON Lines, Markdown and text files are read; `--hidden` also looks at what begins with a dot"
    };
    let mut failure =
        Failure::usage("WB0722", format!("no file that can be read as data in `{shown}`"), hint);
    let first = leftovers.iter().take(LEFTOVERS_SHOWN);
    failure.causes = first.map(|left| format!("`{}`: {}", left.path, left.reason)).collect();
    if leftovers.len() > LEFTOVERS_SHOWN {
        let others = count((leftovers.len() - LEFTOVERS_SHOWN) as u64, "other file");
        failure.causes.push(format!("and {others}"));
    }
    failure
}

/// The first bytes, unpacked.
fn head(path: &Path, name: &str) -> io::Result<Vec<u8>> {
    let (reader, _) = compression::unpack(File::open(path)?, name, u64::MAX)?;
    let mut head = Vec::new();
    reader.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// Progress on standard error.
enum Watch {
    Bar(ProgressBar),
    Lines(Instant),
    Json(Instant),
    Silent,
}

/// Lines are at least this far apart.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Watch {
    fn new(global: &Global) -> Self {
        let terminal = io::stderr().is_terminal() && log::form(global) == LogForm::Text;
        match global.progress {
            ProgressForm::Auto if terminal => Self::bar(global.ascii),
            ProgressForm::Bar => Self::bar(global.ascii),
            ProgressForm::Auto | ProgressForm::Log => Self::Lines(Instant::now()),
            ProgressForm::Json => Self::Json(Instant::now()),
            ProgressForm::None => Self::Silent,
        }
    }

    fn bar(ascii: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(8));
        let style = ProgressStyle::with_template("{bar:24} {percent:>3}% {msg}")
            .expect("the template is a template")
            .progress_chars(if ascii { "#>." } else { "█▉▊▋▌▍▎▏ " });
        bar.set_style(style);
        log::above(&bar);
        Self::Bar(bar)
    }

    fn progress(&mut self, progress: &Progress) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(progress.bytes.max(1));
                bar.set_position(progress.bytes_done);
                bar.set_message(figures(progress));
            }
            Self::Lines(last) if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                tracing::info!(
                    file = %progress.file,
                    source = %progress.source,
                    files_done = progress.files_done,
                    files = progress.files,
                    records = progress.records,
                    bytes_done = progress.bytes_done,
                    bytes = progress.bytes,
                    "reading"
                );
            }
            Self::Json(last) if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let document = json!({
                    "source": progress.source,
                    "file": progress.file,
                    "files_done": progress.files_done,
                    "files": progress.files,
                    "records": progress.records,
                    "bytes_done": progress.bytes_done,
                    "bytes": progress.bytes,
                });
                log::write_line(&document.to_string());
            }
            Self::Lines(_) | Self::Json(_) | Self::Silent => {}
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn figures(progress: &Progress) -> String {
    format!(
        "{}: file {} of {}, {} records, {}",
        progress.source,
        thousands(progress.files_done),
        thousands(progress.files),
        thousands(progress.records),
        printable(&progress.file, 60)
    )
}
