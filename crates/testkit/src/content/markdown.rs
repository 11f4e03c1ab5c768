//! Documents as Markdown: front matter in every shape people give it, and none.

use std::io;

use super::Library;
use super::json::WELCOME;

/// Writes the Markdown documents.
pub(super) fn write(library: &Library) -> io::Result<()> {
    for (name, text) in NOTES {
        library.write(&format!("notes/{name}"), text.as_bytes())?;
    }
    let mut bom = b"\xef\xbb\xbf".to_vec();
    bom.extend_from_slice(
        "---\ntitle: Byte order mark\n---\n\nIt begins with a mark.\n".as_bytes(),
    );
    library.write("notes/bom.md", &bom)?;
    library.write("notes/latin1.md", b"---\ntitle: K\xfchlung\n---\n\nNot UTF-8.\n")?;
    library.write(
        "notes/welcome-copy.md",
        format!("---\ntitle: Said before\n---\n{WELCOME}").as_bytes(),
    )?;
    let body = library.prose("a long note", 900);
    library.write(
        "notes/long.md",
        format!("---\ntitle: A long note\ncategory: materials\n---\n\n{body}\n").as_bytes(),
    )?;
    for length in [500, 501] {
        let body = library.prose(&format!("note of {length}"), length);
        library.write(
            &format!("notes/body-{length}.md"),
            format!("---\ntitle: At the limit\n---\n{body}").as_bytes(),
        )?;
    }
    Ok(())
}

const NOTES: [(&str, &str); 30] = [
    (
        "seed.md",
        "---\ntitle: Article Title\nurl: https://example.com/article\ncategory: technology\ntags: [tag1, tag2]\n---\n\n# Article Title\n\nArticle content with **markdown** formatting.\n\n- List item 1\n- List item 2\n",
    ),
    ("heading.md", "# Only a heading\n\nNo front matter here.\n"),
    ("late-heading.md", "Some words first.\n\n## A second-level heading\n\nAnd more.\n"),
    ("readme.md", "Neither front matter nor heading: the file's name is the title.\n"),
    (
        "dashes-in-title.md",
        "---\ntitle: Before --- after\ncategory: process\n---\n\nThe title holds three dashes.\n",
    ),
    (
        "dashes-in-value.md",
        "---\ntitle: Dashes in a value\nsummary: \"one\\n---\\ntwo\"\nnote: '--- quoted ---'\n---\n\nA value holds three dashes.\n",
    ),
    (
        "dashes-in-block.md",
        "---\ntitle: Dashes in a block\nsummary: |\n  first\n  ---\n  second\n---\n\nA block holds a line of three dashes, indented.\n",
    ),
    (
        "rule-in-body.md",
        "---\ntitle: A rule in the body\n---\n\nAbove the rule.\n\n---\n\nBelow the rule.\n",
    ),
    ("rule-first.md", "\n---\n\nA rule, not front matter: the first line is empty.\n"),
    (
        "crlf.md",
        "---\r\ntitle: Other line ends\r\ntags: [windows]\r\n---\r\n\r\nFirst line.\r\nSecond line.\r\n",
    ),
    ("bad-yaml.md", "---\ntitle: a: b: c\n---\n\nThe front matter is not YAML.\n"),
    ("tab-yaml.md", "---\nmetadata:\n\tauthor: Tab\n---\n\nIndented with a tab.\n"),
    ("list-yaml.md", "---\n- one\n- two\n---\n\nThe front matter is a list.\n"),
    ("open.md", "---\ntitle: Never closed\n\nThe front matter has no end.\n"),
    ("date-title.md", "---\ntitle: 2024-01-05\n---\n\nThe title looks like a day.\n"),
    ("bool-title.md", "---\ntitle: true\n---\n\nThe title looks like a truth value.\n"),
    (
        "yes-title.md",
        "---\ntitle: yes\n---\n\nThe title is a word that old YAML took for a truth value.\n",
    ),
    ("number-title.md", "---\ntitle: 42\n---\n\nThe title looks like a number.\n"),
    (
        "version-title.md",
        "---\ntitle: 1.10\n---\n\nThe title looks like a number that would lose its zero.\n",
    ),
    ("null-title.md", "---\ntitle: ~\n---\n\n# The heading takes over\n\nThe title is null.\n"),
    ("empty-title.md", "---\ntitle:\n---\n\nThe title is empty, and there is no heading.\n"),
    (
        "block-tags.md",
        "---\ntitle: Tags in a block\ntags:\n  - alpha\n  - beta\n  - alpha\ncreated_at: 2024-02-29 12:30:00\n---\n\nTags, one a line.\n",
    ),
    (
        "string-tags.md",
        "---\ntitle: Tags as text\ntags: alpha, beta\nurl: not a url\n---\n\nTags in one text.\n",
    ),
    ("null-tags.md", "---\ntitle: No tags\ntags:\ncategory:\n---\n\nTags that are null.\n"),
    (
        "nested.md",
        "---\ntitle: Nested\nmetadata:\n  author: Jane\n  year: 2024\n  links:\n    - https://example.com/a\n    - https://example.com/b\n---\n\nMetadata with levels.\n",
    ),
    ("own-id.md", "---\nid: legacy-77\ntitle: Same id, third\n---\n\nThe third with one id.\n"),
    ("empty.md", ""),
    ("only-front-matter.md", "---\ntitle: Nothing below\n---\n"),
    (
        "quoted-title.md",
        "---\ntitle: \"Quoted: with a colon\"\ncategory: 'people'\n---\n\nThe title is in quotes.\n",
    ),
    ("UPPER.MD", "# Upper case\n\nThe suffix of this note is in capitals.\n"),
];
