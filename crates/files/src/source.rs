//! Files as an [`endpoint::Source`](whimbrel_endpoint::Source): a file is a partition.
//!
//! ```text
//! open ─▶ prefix read and its digest compared ─▶ next ─▶ chunk + mark ─▶ … ─▶ finish: still that file?
//! ```
//! The futures never wait for anything but the file system and block while they do: run them where
//! blocking is allowed.

mod fields;
mod mended;
mod reader;
mod token;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sha2::Digest as _;
use whimbrel_endpoint::{
    Discovery, EndpointError, ErrorClass, Freshness, Partition, Reader, Source, Unreadable,
};
use whimbrel_model::json::Pointer;
use whimbrel_model::plan::{self, HashAlgorithm};
use whimbrel_model::{
    Digest, Field, FileFacts, PartitionId, Position, Shape, ShapeColumn, SourceChunk, SourceMark,
};

use crate::codes;
use crate::compression::{self, Compression, UNPACKED_MAX_DEFAULT};
use crate::csv::{self, CsvOptions, CsvReader, RECORD_MAX, RECORD_MAX_DEFAULT};
use crate::discovery::{DiscoveryError, FoundFile, Patterns, discover};
use crate::encoding::Encoding;
use crate::fingerprint::{self, Stamp};
use crate::input::{Input, ReadError};
use crate::json::JsonReader;
use crate::jsonl::JsonLinesReader;
use crate::text::read_whole;
use reader::{FileReader, Records};
use token::Token;

/// What the files hold.
#[derive(Clone, PartialEq, Debug)]
pub enum Format {
    /// Separated values.
    Csv(CsvOptions),
    /// JSON documents; with a pointer, the elements of the array there.
    Json(Option<Pointer>),
    /// One JSON document a line.
    JsonLines,
    /// Markdown: keys of the front matter, `heading`, `body`.
    Markdown,
    /// Text: `body`.
    Text,
}

/// Everything about a set of files.
#[derive(Clone, PartialEq, Debug)]
pub struct FileOptions {
    /// What the files hold.
    pub format: Format,
    /// Which files.
    pub patterns: Patterns,
    /// UTF-8 unless declared; a byte order mark wins.
    pub encoding: Option<Encoding>,
    /// Cells of CSV files that mean NULL, as they are written: `NA`, `""`, `"NA"` are three.
    pub null: Vec<String>,
    /// The same for single columns, instead.
    pub null_of: BTreeMap<String, Vec<String>>,
    /// Longer records are rejected.
    pub record_bytes_max: usize,
    /// Larger compressed files are an error once so much was unpacked.
    pub unpacked_bytes_max: u64,
}

impl FileOptions {
    /// Files of a format that match `include`; everything else as it is by default.
    pub fn new(format: Format, include: &[&str]) -> Self {
        let include = include.iter().map(|&glob| glob.to_owned()).collect();
        Self {
            format,
            patterns: Patterns { include, ..Patterns::default() },
            encoding: None,
            null: Vec::new(),
            null_of: BTreeMap::new(),
            record_bytes_max: RECORD_MAX_DEFAULT,
            unpacked_bytes_max: UNPACKED_MAX_DEFAULT,
        }
    }
}

/// A set of files of one format.
#[derive(Clone, Debug)]
pub struct FileSource {
    name: String,
    root: PathBuf,
    options: FileOptions,
}

/// The source that a plan describes, with paths relative to `base`, the plan's folder.
pub fn open(source: &plan::Source, base: &Path) -> Result<Arc<dyn Source>, EndpointError> {
    let options = options_of(source)?;
    Ok(Arc::new(FileSource::new(&source.name.value, base, options)))
}

fn options_of(source: &plan::Source) -> Result<FileOptions, EndpointError> {
    let record_bytes_max = usize::try_from(source.max_record_size).unwrap_or(usize::MAX);
    if !(1..=RECORD_MAX).contains(&record_bytes_max) {
        let size = source.max_record_size;
        let what = format!("`max_record_size` is between 1 byte and 1 GiB, not `{size}`");
        return Err(EndpointError::new(ErrorClass::Configuration, codes::BAD_OPTIONS, what));
    }
    let values = |texts: &[plan::At<String>]| texts.iter().map(|text| text.value.clone()).collect();
    let null_of = |column: &plan::SourceColumn| {
        column.null.clone().map(|markers| (column.name.value.clone(), markers))
    };
    Ok(FileOptions {
        format: format_of(source, record_bytes_max)?,
        patterns: Patterns {
            include: values(&source.globs),
            exclude: values(&source.exclude),
            hidden: source.hidden,
            ignore_case: source.ignore_case,
            follow_links: source.follow_links,
        },
        encoding: source.encoding.as_ref().map(|name| encoding_of(&name.value)).transpose()?,
        null: source.null.clone(),
        null_of: source.columns.iter().filter_map(null_of).collect(),
        record_bytes_max,
        unpacked_bytes_max: UNPACKED_MAX_DEFAULT,
    })
}

fn encoding_of(name: &str) -> Result<Encoding, EndpointError> {
    Encoding::from_name(name).ok_or_else(|| {
        let what = format!("an encoding that Whimbrel does not read: `{name}`");
        EndpointError::new(ErrorClass::Configuration, codes::BAD_OPTIONS, what)
    })
}

fn format_of(source: &plan::Source, record_bytes_max: usize) -> Result<Format, EndpointError> {
    Ok(match &source.format {
        plan::Format::Csv(dialect) => Format::Csv(CsvOptions {
            delimiter: dialect.delimiter,
            quote: dialect.quote,
            escape: dialect.escape,
            comment: dialect.comment,
            header: dialect.header,
            names: dialect.names.clone(),
            skip_lines: dialect.skip_lines,
            ragged: match dialect.ragged {
                plan::Ragged::Reject => csv::Ragged::Reject,
                plan::Ragged::Pad => csv::Ragged::Pad,
                plan::Ragged::Truncate => csv::Ragged::Truncate,
            },
            record_bytes_max,
        }),
        plan::Format::Json { records: None } => Format::Json(None),
        plan::Format::Json { records: Some(records) } => {
            let pointer = Pointer::parse(&records.value).map_err(|why| {
                let what =
                    format!("`records` of the source is no JSON Pointer: `{}`", records.value);
                EndpointError::new(ErrorClass::Configuration, codes::BAD_OPTIONS, what).because(why)
            })?;
            Format::Json(Some(pointer))
        }
        plan::Format::JsonLines => Format::JsonLines,
        plan::Format::Markdown => Format::Markdown,
        plan::Format::Text => Format::Text,
        plan::Format::Database(_) => {
            let what = format!("the source is a database, not files: `{}`", source.name.value);
            return Err(EndpointError::new(ErrorClass::Configuration, codes::BAD_OPTIONS, what));
        }
    })
}

impl FileSource {
    /// A source with a name, whose patterns and paths are relative to `root`.
    pub fn new(name: &str, root: &Path, options: FileOptions) -> Self {
        Self { name: name.to_owned(), root: root.to_owned(), options }
    }

    fn disk(&self, partition: &Partition) -> PathBuf {
        self.root.join(&partition.id.path)
    }

    fn unpacked(&self, path: &str) -> Result<Opened, EndpointError> {
        let file = File::open(self.root.join(path)).map_err(|why| unreadable(path, why))?;
        let stamp = Stamp::of(&file).map_err(|why| unreadable(path, why))?;
        let (from, compression) = compression::unpack(file, path, self.options.unpacked_bytes_max)
            .map_err(|error| not_read(path, &ReadError::at(0, error)))?;
        Ok(Opened { from, stamp, compression })
    }

    fn input(&self, path: &str) -> Result<(Input, Stamp, Compression), EndpointError> {
        let Opened { from, stamp, compression } = self.unpacked(path)?;
        let input =
            Input::new(from, self.options.encoding).map_err(|error| not_read(path, &error))?;
        Ok((input, stamp, compression))
    }

    fn records(&self, input: Input, path: &str) -> Result<Records, EndpointError> {
        let max = self.options.record_bytes_max;
        Ok(match &self.options.format {
            Format::Csv(options) => {
                let reader = CsvReader::new(input, options.clone());
                Records::Csv(reader.map_err(|error| not_read(path, &error))?)
            }
            Format::Json(pointer) => Records::Json(JsonReader::new(input, pointer.clone(), max)),
            Format::JsonLines => Records::Lines(JsonLinesReader::new(input, max)),
            Format::Markdown => Records::markdown(input, max),
            Format::Text => Records::text(input, max),
        })
    }

    /// Opens for reading; what a mark remembers is compared.
    fn reader(
        &self,
        partition: &Partition,
        fields: &[Field],
        after: Option<&SourceMark>,
    ) -> Result<FileReader, EndpointError> {
        let path = &partition.id.path;
        let token = match after {
            None => None,
            Some(mark) => Some(Token::read(&mark.token).ok_or_else(|| bad_mark(path))?),
        };
        let (input, stamp, compression) = self.input(path)?;
        let records =
            self.records(input, path).or_else(|error| self.or_changed(path, token, error))?;
        let mut reader = FileReader::new(self.clone(), path, records, (stamp, compression), fields);
        let same = match token {
            None => true,
            // Before the first record there was a header at most, and it may have been torn.
            Some(token) if token.mark.records == 0 => {
                self.compare_from(path, token.mark.byte, &token.digest)? != Freshness::Changed
            }
            Some(token) => reader.resume(&token)?,
        };
        if same { Ok(reader) } else { Err(prefix_changed(path)) }
    }

    /// What looks like a bad header is a changed file where there was a good one.
    fn or_changed<T>(
        &self,
        path: &str,
        token: Option<Token>,
        error: EndpointError,
    ) -> Result<T, EndpointError> {
        let Some(token) = token else { return Err(error) };
        match self.compare_from(path, token.mark.byte, &token.digest)? {
            Freshness::Changed => Err(prefix_changed(path)),
            Freshness::Same | Freshness::Appended => Err(error),
        }
    }

    /// Whether what follows `byte` bytes with that digest is nothing, more, or they differ.
    fn compare_from(
        &self,
        path: &str,
        byte: u64,
        digest: &[u8; 32],
    ) -> Result<Freshness, EndpointError> {
        let mut opened = self.unpacked(path)?;
        let found = fingerprint::digest_of_prefix(&mut *opened.from, byte);
        let found = found.map_err(|error| not_read(path, &ReadError::at(byte, error)))?;
        if found.as_ref() != Some(digest) {
            return Ok(Freshness::Changed);
        }
        let more = fingerprint::digest_of_prefix(&mut *opened.from, 1);
        let more = more.map_err(|error| not_read(path, &ReadError::at(byte, error)))?;
        Ok(if more.is_some() { Freshness::Appended } else { Freshness::Same })
    }

    /// Files of these formats may grow without being another version.
    fn grows(&self) -> bool {
        match self.options.format {
            Format::Csv(_) | Format::JsonLines => true,
            Format::Json(_) | Format::Markdown | Format::Text => false,
        }
    }
}

struct Opened {
    from: Box<dyn Read + Send>,
    stamp: Stamp,
    compression: Compression,
}

#[async_trait]
impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn partitions(&self) -> Result<Discovery, EndpointError> {
        let found =
            discover(&self.root, &self.options.patterns).map_err(|error| not_found(&error))?;
        let unreadable = |path: crate::discovery::Unreadable| Unreadable {
            path: path.path,
            reason: path.reason,
        };
        Ok(Discovery {
            partitions: found.files.into_iter().map(|file| self.partition(file)).collect(),
            unreadable: found.unreadable.into_iter().map(unreadable).collect(),
        })
    }

    async fn describe(&self, partition: &Partition) -> Result<Shape, EndpointError> {
        self.reader(partition, &[], None)?.describe()
    }

    async fn open(
        &self,
        partition: &Partition,
        fields: &[Field],
        after: Option<&SourceMark>,
    ) -> Result<Box<dyn Reader>, EndpointError> {
        Ok(Box::new(self.reader(partition, fields, after)?))
    }

    async fn parse(
        &self,
        partition: &Partition,
        fields: &[Field],
        records: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError> {
        self.mended(&partition.id.path, fields, records)
    }

    async fn checksum(
        &self,
        partition: &Partition,
        algorithm: HashAlgorithm,
    ) -> Result<String, EndpointError> {
        let disk = self.disk(partition);
        let unreadable = |why| unreadable(&partition.id.path, why);
        Ok(match algorithm {
            HashAlgorithm::Blake3 => {
                let mut hasher = blake3::Hasher::new();
                fingerprint::read_stored(&disk, |part| {
                    hasher.update(part);
                })
                .map_err(unreadable)?;
                Digest(*hasher.finalize().as_bytes()).to_hex()
            }
            HashAlgorithm::Sha256 => {
                let mut hasher = sha2::Sha256::new();
                fingerprint::read_stored(&disk, |part| hasher.update(part)).map_err(unreadable)?;
                Digest(hasher.finalize().into()).to_hex()
            }
        })
    }

    async fn text(&self, partition: &Partition) -> Result<String, EndpointError> {
        let path = &partition.id.path;
        let (input, _, _) = self.input(path)?;
        let file = read_whole(input, self.options.record_bytes_max)
            .map_err(|error| not_read(path, &error))?;
        match file.defect {
            None => Ok(file.text),
            Some(defect) => {
                let what = format!("the file is no usable text ({}): `{path}`", defect.message);
                let code = whimbrel_endpoint::codes::NOT_TEXT;
                Err(EndpointError::new(ErrorClass::Data, code, what))
            }
        }
    }

    async fn compare(
        &self,
        partition: &Partition,
        mark: &SourceMark,
    ) -> Result<Freshness, EndpointError> {
        let path = &partition.id.path;
        let token = Token::read(&mark.token).ok_or_else(|| bad_mark(path))?;
        let now = Stamp::at(&self.disk(partition)).map_err(|why| unreadable(path, why))?;
        if now == token.stamp {
            return Ok(Freshness::Same);
        }
        let (byte, digest) = token.end;
        match self.compare_from(path, byte, &digest)? {
            Freshness::Same => Ok(Freshness::Same),
            Freshness::Appended if !self.grows() => Ok(Freshness::Changed),
            Freshness::Appended => Ok(Freshness::Appended),
            // The last line, which had no line end, may have been completed.
            Freshness::Changed if self.grows() && token.mark.byte < byte => {
                self.compare_from(path, token.mark.byte, &token.digest)
            }
            Freshness::Changed => Ok(Freshness::Changed),
        }
    }
}

impl FileSource {
    fn partition(&self, file: FoundFile) -> Partition {
        Partition {
            id: PartitionId { source: self.name.clone(), path: file.path },
            facts: Arc::new(FileFacts {
                name: file.name,
                stem: file.stem,
                dir: file.dir,
                suffix: file.suffix,
                size: file.stamp.size,
                mtime_nanos: file.stamp.mtime_nanos,
                inode: file.stamp.inode,
            }),
        }
    }
}

fn columns(names: impl IntoIterator<Item = String>) -> Vec<ShapeColumn> {
    names.into_iter().map(|name| ShapeColumn { name, kind: None }).collect()
}

fn not_found(error: &DiscoveryError) -> EndpointError {
    let code = error.code();
    EndpointError::new(ErrorClass::Configuration, code, error.to_string())
        .because_of(std::error::Error::source(error))
}

/// Keeps the cause of an error whose own words were taken.
trait BecauseOf {
    fn because_of(self, why: Option<&(dyn std::error::Error + 'static)>) -> Self;
}

impl BecauseOf for EndpointError {
    fn because_of(self, why: Option<&(dyn std::error::Error + 'static)>) -> Self {
        match why {
            Some(why) => self.because(why.to_string()),
            None => self,
        }
    }
}

fn unreadable(path: &str, why: std::io::Error) -> EndpointError {
    let class = match why.kind() {
        std::io::ErrorKind::NotFound => ErrorClass::Changed,
        _ => ErrorClass::System,
    };
    EndpointError::new(class, codes::UNREADABLE, format!("open the file `{path}`")).because(why)
}

fn not_read(path: &str, error: &ReadError) -> EndpointError {
    let class = match error {
        ReadError::Io { .. } => ErrorClass::System,
        ReadError::Archive { .. }
        | ReadError::DuplicateColumn { .. }
        | ReadError::Header { .. } => ErrorClass::Data,
        ReadError::Options(_) => ErrorClass::Configuration,
    };
    EndpointError::new(class, error.code(), format!("{error}: `{path}`"))
        .because_of(std::error::Error::source(error))
}

fn bad_mark(path: &str) -> EndpointError {
    let what = format!("the mark of the file is not understood: `{path}`");
    EndpointError::new(ErrorClass::Changed, codes::BAD_MARK, what)
}

fn prefix_changed(path: &str) -> EndpointError {
    let what = format!("the file is no longer what was read of it: `{path}`");
    EndpointError::new(ErrorClass::Changed, codes::PREFIX_CHANGED, what)
}

fn changed(path: &str) -> EndpointError {
    let what = format!("the file changed while it was read: `{path}`");
    EndpointError::new(ErrorClass::Changed, codes::CHANGED, what)
}

#[cfg(test)]
mod growth_tests;
#[cfg(test)]
mod tests;
