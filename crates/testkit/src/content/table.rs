//! Documents as rows of CSV files.

use std::io;

use super::Library;

/// Writes the tables.
pub(super) fn write(library: &Library) -> io::Result<()> {
    let long = library.prose("row of 501", 501);
    let mut items = String::from("id,title,content,url,type,created_at,tags,category\r\n");
    for row in ROWS {
        items.push_str(row);
        items.push_str("\r\n");
    }
    let long = format!("c-15,Long row,{long},,text,,,process\r\n");
    items.push_str(&long);
    items.push_str("c-16,Torn row,The file breaks o");
    library.write("tables/items.csv", items.as_bytes())?;
    library
        .write("tables/header-only.csv", b"id,title,content,url,type,created_at,tags,category\n")?;
    library.write("tables/empty.csv", b"")?;
    library.write("tables/UPPER.CSV", b"id,title,content,url,type,created_at,tags,category\nu-1,Upper table,A row of a file in capitals.,,note,,,\n")
}

const ROWS: [&str; 14] = [
    "c-1,First row,A plain row.,https://example.com/1,article,2024-01-02T03:04:05Z,alpha;beta,technology",
    "c-2,Quoted,\"Two lines,\r\nand a comma.\",,text,,,",
    "c-3,Quotes,\"She said \"\"now\"\" and left.\",,note,2024-01-03,,history",
    "007,Leading zeros,The id has leading zeros.,,text,,,",
    "c-5,,No title here.,,text,,,",
    "c-6,No content,,,text,,,",
    "c-7,Blank content,\"   \",,text,,,",
    "c-8,Empty type,The type is empty.,,,,,",
    "c-9,Unknown type,The type is unknown.,,podcast,,,",
    "c-10,Bad address,The row has no web address.,example.com,text,,,",
    "c-11,Too few,Cells are missing.",
    "c-12,Too many,One cell too many.,,text,,a,b,c",
    "c-13,Said before,A plain row.,,text,,,",
    "c-14,Bad time,The row has no time.,,text,05/01/2024,\"a, b;a\",",
];
