//! Measures many small files: finding 10,000 Markdown files in 100 folders, then reading them.
//!
//! `cargo run --release -p whimbrel-files --example discovery_speed [FILES]`
#![allow(clippy::print_stdout)] // its purpose is to print

use std::time::Instant;

use whimbrel_endpoint::{Limit, Source as _};
use whimbrel_files::{FileOptions, FileSource, Format};
use whimbrel_model::Field;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: usize = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let root = std::env::temp_dir().join(format!("whimbrel-discovery-speed-{files}"));
    if !root.exists() {
        for n in 0..files {
            let folder = root.join(format!("notes/{:02}", n % 100));
            std::fs::create_dir_all(&folder)?;
            let text = "Some words of a paragraph.\n".repeat(n % 60);
            let text = format!("---\ntitle: Note {n}\ntags: [a, b]\n---\n# Heading {n}\n\n{text}");
            std::fs::write(folder.join(format!("note-{n:06}.md")), text)?;
        }
    }
    let options = FileOptions::new(Format::Markdown, &["notes/**/*.md"]);
    let source = FileSource::new("notes", &root, options);
    let fields = ["title", "tags", "heading", "body"].map(|name| Field::Column(name.to_owned()));
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        for _ in 0..3 {
            let start = Instant::now();
            let found = source.partitions().await?.partitions;
            let finding = start.elapsed();
            let start = Instant::now();
            for partition in &found {
                let mut reader = source.open(partition, &fields, None).await?;
                while reader.next(Limit::default()).await?.is_some() {}
                reader.finish().await?;
            }
            let reading = start.elapsed();
            let rate = found.len() as f64 / reading.as_secs_f64();
            println!(
                "{} files found in {finding:?}, read in {reading:?}: {rate:.0} files/s",
                found.len()
            );
        }
        Ok(())
    })
}
