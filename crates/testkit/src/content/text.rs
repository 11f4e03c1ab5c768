//! Documents as plain text: encodings, line ends, and files that are too small or too large.

use std::fs::File;
use std::io;

use super::Library;
use super::json::WELCOME;

/// Writes the plain texts.
pub(super) fn write(library: &Library) -> io::Result<()> {
    library.write(
        "notes/plain.txt",
        b"Simple plain text content that will be migrated\nwith the filename as the title.\n",
    )?;
    library.write("notes/readme.txt", b"The same stem as a Markdown file beside it.\n")?;
    library.write("notes/welcome-copy.txt", WELCOME.as_bytes())?;
    library.write("notes/crlf.txt", b"First line of text.\r\nSecond line of text.\r\n")?;
    library.write("notes/cr.txt", b"A file of an old Macintosh.\rIts lines end otherwise.\r")?;
    library.write("notes/empty.txt", b"")?;
    library.write("notes/blank.txt", b" \n\t\n")?;
    library.write("notes/latin1.txt", b"K\xfchlung, not UTF-8\n")?;
    library.write("notes/bom.txt", b"\xef\xbb\xbfText after a mark.\n")?;
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend("Text in UTF-16: Größe, 押出.\n".encode_utf16().flat_map(u16::to_le_bytes));
    library.write("notes/utf16.txt", &utf16)?;
    for length in [500, 501] {
        let text = library.prose(&format!("text of {length}"), length);
        library.write(&format!("notes/text-{length}.txt"), text.as_bytes())?;
    }
    write_huge(library)
}

/// 60,000,000 bytes, none of which takes room on the disk.
fn write_huge(library: &Library) -> io::Result<()> {
    library.write("notes/huge.txt", b"")?;
    let path = library.folder.path("notes/huge.txt");
    let modified = path.metadata()?.modified()?;
    let file = File::options().write(true).open(path)?;
    file.set_len(60_000_000)?;
    file.set_modified(modified)
}
