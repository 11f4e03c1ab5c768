//! Legacy documents in four formats, with every kind of damage such folders are known to hold.
//!
//! ```text
//! articles/  JSON: objects, an array, lines under the wrong suffix, broken ones
//! notes/     Markdown, with and without front matter, and plain text
//! tables/    CSV
//! .hidden/   not to be found, as is what a symbolic link leads to
//! ```

mod json;
mod markdown;
mod table;
mod text;

use std::io;
use std::path::Path;

use crate::calendar::utc;
use crate::{Dice, Folder};

/// Fills the folder, which must be empty or not there yet, with the dirty documents and, beside
/// them, `clean` documents without damage in all four formats.
pub fn write(folder: &Path, clean: u64, seed: u64) -> io::Result<()> {
    let folder = Library { folder: Folder::create(folder)?, seed };
    json::write(&folder)?;
    markdown::write(&folder)?;
    text::write(&folder)?;
    table::write(&folder)?;
    write_what_is_not_to_be_found(&folder)?;
    write_clean(&folder, clean)
}

/// Fills the folder with `count` Markdown files of about 600 bytes, a hundred to a folder.
pub fn write_small_markdown(folder: &Path, count: u64, seed: u64) -> io::Result<()> {
    let library = Library { folder: Folder::create(folder)?, seed };
    for number in 0..count {
        let name = format!("{:04}/note-{number:06}.md", number / 100);
        let mut dice = library.dice(&name);
        let length = dice.between(200, 700) as usize;
        let text = format!(
            "---\ntitle: Note {number}\ncategory: {}\ntags: [{}, {}]\n---\n\n# Note {number}\n\n{}\n",
            dice.pick(&CATEGORIES),
            dice.pick(&WORDS),
            dice.pick(&WORDS),
            prose(&mut dice, length)
        );
        library.write(&name, text.as_bytes())?;
    }
    Ok(())
}

fn write_what_is_not_to_be_found(library: &Library) -> io::Result<()> {
    library.write(".hidden/secret.md", b"# Secret\n\nnot to be found\n")?;
    library.write(
        "articles/.drafts/draft.json",
        br#"{"title": "Draft", "content": "not to be found"}"#,
    )?;
    library.write("notes/.note.md.swp", b"b0VIM 8.2")?;
    library.write("notes/picture.png", b"\x89PNG\r\n\x1a\n")?;
    library.folder.folder("empty")?;
    library.folder.link("notes/again", "../notes")?;
    library.folder.link("articles/up", "..")
}

fn write_clean(library: &Library, clean: u64) -> io::Result<()> {
    for number in 0..clean {
        let mut dice = library.dice(&format!("clean/{number}"));
        let length = dice.between(100, 2_000) as usize;
        let (title, body) = (format!("Document {number}"), prose(&mut dice, length));
        let category = dice.pick(&CATEGORIES);
        let name = format!("clean/{:03}/document-{number:06}", number / 1000);
        match number % 4 {
            0 => library.write(
                &format!("{name}.json"),
                format!("{{\"id\": \"clean-{number}\", \"title\": \"{title}\", \"content\": \"{body}\", \"type\": \"text\", \"tags\": [\"{category}\"], \"category\": \"{category}\"}}\n").as_bytes(),
            )?,
            1 => library.write(
                &format!("{name}.md"),
                format!("---\ntitle: {title}\ncategory: {category}\n---\n\n{body}\n").as_bytes(),
            )?,
            2 => library.write(&format!("{name}.txt"), body.as_bytes())?,
            _ => library.write(
                &format!("{name}.csv"),
                format!("id,title,content,url,type,created_at,tags,category\nclean-{number},{title},\"{body}\",,text,,,{category}\n").as_bytes(),
            )?,
        }
    }
    Ok(())
}

/// The folder being filled; the time of a file follows from its path.
struct Library {
    folder: Folder,
    seed: u64,
}

impl Library {
    fn dice(&self, name: &str) -> Dice {
        Dice::new(self.seed, &format!("content/{name}"))
    }

    /// Writes a file, last changed some time in 2023.
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let day = self.dice(&format!("time of {path}")).between(0, 364);
        self.folder.write(path, bytes, utc(2023, 1, 1, 9, 0, 0) / 1000 + day * 86_400)
    }

    /// Prose of exactly this many characters, without a blank at either end, its own per name.
    fn prose(&self, name: &str, characters: usize) -> String {
        prose(&mut self.dice(name), characters)
    }
}

const CATEGORIES: [&str; 5] = ["technology", "process", "materials", "people", "history"];

const WORDS: [&str; 24] = [
    "extruder", "nozzle", "barrel", "screw", "filament", "pressure", "zone", "motor", "feed",
    "heater", "sensor", "valve", "Düse", "Kühlung", "façade", "naïve", "Größe", "押出", "機",
    "test", "note", "draft", "review", "release",
];

fn prose(dice: &mut Dice, characters: usize) -> String {
    let mut text = String::new();
    let mut length = 0;
    while length < characters {
        let word = dice.pick(&WORDS);
        text.push_str(word);
        text.push(' ');
        length += word.chars().count() + 1;
    }
    let mut text: String = text.chars().take(characters).collect();
    if text.ends_with(' ') {
        text.pop();
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;

    fn files(folder: &Path, into: &mut BTreeMap<PathBuf, u64>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                files(&entry.path(), into);
            } else if kind.is_file() {
                into.insert(entry.path(), entry.metadata().unwrap().len());
            }
        }
    }

    #[test]
    fn prose_has_the_asked_for_length_in_characters() {
        let mut dice = Dice::new(3, "prose");
        for length in [1, 2, 499, 500, 501] {
            let text = prose(&mut dice, length);
            assert_eq!(text.chars().count(), length);
            assert_eq!(text.trim(), text);
        }
    }

    #[test]
    fn every_format_is_there_and_the_largest_file_takes_no_room() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 8, 1).unwrap();
        let mut found = BTreeMap::new();
        files(dir.path(), &mut found);
        for suffix in ["json", "JSON", "md", "MD", "txt", "csv"] {
            assert!(
                found.keys().any(|path| path.extension().is_some_and(|is| is == suffix)),
                "{suffix}"
            );
        }
        assert!(found.values().any(|size| *size > 50 * 1024 * 1024));
    }

    #[test]
    fn small_markdown_files_come_in_the_asked_for_number() {
        let dir = tempfile::tempdir().unwrap();
        write_small_markdown(dir.path(), 250, 1).unwrap();
        let mut found = BTreeMap::new();
        files(dir.path(), &mut found);
        assert_eq!(found.len(), 250);
        assert!(found.values().all(|size| (250..1_500).contains(size)));
    }
}
