//! Measures discovery on 10,000 small files in 100 folders.
//!
//! `cargo run --release -p whimbrel-files --example discovery_speed [FILES]`
#![allow(clippy::print_stdout)] // its purpose is to print

use std::time::Instant;

use whimbrel_files::discovery::{Patterns, discover};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: usize = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let root = std::env::temp_dir().join(format!("whimbrel-discovery-speed-{files}"));
    if !root.exists() {
        for n in 0..files {
            let folder = root.join(format!("notes/{:02}", n % 100));
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(format!("note-{n:06}.md")), "---\ntitle: T\n---\nbody\n")?;
        }
    }
    let patterns = Patterns { include: vec!["notes/**/*.md".into()], ..Patterns::default() };
    for _ in 0..5 {
        let start = Instant::now();
        let found = discover(&root, &patterns)?;
        println!("{} files in {:?}", found.files.len(), start.elapsed());
    }
    Ok(())
}
