//! Documents as JSON objects: the declared shape, every departure from it, and broken files.

use std::io;

use super::Library;

/// Writes the JSON documents.
pub(super) fn write(library: &Library) -> io::Result<()> {
    for (name, text) in objects() {
        library.write(&format!("articles/{name}"), text.as_bytes())?;
    }
    write_lengths(library)?;
    write_containers(library)?;
    write_broken(library)
}

/// The content that other documents, in other formats, repeat.
pub(super) const WELCOME: &str = "Welcome to the library.\nIt holds what we know about extrusion.";

fn objects() -> Vec<(&'static str, String)> {
    let welcome = WELCOME.replace('\n', "\\n");
    vec![
        ("001-welcome.json", format!(r#"{{
  "id": "legacy-123",
  "title": "Article Title",
  "content": "{welcome}",
  "url": "https://example.com/article",
  "type": "article",
  "created_at": "2024-01-01T00:00:00Z",
  "tags": ["tag1", "tag2"],
  "category": "technology",
  "metadata": {{
    "author": "John Doe",
    "source": "blog"
  }}
}}
"#)),
        ("005-text-key.json", r#"{"id": "legacy-5", "title": "Text instead of content", "text": "The older program wrote text.", "source_url": "http://example.com/old"}"#.into()),
        ("006-nulls.json", r#"{"id": "legacy-6", "title": "Nulls", "content": "Everything else is null.", "url": null, "type": null, "created_at": null, "tags": null, "category": null, "metadata": null}"#.into()),
        ("007-tags-string.json", r#"{"id": "legacy-7", "title": "Tags as text", "content": "Tags as one text.", "tags": "alpha, beta;gamma , alpha,,", "category": ""}"#.into()),
        ("008-tags-list.json", r#"{"id": "legacy-8", "title": "Tags as list", "content": "Tags with blanks and twice.", "tags": [" alpha ", "beta", "alpha", "beta"], "type": "note"}"#.into()),
        ("009-numeric.json", r#"{"id": 9, "title": 2024, "content": 12345.50, "type": "text"}"#.into()),
        ("010-bool-title.json", r#"{"id": "legacy-10", "title": true, "content": "The title is a truth value."}"#.into()),
        ("012-bad-url.json", r#"{"id": "legacy-12", "title": "Bad address", "content": "The address is no web page.", "url": "ftp://example.com/file"}"#.into()),
        ("013-script-url.json", r#"{"id": "legacy-13", "title": "Worse address", "content": "The address is a program.", "url": "javascript:alert(1)"}"#.into()),
        ("014-blank.json", r#"{"id": "legacy-14", "title": "Blank", "content": " \n\t "}"#.into()),
        ("015-no-content.json", r#"{"id": "legacy-15", "title": "Nothing"}"#.into()),
        ("016-empty-content.json", r#"{"id": "legacy-16", "title": "Empty", "content": "", "text": "The content is empty, not missing."}"#.into()),
        ("017-podcast.json", r#"{"id": "legacy-17", "title": "Unknown type", "content": "Nobody declared this type.", "type": "podcast"}"#.into()),
        ("018-blog.json", r#"{"id": "legacy-18", "title": "Blog", "content": "A blog entry.", "type": "blog", "created_at": "2024-01-05"}"#.into()),
        ("019-html.json", r#"{"id": "legacy-19", "title": "HTML", "content": "<p>A page.</p>", "type": "html", "created_at": "2024-03-31T02:30:00+02:00"}"#.into()),
        ("020-fraction.json", r#"{"id": "legacy-20", "title": "Seven digits", "content": "Tenths of microseconds.", "type": "json", "created_at": "2024-01-05T10:11:12.1234567Z"}"#.into()),
        ("021-naive.json", r#"{"id": "legacy-21", "title": "Without zone", "content": "A time without a zone.", "created_at": "2024-01-05T10:11:12.5"}"#.into()),
        ("022-yesterday.json", r#"{"id": "legacy-22", "title": "Yesterday", "content": "A time that is none.", "created_at": "yesterday"}"#.into()),
        ("023-no-title.json", r#"{"id": "legacy-23", "content": "The file's name is all there is."}"#.into()),
        ("024-blank-title.json", r#"{"id": "legacy-24", "title": "  ", "content": "The title is blank."}"#.into()),
        ("025-padded-title.json", r#"{"id": "legacy-25", "title": "  Padded  ", "content": "The title has blanks around."}"#.into()),
        ("026-no-id.json", r#"{"title": "Without id", "content": "The path is its id."}"#.into()),
        ("027-big-numbers.json", r#"{"id": 9007199254740993, "title": "Big numbers", "content": "Numbers that a double cannot hold.", "metadata": {"count": 18446744073709551615, "price": 1.10, "tiny": 1E-400}}"#.into()),
        ("028-same-id.json", r#"{"id": "legacy-77", "title": "Same id, first", "content": "The first of two with one id."}"#.into()),
        ("029-same-id.json", r#"{"id": "legacy-77", "title": "Same id, second", "content": "The second of two with one id."}"#.into()),
        ("030-same-content.json", r#"{"id": "legacy-30", "title": "Said before", "content": "The first of two with one id.", "category": "history"}"#.into()),
        ("031-crlf-content.json", format!(r#"{{"id": "legacy-31", "title": "Said before, with other line ends", "content": "{}"}}"#, WELCOME.replace('\n', "\\r\\n"))),
        ("032-unknown-keys.json", r#"{"id": "legacy-32", "title": "More keys", "content": "Keys that nobody knows.", "views": 12, "author": {"name": "Jürgen", "links": []}}"#.into()),
        ("033-deep.json", format!(r#"{{"id": "legacy-33", "title": "Deep", "content": "Forty lists deep.", "metadata": {{"deep": {}{}}}}}"#, "[".repeat(40), "]".repeat(40))),
        ("034-escapes.json", r#"{"id": "legacy-34", "title": "Escapes", "content": "Quote \" backslash \\ tab \t euro \u20ac clef \ud834\udd1e slash \/."}"#.into()),
        ("035-zero.json", r#"{"id": "legacy-35", "title": "Zero \u0000 character", "content": "The title holds a zero character."}"#.into()),
        ("UPPER.JSON", r#"{"id": "legacy-upper", "title": "Upper case", "content": "The suffix is in capitals."}"#.into()),
    ]
}

/// Either side of every limit; lengths are in characters, and the characters are not all ASCII.
fn write_lengths(library: &Library) -> io::Result<()> {
    let object = |id: &str, title: &str, content: &str| {
        format!(
            r#"{{"id": "{id}", "title": "{title}", "content": "{content}", "category": "process"}}"#
        )
    };
    for length in [500, 501] {
        let content = library.prose(&format!("content of {length}"), length);
        let text = object(&format!("content-{length}"), "At the limit", &content);
        library.write(&format!("articles/100-content-{length}.json"), text.as_bytes())?;
        let title = library.prose(&format!("title of {length}"), length);
        let content = format!("A title of {length} characters.");
        let text = object(&format!("title-{length}"), &title, &content);
        library.write(&format!("articles/101-title-{length}.json"), text.as_bytes())?;
    }
    // Substantial, and refused: what would have been made from it is refused too.
    let (title, content) = (library.prose("long title", 501), library.prose("long content", 700));
    library
        .write("articles/102-long-and-refused.json", object("both", &title, &content).as_bytes())?;
    // The same substantial content twice.
    let content = library.prose("long content twice", 640);
    library.write("articles/103-long.json", object("long-1", "Long", &content).as_bytes())?;
    library.write(
        "articles/104-long-again.json",
        object("long-2", "Long again", &content).as_bytes(),
    )?;
    for length in [1_000_000, 1_000_001] {
        let content = library.prose(&format!("content of {length}"), length);
        let text = object(&format!("content-{length}"), "A book", &content);
        library.write(&format!("articles/105-content-{length}.json"), text.as_bytes())?;
    }
    Ok(())
}

fn write_containers(library: &Library) -> io::Result<()> {
    library.write(
        "articles/200-array.json",
        br#"[
  {"id": "array-1", "title": "First of three", "content": "An element of a list."},
  {"id": "array-2", "title": "Second of three", "content": "Another element of a list.", "type": "podcast"},
  {"id": "array-3", "title": "Third of three", "content": "The last element of a list.", "tags": "list"}
]
"#,
    )?;
    library.write("articles/201-empty-array.json", b"[]\n")?;
    // JSON Lines under the suffix of JSON.
    library.write(
        "articles/202-lines.json",
        b"{\"id\": \"line-1\", \"title\": \"First line\", \"content\": \"One document a line.\"}\n{\"id\": \"line-2\", \"title\": \"Second line\", \"content\": \"Another document a line.\"}\n",
    )?;
    let mut bom = b"\xef\xbb\xbf".to_vec();
    bom.extend_from_slice(
        br#"{"id": "bom", "title": "Byte order mark", "content": "It begins with a mark."}"#,
    );
    library.write("articles/203-bom.json", &bom)
}

fn write_broken(library: &Library) -> io::Result<()> {
    library.write("articles/300-empty.json", b"")?;
    library.write("articles/301-blank.json", b" \r\n")?;
    library.write(
        "articles/302-torn.json",
        br#"{"id": "torn", "title": "Torn", "content": "It breaks o"#,
    )?;
    library.write(
        "articles/303-trailing-comma.json",
        br#"{"id": "comma", "title": "Comma", "content": "One comma too many.",}"#,
    )?;
    library.write("articles/304-nan.json", br#"{"id": "nan", "title": "NaN", "content": "Python wrote it.", "metadata": {"score": NaN}}"#)?;
    library.write(
        "articles/305-latin1.json",
        b"{\"id\": \"latin1\", \"title\": \"K\xfchlung\", \"content\": \"Not UTF-8.\"}",
    )?;
    library.write(
        "articles/306-twice.json",
        br#"{"id": "twice", "title": "One", "title": "Two", "content": "A key twice."}"#,
    )
}
